"""Our own compact format: one safetensors file per SAE, int8 rows with one scale each.

The layout is described in the demo pack's README.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.engine.sae_weights import Architecture, SaeWeights
from desktop_scope.errors import ScopeError
from desktop_scope.formats.reading import safetensors_file
from desktop_scope.formats.widths import nested_widths

NAME = "Desktop Scope compact"
FILES = ("*.safetensors",)
OPENS = "file"
HINT = "The file may be damaged: get it again."

_ROWS = {"W_enc": "n d", "W_dec": "n d"}
_REST = {
    "b_dec": "d",
    "W_enc_scale": "n",
    "W_dec_scale": "n",
    "b_enc": "n",
    "threshold": "n",
}


def match(path: Path) -> bool:
    """Whether it is a safetensors file whose header names this format.

    Raises:
        ScopeError: The file is damaged, so that nothing can be told of it.
    """
    if path.suffix != ".safetensors" or not path.is_file():
        return False
    return safetensors_file(path).metadata.get("format") == "desktop-scope-sae/1"


def open(path: Path) -> tuple[SaeWeights, ...]:
    """Map the file.

    Raises:
        ScopeError: Its tensors are of the wrong shape or type, or its header makes no sense.
    """
    file = safetensors_file(path)
    rows = file.take(_ROWS, types=(torch.int8,))
    d_sae, d_in = rows["W_enc"].shape
    rest = file.take(_REST, types=(torch.float32,), n=d_sae, d=d_in)
    meta = file.metadata
    try:
        architecture = meta["architecture"]
        hook = HookPoint.parse(meta["hook_name"])
        prefixes = nested_widths(json.loads(meta["matryoshka_prefixes"]), d_sae, path)
    except KeyError as error:
        raise ScopeError(f"The header of the SAE file {path.name} lacks {error}.", HINT) from error
    except (ValueError, RecursionError) as error:
        message = f"The header of the SAE file {path.name} makes no sense: {error}."
        raise ScopeError(message, HINT) from error
    if architecture != Architecture.JUMPRELU:
        raise ScopeError(
            f"The SAE file {path.name} is of the architecture “{architecture}”, "
            "which this version does not know.",
            "A newer Desktop Scope may read it.",
        )
    weights = SaeWeights(
        name=path.stem,
        format=NAME,
        architecture=Architecture.JUMPRELU,
        reads=(hook,),
        writes=(hook,),
        W_enc=rows["W_enc"],
        W_dec=rows["W_dec"],
        b_dec=rest["b_dec"],
        b_enc=rest["b_enc"],
        W_enc_scale=rest["W_enc_scale"],
        W_dec_scale=rest["W_dec_scale"],
        threshold=rest["threshold"],
        prefixes=prefixes,
        model=meta.get("model"),
    )
    return (weights,)

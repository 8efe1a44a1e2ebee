"""Our own compact format: one safetensors file per SAE, int8 rows with one scale each.

The layout is described in the demo pack's README.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import safe_open

from desktop_scope.engine.sae import SaeWeights
from desktop_scope.errors import ScopeError

NAME = "Desktop Scope compact"

_VECTORS = ("W_enc_scale", "W_dec_scale", "b_enc", "threshold")
_TENSORS = {"W_enc", "W_dec", "b_dec", *_VECTORS}
HINT = "The file may be damaged: get it again."


def match(path: Path) -> bool:
    """Whether the file's header names this format."""
    if path.suffix != ".safetensors":
        return False
    with safe_open(path, framework="pt") as file:
        return (file.metadata() or {}).get("format") == "desktop-scope-sae/1"


def open(path: Path) -> SaeWeights:
    """Map the file and check it.

    Raises:
        ScopeError: Of the wrong shape or type, or holding numbers that are not finite.
    """
    with safe_open(path, framework="pt") as file:
        meta = file.metadata()
        t = {name: file.get_tensor(name) for name in _TENSORS & set(file.keys())}
    _check(t, path.name)
    try:
        weights = SaeWeights(
            hook_name=meta["hook_name"],
            layer=int(meta["layer"]),
            architecture=meta["architecture"],
            prefixes=tuple(int(n) for n in json.loads(meta["matryoshka_prefixes"])),
            **t,
        )
    except KeyError as error:
        raise ScopeError(f"The header of the SAE file {path.name} lacks {error}.", HINT) from error
    except (TypeError, ValueError) as error:
        message = f"The header of the SAE file {path.name} makes no sense: {error}."
        raise ScopeError(message, HINT) from error
    if weights.architecture != "jumprelu":
        raise ScopeError(
            f"The SAE file {path.name} is of the architecture “{weights.architecture}”, "
            "which this version does not know.",
            "A newer Desktop Scope may read it.",
        )
    return weights


def _check(t: dict[str, torch.Tensor], name: str) -> None:
    missing = ", ".join(sorted(_TENSORS - set(t)))
    if missing:
        raise ScopeError(f"The SAE file {name} lacks {missing}.", HINT)
    d_sae, d_in = t["W_enc"].shape if t["W_enc"].dim() == 2 else (0, 0)
    shapes = {"W_enc": (d_sae, d_in), "W_dec": (d_sae, d_in), "b_dec": (d_in,)}
    shapes |= dict.fromkeys(_VECTORS, (d_sae,))
    for key, tensor in t.items():
        dtype = torch.int8 if key in ("W_enc", "W_dec") else torch.float32
        if tuple(tensor.shape) != shapes[key] or tensor.dtype != dtype or not tensor.numel():
            raise ScopeError(
                f"In the SAE file {name}, {key} is {tensor.dtype} {list(tensor.shape)}, "
                f"where {dtype} {list(shapes[key])} was expected.",
                HINT,
            )
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ScopeError(f"In the SAE file {name}, {key} holds NaN or infinity.", HINT)

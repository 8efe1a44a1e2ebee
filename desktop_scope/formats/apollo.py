"""Apollo Research's end-to-end SAEs: ``samples_N.pt`` with ``final_config.yaml`` beside it.

One file holds the SAEs of one or more hooks of a model that was loaded with centred writing
weights. Their decoder rows are of length 1 wherever they are used, but not as they are stored.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch

from desktop_scope.engine.sae_weights import Architecture, SaeWeights
from desktop_scope.errors import ScopeError
from desktop_scope.formats.config import HINT, yaml_object
from desktop_scope.formats.hook_names import hook_point, model_id
from desktop_scope.formats.reading import TensorFile
from desktop_scope.formats.repository import names_of
from desktop_scope.formats.torch_state import state_dict

NAME = "Apollo e2e"
FILES = ("samples_*.pt",)
OPENS = "file"

_ENCODER = ".encoder.0.weight"
_SHORTEST = 1e-12  # below it, the authors' normalisation divides by this


def match(path: Path) -> bool:
    """Whether it is a file of such a name, beside such a configuration."""
    named = re.fullmatch(r"samples_\d+\.pt", path.name) is not None
    return named and path.is_file() and (path.parent / "final_config.yaml").is_file()


def open(path: Path) -> tuple[SaeWeights, ...]:
    """Map the tensors; the decoders are read once, for the lengths of their rows.

    Raises:
        ScopeError: Something is wrong with the files.
    """
    config = yaml_object(path.parent / "final_config.yaml")
    model = model_id(config.text("tlens_model_name", ""))
    file, _ = state_dict(path)
    hooks = [name.removesuffix(_ENCODER) for name in file.tensors if name.endswith(_ENCODER)]
    if not hooks:
        raise ScopeError(f"There is no SAE in {path.name}.", HINT)
    return tuple(_sae(file, hook, model) for hook in hooks)


def _sae(file: TensorFile, hook: str, model: str | None) -> SaeWeights:
    tensors = file.take(
        {
            f"{hook}{_ENCODER}": "n d",
            f"{hook}.encoder.0.bias": "n",
            f"{hook}.decoder.weight": "d n",
            f"{hook}.decoder.bias": "d",
        }
    )
    decoder = tensors[f"{hook}.decoder.weight"].T
    place = hook_point(hook.replace("-", "."))
    return SaeWeights(
        name="/".join((*names_of(file.path)[-2:-1], hook)),
        format=NAME,
        architecture=Architecture.RELU,
        reads=(place,),
        writes=(place,),
        W_enc=tensors[f"{hook}{_ENCODER}"],
        W_dec=decoder,
        b_enc=tensors[f"{hook}.encoder.0.bias"],
        b_dec=tensors[f"{hook}.decoder.bias"],
        W_dec_scale=1 / torch.linalg.vector_norm(decoder.float(), dim=1).clamp(min=_SHORTEST),
        centred=True,
        model=model,
    )

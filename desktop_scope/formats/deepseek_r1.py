"""The SAE of DeepSeek-R1-Distill-Llama-8B by qresearch: one file, whose name says the layer."""

from __future__ import annotations

import re
from pathlib import Path

from desktop_scope.engine.hook_points import resid_post
from desktop_scope.engine.sae_weights import Architecture, SaeWeights
from desktop_scope.errors import ScopeError
from desktop_scope.formats.torch_state import state_dict

NAME = "DeepSeek R1"
FILES = ("DeepSeek-R1-*-SAE-l*.pt",)
OPENS = "file"

_NAMED = re.compile(r"(?P<model>DeepSeek-R1-.+)-SAE-l(?P<layer>\d{1,3})\.pt")


def match(path: Path) -> bool:
    """Whether it is a file of such a name."""
    return _NAMED.fullmatch(path.name) is not None and path.is_file()


def open(path: Path) -> tuple[SaeWeights, ...]:
    """Map the tensors.

    Raises:
        ScopeError: Something is wrong with the file.
    """
    named = _NAMED.fullmatch(path.name)
    if named is None:
        raise ScopeError(f"{path.name} does not name a layer.", "Keep the name that it came with.")
    file, _ = state_dict(path)
    tensors = file.take(
        {"encoder.weight": "n d", "encoder.bias": "n", "decoder.weight": "d n", "decoder.bias": "d"}
    )
    place = resid_post(int(named["layer"]))
    weights = SaeWeights(
        name=path.stem,
        format=NAME,
        architecture=Architecture.RELU,
        reads=(place,),
        writes=(place,),
        W_enc=tensors["encoder.weight"],
        W_dec=tensors["decoder.weight"].T,
        b_enc=tensors["encoder.bias"],
        b_dec=tensors["decoder.bias"],
        model=f"deepseek-ai/{named['model']}",
        prepend_bos=True,
    )
    return (weights,)

"""Goodfire's SAEs: of Llama 3.1 8B and 3.3 70B with relu, of gpt-oss-20b with top-k.

The file names say which layer. What is known of the one of gpt-oss comes from people who use it:
they name its tensors, but differ on which way up its decoder is, and say nothing of biases. So it
is taken either way up, and a bias that is lacking counts as zeros.
"""

from __future__ import annotations

import re
from pathlib import Path

from desktop_scope.engine.hook_points import resid_post
from desktop_scope.engine.sae_weights import Architecture, SaeWeights
from desktop_scope.errors import ScopeError
from desktop_scope.formats.hook_names import model_id
from desktop_scope.formats.reading import TensorFile
from desktop_scope.formats.repository import names_of
from desktop_scope.formats.torch_state import state_dict

NAME = "Goodfire"
FILES = ("Llama-*-SAE-l*.pt", "Llama-*-SAE-l*.pth", "topk_sae_l*_exp*_k*.pt")
OPENS = "file"

_RELU = re.compile(r"(?P<model>Llama-.+)-SAE-l(?P<layer>\d{1,3})\.pth?")
_TOPK = re.compile(r"topk_sae_l(?P<layer>\d{1,3})_exp\d{1,3}_k(?P<k>[1-9]\d{0,4})\.pt")
_GPT_OSS = re.compile(r"gpt-oss-\d+b")


def match(path: Path) -> bool:
    """Whether it is a file of such a name."""
    return bool(_RELU.fullmatch(path.name) or _TOPK.fullmatch(path.name)) and path.is_file()


def open(path: Path) -> tuple[SaeWeights, ...]:
    """Map the tensors.

    Raises:
        ScopeError: Something is wrong with the file, or its name.
    """
    file, _ = state_dict(path)
    if named := _RELU.fullmatch(path.name):
        model = model_id(named["model"])
        return (_sae(file, int(named["layer"]), model, decoder="decoder_linear", k=None),)
    if named := _TOPK.fullmatch(path.name):
        found = next(filter(None, map(_GPT_OSS.search, reversed(names_of(path)))), None)
        model = model_id(found[0]) if found else None
        return (_sae(file, int(named["layer"]), model, decoder="decoder", k=int(named["k"])),)
    raise ScopeError(
        f"The name {path.name} does not say which layer this SAE is for.",
        "Give the file the name that it came with.",
    )


def _sae(
    file: TensorFile, layer: int, model: str | None, *, decoder: str, k: int | None
) -> SaeWeights:
    encoder = file.take({"encoder_linear.weight": "n d"})["encoder_linear.weight"]
    d_sae, d_in = encoder.shape
    rows_first = k is not None and _rows(file, f"{decoder}.weight") == d_sae
    biases = {"encoder_linear.bias": "n", f"{decoder}.bias": "d"}
    tensors = file.take(
        {f"{decoder}.weight": "n d" if rows_first else "d n", **biases},
        optional=() if k is None else biases,
        n=d_sae,
        d=d_in,
    )
    weight = tensors[f"{decoder}.weight"]
    place = resid_post(layer)
    return SaeWeights(
        name=file.path.stem,
        format=NAME,
        architecture=Architecture.RELU if k is None else Architecture.TOPK,
        reads=(place,),
        writes=(place,),
        W_enc=encoder,
        W_dec=weight if rows_first else weight.T,
        b_enc=tensors.get("encoder_linear.bias", encoder.new_zeros(d_sae)),
        b_dec=tensors.get(f"{decoder}.bias", encoder.new_zeros(d_in)),
        k=None if k is None else min(k, d_sae),
        model=model,
        declared_l0=k,
    )


def _rows(file: TensorFile, name: str) -> int | None:
    tensor = file.tensors.get(name)
    return tensor.shape[0] if tensor is not None and tensor.dim() else None

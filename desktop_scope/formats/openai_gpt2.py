"""OpenAI's SAEs of GPT-2 small: ``resid_post_mlp_v5_32k/autoencoders/8.pt`` and the like.

Those with top-k normalise each token's activations, which their files do not say: OpenAI's own
code takes the one from the other.
"""

from __future__ import annotations

import re
from pathlib import Path

from desktop_scope.engine.hook_points import HookPoint, Site
from desktop_scope.engine.sae_weights import Architecture, InputNorm, SaeWeights
from desktop_scope.errors import ScopeError
from desktop_scope.formats.config import Config
from desktop_scope.formats.repository import names_of
from desktop_scope.formats.torch_state import state_dict

NAME = "OpenAI GPT-2"
FILES = ("[0-9].pt", "[0-9][0-9].pt")
OPENS = "file"

_LOCATION = re.compile(r"(resid_delta|resid_post|mlp_post)_(attn|mlp|act)(_v\d\w*)?")
_SITES = {
    "resid_delta_attn": Site.ATTN_OUT,
    "resid_post_attn": Site.RESID_MID,
    "resid_delta_mlp": Site.MLP_OUT,
    "resid_post_mlp": Site.RESID_POST,
}


def match(path: Path) -> bool:
    """Whether it is a file named after a layer, below a folder named after a place."""
    return re.fullmatch(r"\d{1,2}\.pt", path.name) is not None and bool(_location(path))


def open(path: Path) -> tuple[SaeWeights, ...]:
    """Map the tensors.

    Raises:
        ScopeError: Something is wrong with the file, it belongs to a place that Desktop Scope
            does not read, or uses another activation function than those published.
    """
    file, others = state_dict(path)
    tensors = file.take(
        {"pre_bias": "d", "encoder.weight": "n d", "latent_bias": "n", "decoder.weight": "d n"}
    )
    k = _k(others, len(tensors["latent_bias"]))
    place = _place(path)
    weights = SaeWeights(
        name="/".join((_location(path), path.stem)),
        format=NAME,
        architecture=Architecture.RELU if k is None else Architecture.TOPK,
        reads=(place,),
        writes=(place,),
        W_enc=tensors["encoder.weight"],
        W_dec=tensors["decoder.weight"].T,
        b_enc=tensors["latent_bias"],
        b_dec=tensors["pre_bias"],
        k=k,
        norm=InputNorm.NONE if k is None else InputNorm.LAYER_NORM,
        subtract_b_dec=True,
        model="openai-community/gpt2",
        declared_l0=k,
        prepend_bos=False,
    )
    return (weights,)


def _location(path: Path) -> str:
    """The name of the folder around it that says where it belongs; empty if none does."""
    found = (name for name in reversed(names_of(path)) if _LOCATION.fullmatch(name))
    return next(found, "")


def _place(path: Path) -> HookPoint:
    location = "_".join(_location(path).split("_")[:3])
    if location not in _SITES or not path.stem.isdecimal():
        raise ScopeError(
            f"{path} belongs to a place that Desktop Scope does not read.",
            f"It reads those in folders named {', '.join(_SITES)}, files named after the layer.",
        )
    return HookPoint(int(path.stem), _SITES[location])


def _k(others: Config, d_sae: int) -> int | None:
    """How many features are kept; None for relu."""
    activation = others.text("activation", "ReLU")
    if activation == "ReLU":
        return None
    details = others.part("activation_state_dict")
    if activation != "TopK" or details.text("postact_fn", "ReLU") != "ReLU":
        raise ScopeError(
            f"{others.path.name} uses the activation function {activation}, without ReLU after it.",
            "Desktop Scope knows ReLU, and TopK followed by ReLU.",
        )
    return details.count("k", most=d_sae)

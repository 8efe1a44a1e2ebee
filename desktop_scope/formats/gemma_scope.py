"""Gemma Scope: ``layer_20/width_16k/average_l0_71/params.npz``, told apart by folder names."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import torch

from desktop_scope.engine.hook_points import HookPoint, Site
from desktop_scope.engine.sae_weights import Architecture, SaeWeights
from desktop_scope.errors import ScopeError
from desktop_scope.formats.reading import TensorFile, npz_file
from desktop_scope.formats.repository import names_of

NAME = "Gemma Scope"
FILES = ("params.npz",)
OPENS = "folder"

_REPOSITORY = re.compile(r"gemma-scope-(2b|9b|27b)-(pt|it)-(res|mlp|att|transcoders)\b")
_LAYER = re.compile(r"(?:layer_(\d{1,3})|embedding)\b")
_L0 = re.compile(r"average_l0_(\d{1,6})\b")
# What is read and what is written. Transcoders read the stream before the norm's gain, which
# their authors folded into them.
_SITES = {
    "res": (Site.RESID_POST, Site.RESID_POST),
    "mlp": (Site.MLP_OUT, Site.MLP_OUT),
    "att": (Site.Z, Site.Z),
    "transcoders": (Site.LN2_NORMALIZED, Site.MLP_OUT),
}


def match(path: Path) -> bool:
    """Whether it is a folder with such a file."""
    return (path / "params.npz").is_file()


def open(path: Path) -> tuple[SaeWeights, ...]:
    """Map the arrays, and read from the names where they belong.

    Raises:
        ScopeError: Something is wrong with the file, or the names do not say what it is.
    """
    names = names_of(path)
    place = "/".join(names)
    repository = _last(_REPOSITORY, place)
    layer = _last(_LAYER, place)
    if repository is None or layer is None:
        raise ScopeError(
            f"The path {path} does not say which part of Gemma this SAE is for.",
            "Keep the names of its repository, as in gemma-scope-2b-pt-res/layer_20/width_16k/….",
        )
    size, tuning, kind = repository.groups()
    reads, writes = _SITES[kind]
    if layer[1] is None:
        reads = writes = Site.EMBED
    file = npz_file(path / "params.npz")
    tensors = TensorFile(file.path, {name.lower(): t for name, t in file.tensors.items()}).take(
        {"w_enc": "d n", "w_dec": "n d", "b_enc": "n", "b_dec": "d", "threshold": "n"}
    )
    l0 = _last(_L0, place)
    weights = SaeWeights(
        name="/".join(names[-3:]),
        format=NAME,
        architecture=Architecture.JUMPRELU,
        reads=(HookPoint(int(layer[1] or 0), reads),),
        writes=(HookPoint(int(layer[1] or 0), writes),),
        W_enc=tensors["w_enc"].T,
        W_dec=tensors["w_dec"],
        b_enc=tensors["b_enc"],
        b_dec=tensors["b_dec"],
        threshold=tensors["threshold"],
        model=f"google/gemma-2-{size}{'-it' if tuning == 'it' else ''}",
        declared_l0=float(l0[1]) if l0 else None,
        prepend_bos=True,
    )
    return (_of_scaled(weights) if reads is Site.EMBED else weights,)


def _of_scaled(weights: SaeWeights) -> SaeWeights:
    """An SAE of bare embeddings, for what Gemma makes of them: √d_model times as much."""
    root = weights.d_in**0.5
    ones = torch.ones(weights.d_sae)
    return replace(
        weights, W_enc_scale=ones / root, W_dec_scale=ones * root, b_dec=weights.b_dec * root
    )


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """The innermost of the names that fit."""
    found = list(pattern.finditer(text))
    return found[-1] if found else None

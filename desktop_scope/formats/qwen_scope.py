"""Qwen-Scope: ``layerN.sae.pt`` for every layer of a Qwen model, with ``config.json`` beside."""

from __future__ import annotations

import re
from pathlib import Path

from desktop_scope.engine.hook_points import resid_post
from desktop_scope.engine.sae_weights import Architecture, SaeWeights
from desktop_scope.errors import ScopeError
from desktop_scope.formats.config import Config, json_object
from desktop_scope.formats.hook_names import model_id
from desktop_scope.formats.repository import names_of
from desktop_scope.formats.torch_state import state_dict

NAME = "Qwen-Scope"
FILES = ("layer*.sae.pt",)
OPENS = "file"

_FILE = re.compile(r"layer(\d{1,3})\.sae\.pt")
_REPOSITORY = re.compile(r"SAE-Res-(?P<model>.+)-W\d+K-L0_(?P<k>[1-9]\d{0,4})\b")


def match(path: Path) -> bool:
    """Whether it is a file of such a name."""
    return _FILE.fullmatch(path.name) is not None and path.is_file()


def open(path: Path) -> tuple[SaeWeights, ...]:
    """Map the tensors; the configuration says k, or else the repository's name.

    Raises:
        ScopeError: Something is wrong with the files, or neither says k.
    """
    layer = _FILE.fullmatch(path.name)
    if layer is None:
        raise ScopeError(f"{path.name} does not name a layer.", "Keep the name that it came with.")
    file, _ = state_dict(path)
    tensors = file.take({"W_enc": "n d", "W_dec": "d n", "b_enc": "n", "b_dec": "d"})
    k, model = _k_and_model(path)
    if k > len(tensors["W_enc"]):
        raise ScopeError(
            f"Of the {len(tensors['W_enc'])} features in {path.name}, {k} should be active.",
            "Its config.json may belong to another SAE: get it again.",
        )
    place = resid_post(int(layer[1]))
    weights = SaeWeights(
        name=path.name.removesuffix(".sae.pt"),
        format=NAME,
        architecture=Architecture.TOPK,
        reads=(place,),
        writes=(place,),
        W_enc=tensors["W_enc"],
        W_dec=tensors["W_dec"].T,
        b_enc=tensors["b_enc"],
        b_dec=tensors["b_dec"],
        k=k,
        model=model,
        declared_l0=k,
    )
    return (weights,)


def _k_and_model(path: Path) -> tuple[int, str | None]:
    beside = path.parent / "config.json"
    config = json_object(beside) if beside.exists() else Config(beside, {})
    found = next(filter(None, map(_REPOSITORY.search, reversed(names_of(path)))), None)
    k = config.count("k", int(found["k"]) if found else None)
    return k, model_id(config.text("base_model", f"Qwen/{found['model']}" if found else ""))

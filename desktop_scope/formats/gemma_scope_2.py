"""Gemma Scope 2: SAEs and transcoders of one layer; crosscoders and cross-layer transcoders.

Those across layers have one file per layer, which become one SaeWeights each: its features read
their own layer and write to all of them, or to those from their own on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.engine.sae_weights import Architecture, SaeWeights
from desktop_scope.errors import ScopeError
from desktop_scope.formats.config import Config, json_object
from desktop_scope.formats.hook_names import hook_point, hook_points, model_id
from desktop_scope.formats.reading import safetensors_file
from desktop_scope.formats.repository import names_of

NAME = "Gemma Scope 2"
FILES = ("params.safetensors", "params_layer_*.safetensors")
OPENS = "folder"

_KIND = re.compile(r"(resid_post|attn_out|mlp_out|transcoder|crosscoder|clt)(?:_all)?")
_LAYERS = re.compile(r"layer((?:_\d{1,3})+)(?:_|$)")
_REPOSITORY = re.compile(r"gemma-scope-2-((?:270m|1b|4b|12b|27b)-(?:pt|it))\b")
_HOOKS = {
    "resid_post": "model.layers.{}.output",
    "attn_out": "model.layers.{}.self_attn.o_proj.input",
    "mlp_out": "model.layers.{}.post_feedforward_layernorm.output",
    "crosscoder": "model.layers.{}.output",
    "transcoder": "model.layers.{}.pre_feedforward_layernorm.output",
    "clt": "model.layers.{}.pre_feedforward_layernorm.output",
}
_SHAPES = {
    "w_enc": "d n",
    "b_enc": "n",
    "b_dec": "d",
    "threshold": "n",
    "affine_skip_connection": "d d",
}
_CHAT_START = 4  # <bos><start_of_turn>user and a newline, which circuit-tracer leaves out too


@dataclass(frozen=True)
class _About:
    """What the configuration says, or the folders' names where there is none."""

    name: str
    reads: str
    writes: str
    model: str | None
    l0: float | None
    architecture: str
    transcodes: bool


def match(path: Path) -> bool:
    """Whether it is a folder with such files."""
    return any((path / name).is_file() for name in ("params.safetensors", _layer_file(0)))


def open(path: Path) -> tuple[SaeWeights, ...]:
    """Map the tensors of one SAE, or of every layer of a cross-layer one.

    Raises:
        ScopeError: Something is wrong with the files, or neither configuration nor names say what
            they are for.
    """
    config_path = path / "config.json"
    about = _configured(path, json_object(config_path)) if config_path.exists() else _named(path)
    if about.architecture != "jump_relu":
        raise ScopeError(
            f"{about.name} is of the architecture “{about.architecture}”.",
            "Desktop Scope knows Gemma Scope 2 as jump_relu only.",
        )
    if (path / "params.safetensors").is_file():
        return (_one_layer(path, about),)
    return _across_layers(path, about)


def _layer_file(slot: int) -> str:
    return f"params_layer_{slot}.safetensors"


def _configured(path: Path, config: Config) -> _About:
    reads = config.text("hf_hook_point_in")
    model = config.text("model_name", "").replace("-v3", "-3")
    return _About(
        name="/".join(names_of(path)[-2:]),
        reads=reads,
        writes=config.text("hf_hook_point_out", reads),
        model=model_id(model),
        l0=config.number("l0") if "l0" in config else None,
        architecture=config.text("architecture"),
        transcodes=config.text("type", "") in ("transcoder", "clt"),
    )


def _named(path: Path) -> _About:
    names = names_of(path)
    kind, layers = _last(_KIND, names), _LAYERS.match(names[-1])
    if kind is None or (layers is None and kind[1] != "clt"):
        raise ScopeError(
            f"Neither a config.json nor the path {path} says what this SAE is for.",
            "Get its config.json, or keep the names of the folders that it came in.",
        )
    place = ",".join(layers[1].split("_")[1:]) if layers else "all"
    several = kind[1] in ("crosscoder", "clt")
    reads = _HOOKS[kind[1]].format(f"{{{place}}}" if several else place)
    transcodes = kind[1] in ("transcoder", "clt")
    repository = _last(_REPOSITORY, names)
    return _About(
        name="/".join(names[-2:]),
        reads=reads,
        writes=reads.replace(".pre_", ".post_") if transcodes else reads,
        model=model_id(f"google/gemma-3-{repository[1]}") if repository else None,
        l0=None,
        architecture="jump_relu",
        transcodes=transcodes,
    )


def _last(pattern: re.Pattern[str], names: Sequence[str]) -> re.Match[str] | None:
    found = (pattern.search(name) for name in reversed(names))
    return next(filter(None, found), None)


def _sae(
    about: _About,
    tensors: Mapping[str, torch.Tensor],
    reads: HookPoint,
    writes: tuple[HookPoint, ...],
    decoder: torch.Tensor,
) -> SaeWeights:
    """What SAEs of one layer and of several have in common."""
    chat = (about.model or "").endswith("-it")
    return SaeWeights(
        name=about.name,
        format=NAME,
        architecture=Architecture.JUMPRELU,
        reads=(reads,),
        writes=writes,
        W_enc=tensors["w_enc"].T,
        W_dec=decoder,
        b_enc=tensors["b_enc"],
        b_dec=tensors["b_dec"],
        threshold=tensors["threshold"],
        W_skip=tensors.get("affine_skip_connection"),
        model=about.model,
        declared_l0=about.l0,
        prepend_bos=True,
        skip_positions=_CHAT_START if chat and about.transcodes else 1,
    )


def _one_layer(path: Path, about: _About) -> SaeWeights:
    tensors = safetensors_file(path / "params.safetensors").take(
        {**_SHAPES, "w_dec": "n d"}, optional={"affine_skip_connection"}
    )
    reads, writes = (hook_point(name, post_norms=True) for name in (about.reads, about.writes))
    return _sae(about, tensors, reads, (writes,), tensors["w_dec"])


def _across_layers(path: Path, about: _About) -> tuple[SaeWeights, ...]:
    slots = len(list(path.glob("params_layer_*.safetensors")))
    reads, writes = (
        hook_points(name, slots, post_norms=True) for name in (about.reads, about.writes)
    )
    weights = []
    for slot in range(slots):
        file = safetensors_file(path / _layer_file(slot))
        tensors = file.take(
            {**_SHAPES, "w_dec": "n slots d"}, optional={"affine_skip_connection"}, slots=slots
        )
        weights.append(
            replace(
                _sae(
                    about,
                    _beside_zeros(tensors, slot, slots),
                    reads[slot],
                    writes,
                    tensors["w_dec"].flatten(1),
                ),
                name=f"{about.name}/{reads[slot].layer}",
                group=str(path.absolute()),
                declared_l0=None,  # it is said of all layers together
            )
        )
    return tuple(weights)


def _beside_zeros(
    tensors: Mapping[str, torch.Tensor], slot: int, slots: int
) -> dict[str, torch.Tensor]:
    """The tensors with bias and skip for their own slot's output, and zeros for the others'."""
    widened = dict(tensors)
    for name in ("b_dec", "affine_skip_connection"):
        if name in tensors:
            width = tensors[name].shape[-1]
            widened[name] = tensors[name].new_zeros(*tensors[name].shape[:-1], slots * width)
            widened[name][..., slot * width : (slot + 1) * width] = tensors[name]
    return widened

"""EleutherAI's sparsify: a folder per hook, ``layers.10/{cfg.json,sae.safetensors}``."""

from __future__ import annotations

from pathlib import Path

from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.engine.sae_weights import Architecture, SaeWeights
from desktop_scope.errors import ScopeError
from desktop_scope.formats.config import HINT, Config, json_object
from desktop_scope.formats.hook_names import hook_point, model_id
from desktop_scope.formats.reading import safetensors_file
from desktop_scope.formats.repository import names_of

NAME = "sparsify"
FILES = ("sae.safetensors",)
OPENS = "folder"

_ARCHITECTURES = {"topk": Architecture.TOPK, "groupmax": Architecture.GROUPMAX}


def match(path: Path) -> bool:
    """Whether it is a folder with these two files."""
    return (path / "sae.safetensors").is_file() and (path / "cfg.json").is_file()


def open(path: Path) -> tuple[SaeWeights, ...]:
    """Map the tensors; the folder's name says where they belong.

    Raises:
        ScopeError: Something is wrong with the files, or the folder is not named after a hook.
    """
    config = json_object(path / "cfg.json")
    d_in = config.count("d_in")
    d_sae = config.count("num_latents") if config.get("num_latents") else None
    run = _run_config(path)
    transcodes = config.flag("transcode", False)
    # Transcoders of before February 2025 do not say so here, and do subtract b_dec.
    reads_input = (
        transcodes or config.flag("skip_connection", False) or run.flag("transcode", False)
    )
    name, reads, writes = _hooks(path, reads_input)
    tensors = safetensors_file(path / "sae.safetensors").take(
        {
            "encoder.weight": "n d",
            "encoder.bias": "n",
            "W_dec": "n d",
            "b_dec": "d",
            "W_skip": "d d",
        },
        optional={"W_skip"},
        d=d_in,
        n=d_sae or d_in * config.count("expansion_factor"),
    )
    architecture, k = _architecture(config), config.count("k", most=len(tensors["W_dec"]))
    if architecture is Architecture.GROUPMAX and len(tensors["W_dec"]) % k:
        message = f"The {len(tensors['W_dec'])} features of {name} do not make {k} equal groups."
        raise ScopeError(message, HINT)
    weights = SaeWeights(
        name=name,
        format=NAME,
        architecture=architecture,
        reads=(reads,),
        writes=(writes,),
        W_enc=tensors["encoder.weight"],
        W_dec=tensors["W_dec"],
        b_enc=tensors["encoder.bias"],
        b_dec=tensors["b_dec"],
        k=k,
        W_skip=tensors["W_skip"].T if "W_skip" in tensors else None,
        subtract_b_dec=not transcodes,
        model=model_id(run.text("model", "")),
        declared_l0=float(k),
    )
    return (weights,)


def _architecture(config: Config) -> Architecture:
    if config.flag("signed", False):
        return Architecture.ABSTOPK
    activation = config.text("activation", "topk")
    if activation not in _ARCHITECTURES:
        raise ScopeError(
            f"In {config.path.name}, the activation is “{activation}”, which is not known.",
            f"Those known are: {', '.join(_ARCHITECTURES)}.",
        )
    return _ARCHITECTURES[activation]


def _run_config(path: Path) -> Config:
    """What the folder around those of the hooks says of the training run; empty if nothing."""
    for parent in path.absolute().parents[:2]:
        try:
            config = json_object(parent / "config.json")
        except (OSError, ScopeError):
            continue
        if isinstance(config.get("sae"), dict):  # others write files of this name too
            return config
    return Config(path, {})


def _hooks(path: Path, transcodes: bool) -> tuple[str, HookPoint, HookPoint]:
    """The name of the folder that is called after a module, and that module's hooks.

    It may have a folder per seed in it. The module is one of those below ``model.base_model``.
    """
    for name in reversed(names_of(path)[-2:]):
        try:
            writes = hook_point(name)
        except ScopeError:
            continue
        return name, hook_point(name, end="input") if transcodes else writes, writes
    raise ScopeError(
        f"The folder {path} is not named after a place in a model.",
        "Name it as sparsify does: layers.10, layers.5.mlp, h.3.attn.",
    )

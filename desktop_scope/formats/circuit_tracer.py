"""circuit-tracer's transcoders, one per layer: ``layer_N.safetensors`` with ``config.yaml``."""

from __future__ import annotations

import re
from pathlib import Path

from desktop_scope.engine.sae_weights import Architecture, SaeWeights
from desktop_scope.errors import ScopeError
from desktop_scope.formats.config import Config, yaml_object
from desktop_scope.formats.hook_names import hook_point, model_id
from desktop_scope.formats.reading import safetensors_file
from desktop_scope.formats.repository import names_of

NAME = "circuit-tracer transcoder"
FILES = ("layer_*.safetensors",)
OPENS = "file"

_FILE = re.compile(r"layer_(\d{1,3})\.safetensors")
# Repositories of this name may lack their configuration; they all hook alike.
_QWEN = re.compile(r"qwen3-([\d.]+)b-transcoders.*")
_QWEN_HOOKS = {"feature_input_hook": "mlp.hook_in", "feature_output_hook": "mlp.hook_out"}
_CHAT_START = 4  # <bos><start_of_turn>user and a newline, which circuit-tracer leaves out too


def match(path: Path) -> bool:
    """Whether it is a file of such a name, or a folder with some, and a configuration."""
    return bool(_layers(path)) and _described(path if path.is_dir() else path.parent)


def open(path: Path) -> tuple[SaeWeights, ...]:
    """Map the tensors of one layer, or of all layers in a folder.

    Raises:
        ScopeError: Something is wrong with the files.
    """
    config = _config(path if path.is_dir() else path.parent)
    return tuple(_transcoder(file, layer, config) for layer, file in sorted(_layers(path).items()))


def _layers(path: Path) -> dict[int, Path]:
    files = path.iterdir() if path.is_dir() else [path]
    named = ((_FILE.fullmatch(file.name), file) for file in files)
    return {int(found[1]): file for found, file in named if found and file.is_file()}


def _described(folder: Path) -> bool:
    return (folder / "config.yaml").is_file() or _qwen(folder) is not None


def _qwen(folder: Path) -> str | None:
    found = next(filter(None, map(_QWEN.fullmatch, reversed(names_of(folder)))), None)
    return f"Qwen/Qwen3-{found[1]}B" if found else None


def _config(folder: Path) -> Config:
    path = folder / "config.yaml"
    config = yaml_object(path) if path.exists() else Config(path, {"model_name": _qwen(folder)})
    return Config(path, _QWEN_HOOKS | dict(config)) if _qwen(folder) else config


def _transcoder(path: Path, layer: int, config: Config) -> SaeWeights:
    file = safetensors_file(path)
    threshold = "activation_function.threshold"
    if "log_thresholds" in file.tensors:
        raise ScopeError(
            f"{path.name} holds logarithms of thresholds, of an old kind.",
            "Get one that circuit-tracer itself can open.",
        )
    tensors = file.take(
        {
            "W_enc": "n d",
            "W_dec": "n e",
            "b_enc": "n",
            "b_dec": "e",
            threshold: "n",
            "W_skip": "e d",
        },
        optional={threshold, "W_skip"},
    )
    reads, writes = (
        hook_point(f"blocks.{layer}.{config.text(f'feature_{end}_hook')}")
        for end in ("input", "output")
    )
    model = model_id(config.text("model_name", ""))
    chat = re.search(r"gemma-3-.*-it", model or "") is not None
    return SaeWeights(
        name="/".join((*names_of(path)[-2:-1], path.stem)),
        format=NAME,
        architecture=Architecture.JUMPRELU if threshold in tensors else Architecture.RELU,
        reads=(reads,),
        writes=(writes,),
        W_enc=tensors["W_enc"],
        W_dec=tensors["W_dec"],
        b_enc=tensors["b_enc"],
        b_dec=tensors["b_dec"],
        threshold=tensors.get(threshold),
        W_skip=tensors["W_skip"].T if "W_skip" in tensors else None,
        model=model,
        skip_positions=_CHAT_START if chat else 1,
    )

"""Which folders and files are language models, told from configs, names and sizes."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from desktop_scope.library.entries import ModelEntry
from desktop_scope.library.gguf_header import read_header

Files = Mapping[str, "os.DirEntry[str]"]
"""The files of one folder by name; what a link leads to must exist."""

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

_LANGUAGE_MODEL = re.compile(r".*(ForCausalLM|ForConditionalGeneration|LMHeadModel)")
_TOKENIZERS = (
    {"tokenizer.json"},
    {"tokenizer.model"},
    {"tekken.json"},
    {"vocab.json", "merges.txt"},
)
_N_LAYERS = ("num_hidden_layers", "n_layer", "n_layers")
_D_MODEL = ("hidden_size", "n_embd", "n_embed", "d_model")
_N_HEADS = ("num_attention_heads", "n_head", "n_heads")
_JSON_BYTES = 64 << 20  # the index of the largest models has a few MB

_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf", re.IGNORECASE)
_NOT_LANGUAGE = {"controlvector", "clip", "imatrix"}  # values of general.architecture
_NOT_A_MODEL = {"adapter", "mmproj", "imatrix", "vocab"}  # values of general.type


def model_in(folder: Path, files: Files, name: str) -> ModelEntry | None:
    """The language model that a folder holds, whole or not; None when it holds none.

    Args:
        folder: Where the files are.
        files: All files of the folder.
        name: Becomes the model's id.
    """
    config = _json(folder / "config.json") if "config.json" in files else {}
    architecture = _architecture(config)
    if architecture is None:
        return None
    inner = config.get("text_config")  # multimodal wrappers keep the numbers there
    sizes = inner if isinstance(inner, dict) and _number(inner, _D_MODEL) else config
    d_model = _number(sizes, _D_MODEL)
    size, problem = _weights(folder, files)
    if not problem and not any(names <= files.keys() for names in _TOKENIZERS):
        problem = "Its tokenizer is missing (tokenizer.json)."
    if not problem and _needs_its_own_code(config):
        problem = "It brings its own code, which Desktop Scope never runs."
    return ModelEntry(
        id=name,
        path=folder,
        architecture=architecture,
        n_layers=_number(sizes, _N_LAYERS),
        d_model=d_model,
        d_heads=_heads(_number(sizes, _N_HEADS), _number(sizes, ("head_dim",)), d_model),
        bytes=size,
        problem=problem,
    )


def _json(path: Path) -> dict[str, Any]:
    """The object in a file; empty when there is none that makes sense."""
    try:
        with path.open("rb") as file:
            value = msgspec.json.decode(file.read(_JSON_BYTES))
    except (OSError, ValueError, msgspec.MsgspecError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _architecture(config: Mapping[str, Any]) -> str | None:
    """The class of a decoder-only language model; None for anything else."""
    names = config.get("architectures")
    if not isinstance(names, list) or config.get("is_encoder_decoder"):
        return None
    name = next((n for n in names if isinstance(n, str) and _LANGUAGE_MODEL.fullmatch(n)), None)
    if name and name.endswith("ForConditionalGeneration"):
        # Multimodal wrappers have a language model inside; others of this name (T5) have not.
        inside = isinstance(config.get("text_config"), dict) or _number(config, _N_LAYERS)
        return name if inside else None
    return name


def _number(config: Mapping[str, Any], keys: tuple[str, ...]) -> int:
    """The first of the keys that is a positive integer, else 0."""
    values = (config.get(key) for key in keys)
    return next((value for value in values if type(value) is int and value > 0), 0)


def _heads(n_heads: int, d_head: int, d_model: int) -> int:
    """Width of all heads; where only their number is said, they share d_model between them."""
    return (n_heads * d_head or d_model) if n_heads else 0


def _weights(folder: Path, files: Files) -> tuple[int, str]:
    """Bytes of the weights that are there, and what is wrong with them."""
    if WEIGHTS in files:
        return files[WEIGHTS].stat().st_size, ""
    if INDEX not in files:
        if any(name.startswith("pytorch_model") for name in files):
            return 0, f"Its weights are a pickle; Desktop Scope reads {WEIGHTS}."
        return 0, f"It is incomplete: {WEIGHTS} is missing."
    weight_map = _json(folder / INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        return 0, f"Its {INDEX} is damaged."
    shards = sorted({str(shard) for shard in weight_map.values()})
    size = sum(files[shard].stat().st_size for shard in shards if shard in files)
    return size, _incomplete([shard for shard in shards if shard not in files])


def _incomplete(missing: list[str]) -> str:
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    verb = "are" if more else "is"
    return f"It is incomplete: {missing[0]}{more} {verb} missing." if missing else ""


def _needs_its_own_code(config: Mapping[str, Any]) -> bool:
    """Whether only code that came with the weights could run the model."""
    if "auto_map" not in config:
        return False
    family = str(config.get("model_type", "")).replace("-", "_").removesuffix("_text")
    return not re.fullmatch(r"\w+", family) or not any(
        (folder / family).is_dir() for folder in _families()
    )


@cache
def _families() -> tuple[Path, ...]:
    """Where transformers keeps its model families; it is not imported, which takes a second."""
    spec = importlib.util.find_spec("transformers")
    return tuple(Path(f) / "models" for f in (spec and spec.submodule_search_locations) or ())


def gguf_model(path: Path, files: Files, name: str) -> ModelEntry | None:
    """The language model in a GGUF file; None for other things kept in such files.

    A model in several files is listed once, by its first one.

    Args:
        path: The file.
        files: All files of its folder.
        name: Becomes the model's id.
    """
    shard = _SHARD.fullmatch(path.name)
    if shard and int(shard[2]) != 1:
        return None
    parts, total = [path.name], int(shard[3]) if shard else 1
    if shard and total > 1:
        parts = [f"{shard[1]}-{i:05}-of-{shard[3]}{path.suffix}" for i in range(1, total + 1)]
    try:
        header = read_header(path)
        size = sum(files[part].stat().st_size for part in parts if part in files)
    except OSError as error:
        return _bad_gguf(path, name, 0, f"It cannot be read: {error.strerror}.")
    if header is None:
        return _bad_gguf(path, name, size, "It is no GGUF file; the download may be incomplete.")
    kind = str(header.get("general.architecture", ""))
    if kind in _NOT_LANGUAGE or header.get("general.type") in _NOT_A_MODEL:
        return None
    if not kind:
        return _bad_gguf(path, name, size, "Its header is damaged; get it again.")
    d_model = _number(header, (f"{kind}.embedding_length",))
    n_heads = _number(header, (f"{kind}.attention.head_count",))
    d_head = _number(header, (f"{kind}.attention.key_length",))
    return ModelEntry(
        id=name,
        path=path,
        architecture=kind,
        n_layers=_number(header, (f"{kind}.block_count",)),
        d_model=d_model,
        d_heads=_heads(n_heads, d_head, d_model),
        bytes=size,
        problem=_incomplete([part for part in parts if part not in files]),
    )


def _bad_gguf(path: Path, name: str, size: int, problem: str) -> ModelEntry:
    return ModelEntry(name, path, "", 0, 0, 0, size, problem)

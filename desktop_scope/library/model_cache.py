"""GGUF models, converted once and kept as ordinary Hugging Face folders."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop_scope import paths
from desktop_scope.errors import Cancelled, ScopeError
from desktop_scope.library.callbacks import Check, Progress, never, silent
from desktop_scope.library.gguf_file import verified
from desktop_scope.library.parts import part_of, remove

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MANIFEST = "desktop-scope.json"
_GROWTH = 8  # a 4-bit file in float32

# Shares of the time of a conversion, in percent.
_TOKENIZER, _HEADER, _WEIGHTS, _WRITE = 25, 60, 80, 90


def model_folder(sha256: str, dtype: str = "float32") -> Path:
    """Where the converted model is, or will be."""
    name = sha256 if dtype == "float32" else f"{sha256}-{dtype}"
    return paths.cache_dir() / "models" / name


def cached_model(sha256: str, dtype: str = "float32") -> Path | None:
    """The folder of a model that was converted before, if all its files are still whole."""
    folder = model_folder(sha256, dtype)
    try:
        files = json.loads((folder / MANIFEST).read_text("utf-8"))["files"]
        whole = all((folder / name).stat().st_size == size for name, size in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return folder if whole else None


def ensure_model(
    gguf: Path,
    sha256: str,
    progress: Progress = silent,
    check: Check = never,
    dtype: str = "float32",
) -> Path:
    """Convert a GGUF file, unless that was done before, and return the model's folder.

    The folder appears whole or not at all, also when two programs convert at the same time.

    Raises:
        ScopeError: The file is missing, damaged or another one; no space; no permission.
        Cancelled: ``check`` said so; nothing is left behind.
    """
    if folder := cached_model(sha256, dtype):
        return folder
    verified(gguf, sha256, progress, check)
    target = model_folder(sha256, dtype)
    try:
        part = part_of(target)
        _demand_space(part.parent, gguf.stat().st_size * _GROWTH)
        try:
            part.mkdir()
            _convert(gguf, part, dtype, progress, check)
            _publish(part, target, gguf.stem, sha256, dtype)
        finally:
            remove(part)
    except OSError as error:
        raise ScopeError(
            f"The converted model cannot be kept in {target.parent}: {error.strerror or error}.",
            "Make room or allow writing there, or name another folder in DESKTOP_SCOPE_CACHE.",
        ) from error
    return target


def _demand_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ScopeError(
            f"Converting the model needs about {needed >> 20:,} MiB in {folder}; "
            f"{free >> 20:,} MiB are free.",
            "Make room, or name another folder in DESKTOP_SCOPE_CACHE.",
        )


def _convert(gguf: Path, folder: Path, dtype: str, progress: Progress, check: Check) -> None:
    def step(percent: int, text: str) -> None:
        check()
        progress(percent, 100, text)

    step(0, f"Reading the tokenizer of {gguf.name}")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with _bars_reported(step):
        tokenizer = _read_tokenizer(gguf)
        step(_TOKENIZER, f"Reading {gguf.name}")
        model = _read_model(gguf, dtype)
        step(_WRITE, "Keeping a copy for next time")
        tokenizer.save_pretrained(folder)
        _write_model(model, folder)
    step(100, "The model is ready")


@contextlib.contextmanager
def _readable(gguf: Path) -> Iterator[None]:
    """A file can be broken in more ways than transformers has exceptions for."""
    try:
        yield
    except (Cancelled, ScopeError):
        raise
    except Exception as error:
        raise ScopeError(
            f"{gguf} cannot be read as a language model: {error}",
            "The file may be damaged, or transformers may not know this kind of model.",
        ) from error


def _read_tokenizer(gguf: Path) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    with _readable(gguf):
        return AutoTokenizer.from_pretrained(
            gguf.parent, gguf_file=gguf.name, local_files_only=True
        )


def _read_model(gguf: Path, dtype: str) -> PreTrainedModel:
    import torch
    from transformers import AutoModelForCausalLM

    with _readable(gguf):
        model, report = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            dtype=getattr(torch, dtype),
            local_files_only=True,
            output_loading_info=True,
        )
    # transformers would go on with random numbers in their place, and they would be kept.
    if lacking := sorted(report["missing_keys"]):
        raise ScopeError(
            f"{gguf} lacks weights that a {type(model).__name__} has, such as {lacking[0]} "
            f"({len(lacking)} in all).",
            "Get the whole model; of one in several files, join them first.",
        )
    # The weights are plain numbers now, but transformers still refuses to save what was GGUF.
    model.hf_quantizer = None
    model.is_quantized = False
    del model.config.quantization_config
    return model


def _write_model(model: PreTrainedModel, folder: Path) -> None:
    from safetensors import SafetensorError

    try:
        model.save_pretrained(folder, max_shard_size="100GB")
    except SafetensorError as error:  # how a full disk shows
        raise OSError(str(error)) from error


@contextlib.contextmanager
def _bars_reported(step: Callable[[int, str], None]) -> Iterator[None]:
    """Turn the progress bars that transformers prints into calls of ``step``."""
    from transformers import modeling_gguf_pytorch_utils as reader
    from transformers.utils import logging as reports

    def reported(tensors: Iterable[Any], **_: Any) -> Iterator[Any]:
        tensors = list(tensors)
        for number, tensor in enumerate(tensors):
            percent = _HEADER + (_WEIGHTS - _HEADER) * number // len(tensors)
            step(percent, f"Unpacking tensor {number + 1} of {len(tensors)}")
            yield tensor

    bar, shown = reader.tqdm, reports.is_progress_bar_enabled()
    reader.tqdm = reported
    reports.disable_progress_bar()
    try:
        yield
    finally:
        reader.tqdm = bar
        if shown:
            reports.enable_progress_bar()


def _publish(part: Path, target: Path, name: str, sha256: str, dtype: str) -> None:
    files = {file.name: file.stat().st_size for file in sorted(part.iterdir())}
    manifest = {"name": name, "gguf_sha256": sha256, "dtype": dtype, "files": files}
    (part / MANIFEST).write_text(json.dumps(manifest, indent=1), "utf-8")
    if cached_model(sha256, dtype):
        return  # another program was faster
    remove(target)  # damaged, or it would have been used
    try:
        part.rename(target)
    except OSError:
        if not cached_model(sha256, dtype):
            raise

"""Whether a model fits into memory, told before any of its weights are read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import torch

from desktop_scope.engine.checkpoint import Stored, stored_tensors
from desktop_scope.engine.devices import choose_dtype
from desktop_scope.engine.types import Fit
from desktop_scope.errors import ScopeError

_BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0}
# Of the matrices; bitsandbytes leaves embeddings and norms alone. Blocks of 64 share a scale.
_QUANTISED = {"8bit": 1.0, "4bit": 0.5 + 4 / 64}
_KEPT = 2.0
_EMBEDDINGS = ("embed", "wte", "wpe", "lm_head")
_FLOATS = ("F64", "F32", "F16", "BF16", "F8")
_STORED = {"I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2}
_MXFP4 = "_blocks"  # gpt-oss: two numbers in a byte, unpacked where there is no kernel for them
_WORK = 1.1  # activations, the key-value cache, buffers
_GB = 1e9


def estimate(source: Path | Any, dtype: str) -> int:
    """Bytes that a model's weights take once loaded.

    Args:
        source: Its folder, of which only headers are read; or its transformers config.
        dtype: float32, bfloat16, float16, 8bit or 4bit.

    Raises:
        ScopeError: The folder's weights are missing or damaged.
    """
    return _bytes(_tensors(source), dtype)


def available(device: torch.device) -> int:
    """Bytes of memory that are free for a model on a device."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # What torch keeps for its next tensors counts as taken there.
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    free = int(psutil.virtual_memory().available)
    return min(free, torch.mps.recommended_max_memory()) if device.type == "mps" else free


def fit(source: Path | Any, dtype: str, device: torch.device) -> Fit:
    """Compare what a model needs with what there is.

    Args:
        source: As for ``estimate``.
        dtype: As for ``estimate``.
        device: Where it is to go.
    """
    tensors = _tensors(source)
    needed, free = _needed(tensors, dtype), available(device)
    advice = tuple(_advice(tensors, dtype, device)) if needed > free else ()
    return Fit(needed, free, advice)


def demand_room(source: Path | Any, dtype: str, device: torch.device) -> None:
    """Refuse a model that does not fit.

    Raises:
        ScopeError: It does not; the hint says what would.
    """
    found = fit(source, dtype, device)
    if not found.fits:
        raise ScopeError(
            f"The model needs about {found.needed / _GB:.1f} GB in {dtype}; "
            f"{found.available / _GB:.1f} GB are free on {device.type}.",
            f"{'; '.join(found.advice)}.",
        )


def _tensors(source: Path | Any) -> tuple[Stored, ...]:
    return tuple(stored_tensors(source) if isinstance(source, Path) else _designed(source))


def _bytes(tensors: tuple[Stored, ...], dtype: str) -> int:
    return round(sum(_bytes_of(tensor, dtype) for tensor in tensors))


def _needed(tensors: tuple[Stored, ...], dtype: str) -> int:
    return round(_bytes(tensors, dtype) * _WORK)


def _advice(tensors: tuple[Stored, ...], dtype: str, device: torch.device) -> Iterator[str]:
    now = _needed(tensors, dtype)
    for other in ("bfloat16", "float16", *_QUANTISED):
        needed = _needed(tensors, other)
        if needed < now and needed <= available(device) and _possible(other, device):
            yield f"Choose the number type {other} (about {needed / _GB:.1f} GB)"
            break
    cpu = torch.device("cpu")
    if device != cpu and _possible(dtype, cpu) and now <= available(cpu):
        yield f"Choose the device cpu ({available(cpu) / _GB:.1f} GB are free)"
    yield "Choose the device spread, which is slow: what does not fit waits in memory and on disk"


def _possible(dtype: str, device: torch.device) -> bool:
    try:
        choose_dtype(dtype, device)
    except ScopeError:
        return False
    return True


def _bytes_of(tensor: Stored, dtype: str) -> float:
    count = math.prod(tensor.shape)
    if tensor.dtype == "U8" and tensor.name.endswith(_MXFP4):
        return 2 * count * _BYTES.get(dtype, _KEPT)
    if not tensor.dtype.startswith(_FLOATS):  # quantised: stays as it is
        return float(count * _STORED.get(tensor.dtype, 1))
    if dtype in _BYTES:
        return count * _BYTES[dtype]
    matrix = len(tensor.shape) > 1 and not any(word in tensor.name for word in _EMBEDDINGS)
    return count * (_QUANTISED[dtype] if matrix else _KEPT)


def _designed(config: Any) -> Iterator[Stored]:
    """The tensors that a model of this config has, tied ones once."""
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    for name, parameter in model.named_parameters():
        yield Stored(name, tuple(parameter.shape), "F32")

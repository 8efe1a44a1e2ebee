"""Vectors from files: .safetensors, .npy, and control vectors in .gguf. Nothing is unpickled.

A tensor of one axis is one vector; its layer is the number in its name (``direction.12``, as in
control vectors; ``blocks.12.hook_mlp_out``), or the place that was chosen. A tensor of two axes is
one vector a layer. llama.cpp adds ``direction.N`` to what block N puts out, and so do we.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from desktop_scope.engine.hook_points import HookPoint, resid_post
from desktop_scope.engine.requests import ReadVector
from desktop_scope.engine.types import ModelInfo, Vector
from desktop_scope.errors import ScopeError

_LAYER = re.compile(r"(?:^|[._])(\d{1,4})(?:$|[._])")
_MOST_BYTES = 1 << 30


def read_vectors(request: ReadVector, model: ModelInfo) -> tuple[Vector, ...]:
    """All vectors of a file, that fit a model.

    Raises:
        ScopeError: It cannot be read, or is for another model.
    """
    path = request.path
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ScopeError(f"{path.name} is too large for vectors.", "Choose another file.")
        tensors = _tensors(path)
    except ScopeError:
        raise
    except Exception as error:  # a damaged file fails in as many ways as there are libraries
        raise ScopeError(
            f"{path.name} cannot be read as vectors: {error}",
            "Use .safetensors, .npy or a control vector in .gguf.",
        ) from error
    found = []
    for name, tensor in tensors.items():
        rows = tensor if tensor.ndim == 2 else tensor[None]
        if tensor.ndim not in (1, 2) or tensor.dtype.kind != "f":
            continue
        for number, row in enumerate(rows):
            place = _place(name, request.hook_name, number, many=tensor.ndim == 2)
            found.append(_vector(path, name, place, row, model))
    if not found:
        raise ScopeError(f"There is no vector in {path.name}.", "Choose another file.")
    return tuple(vector for vector in found if vector.norm > 0)


def _tensors(path: Path) -> dict[str, NDArray[np.floating]]:
    match path.suffix.lower():
        case ".npy":
            return {path.stem: np.load(path, allow_pickle=False)}
        case ".safetensors":
            from safetensors.torch import load_file

            return {name: tensor.float().numpy() for name, tensor in load_file(path).items()}
        case ".gguf":
            from gguf import GGUFReader, dequantize

            reader = GGUFReader(path)
            return {
                tensor.name: dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
                for tensor in reader.tensors
                if tensor.name.startswith("direction.")
            }
    raise ScopeError(
        f"{path.name} is no file of vectors.",
        "Use .safetensors, .npy or a control vector in .gguf. Pickled files are never opened.",
    )


def _place(name: str, chosen: str, number: int, many: bool) -> HookPoint:
    """Where a vector is added."""
    if many:
        return resid_post(number)
    if chosen:
        return HookPoint.parse(chosen)
    if name.startswith("blocks."):
        return HookPoint.parse(name)
    layer = _LAYER.search(name)
    if layer is None:
        raise ScopeError(
            f"The vector “{name}” does not say which layer it is for.", "Choose a layer for it."
        )
    return resid_post(int(layer[1]))


def _vector(
    path: Path, name: str, place: HookPoint, values: NDArray[np.floating], model: ModelInfo
) -> Vector:
    if place.layer >= model.n_layers or len(values) != model.d_model:
        raise ScopeError(
            f"{path.name} holds a vector of {len(values):,} numbers for layer {place.layer}; "
            f"{model.id} has {model.d_model:,} numbers and {model.n_layers} layers.",
            "Use one that was made for this model.",
        )
    if not np.isfinite(values).all():
        raise ScopeError(f"{path.name} holds NaN or infinity.", "Make the vector anew.")
    title = path.stem if name == path.stem else f"{path.stem} {name}"
    return Vector(title, place.name, np.asarray(values, np.float32).tobytes())

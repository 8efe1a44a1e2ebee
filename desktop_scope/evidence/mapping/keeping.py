"""Maps on disk: those shipped with Desktop Scope, and those drawn here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from desktop_scope import paths
from desktop_scope.engine.types import Floats
from desktop_scope.library.parts import part_of

_STEPS = 65535  # places are kept in so many: a thousandth of a pixel on a large screen


def find_map(key: str, n: int) -> Floats | None:
    """The places [n, 2] of the map of this key, 0…1; None where it was not drawn."""
    for path in (_shipped(key), _kept(key)):
        try:
            places = safe_open(path, framework="numpy").get_tensor("places")
        except (SafetensorError, OSError):
            continue  # not there, or cut short: it is drawn again
        if places.shape == (n, 2) and places.dtype == np.uint16:
            return (places / np.float32(_STEPS)).astype(np.float32)
    return None


def keep_map(key: str, points: Floats) -> None:
    """Keep the places of a map."""
    part = part_of(_kept(key))
    save_file({"places": as_places(points)}, part)
    part.replace(_kept(key))


def as_places(points: Floats) -> NDArray[np.uint16]:
    """Places 0…1 as they are kept."""
    return (points * _STEPS).round().clip(0, _STEPS).astype(np.uint16)


def _shipped(key: str) -> Path:
    return paths.resources() / "maps" / f"{key}.safetensors"


def _kept(key: str) -> Path:
    return paths.cache_dir() / "maps" / f"{key}.safetensors"

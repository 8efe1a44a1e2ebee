"""Files that a pack ships with figures of all its layers: one array for each, layers first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from desktop_scope.errors import ScopeError


def read_layer(
    path: Path, form: str, layer: int, names: Sequence[str], shapes: Sequence[tuple[int, ...]]
) -> tuple[list[NDArray[Any]], dict[str, str]] | None:
    """The arrays of one layer, and what the header tells; None where the pack ships no such file.

    Args:
        form: What the header says that it is.
        shapes: Of the arrays of one layer.

    Raises:
        ScopeError: The file is damaged, or of another version or size.
    """
    if not path.is_file():
        return None
    try:
        file = safe_open(path, framework="numpy")
        about = file.metadata() or {}
        arrays = [file.get_slice(name)[layer] for name in names]
    except (SafetensorError, OSError, IndexError) as error:
        raise damaged(path, str(error)) from error
    if about.get("format") != form or [array.shape for array in arrays] != list(shapes):
        raise damaged(path, "it is of another version or size")
    return arrays, about


def damaged(path: Path, why: str) -> ScopeError:
    """What is said of a file that cannot be used."""
    return ScopeError(
        f"{path} is damaged: {why}.",
        "Copy the pack again, or install Desktop Scope again if it is the demo pack.",
    )

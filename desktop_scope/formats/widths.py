"""The nested widths of a Matryoshka SAE, as files give them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from desktop_scope.errors import ScopeError


def nested_widths(widths: object, d_sae: int, path: Path) -> tuple[int, ...]:
    """Widths in ascending order, of which the last is d_sae; none for an empty list.

    Raises:
        ScopeError: They are not whole numbers, or do not ascend to d_sae at most.
    """
    if isinstance(widths, list) and all(type(width) is int for width in widths):
        nested = tuple(widths if not widths or widths[-1] == d_sae else [*widths, d_sae])
        if all(narrow < wide for narrow, wide in pairwise((0, *nested))):
            return nested
    raise ScopeError(
        f"In {path.name}, the nested widths are {repr(widths)[:80]}, which do not ascend to "
        f"{d_sae}, the number of features.",
        "The file may be damaged: get it again.",
    )

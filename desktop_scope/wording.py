"""Small words about numbers."""

from __future__ import annotations


def counted(n: int, one: str, many: str = "") -> str:
    """``1 token``, ``1,234 tokens``.

    Args:
        many: The plural, where it is not the singular with an s.
    """
    return f"{n:,} {one if n == 1 else many or f'{one}s'}"

"""How long work in this package reports, and how it is told to stop."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called with (done, total, what is being done)."""

Check = Callable[[], None]
"""Called often; raises Cancelled when the work should stop."""


def silent(done: int, total: int, text: str) -> None:
    """Report nothing."""


def never() -> None:
    """Do not stop."""

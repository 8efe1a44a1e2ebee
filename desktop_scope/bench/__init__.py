"""The project's own measurements: one module each, with ``run() -> figures``.

Times are compared within one run, the two sides in turn, since machines differ and drift.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple


class InTurn(NamedTuple):
    """Median seconds of both sides, and the median of ours / other over the pairs of runs."""

    ours: float
    other: float
    ratio: float


def seconds_in_turn(ours: Callable[[], object], other: Callable[[], object], n: int = 11) -> InTurn:
    """Time both alternately after a warm-up: what slows the machine down then slows both."""
    ours()
    other()
    pairs = [(_seconds(ours), _seconds(other)) for _ in range(n)]
    mine, theirs = zip(*pairs, strict=True)
    ratio = statistics.median(a / b for a, b in pairs)
    return InTurn(statistics.median(mine), statistics.median(theirs), ratio)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start

"""The project's own measurements: one module each, with ``run() -> figures``.

Times are compared within one run, the two sides in turn, since machines differ and drift.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def seconds_in_turn(
    ours: Callable[[], object], other: Callable[[], object], n: int = 7
) -> tuple[float, float]:
    """Median seconds of each, run alternately after a warm-up."""
    ours()
    other()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(n):
        for work, kept in zip((ours, other), times, strict=True):
            start = time.perf_counter()
            work()
            kept.append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])

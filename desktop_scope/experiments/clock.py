"""How long a study will still take, by how long its parts took so far."""

from __future__ import annotations

import time

from desktop_scope.evidence.gathering import minutes


class Clock:
    """Runs while parts of equal work are done."""

    def __init__(self) -> None:
        self._start, self._done = time.monotonic(), 0

    def done(self, n: int) -> None:
        """So many more parts."""
        self._done += n

    def left(self, n: int) -> str:
        """``, about 40 s left`` for so many parts; nothing before there is anything to go by."""
        if not self._done or n <= 0:
            return ""
        return f", about {minutes((time.monotonic() - self._start) / self._done * n)} left"

"""The verdicts on all labels of one SAE, as small arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from desktop_scope.engine.types import Floats
from desktop_scope.evidence.types import Verdict

WORDS = "words"  # the judge that only looks for words
FEWEST = 5  # places of either sort without which there is no verdict

Counts = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Verdicts:
    """Of N labels, by the judge of words; what the counts are: see ``types.Verdict``."""

    fires: Counts
    caught: Counts
    hard: Counts
    hard_alarms: Counts
    silent: Counts
    alarms: Counts

    @classmethod
    def of(cls, verdicts: list[Verdict | None]) -> Verdicts:
        """As arrays; all 0 where there is no verdict."""
        rows = [
            [getattr(verdict, name) if verdict else 0 for name in COUNTS] for verdict in verdicts
        ]
        return cls(*np.array(rows, np.uint8).reshape(len(rows), len(COUNTS)).T)

    def __getitem__(self, index: int) -> Verdict | None:
        """The verdict on one label, if there is one."""
        if not self.fires[index]:
            return None
        return Verdict(WORDS, *(int(getattr(self, name)[index]) for name in COUNTS))

    @property
    def scores(self) -> Floats:
        """Balanced accuracy, [N]; nan where there is no verdict."""
        against = self.hard.astype(np.float32) + self.silent
        alarms = self.hard_alarms.astype(np.float32) + self.alarms
        with np.errstate(invalid="ignore", divide="ignore"):
            score = (self.caught / self.fires.astype(np.float32) + 1 - alarms / against) / 2
        return np.where(self.fires > 0, score, np.float32(np.nan)).astype(np.float32)


COUNTS = tuple(field.name for field in fields(Verdicts))

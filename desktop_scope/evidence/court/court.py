"""Tries labels on the places of their features' dockets, by the words in them alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from desktop_scope.evidence.court.claims import Claims
from desktop_scope.evidence.court.docket import N_AGAINST, NOWHERE, Docket
from desktop_scope.evidence.court.verdicts import FEWEST, WORDS
from desktop_scope.evidence.court.words import CourtWords
from desktop_scope.evidence.types import Verdict

#: Part of the key of what is kept: raise it when labels come to be judged differently.
COURT_VERSION = 2


class Court:
    """Judges labels of the features of some SAEs.

    Args:
        words: The text in which the dockets' places lie.
        dockets: By slot.
    """

    def __init__(self, words: CourtWords, dockets: dict[int, Docket]) -> None:
        self.words, self.dockets = words, dockets
        self._claims = Claims(words)

    def judge(self, slot: int, index: int, label: str) -> Verdict | None:
        """How well a label's words tell where the feature fires.

        None where it fires too seldom in the court's text, or nearly everywhere, and of labels in
        which nothing is understood.
        """
        docket = self.dockets.get(slot)
        if docket is None:
            return None
        fires = _there(docket.fires[index])
        hard = _there(docket.silent[index, : N_AGAINST // 2])
        silent = _there(docket.silent[index, N_AGAINST // 2 :])
        if len(fires) < FEWEST or len(hard) + len(silent) < FEWEST:
            return None
        claim = self._claims.read(label)
        if not claim:
            return None
        holds = self._claims.holds(claim, np.concatenate([fires, hard, silent]))
        caught, hard_alarms, alarms = np.split(holds, [len(fires), len(fires) + len(hard)])
        return Verdict(
            WORDS,
            len(fires),
            int(caught.sum()),
            len(hard),
            int(hard_alarms.sum()),
            len(silent),
            int(alarms.sum()),
        )


def _there(places: NDArray[np.int32]) -> NDArray[np.int32]:
    there: NDArray[np.int32] = places[places != NOWHERE]
    return there

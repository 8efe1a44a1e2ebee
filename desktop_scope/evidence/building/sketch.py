"""On which tokens a feature fires: a fair sample of the text, so that any two can be compared.

Every token has a number below 2^32 that depends on its place in the corpus alone. A feature of
level l keeps its firings on the tokens whose number is below 2^(32 - l), and its level rises by one
whenever they outgrow their room. So of two features, of whichever SAEs and layers, all firings are
known on the tokens below the smaller bound: a random sample of the text on which they are counted
exactly. How the text is cut into blocks changes nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from desktop_scope.engine.types import Bools, Floats
from desktop_scope.evidence.building.blocks import Block, Longs, ranks
from desktop_scope.evidence.together import bound_of

Marks = NDArray[np.uint32]

ROOM = 128  # firings per feature; half of it at least, once there were more
_LEVELS = 33


class Sketch:
    """The sample of one SAE's N features so far."""

    def __init__(self, n_features: int) -> None:
        n = n_features
        self.sampled = np.zeros(_LEVELS, np.int64)  # tokens that count, by level
        self.level = np.zeros(n, np.uint8)
        self.kept = np.zeros(n, np.int32)
        self.mark = np.zeros((n, ROOM), np.uint32)
        self.strength = np.zeros((n, ROOM), np.float32)

    def arrays(self) -> dict[str, NDArray]:  # type: ignore[type-arg]
        """All there is, by name: what a checkpoint keeps. Writing into them changes this."""
        return dict(vars(self))

    @property
    def counted(self) -> int:
        """Tokens that were encoded."""
        return int(self.sampled[0])

    def add(self, block: Block) -> None:
        """Take in a block."""
        marks = token_marks(block.first, len(block.tokens))
        counted = marks[block.counted]
        for level in range(_LEVELS):
            counted = counted[counted <= bound_of(level)]
            self.sampled[level] += len(counted)
        mark = marks[block.at]
        fits = np.flatnonzero(mark <= bound_of(self.level)[block.feature])
        feature, mark, value = block.feature[fits], mark[fits], block.value[fits]
        order = np.argsort(feature, kind="stable")
        feature, mark, value = feature[order], mark[order], value[order]
        crowded = self.kept + np.bincount(feature, minlength=len(self.kept)) > ROOM
        if crowded.any():
            feature, mark, value = self._thinned(crowded, feature, mark, value)
        place = self.kept[feature] + ranks(feature)
        self.mark[feature, place], self.strength[feature, place] = mark, value
        self.kept += np.bincount(feature, minlength=len(self.kept)).astype(np.int32)

    def _thinned(
        self, crowded: Bools, feature: Longs, mark: Marks, value: Floats
    ) -> tuple[Longs, Marks, Floats]:
        """Raise the levels of crowded features; what is new, and theirs as if it were new."""
        which = np.flatnonzero(crowded)
        held = np.arange(ROOM) < self.kept[which][:, None]
        feature = np.concatenate([np.repeat(which, self.kept[which]), feature])
        mark = np.concatenate([self.mark[which][held], mark])
        value = np.concatenate([self.strength[which][held], value])
        self.kept[which] = 0
        while len(which):
            self.level[which] += 1
            fits = mark <= bound_of(self.level)[feature]
            feature, mark, value = feature[fits], mark[fits], value[fits]
            counts = np.bincount(feature, minlength=len(self.kept))
            which = np.flatnonzero(self.kept + counts > ROOM)
        order = np.argsort(feature, kind="stable")
        return feature[order], mark[order], value[order]


def token_marks(first: int, n: int) -> Marks:
    """The numbers of n tokens from a place in the corpus on (splitmix64, Steele et al. 2014)."""
    z = np.arange(first + 1, first + 1 + n, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(32)).astype(np.uint32)

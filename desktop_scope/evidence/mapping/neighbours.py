"""The nearest directions of every direction, by cosine, in the SAEs around its own.

A direction's nearest ones are mostly in the layers beside it (two thirds within three layers in
the demo pack), so only SAEs that far are compared: exactly, block by block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from desktop_scope.engine.types import Floats, Ints

N_NEIGHBOURS = 15
REACH = 2  # SAEs before and after its own
_ROWS_AT_ONCE = 512

# The directions of one SAE, of unit length: its place → [n, d].
Rows = Callable[[int], torch.Tensor]


class NeighbourSearch:
    """Finds the nearest directions in steps.

    Args:
        rows: Reads the directions of an SAE.
        sizes: How many each SAE has.

    Attributes:
        found: [N, k] numbers over all SAEs, nearest first; complete once ``steps`` has run out.
        cosines: [N, k] how near they are.
    """

    def __init__(self, rows: Rows, sizes: Sequence[int]) -> None:
        self._rows, self._sizes = rows, sizes
        self._begin = np.concatenate([[0], np.cumsum(sizes)])
        self._kept: dict[int, torch.Tensor] = {}
        n = int(self._begin[-1])
        self.found: Ints = np.zeros((n, min(N_NEIGHBOURS, n - 1)), np.int32)
        self.cosines: Floats = np.zeros(self.found.shape, np.float32)

    @property
    def n_steps(self) -> int:
        """How many ``steps`` there are."""
        return sum(len(range(0, size, _ROWS_AT_ONCE)) for size in self._sizes)

    def steps(self) -> Iterator[None]:
        """Do the work; pauses after every part of it."""
        for slot, size in enumerate(self._sizes):
            around = range(max(slot - REACH, 0), min(slot + REACH + 1, len(self._sizes)))
            while sum(self._sizes[at] for at in around) <= self.found.shape[1]:
                around = range(max(around.start - 1, 0), min(around.stop + 1, len(self._sizes)))
            self._kept = {
                at: self._kept[at] if at in self._kept else self._rows(at) for at in around
            }
            for begin in range(0, size, _ROWS_AT_ONCE):
                self._search(slot, begin, min(begin + _ROWS_AT_ONCE, size), around)
                yield

    def _search(self, slot: int, begin: int, end: int, around: range) -> None:
        own = self._kept[slot][begin:end]
        values, numbers = [], []
        for at in around:
            cosines = own @ self._kept[at].T
            if at == slot:
                each = torch.arange(end - begin)
                cosines[each, begin + each] = -2.0
            best = cosines.topk(min(self.found.shape[1], cosines.shape[1]), dim=1)
            values.append(best.values)
            numbers.append(best.indices + int(self._begin[at]))
        order = torch.cat(values, 1).topk(self.found.shape[1], dim=1)
        place = slice(int(self._begin[slot]) + begin, int(self._begin[slot]) + end)
        self.found[place] = torch.cat(numbers, 1).gather(1, order.indices).numpy()
        self.cosines[place] = order.values.numpy()

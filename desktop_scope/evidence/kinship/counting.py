"""Where coarse features fire together with finer ones, counted on a sample of text.

Of a Matryoshka SAE the first features are a dictionary of their own. For every feature that a finer
prefix adds, it is counted which features of the prefix before fire where it does. Shapes: N
features, M of them in the largest prefix but one, K parents kept of each.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from desktop_scope.engine.engine import Engine
from desktop_scope.engine.types import FeatureActs
from desktop_scope.engine.worker import Job
from desktop_scope.evidence.building.reading import batches, read
from desktop_scope.evidence.kinship.scoring import N_PARENTS, kin_score
from desktop_scope.evidence.rows import Row

_ROWS_AT_ONCE = 16
_FEATURES_AT_ONCE = 512
_TOKENS_AT_ONCE = 4096  # adding up costs as much for a few tokens as for many


class KinCounts(NamedTuple):
    """What was counted of one SAE.

    Attributes:
        n_tokens: Looked at.
        fires: On so many of them each feature fires, [N].
        parent: Of the prefix before, the likeliest parents, best first, [N, K].
        together: On so many tokens both fire, [N, K]; 0: there is no such parent.
    """

    n_tokens: int
    fires: NDArray[np.int32]
    parent: NDArray[np.uint16]
    together: NDArray[np.int32]


class _Sums:
    """Tokens on which every feature fires together with every coarse one."""

    def __init__(self, prefixes: Sequence[int]) -> None:
        self._prefixes, self._n_tokens = tuple(prefixes), 0
        self._both = torch.zeros(prefixes[-1], prefixes[-2])
        self._fires = np.zeros(prefixes[-1], np.int64)
        self._waiting: list[FeatureActs] = []

    def add(self, acts: FeatureActs, n_counted: int) -> None:
        self._waiting.append(acts)
        self._n_tokens += n_counted
        if sum(len(part.indptr) for part in self._waiting) > _TOKENS_AT_ONCE:
            self._add_up()

    def _add_up(self) -> None:
        n, m = self._both.shape
        begin = np.cumsum([0, *(len(part.indptr) - 1 for part in self._waiting)])
        tokens = [part.rows() + at for part, at in zip(self._waiting, begin, strict=False)]
        feature = np.concatenate([part.indices for part in self._waiting])
        self._fires += np.bincount(feature, minlength=n)
        at = torch.from_numpy(np.stack([feature, np.concatenate(tokens)]).astype(np.int64))
        size = n, int(begin[-1])
        fires = torch.sparse_coo_tensor(at, torch.ones(len(feature)), size, check_invariants=True)
        coarse = at[:, at[0] < m]
        dense = torch.zeros(size[1], m)
        dense[coarse[1], coarse[0]] = 1.0
        self._both += torch.sparse.mm(fires, dense)
        self._waiting = []

    def counts(self) -> KinCounts:
        if self._waiting:
            self._add_up()
        n = self._prefixes[-1]
        parent = np.zeros((n, N_PARENTS), np.uint16)
        together = np.zeros((n, N_PARENTS), np.int32)
        for coarse, fine in zip(self._prefixes, self._prefixes[1:], strict=False):
            density = self._fires[:coarse] / max(self._n_tokens, 1)
            for begin in range(coarse, fine, _FEATURES_AT_ONCE):
                span = slice(begin, min(begin + _FEATURES_AT_ONCE, fine))
                both = self._both[span, :coarse].double().numpy()
                score = kin_score(both, self._fires[span, None].astype(np.float64), density)
                best = np.argsort(-score, axis=1, kind="stable")[:, :N_PARENTS]
                known = np.isfinite(np.take_along_axis(score, best, 1))
                parent[span] = np.where(known, best, 0)
                together[span] = np.where(known, np.take_along_axis(both, best, 1), 0)
        return KinCounts(self._n_tokens, self._fires.astype(np.int32), parent, together)


def count_kin(engine: Engine, rows: Iterable[Row], most_tokens: int, job: Job) -> list[KinCounts]:
    """Count for every open SAE; all of them are nested.

    Args:
        most_tokens: Stop after so many.

    Raises:
        Cancelled: The job was.
    """
    sums, done = [_Sums(sae.weights.prefixes) for sae in engine.saes], 0
    for batch in _batches(iter(rows)):
        if done >= most_tokens:
            break
        job.progress(done, most_tokens, "Counting what fires together")
        one = read(engine, batch, job)
        for total, acts, counted in zip(sums, one.acts, one.counted, strict=True):
            total.add(acts, int(counted.sum()))
        done += int(one.counted[0].sum())
    return [total.counts() for total in sums]


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while some := list(itertools.islice(rows, _ROWS_AT_ONCE)):
        yield from batches(some)

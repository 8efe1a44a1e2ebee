"""Which labels mean what a query means.

Labels with the same words share one vector. A query is compared with the signs of all vectors
first (by the number of bits that differ), then with the vectors themselves of the nearest ones.
Shapes: F features of all SAEs, one SAE after another; n distinct texts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from desktop_scope.engine.types import Bools, Floats, Ints
from desktop_scope.evidence.meaning.vectors import WORDS, Hashes, Signs, VectorStore, signs_of

NO_TEXT = 0  # the hash that stands for none
_AT_ONCE = 1 << 15  # texts compared: their bits stay in the processor's cache
_RESCORED = 4000


def spoken(text: str) -> str:
    """A label as one would say it: without quotation marks and remarks about its quality."""
    return " ".join(re.sub(r"[\"'“”‘’]|; mixed when weak", " ", text).split())


@dataclass(frozen=True, eq=False)
class MeaningIndex:
    """The labels of the open features, as far as they have vectors.

    Attributes:
        hashes: Of the distinct texts, ascending, [n].
        text_of: The number of each feature's text, [F]; -1 where it has none.
        known: Which texts have a vector, [n].
    """

    hashes: Hashes
    text_of: Ints
    known: Bools
    _signs: NDArray[np.uint64]  # [WORDS, n]
    _store: VectorStore
    _features: Ints  # ordered by text
    _starts: NDArray[np.int64]  # of each text's features among them, [n + 1]

    @classmethod
    def of(cls, by_feature: Hashes, store: VectorStore) -> MeaningIndex:
        """The index of labels with these hashes, [F]; NO_TEXT for features without."""
        has = by_feature != NO_TEXT
        hashes, which = np.unique(by_feature[has], return_inverse=True)
        text_of = np.full(len(by_feature), -1, np.int32)
        text_of[has] = which
        features = np.argsort(text_of, kind="stable").astype(np.int32)[int((~has).sum()) :]
        starts = np.concatenate([[0], np.cumsum(np.bincount(which, minlength=len(hashes)))])
        signs = np.zeros((WORDS, len(hashes)), np.uint64)
        known = np.zeros(len(hashes), bool)
        index = cls(hashes, text_of, known, signs, store, features, starts)
        index.refresh()
        return index

    def refresh(self) -> None:
        """Take in what was embedded since."""
        for start in range(0, len(self.hashes), _AT_ONCE):
            new = start + np.flatnonzero(~self.known[start : start + _AT_ONCE])
            new = new[self._store.known(self.hashes[new])]
            self._signs[:, new] = self._store.signs(self.hashes[new]).T
            self.known[new] = True

    def nearest(
        self, query: Floats, passing: Bools | None, limit: int, floor: float
    ) -> list[tuple[int, float]]:
        """Features whose labels are nearest in meaning, with the cosine; nearest first.

        Args:
            query: A vector of length 1, [H].
            passing: Only these features, [F]; None for all.
            limit: At most so many.
            floor: Of the cosine.
        """
        alive = self.known
        if passing is not None:
            alive = np.zeros_like(self.known)
            alive[self.text_of[passing & (self.text_of >= 0)]] = True
            alive &= self.known
        texts = self._candidates(signs_of(query[None])[0], alive)
        cosines = self._store.vectors(self.hashes[texts]) @ query
        order = np.argsort(-cosines, kind="stable")
        found: list[tuple[int, float]] = []
        for at in order[: np.searchsorted(-cosines[order], -floor, side="right")].tolist():
            text = texts[at]
            features = self._features[self._starts[text] : self._starts[text + 1]]
            if passing is not None:
                features = features[passing[features]]
            found += [(feature, float(cosines[at])) for feature in features.tolist()]
            if len(found) >= limit:
                break
        return found[:limit]

    def _candidates(self, query: Signs, alive: Bools) -> NDArray[np.int64]:
        """The texts whose signs are most like the query's."""
        n = len(self.hashes)
        unlike = np.empty(n, np.uint16)
        for start in range(0, n, _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            total = np.zeros(len(unlike[part]), np.uint16)
            for word, bits in zip(query, self._signs[:, part], strict=True):
                total += np.bitwise_count(bits ^ word)
            unlike[part] = total
        unlike[~alive] = np.iinfo(np.uint16).max
        most = min(_RESCORED, int(alive.sum()))
        if most == 0:
            return np.zeros(0, np.int64)
        edge = np.partition(unlike, most - 1)[most - 1]
        return np.flatnonzero(unlike <= edge)

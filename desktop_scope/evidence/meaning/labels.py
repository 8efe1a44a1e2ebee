"""The meanings of all labels of the open features: learnt in the background, searched at once."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from desktop_scope import paths
from desktop_scope.engine.types import Bools, FeatureId
from desktop_scope.evidence.meaning.embedder import NAME, Embedder, embedder
from desktop_scope.evidence.meaning.index import NO_TEXT, MeaningIndex, spoken
from desktop_scope.evidence.meaning.vectors import VectorStore, hash_of

_MEANINGLESS = frozenset({"various", "format"})  # kinds of label that speak of nothing
_AT_ONCE = 256  # texts embedded between two looks at the clock
_FLOOR = 0.3  # cosine: what is further off has nothing to do with a query

Check = Callable[[], None]
# Text, kind, SAE's slot, feature's index of every label, the most trusted first.
Labels = Callable[[], Iterable[tuple[str, str, int, int]]]


@dataclass(frozen=True)
class Meanings:
    """How many of the labels' distinct texts can be searched by meaning.

    Attributes:
        revision: Of what is known about the features.
        installed: Whether the sentence model is there.
    """

    revision: int = 0
    installed: bool = True
    done: int = 0
    total: int = 0

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to learn."""
        return not self.installed or self.done == self.total


class LabelMeanings:
    """Learns on one thread; may be asked on another.

    Args:
        labels: Gives all labels.
        sizes: By SAE, its number of features.
        model: Gives the sentence model, or None where it is not installed.
        store: Of vectors; this user's own by default.
    """

    def __init__(
        self,
        labels: Labels,
        sizes: Sequence[int],
        model: Callable[[], Embedder | None] = embedder,
        store: VectorStore | None = None,
    ) -> None:
        self._labels, self._model = labels, model
        self._starts = np.cumsum([0, *sizes])
        self._store = store
        self._index: MeaningIndex | None = None
        self._todo: Iterator[str] = iter(())
        self._at: Meanings | None = None

    def learn(self, revision: int, seconds: float, check: Check) -> Meanings:
        """Go on for a while.

        Raises:
            ScopeError: The sentence model is damaged.
            Cancelled: ``check`` said so; what was learnt is kept.
        """
        model = self._model()
        if model is None:
            return Meanings(revision, installed=False)
        if self._index is None or self._at is None or self._at.revision != revision:
            self._index, self._todo = self._prepare(check)
        index, store, until = self._index, self._store, time.monotonic() + seconds
        assert store is not None
        while time.monotonic() < until:
            texts = list(itertools.islice(self._todo, _AT_ONCE))
            if not texts:
                break
            try:
                store.add(texts, model.embed(texts, check))
            except BaseException:
                self._todo = itertools.chain(texts, self._todo)
                raise
        index.refresh()
        self._at = Meanings(revision, True, int(index.known.sum()), len(index.known))
        return self._at

    def _prepare(self, check: Check) -> tuple[MeaningIndex, Iterator[str]]:
        if self._store is None:
            self._store = VectorStore(paths.cache_dir() / "meanings" / NAME)
        by_feature = np.full(int(self._starts[-1]), NO_TEXT, np.uint64)
        for number, (text, kind, slot, index) in enumerate(self._labels()):
            if number % 4096 == 0:
                check()
            if kind not in _MEANINGLESS:
                by_feature[self._starts[slot] + index] = hash_of(spoken(text))
        return MeaningIndex.of(by_feature, self._store), self._new_texts(self._store)

    def _new_texts(self, store: VectorStore) -> Iterator[str]:
        """The texts that have no vector yet, each once."""
        labels = iter(self._labels())
        while part := list(itertools.islice(labels, 4096)):
            texts = dict.fromkeys(spoken(t) for t, kind, _, _ in part if kind not in _MEANINGLESS)
            hashes = np.fromiter(map(hash_of, texts), np.uint64, len(texts))
            known = store.known(hashes)
            yield from (
                text for text, there in zip(texts, known.tolist(), strict=True) if not there
            )

    @property
    def at(self) -> Meanings | None:
        """How far it is; None before it began."""
        return self._at

    def search(
        self, query: str, passing: Sequence[Bools] | None = None, limit: int = 200
    ) -> list[tuple[FeatureId, float]]:
        """Features whose labels mean about the same, with the cosine; nearest first.

        Nothing before it has begun to learn, or where there is no sentence model.

        Args:
            query: A word or a few.
            passing: By SAE, the features that may be found; None for all.
            limit: At most so many.
        """
        index, model = self._index, self._model()
        if index is None or model is None or not query.strip():
            return []
        flat = None if passing is None else np.concatenate(passing)
        found = index.nearest(model.embed([query])[0], flat, limit, _FLOOR)
        slots = np.searchsorted(self._starts, [at for at, _ in found], side="right") - 1
        return [
            (FeatureId(slot, at - int(self._starts[slot])), cosine)
            for slot, (at, cosine) in zip(slots.tolist(), found, strict=True)
        ]

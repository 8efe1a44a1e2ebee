"""Finding features without a question: which are interesting, which are levers, and a stroll."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from desktop_scope.engine.engine import Engine
from desktop_scope.engine.types import FeatureId, Floats
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.interest import Interests, Peaks, Words, interests
from desktop_scope.evidence.known import SaeEvidence
from desktop_scope.evidence.levers import LeverBook
from desktop_scope.evidence.own import evidence_key
from desktop_scope.evidence.requests import RankBy, Wander
from desktop_scope.evidence.types import Insight

_SLICE = 32  # features scored in one go: a second or two on two cores
_BEST_OF_LAYER = 40  # a stroll stays among them
_FLOOR = 0.25  # and above this interest, where a layer has any


class Discovery:
    """What can be said of features beyond their evidence.

    Use it from one thread at a time, but for ``score_levers``.

    Args:
        engine: Only read, but for ``score_levers``.
        evidence: By SAE; the list may change as more is learnt.
    """

    def __init__(self, engine: Engine, evidence: Sequence[SaeEvidence]) -> None:
        self._engine, self._evidence = engine, evidence
        self._levers: dict[int, LeverBook] = {}
        self._peaks: dict[int, Peaks | None] = {}
        self._interest: dict[int, Floats] = {}

    # ---- levers

    def levers(self, slot: int) -> LeverBook:
        """What is known of an SAE's features as levers.

        Raises:
            ScopeError: What a pack ships of it is damaged.
        """
        if slot not in self._levers:
            sae, book = self._engine.saes[slot], self._evidence[slot].levers()
            if book is None:
                key = evidence_key(sae.weights, self._engine.model.info)
                book = LeverBook.kept(key, sae.d_sae)
            self._levers.setdefault(slot, book)  # another thread may have been faster
        return self._levers[slot]

    def score_levers(self, slot: int, job: Job) -> int:
        """Score some more features of an SAE; returns how many are scored now.

        Raises:
            ScopeError: They cannot be.
            Cancelled: The job was.
        """
        book, n = self.levers(slot), self._engine.saes[slot].d_sae
        missing = book.missing()
        job.progress(n - len(missing), n, f"Measuring levers of {self._engine.infos[slot].place}")
        if len(missing):
            index = missing[:_SLICE]
            norm = self._evidence[slot].median_norm
            book.learn(index, self._engine.levers(slot, index, norm, job))
        return n - len(book.missing())

    # ---- interest

    @cached_property
    def words(self) -> Words:
        """The model's vocabulary."""
        return Words(self._engine.model.texts, self._engine.model.W_U)

    def _interests(self, slot: int, index: np.ndarray) -> Interests | None:
        """Of some features of one SAE; None where it has no examples."""
        known = self._evidence[slot]
        if self._peaks.get(slot) is None:  # it may have got some since
            self._peaks[slot] = known.peaks()
        peaks = self._peaks[slot]
        if peaks is None:
            return None
        kinds = known.kinds()
        some = Peaks(peaks.tokens[index], peaks.n_top, peaks.counts)
        chosen = tuple(kinds[n] for n in index.tolist())
        return interests(some, self.words, known.density[index], chosen)

    def interest(self, slot: int) -> Floats:
        """Of all features of one SAE, [N]; nan where nothing is known. Half a second at first."""
        if slot not in self._interest:
            every = np.arange(self._engine.saes[slot].d_sae)
            found = self._interests(slot, every)
            if found is None:
                return np.full(len(every), np.nan, np.float32)
            self._interest[slot] = found.score
        return self._interest[slot]

    def merit(self, slot: int, by: RankBy) -> Floats:
        """What an order that needs no text goes by, [N]; nan where it is not known."""
        return self.interest(slot) if by is RankBy.INTEREST else self.levers(slot).merit()

    def insight(self, feature: FeatureId) -> Insight:
        """All this about one feature."""
        found = self._interests(feature.sae, np.array([feature.index]))
        return Insight(
            feature,
            self.levers(feature.sae).of(feature.index),
            None if found is None else found.of(0),
        )

    def wander(self, request: Wander) -> FeatureId:
        """Some interesting feature of some layer; the same turn leads to the same one.

        Raises:
            ScopeError: Of no open SAE enough is known.
        """
        rng = np.random.default_rng(request.turn)
        for slot in rng.permutation(len(self._evidence)).tolist():
            score = np.nan_to_num(self.interest(slot)).copy()
            score[[seen.index for seen in request.seen if seen.sae == slot]] = 0
            best = np.argsort(-score)[:_BEST_OF_LAYER]
            best = best[score[best] >= _FLOOR]
            if len(best):
                share = score[best] / score[best].sum()
                return FeatureId(slot, int(rng.choice(best, p=share)))
        raise ScopeError(
            "There is nothing to suggest: of no open autoencoder enough examples are known.",
            "Gather some with `desktop-scope index`.",
        )

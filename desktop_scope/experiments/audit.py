"""An audit as one frozen value: what was measured, what is to be measured next, what it says.

Score of a row: log p(answer) − log p(instead), in nats. Spread: the standard deviation of the
scores over the rows. What features contribute to it is told in ``audit_digest``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from desktop_scope.engine.requests import Request
from desktop_scope.engine.types import FeatureActs, FeatureId, Floats, Intervention, Mode, lock
from desktop_scope.evidence.types import Label
from desktop_scope.experiments.audit_table import AuditRow, AuditTable, Part

N_RANDOM = 3  # sets of random features beside the chosen one
_SLICE = 400  # tokens, roughly: what is measured at once must not keep anybody waiting
_TEMPLATE = 32  # tokens around a chat, roughly
_NEAREST = 20  # features of like activation from which one is drawn


class Where(StrEnum):
    """At which tokens features are switched off."""

    EVERYWHERE = "everywhere"
    WORDS = "words"  # only where the word stands that was filled in


@dataclass(frozen=True)
class Condition:
    """What is switched off, or turned down.

    Attributes:
        factor: Of what the features say; 0 is off.
    """

    off: tuple[FeatureId, ...] = ()
    where: Where = Where.EVERYWHERE
    factor: float = 0.0

    @property
    def interventions(self) -> tuple[Intervention, ...]:
        """What the engine is to do."""
        if self.factor:
            return tuple(Intervention(one, self.factor, Mode.SCALE) for one in self.off)
        return tuple(Intervention(one, mode=Mode.ABLATE) for one in self.off)


PLAIN = Condition()


class Goal(IntEnum):
    """How far an audit is to go."""

    SCORES = 0  # of the model as it is
    RANKING = 1  # and which features matter
    EFFECT = 2  # and what switching some off does


@dataclass(frozen=True)
class ScoreRows(Request):
    """log p of both answers of some rows.

    Attributes:
        place: How many conditions and rows are done: no two steps of an audit are equal, though
            rows may be.
    """

    kind = "audit"
    replaces = frozenset({"audit"})
    worker = "engine"
    patient = True

    rows: tuple[AuditRow, ...]
    condition: Condition
    place: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class AttributeRow(Request):
    """What every feature contributes to the score of one row.

    Attributes:
        place: Likewise.
    """

    kind = "audit"
    replaces = frozenset({"audit"})
    worker = "engine"
    patient = True

    row: AuditRow
    place: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class MeasureCost(Request):
    """What switching off costs elsewhere."""

    kind = "audit"
    replaces = frozenset({"audit"})
    worker = "engine"
    patient = True

    condition: Condition
    words: tuple[str, ...]  # the answers: texts in which they occur are looked for


@dataclass(frozen=True, eq=False)
class RowParts:
    """What features contribute to one row's score.

    Attributes:
        features: [n] keys (``key_of``), ascending.
        parts: [n] gradient × activation, summed over tokens, nats.
        acts: [n] activation, summed over tokens.
    """

    features: NDArray[np.int64]
    parts: Floats
    acts: Floats

    def __post_init__(self) -> None:
        lock(self)

    @classmethod
    def summed(cls, found: Iterable[tuple[int, FeatureActs, Floats]]) -> RowParts:
        """Over a text's tokens, from SAEs in their order, each with its features' effects."""
        keys, parts, acts = [], [], []
        for slot, active, effects in found:
            index, place = np.unique(active.indices, return_inverse=True)
            keys.append(index.astype(np.int64) + key_of(FeatureId(slot, 0)))
            parts.append(np.bincount(place, effects, len(index)))
            acts.append(np.bincount(place, active.values, len(index)))
        return cls(
            np.concatenate(keys),
            np.concatenate(parts).astype(np.float32),
            np.concatenate(acts).astype(np.float32),
        )


@dataclass(frozen=True)
class Cost:
    """What switching off costs elsewhere.

    Attributes:
        kl: On neutral texts, nats per token.
        own_loss: Of the answers' own words in other texts, before and after, nats; nan if the
            open pack has no texts.
        other_loss: Of all other words of those texts.
        n_words: How many of the answers' words those texts have.
    """

    kl: float
    own_loss: tuple[float, float]
    other_loss: tuple[float, float]
    n_words: int


@dataclass(frozen=True)
class Figures:
    """Some rows under one condition.

    Attributes:
        mass: Mean probability that the model says either answer.
        accuracy: Share of rows whose answer is likelier than what stands instead.
    """

    n: int
    mean: float
    spread: float
    accuracy: float
    mass: float


@dataclass(frozen=True)
class Ranked:
    """One feature's part in the spread, or in the mistakes.

    Attributes:
        part: Nats of the spread, or of the mean mistake.
        toward: Mean effect on the score, nats: above 0 toward the answer.
        group: Which features it goes with; by the largest part of any of them.
    """

    feature: FeatureId
    name: str
    label: Label
    density: float
    part: float
    toward: float
    group: int


@dataclass(frozen=True, eq=False)
class Digest:
    """What the rows on which features are found have shown.

    Attributes:
        ranking: The largest parts first.
        keys: All features that were active, ascending.
        sizes: How active, summed over the rows, [keys]; where answers are right or wrong, how
            much they moved them one way or the other.
    """

    ranking: tuple[Ranked, ...]
    keys: NDArray[np.int64]
    sizes: Floats

    def __post_init__(self) -> None:
        lock(self)

    def like(self, off: tuple[FeatureId, ...], seed: int) -> tuple[FeatureId, ...]:
        """For every feature another of its SAE of about its size, drawn at random."""
        dice = np.random.default_rng(seed)
        free = ~np.isin(self.keys, [key_of(feature) for feature in off])
        found = []
        for feature in off:
            at = int(np.searchsorted(self.keys, key_of(feature)))
            known = at < len(self.keys) and self.keys[at] == key_of(feature)
            low, high = np.searchsorted(self.keys, [feature.sae << 32, (feature.sae + 1) << 32])
            there = low + np.flatnonzero(free[low:high])
            distance = np.abs(self.sizes[there] - (self.sizes[at] if known else 0.0))
            near = there[np.argsort(distance, kind="stable")[:_NEAREST]]
            if len(near):
                one = int(dice.choice(near))
                free[one] = False
                found.append(feature_of(int(self.keys[one])))
        return tuple(found)


@dataclass(frozen=True)
class DigestParts(Request):
    """Rank and name the features of an audit."""

    kind = "audit-digest"
    replaces = frozenset({"audit-digest"})

    study: Study


@dataclass(frozen=True, eq=False)
class Study:
    """One audit under way; replaced whole whenever something was measured.

    Attributes:
        scores: By condition, log p of both answers of the rows measured so far, [≤ rows, 2].
        parts: Of the rows on which features are found, as far as measured.
        controls: Random features as strong, in the same SAEs.
    """

    table: AuditTable
    goal: Goal = Goal.SCORES
    chosen: Condition = PLAIN
    controls: tuple[Condition, ...] = ()
    scores: Mapping[Condition, Floats] = field(default_factory=lambda: MappingProxyType({}))
    parts: tuple[RowParts, ...] = ()
    digest: Digest | None = None
    costs: Mapping[Condition, Cost] = field(default_factory=lambda: MappingProxyType({}))

    # ---- what is to be done

    @property
    def finders(self) -> list[int]:
        """The rows on which features are found."""
        return self.table.of(Part.FIND)

    def until(self, goal: Goal, chosen: Condition = PLAIN) -> Study:
        """The same audit, to go further."""
        study = replace(self, goal=goal, chosen=chosen, controls=())
        return study._with_controls()

    def _with_controls(self) -> Study:
        if self.digest is None or not self.chosen.off or self.controls:
            return self
        controls = tuple(
            replace(self.chosen, off=self.digest.like(self.chosen.off, seed))
            for seed in range(N_RANDOM)
        )
        return replace(self, controls=tuple(dict.fromkeys(c for c in controls if c.off)))

    def next_request(self) -> Request | None:
        """What is to be measured next; None when all is."""
        return next(self._requests(), None)

    def _requests(self) -> Iterator[Request]:
        yield from self._scoring(PLAIN, 0)
        if self.goal >= Goal.RANKING and len(self.parts) < len(self.finders):
            at = len(self.parts)
            yield AttributeRow(self.table.rows[self.finders[at]], (at, len(self.finders)))
        if self.goal >= Goal.RANKING and self.digest is None:
            yield DigestParts(self)
        if self.goal < Goal.EFFECT or not self.chosen.off:
            return
        for n, condition in enumerate((self.chosen, *self.controls)):
            yield from self._scoring(condition, n + 1)
        # Where no such word stands nothing is changed, and nothing can be lost.
        if self.chosen.where is Where.EVERYWHERE and self.chosen not in self.costs:
            words = dict.fromkeys(w for row in self.table.rows for w in (row.answer, row.instead))
            yield MeasureCost(self.chosen, tuple(words))

    def _scoring(self, condition: Condition, number: int) -> Iterator[ScoreRows]:
        start, rows = self.done(condition), self.table.rows
        if start < len(rows):
            stop, room = start, _SLICE
            while stop < len(rows) and (room > 0 or stop == start):
                row = rows[stop]
                room -= (len(row.prompt) + len(row.begun)) // 4 + 1 + _TEMPLATE * row.chat
                stop += 1
            yield ScoreRows(rows[start:stop], condition, (number, start))

    def done(self, condition: Condition) -> int:
        """How many rows were measured under a condition."""
        return len(self.scores.get(condition, ()))

    def whole(self, condition: Condition) -> bool:
        """Whether all rows were."""
        return self.done(condition) == len(self.table.rows)

    def progress(self) -> tuple[int, int]:
        """Rows and passes done, of how many."""
        n = len(self.table.rows)
        conditions = (PLAIN, self.chosen, *self.controls) if self.chosen.off else (PLAIN,)
        done = sum(self.done(condition) for condition in conditions)
        total = n * len(conditions)
        if self.goal >= Goal.RANKING:
            done, total = done + len(self.parts), total + len(self.finders)
        return done, total

    def taken(self, request: Request, result: object) -> Study:
        """The audit with what a request brought."""
        if isinstance(request, ScoreRows) and isinstance(result, np.ndarray):
            before = self.scores.get(request.condition)
            now = result if before is None else np.concatenate([before, result])
            now.flags.writeable = False
            return replace(self, scores=MappingProxyType({**self.scores, request.condition: now}))
        if isinstance(result, RowParts):
            return replace(self, parts=(*self.parts, result))
        if isinstance(result, Digest):
            return replace(self, digest=result)._with_controls()
        assert isinstance(request, MeasureCost)
        assert isinstance(result, Cost)
        return replace(self, costs=MappingProxyType({**self.costs, request.condition: result}))

    # ---- what was found

    def differences(self, condition: Condition = PLAIN) -> Floats:
        """Scores of the rows measured so far, [≤ rows]."""
        scores = self.scores.get(condition)
        return np.zeros(0, np.float32) if scores is None else scores[:, 0] - scores[:, 1]

    def masses(self, condition: Condition = PLAIN) -> Floats:
        """Probability of either answer, [≤ rows]."""
        scores = self.scores.get(condition)
        return np.zeros(0, np.float32) if scores is None else np.exp(scores).sum(1)

    def figures(self, condition: Condition, *parts: Part) -> Figures | None:
        """Rows of some parts under a condition; None unless all were measured and there are any."""
        rows = self.table.of(*parts)
        if not rows or not self.whole(condition):
            return None
        d, mass = self.differences(condition)[rows], self.masses(condition)[rows]
        return Figures(
            n=len(rows),
            mean=float(d.mean()),
            spread=float(d.std(ddof=1)) if len(d) > 1 else 0.0,
            accuracy=float((d > 0).mean()),
            mass=float(mass.mean()),
        )


def key_of(feature: FeatureId) -> int:
    """A feature as one number."""
    return (feature.sae << 32) | feature.index


def feature_of(key: int) -> FeatureId:
    """Back again."""
    return FeatureId(key >> 32, key & 0xFFFFFFFF)

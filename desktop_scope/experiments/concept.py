"""Looking for a concept: features found on half of some texts, and tried on the other half.

A feature says that a text has the concept where its mean activation over the text's tokens is above
a threshold, which is set on the first half. On the other half, which played no part in choosing it
or the threshold, it finds some of the texts with the concept (hits) and also fires in some without
(false alarms).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from desktop_scope.engine.requests import Request
from desktop_scope.engine.types import FeatureActs, FeatureId, Floats
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.types import Label
from desktop_scope.experiments.contrast import Contrasted, contrast

if TYPE_CHECKING:
    from desktop_scope.engine.engine import Engine
    from desktop_scope.engine.worker import Job
    from desktop_scope.evidence.catalogue import Catalogue

LEAST_OF_EACH = 10  # with fewer, chance tells halves of five from five as well
_N_CANDIDATES = 12
_RELIABLE = 0.75  # share of held-out texts judged rightly, the mean of both sides
_MAY_BE_CHANCE = 0.05


@dataclass(frozen=True)
class LookForConcept(Request):
    """Look for features that fire in some texts and not in others."""

    kind = "concept"
    replaces = frozenset({"concept"})
    worker = "engine"
    patient = True

    having: tuple[str, ...]
    lacking: tuple[str, ...]


@dataclass(frozen=True)
class TriedText:
    """One held-out text."""

    text: str
    value: float  # mean activation
    has: bool  # the concept


@dataclass(frozen=True)
class Candidate:
    """A feature that may stand for the concept.

    Attributes:
        threshold: Of a text's mean activation.
        hits: Share of held-out texts with the concept in which it fires more than that.
        alarms: Share of those without.
        p: How likely it is that one of so many candidates does as well by chance (Fisher's exact
            test on the held-out texts, times the number of candidates).
        tried: The held-out texts, strongest first.
    """

    feature: FeatureId
    name: str
    label: Label
    threshold: float
    hits: float
    alarms: float
    p: float
    tried: tuple[TriedText, ...]

    @property
    def right(self) -> float:
        """Share of held-out texts judged rightly, the mean of both sides; 0.5 is chance."""
        return (self.hits + 1 - self.alarms) / 2

    @property
    def reliable(self) -> bool:
        """Whether it holds up."""
        return self.p <= _MAY_BE_CHANCE and self.right >= _RELIABLE


@dataclass(frozen=True)
class Concept:
    """What was found, the best on held-out texts first."""

    candidates: tuple[Candidate, ...]
    n_held_out: tuple[int, int]
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """In one sentence."""
        held = f"{self.n_held_out[0]} + {self.n_held_out[1]} held-out texts"
        good = [one for one in self.candidates if one.reliable]
        if good:
            best = good[0]
            return (
                f"{len(good)} of {len(self.candidates)} candidates hold up on {held}. The best "
                f"fires in {_share(best.hits)} with the concept, in {_share(best.alarms)} without."
            )
        if not self.candidates:
            return "Nothing was found: no feature tells these texts apart."
        best = self.candidates[0]
        return (
            f"Nothing reliable was found: on {held} the best candidate fires in "
            f"{_share(best.hits)} with the concept and in {_share(best.alarms)} without; the best "
            "of so many does as well by chance. More texts, or others, may help."
        )


def look(engine: Engine, catalogue: Catalogue, request: LookForConcept, job: Job) -> Concept:
    """Find candidates on one half of the texts, and try them on the other.

    Raises:
        ScopeError: There are too few texts.
        Cancelled: The job was.
    """
    sides = [_distinct(request.having, "with"), _distinct(request.lacking, "without")]
    found_on = [side[::2] for side in sides]
    held_out = [side[1::2] for side in sides]
    first = engine.read((*found_on[0], *found_on[1]), job)
    second = engine.read((*held_out[0], *held_out[1]), job)
    found = contrast(first, len(found_on[0]), check=job.check, limit=_N_CANDIDATES)
    candidates = []
    for row in found.rows[:_N_CANDIDATES]:
        values = [acts.acts[row.feature.sae] for acts in (first, second)]
        candidates.append(_tried(row, values, found_on, held_out, catalogue))
    n = len(candidates)
    candidates = [replace(one, p=min(1.0, one.p * n)) for one in candidates]
    candidates.sort(key=lambda one: (one.p, -one.right))
    return Concept(
        tuple(candidates),
        (len(held_out[0]), len(held_out[1])),
        found.notes,
    )


def _distinct(texts: Sequence[str], name: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(stripped for text in texts if (stripped := text.strip())))
    if len(found) < LEAST_OF_EACH:
        raise ScopeError(
            f"There are {len(found)} different texts {name} the concept; at least "
            f"{LEAST_OF_EACH} are needed.",
            "Write one text per line: half of them are kept apart to try what was found.",
        )
    return found


def _tried(
    row: Contrasted,
    values: Sequence[FeatureActs],
    found_on: Sequence[tuple[str, ...]],
    held_out: Sequence[tuple[str, ...]],
    catalogue: Catalogue,
) -> Candidate:
    seen, unseen = (acts.of(row.feature.index) for acts in values)
    threshold = best_threshold(seen[: len(found_on[0])], seen[len(found_on[0]) :])
    n = len(held_out[0])
    texts = [*held_out[0], *held_out[1]]
    order = np.argsort(-unseen, kind="stable")
    hits, alarms = (int((side > threshold).sum()) for side in (unseen[:n], unseen[n:]))
    return Candidate(
        feature=row.feature,
        name=catalogue.name(row.feature),
        label=catalogue.label(row.feature),
        threshold=threshold,
        hits=hits / n,
        alarms=alarms / len(held_out[1]),
        p=fisher(hits, n, alarms, len(held_out[1])),
        tried=tuple(TriedText(texts[k], float(unseen[k]), bool(k < n)) for k in order),
    )


def _share(share: float) -> str:
    return f"{100 * share:.0f} %"


def fisher(hits: int, n_having: int, alarms: int, n_lacking: int) -> float:
    """The chance of so many hits or more, if it fired in as many texts regardless of the concept.

    One-sided exact test: the tail of the hypergeometric distribution.
    """
    fired, n = hits + alarms, n_having + n_lacking
    ways = sum(
        math.comb(n_having, k) * math.comb(n_lacking, fired - k)
        for k in range(hits, min(n_having, fired) + 1)
    )
    return ways / math.comb(n, fired)


def best_threshold(having: Floats, lacking: Floats) -> float:
    """Where most texts of both sides are judged rightly; in the middle of the gap."""
    values = np.unique(np.concatenate([[0.0], having, lacking]))
    edges = (values[:-1] + values[1:]) / 2 if len(values) > 1 else values
    right = [(having > edge).mean() + (lacking <= edge).mean() for edge in edges]
    return float(edges[int(np.argmax(right))])

"""Why this answer and not that one: what is asked, and what comes back. No torch here.

A text is followed by one of two answers. All that is said is about the difference
``m = log p(answer) − log p(instead)``, in nats: above 0 the model would rather give the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

import numpy as np

from desktop_scope.engine.requests import Request
from desktop_scope.engine.types import FeatureActs, FeatureId, Floats, Ints, Prompt, lock

Words = str | tuple[int, ...]  # literal text, or token ids


class Method(StrEnum):
    """How a feature's effect is estimated; see ``engine.attribution`` for the equations."""

    GRADIENT = "gradient"  # gradient × activation
    RELP = "relp"  # the same through a linearised model
    IG = "ig"  # the mean gradient while the features of one SAE come on


@dataclass(frozen=True)
class Question:
    """A prompt, and two ways in which the model might go on.

    Attributes:
        answer: Literal text with its leading space, or token ids.
        before: The answer up to where the two ways begin.
    """

    prompt: Prompt
    answer: Words
    instead: Words
    before: Words = ()


@dataclass(frozen=True)
class ListRunners(Request):
    """What the model might say next, the likeliest first."""

    kind = "runners"
    replaces = frozenset({"runners"})
    worker = "engine"

    prompt: Prompt
    before: Words = ()


@dataclass(frozen=True)
class Runners:
    """What the model might say next, the likeliest first."""

    prompt: Prompt
    before: Words
    ids: tuple[int, ...]
    texts: tuple[str, ...]
    probs: tuple[float, ...]


@dataclass(frozen=True)
class ExplainAnswer(Request):
    """What every feature contributes to one answer rather than another."""

    kind = "why"
    replaces = frozenset({"why"})
    worker = "engine"

    question: Question
    method: Method = Method.GRADIENT
    frozen_attention: bool = True  # of relp
    n_causes: int = 300  # that are named


class Cause(NamedTuple):
    """One feature at one token.

    Attributes:
        effect: Its estimated contribution to m, nats.
    """

    feature: FeatureId
    token: int
    activation: float
    effect: float


@dataclass(frozen=True)
class VerifyCauses(Request):
    """Really switch features off where they were found, one at a time and together."""

    kind = "verify"
    replaces = frozenset({"verify"})
    worker = "engine"

    question: Question
    causes: tuple[Cause, ...]


@dataclass(frozen=True)
class FollowPath(Request):
    """How some features feed each other, from the text to the answer."""

    kind = "path"
    replaces = frozenset({"path"})
    worker = "engine"

    question: Question
    causes: tuple[Cause, ...]
    method: Method = Method.GRADIENT
    frozen_attention: bool = True  # of relp


@dataclass(frozen=True, eq=False)
class FeatureGraph:
    """Features and tokens as nodes, and what flows from one to another.

    Nodes are the tokens (T), then the features (N); the answer is node T + N.

    Attributes:
        effects: [T + N] on m, nats.
        source: [E] by node.
        target: [E] later than its source.
        carried: [E] the part of the source's effect that goes this way, nats.
    """

    question: Question
    n_tokens: int
    texts: tuple[str, ...]
    causes: tuple[Cause, ...]
    effects: Floats
    source: Ints
    target: Ints
    carried: Floats

    def __post_init__(self) -> None:
        lock(self)


MIN_POINTS = 5  # that make a correlation


def pearson(a: Floats, b: Floats) -> float:
    """Correlation; nan of fewer points than make one, or where nothing varies."""
    if len(a) < MIN_POINTS or a.std() == 0 or b.std() == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


@dataclass(frozen=True, eq=False)
class Verification:
    """What switching features off really did to m.

    Attributes:
        causes: N features at tokens.
        measured: [N] by how much m fell when one of them was off.
        together: By how much it fell when all were.
    """

    question: Question
    causes: tuple[Cause, ...]
    measured: Floats
    together: float

    def __post_init__(self) -> None:
        lock(self)

    @property
    def predicted(self) -> Floats:
        """[N]."""
        return np.array([cause.effect for cause in self.causes], np.float32)

    @property
    def pearson(self) -> float:
        """Of what was predicted and what was measured."""
        return pearson(self.predicted, self.measured)

    def by_slot(self) -> dict[int, float]:
        """The correlation among the features of each SAE that has enough of them."""
        slots = np.array([cause.feature.sae for cause in self.causes])
        found = {
            int(slot): pearson(self.predicted[slots == slot], self.measured[slots == slot])
            for slot in np.unique(slots)
        }
        return {slot: value for slot, value in found.items() if not np.isnan(value)}


@dataclass(frozen=True, eq=False)
class Attribution:
    """What everything that the SAEs see contributes to m.

    At one SAE and token, features + error + bias are the whole contribution of what the SAE
    writes. The contributions of different layers do not add up: a layer hands on what it was given.

    Tokens are those of the text up to where the answers part (T₀ of them), then those of the
    answer but its last, then those of what stands instead but its last; T in all.

    Attributes:
        ids: [T].
        n_text: T₀.
        answer: Token ids of the answer, from where the two part.
        logprobs: log p of the answer and of what stands instead, from where they part.
        slots: The SAEs that are explained, S of them.
        acts: [S] the features.
        effects: [S] of every stored activation.
        errors: [S, T] of what an SAE leaves out; all that is there where it does not encode.
        biases: [S, T] of what an SAE writes when no feature is active.
        left_out: Names of SAEs that are not explained.
    """

    ids: tuple[int, ...]
    texts: tuple[str, ...]
    n_text: int
    answer: tuple[int, ...]
    instead: tuple[int, ...]
    logprobs: tuple[float, float]
    method: Method
    slots: tuple[int, ...]
    acts: tuple[FeatureActs, ...]
    effects: tuple[Floats, ...]
    errors: Floats
    biases: Floats
    left_out: tuple[str, ...]
    seconds: float

    def __post_init__(self) -> None:
        lock(self)
        for effects in self.effects:
            effects.flags.writeable = False

    @property
    def difference(self) -> float:
        """m."""
        return self.logprobs[0] - self.logprobs[1]

    def by_features(self) -> Floats:
        """[S, T] what the features of an SAE contribute at a token."""
        n = len(self.ids)
        rows = [
            np.bincount(acts.rows(), effects, n)
            for acts, effects in zip(self.acts, self.effects, strict=True)
        ]
        return np.array(rows, np.float32).reshape(len(self.slots), n)

    def unexplained(self) -> Floats:
        """[S] share that comes from errors and biases, of all that an SAE's tokens contribute.

        Shares of absolute values, since contributions of unlike sign cancel.
        """
        rest = np.abs(self.errors) + np.abs(self.biases)
        whole = np.abs(self.by_features()) + rest
        share: Floats = (rest.sum(1) / np.maximum(whole.sum(1), 1e-12)).astype(np.float32)
        return share

    @property
    def explained(self) -> float:
        """Share that features carry, the mean over the SAEs."""
        return float(1 - self.unexplained().mean())

    def causes(self, limit: int | None = None) -> list[Cause]:
        """Features at tokens, the largest effect first."""
        sizes = [len(effects) for effects in self.effects]
        every = np.concatenate(self.effects) if sizes else np.zeros(0, np.float32)
        starts = np.cumsum([0, *sizes])
        order = np.argsort(-np.abs(every), kind="stable")[:limit]
        which = np.searchsorted(starts, order, side="right") - 1
        return [self._cause(int(s), int(n - starts[s])) for s, n in zip(which, order, strict=True)]

    def largest_each(self, limit: int) -> list[Cause]:
        """The largest effects of every SAE, SAE after SAE."""
        return [
            self._cause(s, int(n))
            for s, effects in enumerate(self.effects)
            for n in np.argsort(-np.abs(effects), kind="stable")[:limit]
        ]

    def of(self, feature: FeatureId) -> list[Cause]:
        """One feature at all tokens on which it fires, the largest effect first."""
        if feature.sae not in self.slots:
            return []
        s = self.slots.index(feature.sae)
        there = np.flatnonzero(self.acts[s].indices == feature.index)
        order = np.argsort(-np.abs(self.effects[s][there]), kind="stable")
        return [self._cause(s, int(n)) for n in there[order]]

    def _cause(self, s: int, n: int) -> Cause:
        """One stored activation of one SAE."""
        acts = self.acts[s]
        token = int(np.searchsorted(acts.indptr, n, side="right")) - 1
        feature = FeatureId(self.slots[s], int(acts.indices[n]))
        return Cause(feature, token, float(acts.values[n]), float(self.effects[s][n]))


@dataclass(frozen=True, eq=False)
class Explanation:
    """An answer to a question.

    Attributes:
        causes: What matters most, the largest effect first.
    """

    question: Question
    attribution: Attribution
    causes: tuple[Cause, ...]

    @cached_property
    def shares(self) -> Floats:
        """[n] share of all features' effects, by size, that the first causes have together."""
        own = np.abs([cause.effect for cause in self.causes])
        every = sum(float(np.abs(effects).sum()) for effects in self.attribution.effects)
        share: Floats = (np.cumsum(own) / max(every, 1e-12)).astype(np.float32)
        return share

"""Which features feed a feature, and which it feeds: what is asked, and what comes back. No torch.

With d the decoder row of the feature that writes, e the encoder row of the one that reads, h what
the reader's threshold is held against (its drive), and a the writer's activation:

    weights   d · e: along the residual stream alone, whatever the text
    MLPs      ∂h/∂a at one token, attention held as it is: with what the MLPs between make of it
    prompt    Σ a · ∂h/∂a over the tokens at which the writer fires: attention from them, too

The derivatives are those of the model on this text (a tangent): of the rules to make a model linear
(``linearising``) this agreed best with really switching features off.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from desktop_scope.engine.questions import pearson
from desktop_scope.engine.requests import Request
from desktop_scope.engine.types import FeatureId, Floats, Prompt, lock

N_EDGES = 10


class Way(StrEnum):
    """Along which paths flow is followed."""

    WEIGHTS = "weights"
    MLPS = "mlps"
    PROMPT = "prompt"


@dataclass(frozen=True)
class FlowQuestion:
    """A feature at a token of a text, and how far around it to look.

    Attributes:
        answer: Token ids of the answer so far.
        token: None for where the feature is strongest.
        reach: So many layers before it and after it.
    """

    prompt: Prompt
    answer: tuple[int, ...]
    feature: FeatureId
    token: int | None = None
    reach: int = 1
    way: Way = Way.PROMPT


@dataclass(frozen=True)
class FollowFlow(Request):
    """What feeds a feature and what it feeds, the strongest first."""

    kind = "flow"
    replaces = frozenset({"flow"})
    worker = "engine"

    question: FlowQuestion
    n_edges: int = N_EDGES


class Edge(NamedTuple):
    """What flows between the feature in question and one other.

    Attributes:
        feature: The other one.
        value: What flows, in units of the reader's activation; per unit of the writer's where the
            way is by weights or through MLPs.
        share: Of all that flows on this side, the value's sign kept.
        activation: Of the other one, at the token.
        token: Where it counts most: of a writer where it fires, of a reader where it reads.
    """

    feature: FeatureId
    value: float
    share: float
    activation: float
    token: int


@dataclass(frozen=True)
class Side:
    """What is before the feature in question, or after it.

    On the prompt, the shares of edges, others, error, bias and rest are of all that flows; upstream
    they are parts of the reader's drive, downstream of what arrives in the stream.

    Attributes:
        slot: The SAE there; None where there is none.
        layer: Of it.
        edges: The strongest, the largest first.
        n_features: So many there are to choose from.
        others: Share of all other features together; nan where it makes no sense (by weights).
        error: Share of what the SAE there leaves out.
        bias: Share of what it writes when no feature is active.
        rest: Share that comes from no feature at all, but from what the layers between add.
        problem: Why there is nothing.
    """

    slot: int | None
    layer: int
    edges: tuple[Edge, ...] = ()
    n_features: int = 0
    others: float = float("nan")
    error: float = float("nan")
    bias: float = float("nan")
    rest: float = float("nan")
    problem: str = ""


@dataclass(frozen=True)
class Flow:
    """What feeds a feature, and what it feeds.

    Attributes:
        token: Where it was followed.
        activation: Of the feature there.
        texts: Of the tokens.
    """

    question: FlowQuestion
    token: int
    activation: float
    texts: tuple[str, ...]
    upstream: Side
    downstream: Side
    seconds: float

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Of both sides, what is before first."""
        return (*self.upstream.edges, *self.downstream.edges)


@dataclass(frozen=True)
class CheckFlow(Request):
    """Really switch off each writer, and look at what becomes of its reader."""

    kind = "flow-check"
    replaces = frozenset({"flow-check"})
    worker = "engine"

    flow: Flow


@dataclass(frozen=True, eq=False)
class FlowCheck:
    """By how much the readers fell.

    Attributes:
        upstream: Of the feature in question, with each of the features before it off, [U].
        downstream: Of each of the features after it, with the one in question off, [D].
    """

    flow: Flow
    upstream: Floats
    downstream: Floats

    def __post_init__(self) -> None:
        lock(self)

    def agreement(self, side: Side, measured: Floats) -> tuple[float, float, int]:
        """Spearman's correlation and the share of right signs, over so many edges of a side.

        Of what a unit brings, times the units there are; a writer that is silent says nothing.
        """
        before, per_unit = side is self.flow.upstream, self.flow.question.way is not Way.PROMPT
        units = [
            1.0 if not per_unit else edge.activation if before else self.flow.activation
            for edge in side.edges
        ]
        expected = np.array([edge.value for edge in side.edges], np.float32) * units
        tried = np.flatnonzero(expected)
        expected, measured = expected[tried].astype(np.float32), measured[tried]
        return spearman(expected, measured), same_signs(expected, measured), len(tried)


def spearman(a: Floats, b: Floats) -> float:
    """Correlation of the ranks, equal values sharing theirs; nan of too few."""
    return pearson(_ranks(a), _ranks(b))


def _ranks(values: Floats) -> Floats:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place].astype(np.float32)


def same_signs(a: Floats, b: Floats) -> float:
    """Share of pairs of equal sign; nan of none."""
    return float((np.sign(a) == np.sign(b)).mean()) if len(a) else float("nan")

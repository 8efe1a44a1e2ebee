"""One frozen request per look at the evidence. They only read, and run beside the engine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from desktop_scope.engine.requests import Request, Workspace
from desktop_scope.engine.types import FeatureId, Trace


class RankBy(StrEnum):
    """How features of a text are ordered; strengths are shares of each feature's own maximum."""

    MAXIMUM = "maximum"  # the strongest single token
    TOTAL = "total"  # summed over tokens
    RARITY = "rarity"  # strongest token × log(1 / density), varied over the tokens of a text
    INTEREST = "interest"  # many rare words of one meaning; see ``evidence.interest``
    LEVER = "lever"  # how much likelier it makes what it promotes; see ``engine.levers``


class Scope(StrEnum):
    """Which features are listed."""

    TOKEN = "token"  # those that fire on one token
    TEXT = "text"  # those that fire somewhere on the user's text or the answer
    ALL = "all"  # all there are, by the words of their labels


@dataclass(frozen=True)
class OpenCatalogue(Request):
    """Open the evidence and the labels, making the automatic ones if this is the first time."""

    kind = "open"
    replaces = frozenset({"open"})

    workspace: Workspace


@dataclass(frozen=True)
class ReadCard(Request):
    """All that is known of one feature."""

    kind = "card"
    replaces = frozenset({"card"})

    feature: FeatureId
    revision: int = 0  # of what is known about the features


@dataclass(frozen=True)
class RankFeatures(Request):
    """Features, filtered and in order.

    Attributes:
        scope: Of one token, of the text, or of all there are.
        trace: The text; without one only all features can be listed.
        token: The token, for that scope.
        layers: First and last layer, both included.
        words: Only features whose label matches; empty for all.
        max_density: Features that fire on a larger share of tokens are left out.
        n_features: Only the first so many of each SAE (a Matryoshka prefix).
    """

    kind = "rank"
    replaces = frozenset({"rank"})

    scope: Scope
    trace: Trace | None
    token: int
    by: RankBy
    layers: tuple[int, int]
    words: str
    max_density: float
    n_features: int
    limit: int = 200
    revision: int = 0  # of what is known about the features


@dataclass(frozen=True)
class FollowFeature(Request):
    """A feature and its best match in every other layer, over the tokens of a text."""

    kind = "follow"
    replaces = frozenset({"follow"})

    trace: Trace
    feature: FeatureId
    revision: int = 0  # of what is known about the features


@dataclass(frozen=True)
class ReadLens(Request):
    """What every layer would say next, at one token."""

    kind = "lens"
    replaces = frozenset({"lens"})

    trace: Trace
    token: int


@dataclass(frozen=True)
class ReadInsight(Request):
    """Whether a feature is a lever, and how much there may be to see in it."""

    kind = "insight"
    replaces = frozenset({"insight"})

    feature: FeatureId
    revision: int = 0  # of what is known about the features


@dataclass(frozen=True)
class Wander(Request):
    """Some interesting feature, another one at every turn.

    Attributes:
        turn: How often one was asked for.
        seen: Features that were shown lately.
    """

    kind = "wander"
    replaces = frozenset({"wander"})

    turn: int
    seen: tuple[FeatureId, ...] = ()

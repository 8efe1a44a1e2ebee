"""One frozen request per look at the evidence. They only read, and run beside the engine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from desktop_scope.engine.lenses import LensKind
from desktop_scope.engine.requests import Request, TracePrompt, Workspace
from desktop_scope.engine.types import FeatureId, Trace
from desktop_scope.evidence.types import Found, Measure


class RankBy(StrEnum):
    """How features of a text are ordered; strengths are shares of each feature's own maximum."""

    MAXIMUM = "maximum"  # the strongest single token
    TOTAL = "total"  # summed over tokens
    RARITY = "rarity"  # strongest token × log(1 / density), varied over the tokens of a text
    INTEREST = "interest"  # many rare words of one meaning; see ``evidence.interest``
    LEVER = "lever"  # how much likelier it makes what it promotes; see ``engine.levers``


MERITS = frozenset({RankBy.INTEREST, RankBy.LEVER})  # orders that need no text


class Scope(StrEnum):
    """Which features are listed."""

    TOKEN = "token"  # those that fire on one token
    TEXT = "text"  # those that fire somewhere on the user's text or the answer
    ALL = "all"  # all there are, by their labels
    PROMOTES = "promotes"  # those that make a word likelier
    EXAMPLE = "example"  # those that fire on some tokens more than they usually do
    GIVEN = "given"  # those that a study has found


class Match(StrEnum):
    """How labels are compared with a query."""

    BOTH = "both"
    WORDS = "words"  # each word of it is the beginning of a word of the label
    MEANING = "meaning"  # of the whole


@dataclass(frozen=True)
class OpenCatalogue(Request):
    """Open the evidence and the labels, making the automatic ones if this is the first time."""

    kind = "open"
    replaces = frozenset({"open"})

    workspace: Workspace
    revision: int = 0  # of the evidence that lies there


@dataclass(frozen=True)
class ReadCard(Request):
    """All that is known of one feature."""

    kind = "card"
    replaces = frozenset({"card"})

    feature: FeatureId
    revision: int = 0  # of what is known about the features


@dataclass(frozen=True)
class NameFeatures(Request):
    """What some features are called."""

    kind = "names"
    replaces = frozenset({"names"})

    features: tuple[FeatureId, ...]
    revision: int = 0  # of what is known about the features


@dataclass(frozen=True)
class NameFlow(NameFeatures):
    """What the features are called that feed another, or that it feeds."""

    kind = "flow-names"
    replaces = frozenset({"flow-names"})


@dataclass(frozen=True)
class NameCompared(NameFeatures):
    """What the features are called that differ between two texts or models."""

    kind = "compared-names"
    replaces = frozenset({"compared-names"})


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
        shown: Of each SAE only the first so many features; all where it is empty.
        min_score: Only features whose label was scored at least so high; 0 for all.
        on_list: Only those on this list of the user's, such as the stars; empty for all.
        of_kind: Only those whose label is of this kind; empty for all.
        match: How labels are searched.
        span: First and last of the tokens that are an example.
        given: What a study has found, best first.
        measure: By what it is ordered.
    """

    kind = "rank"
    replaces = frozenset({"rank"})

    scope: Scope
    trace: Trace | None = None
    token: int = 0
    by: RankBy = RankBy.RARITY
    layers: tuple[int, int] = (0, 10_000)
    words: str = ""
    max_density: float = 1.0
    shown: tuple[int, ...] = ()
    limit: int = 200
    revision: int = 0  # of what is known about the features
    min_score: float = 0.0
    on_list: str = ""
    of_kind: str = ""
    match: Match = Match.BOTH
    span: tuple[int, int] | None = None
    given: tuple[Found, ...] = ()
    measure: Measure | None = None
    learnt: int = 0  # how much can be searched by meaning; lists are made again as it grows


@dataclass(frozen=True)
class ReadExample(TracePrompt):
    """Run a text whose features are to be found, beside the prompt."""

    kind = "example"
    replaces = frozenset({"example"})


@dataclass(frozen=True)
class LearnMeanings(Request):
    """Make labels searchable by meaning, for a while; asked for again until all are.

    Attributes:
        done: So many were, by the last answer.
    """

    kind = "meanings"
    replaces = frozenset({"meanings"})
    worker = "engine"
    patient = True

    revision: int = 0
    done: int = 0


@dataclass(frozen=True)
class FollowFeature(Request):
    """A feature and its best match in every other layer, over the tokens of a text."""

    kind = "follow"
    replaces = frozenset({"follow"})

    trace: Trace
    feature: FeatureId
    revision: int = 0  # of what is known about the features
    shown: tuple[int, ...] = ()  # of each SAE only the first so many features; empty for all


@dataclass(frozen=True)
class ReadOther(TracePrompt):
    """Run the text that the prompt is compared with."""

    kind = "other"
    replaces = frozenset({"other"})


@dataclass(frozen=True)
class FollowOther(FollowFeature):
    """The same in the text that the prompt is compared with."""

    kind = "follow other"
    replaces = frozenset({"follow other"})


@dataclass(frozen=True)
class ReadLens(Request):
    """What every layer would say next, at one token."""

    kind = "lens"
    replaces = frozenset({"lens"})

    trace: Trace
    token: int
    lens: LensKind = LensKind.LOGIT


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

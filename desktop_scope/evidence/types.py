"""What the evidence answers with: frozen values, numpy and plain Python only."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from desktop_scope.engine.types import FeatureId, Floats, Ints
from desktop_scope.evidence.gathering import GatherPlan

#: Labels below it predict so little that they are shown in grey, as unscored ones are.
PASSING_SCORE = 0.6
#: Models that do worse where the truth is known are told of, but their verdicts do not count.
ABLE_JUDGE = 0.75


class Source(StrEnum):
    """Where a label comes from."""

    CURATED = "curated"  # written by a person who read the examples
    AUTOMATIC = "automatic"  # made from the evidence by our labeller
    OWN = "own"  # written by this user
    MODEL = "model"  # written by a language model on this machine
    IMPORTED = "imported"  # read from a file, such as Neuronpedia's
    NONE = "none"  # there is no label


@dataclass(frozen=True)
class Label:
    """A feature's name and how far to trust it.

    Attributes:
        confidence: What its maker thought of it: high, medium, low.
        kind: token, phrase, topic, syntax, position, format, various, other.
        origin: Who made it, of labels that were imported or written by a model.
        score: How well it predicts where the feature fires on held-out text: balanced accuracy,
            0.5 is no better than chance; None before it was measured, and where it cannot be.
    """

    text: str
    source: Source
    confidence: str
    kind: str = "other"
    origin: str = ""
    score: float | None = None

    @property
    def doubtful(self) -> bool:
        """Whether it is shown in grey everywhere: unscored, or hardly better than chance."""
        measured = self.score is not None and self.score >= PASSING_SCORE
        return self.source is not Source.NONE and not measured


@dataclass(frozen=True)
class Trial:
    """A text that somebody typed to try a label.

    Attributes:
        said: Whether it should fire there, if the label is right.
        peak: How strongly it did, at most.
    """

    text: str
    said: bool
    peak: float

    @property
    def fires(self) -> bool:
        """Whether the feature fires on it."""
        return self.peak > 0


@dataclass(frozen=True)
class Verdict:
    """What came out when a label was tried on held-out text.

    Attributes:
        judge: Who read the label: ``words`` (only the words in it were looked for), or a model.
        fires: On so many places the feature fires …
        caught: … and on so many of them the label said so.
        hard: On so many places it is silent, but a near neighbour fires …
        hard_alarms: … and on so many of them the label said it would fire.
        silent: On so many places elsewhere it is silent …
        alarms: … and on so many of them the label said it would fire.
        control: A model's own balanced accuracy where the truth is known; None where it was not
            tried.
    """

    judge: str
    fires: int
    caught: int
    hard: int
    hard_alarms: int
    silent: int
    alarms: int
    control: float | None = None

    @property
    def able(self) -> bool:
        """Whether the judge is worth listening to."""
        return self.judge == "words" or (self.control is not None and self.control >= ABLE_JUDGE)

    @property
    def told(self) -> str:
        """The score, and what the judge is worth, in a few words."""
        if self.control is None:
            return f"{self.score:.2f} (the judge itself was not tried)"
        worth = "" if self.able else ", too weak to count"
        return f"{self.score:.2f} (the judge itself {self.control:.2f}{worth})"

    @property
    def score(self) -> float:
        """Balanced accuracy; 0.5 is no better than chance."""
        hits = self.caught / max(self.fires, 1)
        quiet = 1 - (self.hard_alarms + self.alarms) / max(self.hard + self.silent, 1)
        return (hits + quiet) / 2

    def with_trials(self, trials: Iterable[Trial]) -> Verdict:
        """The same with what a person said of texts of their own."""
        counts = Counter((trial.fires, trial.said) for trial in trials)
        return replace(
            self,
            fires=self.fires + counts[True, True] + counts[True, False],
            caught=self.caught + counts[True, True],
            silent=self.silent + counts[False, True] + counts[False, False],
            alarms=self.alarms + counts[False, True],
        )


@dataclass(frozen=True)
class FeatureMarks:
    """What is said of one feature, for its card."""

    note: str = ""
    starred: bool = False
    lists: tuple[str, ...] = ()
    labels: tuple[Label, ...] = ()  # all it has, the one that is shown first
    trials: tuple[Trial, ...] = ()
    verdict: Verdict | None = None  # of the label that is shown; None before it was tried
    held_out: str = ""  # on what text it was tried
    by_models: tuple[Verdict, ...] = ()  # of that label, by language models


@dataclass(frozen=True, eq=False)
class Example:
    """A stretch of the corpus in which a feature fires."""

    texts: tuple[str, ...]  # readable tokens
    values: Floats  # [len(texts)] activations in residual units
    peak: int  # index into texts
    value: float  # activation at the peak
    band: str  # "top" or "mid"


@dataclass(frozen=True)
class TopToken:
    """A token on which much of a feature's total activation falls."""

    text: str
    share: float  # 0…1


@dataclass(frozen=True)
class Hit:
    """One search result.

    Attributes:
        aside: The label names what was searched for only in passing.
    """

    feature: FeatureId
    label: Label
    score: float
    aside: bool = False


@dataclass(frozen=True)
class TokenEffect:
    """A token whose logit a feature moves, per unit of activation up to the final norm's scale."""

    text: str
    effect: float


@dataclass(frozen=True)
class Neighbour:
    """A feature that writes in a similar direction."""

    feature: FeatureId
    name: str
    cosine: float  # of the decoder rows
    label: Label
    correlation: float = math.nan  # of the activations over a text; nan if not measured


@dataclass(frozen=True)
class CoFiring:
    """A feature that fires on the same tokens more often than chance.

    All figures are of the tokens of a text that were looked at (see ``building.sketch``).

    Attributes:
        jaccard: Tokens on which both fire, as a share of those on which either does.
        lift: Times as often together as if they had nothing to do with each other.
        together: On so many of the tokens looked at both fired.
        fires: On so many of them the feature of the card fired.
        correlation: Of the activations.
    """

    feature: FeatureId
    name: str
    label: Label
    jaccard: float
    lift: float
    together: int
    fires: int
    correlation: float


@dataclass(frozen=True, eq=False)
class Card:
    """All that is known of one feature."""

    feature: FeatureId
    name: str  # as people write it: 17/3988
    hook_name: str
    label: Label
    marks: FeatureMarks  # what this user said of it
    density: float  # share of corpus tokens on which it fires; this and the next: nan if unknown
    mean_active: float  # where it fires, residual units
    max_active: float  # residual units
    median_norm: float  # of what its SAE reads: what max_active is large or small to
    histogram: Ints  # counts per bin of log2 width 1/2
    top_tokens: tuple[TopToken, ...]
    promotes: tuple[TokenEffect, ...]
    suppresses: tuple[TokenEffect, ...]
    examples: tuple[Example, ...]
    neighbours: tuple[Neighbour, ...]  # in its own layer and the ones beside it
    # The best match in every SAE, itself among them: by correlation where that was measured, else
    # by cosine.
    family: tuple[Neighbour, ...]
    cofiring: tuple[CoFiring, ...] = ()  # most alike first: of its own SAE, then of the others
    cofiring_tokens: int = 0  # of the text on which that was measured; 0: not yet


@dataclass(frozen=True)
class Lever:
    """What turning a feature up does to the next token; see ``engine.levers``.

    Attributes:
        push: Length of what was added, as a share of the stream's median length.
        output_score: How surely a token that it should promote comes out on top, 0…1.
        promoted_logratio: Log of how many times likelier the promoted tokens became.
        kl: How far the next token's probabilities moved, nats.
        below: Share of its layer's measured features with a smaller promoted_logratio.
        n_known: So many of them have been measured.
        n_features: So many there are.
    """

    push: float
    output_score: float
    promoted_logratio: float
    kl: float
    below: float
    n_known: int
    n_features: int


@dataclass(frozen=True)
class Interest:
    """How much there may be to see in a feature, and why; see ``evidence.interest``.

    Attributes:
        score: 0…1, the product of the others.
        distinct: Different words on which it fires among its examples.
        variety: What that counts.
        kinship: How alike in meaning they are, 0…1, the weak ones among the strong.
        rarity: How rare they are, 0…1: 0 for words that stand in every sentence.
        density: Whether it fires neither nearly never nor nearly everywhere, 0…1.
        kind: What its label's kind counts: a topic more than one word, markup nothing.
    """

    score: float
    distinct: int
    variety: float
    kinship: float
    rarity: float
    density: float
    kind: float


@dataclass(frozen=True)
class Insight:
    """What is known of one feature beyond its evidence; None where it cannot be told."""

    feature: FeatureId
    lever: Lever | None
    interest: Interest | None


@dataclass(frozen=True)
class Named:
    """A feature and what it is called."""

    feature: FeatureId
    name: str
    label: Label
    cosine: float = math.nan  # to the feature that was asked about


@dataclass(frozen=True)
class Found:
    """Why a search lists a feature.

    Attributes:
        value: How well it answers; more is better.
        text: The same for people, short.
        detail: And in a sentence.
        share: Of the best that could be, 0…1; for a bar.
    """

    feature: FeatureId
    value: float
    text: str = ""
    detail: str = ""
    share: float = 0.0


@dataclass(frozen=True)
class Measure:
    """By what a list is ordered: the title of its column and what it means."""

    title: str
    help: str


@dataclass(frozen=True)
class FeatureRow:
    """One feature of a text, for a table."""

    feature: FeatureId
    name: str
    label: Label
    value: float  # strongest activation, residual units
    strength: float  # value as a share of the feature's maximum (``Catalogue.maximum``)
    total: float  # strengths summed over tokens
    density: float
    max_active: float
    token: int  # where it is strongest
    found: Found | None = None  # by a search


@dataclass(frozen=True, eq=False)
class Ranking:
    """The features of a token or a text, or those that a search has found; best first.

    Attributes:
        n_active: Before filters and limit.
        measure: By what a search has ordered them, where that is not how strongly they fire.
        notes: What the user should know about how they were found.
    """

    rows: tuple[FeatureRow, ...]
    n_active: int
    measure: Measure | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class FeaturePath:
    """A feature and its best match in every other SAE, over the tokens of a text."""

    feature: FeatureId
    family: tuple[Neighbour, ...]  # [F], in the order of the SAEs
    values: Floats  # [F, T] activations as shares of each feature's own maximum

    @property
    def own(self) -> int:
        """Which of the family the feature itself is."""
        return next(n for n, member in enumerate(self.family) if member.feature == self.feature)

    @property
    def likeness(self) -> tuple[str, Floats]:
        """By what the family was matched, and how alike each member is, [F]."""
        others = [m.correlation for m in self.family if m.feature != self.feature]
        measured = any(map(math.isfinite, others))
        values = [m.correlation if measured else m.cosine for m in self.family]
        return "correlation" if measured else "cosine", np.nan_to_num(np.array(values, np.float32))


@dataclass(frozen=True, eq=False)
class Opened:
    """The evidence is open.

    Attributes:
        max_active: By SAE, the strongest activation of every feature, [N] each; nan if unknown.
        notes: What the user should know about how it was opened.
        median_norm: By SAE, the median length of what it reads; nan if unknown.
        lacks_sample: The text that is there could show which features fire together.
        interrupted: What was being gathered when the window was closed.
        revision: Of the request.
    """

    max_active: tuple[Floats, ...]
    notes: tuple[str, ...] = ()
    median_norm: tuple[float, ...] = ()
    lacks_sample: bool = False
    interrupted: GatherPlan | None = None
    revision: int = 0

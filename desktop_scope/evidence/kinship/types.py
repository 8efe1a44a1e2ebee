"""What is said of a feature's family: frozen values, plain Python only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from desktop_scope.engine.requests import Request
from desktop_scope.engine.sizes import is_shown
from desktop_scope.engine.types import FeatureId
from desktop_scope.evidence.types import Label


class Basis(StrEnum):
    """On what it was seen that two features fire together."""

    SAMPLE = "sample"  # a sample of the pack's text
    EXAMPLES = "examples"  # the finer feature's own examples
    NONE = "none"  # not at all yet: their directions are alike, no more


@dataclass(frozen=True)
class Kin:
    """A feature, and how it goes together with the one that it comes from.

    Attributes:
        size: Of the smallest dictionary that has it.
        cosine: Of both decoder rows; this and the next three: nan for what comes from nothing.
        share: Of the tokens on which it fires, so many have its parent firing too; nan if unknown.
        lift: Times as often as the parent fires anywhere.
        n_tokens: On so many tokens it was seen to fire.
        n_children: It is the parent of so many; −1 if that is not known.
    """

    feature: FeatureId
    name: str
    label: Label
    size: int
    cosine: float
    share: float
    lift: float
    n_tokens: int
    basis: Basis
    n_children: int


@dataclass(frozen=True)
class Branch:
    """What a feature splits into.

    Attributes:
        kin: The surest ones first, those of the next size before those of later ones.
        n: There are so many.
    """

    kin: tuple[Kin, ...]
    n: int


@dataclass(frozen=True)
class Family:
    """Where a feature comes from and what it splits into.

    Attributes:
        sizes: Of the dictionaries at its site, coarse ones first.
        line: From the coarsest ancestor down to the feature itself.
        branches: By feature: its own, and those that were opened.
        n_tokens: Of the sample; 0 where there is none.
        unmeasured: Features whose examples could show what they come from.
    """

    feature: FeatureId
    sizes: tuple[int, ...]
    line: tuple[Kin, ...]
    branches: Mapping[FeatureId, Branch] = field(default_factory=dict)
    n_tokens: int = 0
    unmeasured: tuple[FeatureId, ...] = ()

    def ancestor(self, shown: tuple[int, ...]) -> FeatureId | None:
        """The nearest ancestor among the features that are looked at."""
        above = (kin.feature for kin in reversed(self.line[:-1]))
        return next((feature for feature in above if is_shown(shown, feature)), None)


@dataclass(frozen=True)
class ReadFamily(Request):
    """Where a feature comes from and what it splits into.

    Attributes:
        opened: Also what these split into.
        turn: Grows as more is measured.
    """

    kind = "family"
    replaces = frozenset({"family"})

    feature: FeatureId
    opened: tuple[FeatureId, ...] = ()
    revision: int = 0  # of what is known about the features
    turn: int = 0


@dataclass(frozen=True)
class MeasureKin(Request):
    """Read some of the examples of a feature, to see what fires together with it.

    Attributes:
        turn: Grows with every slice.
    """

    kind = "kin"
    replaces = frozenset({"kin"})
    worker = "engine"
    patient = True

    feature: FeatureId
    turn: int = 0

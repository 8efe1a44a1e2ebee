"""A dial of the steering rack: one feature or vector, what is done with it, where and when."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from desktop_scope.engine.types import FeatureId, Intervention, Mode, Positions, Rule, Vector
from desktop_scope.evidence.types import Label

EVERYWHERE = Positions()

Key = FeatureId | str  # a feature, or the name of a vector

TURNS = frozenset({Mode.ADD, Mode.CLAMP})  # whose strength is in multiples of the maximum
FACTORS = frozenset({Mode.SCALE, Mode.PROJECT})  # whose strength is a factor
FIRST_STRENGTH = {
    Mode.ADD: 1.0, Mode.CLAMP: 1.0, Mode.SCALE: 2.0, Mode.PROJECT: 0.0,
}  # fmt: skip


class Unit(StrEnum):
    """What a strength is shown in."""

    MAX = "max"  # multiples of the feature's maximum
    PUSH = "push"  # multiples of the median residual norm
    ABSOLUTE = "abs"  # residual units


@dataclass(frozen=True)
class Dial:
    """One row of the steering rack.

    Attributes:
        feature: None where a vector takes its place.
        max_active: What a strength of 1 means: the feature's own maximum; where that is unknown,
            the strongest in the text.
        known: Whether it is the feature's own.
        strength: In multiples of it; a factor where the mode scales.
        enabled: Takes part.
        median_norm: Of what is written to; nan if unknown.
        unit: What the strength is shown in.
        rule: It acts only where this fires.
        message: What is said when it stops an answer.
    """

    feature: FeatureId | None
    label: Label
    max_active: float
    known: bool = True
    strength: float = 1.0
    mode: Mode = Mode.ADD
    enabled: bool = True
    median_norm: float = math.nan
    unit: Unit = Unit.MAX
    where: Positions = EVERYWHERE
    rule: Rule | None = None
    vector: Vector | None = None
    message: str = ""

    @property
    def key(self) -> Key:
        """Tells it from the others."""
        if self.feature is not None:
            return self.feature
        return self.vector.name if self.vector else ""

    @property
    def amount(self) -> float:
        """The strength as the engine takes it."""
        if self.mode in TURNS:
            return self.strength * self.max_active
        return self.strength if self.mode in FACTORS else 0.0

    @property
    def push(self) -> float:
        """The added vector's length over the median residual norm; nan if nothing is added."""
        return abs(self.amount) / self.median_norm if self.mode is Mode.ADD else math.nan

    @property
    def acts(self) -> bool:
        """Whether it changes anything."""
        idle = {Mode.ADD: self.strength == 0, Mode.SCALE: self.strength == 1,
                Mode.PROJECT: self.strength == 1, Mode.STOP: self.rule is None}  # fmt: skip
        return self.enabled and not idle.get(self.mode, False)

    def intervention(self) -> Intervention:
        """What the engine is to do."""
        return Intervention(
            self.feature,
            self.amount,
            self.mode,
            vector=self.vector,
            positions=self.where,
            rule=self.rule,
            message=self.message,
        )


def size_of(unit: Unit, dial: Dial) -> float:
    """What one of a unit is, in multiples of the dial's maximum; nan if unknown."""
    one = {Unit.MAX: dial.max_active, Unit.PUSH: dial.median_norm, Unit.ABSOLUTE: 1.0}[unit]
    return one / dial.max_active

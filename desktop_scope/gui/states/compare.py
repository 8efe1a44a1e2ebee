"""Two sides that are compared, as far as the window knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from desktop_scope.engine.types import FeatureId, ModelInfo
from desktop_scope.evidence.types import Label
from desktop_scope.experiments.compare_types import By, CompareReadings, Comparison, Second
from desktop_scope.library.room import Room


class What(StrEnum):
    """What is compared."""

    PROMPTS = "prompts"
    ANSWERS = "answers"
    MODELS = "models"


@dataclass(frozen=True)
class CompareState:
    """What is asked, and what came back.

    Attributes:
        other: The second prompt.
        second: The model that is or would be opened beside the first.
        opening: It is to be opened.
        closing: It is to be let go of.
        beside: It is open.
        room: What it needs, and what there is.
        labels: Of the features that are listed.
    """

    what: What = What.PROMPTS
    other: str = ""
    by: By = By.TOKENS
    second: Second = field(default_factory=Second)
    opening: bool = False
    closing: bool = False
    beside: ModelInfo | None = None
    room: Room | None = None
    asked: CompareReadings | None = None
    found: Comparison | None = None
    labels: Mapping[FeatureId, Label] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def is_current(self) -> bool:
        """Whether what came back is about what was asked last."""
        found, asked = self.found, self.asked
        return found is not None and asked == CompareReadings(found.a, found.b, found.by)

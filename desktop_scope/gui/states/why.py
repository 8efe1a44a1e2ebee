"""Why one answer rather than another, as far as the window knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from desktop_scope.engine.questions import (
    Cause,
    Explanation,
    FeatureGraph,
    Method,
    Question,
    Runners,
    Verification,
    Words,
)
from desktop_scope.engine.types import FeatureId, Prompt
from desktop_scope.evidence.types import Label
from desktop_scope.experiments.graph_layout import Drawing

_ABOUT = 3  # tokens at which the feature that was asked from is on the path


@dataclass(frozen=True)
class WhyState:
    """What is asked, and what came back.

    Attributes:
        prompt: Of the text in question; None while nothing is asked.
        before: The answer up to the place in question.
        answer: Empty for what the model would say.
        instead: Empty for the likeliest other thing.
        doubted: What is to be really switched off.
        about: The feature from whose card it was asked; it is told of, and shown on the path.
        share: Of all features' effects, that the path is to show; None while it is not looked at.
        grouped: Features of like labels are one node of the path.
        labels: Of the features that are named.
    """

    prompt: Prompt | None = None
    before: Words = ()
    answer: Words = ()
    instead: Words = ()
    method: Method = Method.GRADIENT
    doubted: tuple[Cause, ...] = ()
    about: FeatureId | None = None
    share: float | None = None
    grouped: bool = True
    runners: Runners | None = None
    explanation: Explanation | None = None
    labels: Mapping[FeatureId, Label] = field(default_factory=lambda: MappingProxyType({}))
    verification: Verification | None = None
    graph: FeatureGraph | None = None
    drawing: Drawing | None = None

    @property
    def question(self) -> Question | None:
        """What is asked, once both answers are known."""
        if self.prompt is None or not self.answer or not self.instead:
            return None
        return Question(self.prompt, self.answer, self.instead, self.before)

    @property
    def causes(self) -> tuple[Cause, ...]:
        """What is listed, the largest effect first."""
        return self.explanation.causes if self.explanation is not None else ()

    def on_path(self, pinned: frozenset[FeatureId]) -> tuple[Cause, ...]:
        """The features of the path: the first that have the share together, and chosen ones."""
        found = self.explanation
        if found is None or self.share is None:
            return ()
        first = found.causes[: int(np.searchsorted(found.shares, self.share)) + 1]
        more = [cause for cause in found.causes[len(first) :] if cause.feature in pinned]
        if self.about is not None:
            more += found.attribution.of(self.about)[:_ABOUT]
        return tuple(dict.fromkeys((*first, *more)))

    @property
    def is_current(self) -> bool:
        """Whether what came back is about what is asked."""
        found = self.explanation
        return (
            found is not None
            and found.question == self.question
            and found.attribution.method == self.method
        )

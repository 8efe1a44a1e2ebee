"""Finding features without a question, as far as the window knows."""

from __future__ import annotations

from dataclasses import dataclass

from desktop_scope.engine.types import FeatureId
from desktop_scope.evidence.types import Insight
from desktop_scope.experiments.answer_types import AnswerScore, AnswerTrial


@dataclass(frozen=True)
class DiscoveryState:
    """What is known of the selected feature beyond its card, and a stroll.

    Attributes:
        turns: How often something interesting was asked for.
        shown: How often that was answered.
        seen: What was shown on the stroll, the latest last.
        scoring: The SAE whose features are being scored as levers, if any.
        scored: How many of them are.
        measured: Slices of lever scores that came back so far.
        trial: Whole answers that are being collected.
        answer_score: What was made of the last ones.
    """

    turns: int = 0
    shown: int = 0
    seen: tuple[FeatureId, ...] = ()
    insight: Insight | None = None
    scoring: int | None = None
    scored: int = 0
    measured: int = 0
    trial: AnswerTrial | None = None
    answer_score: AnswerScore | None = None

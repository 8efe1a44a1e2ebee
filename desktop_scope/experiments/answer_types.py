"""The whole-answer score as frozen values and a request; no torch here."""

from __future__ import annotations

from dataclasses import dataclass

from desktop_scope.engine.requests import Request
from desktop_scope.engine.types import FeatureId
from desktop_scope.experiments.types import Interval


@dataclass(frozen=True)
class AnswerTrial:
    """Answers that are being collected.

    Attributes:
        push: Length of what is added, as a share of the stream's median length.
        answers: By run (plain, pushed, control), by question, the tokens; so far.
    """

    feature: FeatureId
    push: float = 0.4
    answers: tuple[tuple[tuple[int, ...], ...], ...] = ()


@dataclass(frozen=True)
class AnswerScore:
    """What share of whole answers is a feature's own words; see ``answer_score``.

    Attributes:
        words: Its own words, the most telling first.
        plain, pushed, control: The share of an answer's words, mean over the questions.
        over_plain: Pushed less plain, with its interval over the questions.
        over_control: Pushed less control.
        questions: What was asked.
        answers: By run (plain, pushed, control) and question.
    """

    feature: FeatureId
    push: float
    words: tuple[str, ...]
    plain: float
    pushed: float
    control: float
    over_plain: Interval
    over_control: Interval
    questions: tuple[str, ...]
    answers: tuple[tuple[str, ...], ...]

    @property
    def moves(self) -> bool:
        """Whether the answers move towards its words, more than those with the control do."""
        return self.over_plain.low > 0 and self.over_control.low > 0


@dataclass(frozen=True)
class ScoreAnswers(Request):
    """Collect some more answers; the score once all are there."""

    kind = "answer-score"
    replaces = frozenset({"answer-score"})
    worker = "engine"
    patient = True

    trial: AnswerTrial

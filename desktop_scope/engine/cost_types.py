"""What steering costs, and the one plain word for it. No torch here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from desktop_scope.engine.types import Intervention


class Passages(NamedTuple):
    """Some texts, and what they are for people."""

    title: str
    texts: tuple[str, ...]


@dataclass(frozen=True)
class TextCost:
    """What interventions cost on some texts, per token.

    Attributes:
        title: Which texts these are, for people.
        kl: KL(unsteered || steered) of the next token, nats.
        nll_delta: How much less likely the texts became, nats.
    """

    title: str
    texts: tuple[str, ...]
    kl: float
    nll_delta: float
    n_tokens: int


@dataclass(frozen=True)
class QuizAnswer:
    """One question of the quiz; what was chosen is a place among the options."""

    question: str
    options: tuple[str, ...]
    right: int
    plain: int
    steered: int


@dataclass(frozen=True)
class Quiz:
    """Short questions of common knowledge, answered with and without interventions."""

    answers: tuple[QuizAnswer, ...]

    @property
    def n_questions(self) -> int:
        """How many were asked."""
        return len(self.answers)

    @property
    def plain(self) -> int:
        """How many the model answers rightly as it is."""
        return sum(answer.plain == answer.right for answer in self.answers)

    @property
    def steered(self) -> int:
        """How many it answers rightly when steered."""
        return sum(answer.steered == answer.right for answer in self.answers)

    @property
    def kept(self) -> float:
        """The share of what it knew that it still knows; nan if it knew nothing."""
        known = [answer for answer in self.answers if answer.plain == answer.right]
        if not known:
            return math.nan
        return sum(answer.steered == answer.right for answer in known) / len(known)


@dataclass(frozen=True)
class Damage:
    """What interventions cost.

    Attributes:
        kl: KL(unsteered || steered) of the next token on neutral texts, nats.
        nll_delta: How much less likely the neutral texts became, nats per token.
        n_tokens: Of the neutral texts.
        near: The same on texts that have to do with what is steered.
        quiz: None until it was answered, or where it was not asked for.
        finished: Whether there is more to come.
    """

    interventions: tuple[Intervention, ...]
    kl: float
    nll_delta: float
    n_tokens: int
    near: tuple[TextCost, ...] = ()
    quiz: Quiz | None = None
    finished: bool = True


class Word(StrEnum):
    """What a cost comes to, for people."""

    SAFE = "safe"
    STRAINED = "strained"
    BROKEN = "broken"


# From recipes whose texts were read: up to the first KL they stayed fluent, from the second most
# broke. Nats per token.
STRAINED_KL, BROKEN_KL = 0.4, 1.3
_STRAINED_QUIZ, _BROKEN_QUIZ = 0.85, 0.6  # share of what was known that still is
_STRAINED_REPETITION, _BROKEN_REPETITION = 0.15, 0.4  # more than the plain answer's
_LEVELS = tuple(Word)


@dataclass(frozen=True)
class Judgement:
    """A word, and the figures behind it in words, the worst first."""

    word: Word
    reasons: tuple[str, ...]


def word_of_kl(kl: float) -> Word:
    """What a KL on neutral texts alone comes to."""
    return _LEVELS[(kl >= STRAINED_KL) + (kl >= BROKEN_KL)]


def judge(damage: Damage, repeats: float = 0.0, plain_repeats: float = 0.0) -> Judgement:
    """The worst of what was measured.

    Args:
        repeats: ``repetition`` of the steered answer, where there is one.
        plain_repeats: The same of the plain answer.
    """
    found = [(word_of_kl(damage.kl), f"neutral texts moved by KL {damage.kl:.2f} nats per token")]
    if damage.quiz is not None and math.isfinite(damage.quiz.kept):
        kept = damage.quiz.kept
        word = _LEVELS[(kept < _STRAINED_QUIZ) + (kept < _BROKEN_QUIZ)]
        found.append((word, f"{1 - kept:.0%} of the quiz answers that it knew are lost"))
    more = repeats - plain_repeats
    word = _LEVELS[(more >= _STRAINED_REPETITION) + (more >= _BROKEN_REPETITION)]
    if word is not Word.SAFE:
        found.append((word, f"{repeats:.0%} of the answer repeats itself"))
    found.sort(key=lambda one: -_LEVELS.index(one[0]))
    return Judgement(found[0][0], tuple(reason for _, reason in found))


def repetition(ids: Sequence[int], n: int = 3) -> float:
    """Share of a text's n-grams that occurred in it before; 0 when it is shorter than n."""
    grams = [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0

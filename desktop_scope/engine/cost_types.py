"""What steering costs, and the one plain word for it. No torch here.

How the word was found: 44 steerings of the demo model (20 recipes; three features drawn at random,
at pushes from 0.05 to 1.0) answered three plain questions in 30 tokens each, and the answers were
read. *Surprise* is how unlikely the unsteered model finds them, nats per token; its own come to
0.95.

- 38 were fluent (three of them lost the thread in one answer), 6 were not. Up to a surprise of 3.56
  all were fluent ("Dog mode", KL 1.60: "Your new puppy's new home is your new family!"), from 3.80
  none was ("I'm the BIGBIGARELERO"): hence ``broken`` from 2.75 more than plain. Distinct 2-grams
  (0.90 to 1.00) told nothing, and neither did repetition (0.07 at most): those thresholds are for
  answers that go round in circles.
- KL alone cannot tell: fluent up to 1.63, not fluent from 1.53. Where no answers were judged it
  says ``broken`` from 2.0, which misses one of the six and wrongs none of the fluent.
- Of the quiz the fluent kept at least 73 %, the others 55 to 75 %: ``broken`` below 60 %.
- From KL 0.4 on 16 of 17 fluent ones spoke of something else than they were asked, or in another
  voice; below it 5 of 21, and these kept at least 91 % of the quiz. That is ``strained``: it still
  speaks, but no longer says what it would have said.
- Texts near to what is steered: switching off what has nothing to do with them changed each by at
  most 0.05 nats per token. ``strained`` from 0.3 more than neutral texts lose. Never ``broken``: it
  has forgotten something, and speaks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from desktop_scope.engine.types import Intervention


class Passages(NamedTuple):
    """Some texts, and what they are for people.

    Attributes:
        names: What each is about; empty where nothing says so.
    """

    title: str
    texts: tuple[str, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class TextCost:
    """What interventions cost on some texts, per token.

    Attributes:
        title: Which texts these are, for people.
        kl: KL(unsteered || steered) of the next token, nats.
        nll_delta: How much less likely the texts became, nats.
        losses: The same of each text.
        names: What each is about; empty where nothing says so.
    """

    title: str
    texts: tuple[str, ...]
    kl: float
    nll_delta: float
    n_tokens: int
    losses: tuple[float, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def by_name(self) -> tuple[tuple[str, float], ...]:
        """What each is about and what it lost, the most first."""
        return tuple(sorted(zip(self.names, self.losses, strict=False), key=lambda one: -one[1]))


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
class Fluency:
    """Short answers to plain questions, and what the unsteered model thinks of them.

    Attributes:
        surprise: −log p of their tokens by the unsteered model, nats per token.
        plain_surprise: The same of its own answers.
        repeats: The share of them that repeats itself (``repetition``).
        plain_repeats: The same of its own answers.
        texts: The answers.
    """

    surprise: float
    plain_surprise: float
    repeats: float
    plain_repeats: float
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Damage:
    """What interventions cost.

    Attributes:
        kl: KL(unsteered || steered) of the next token on neutral texts, nats.
        nll_delta: How much less likely the neutral texts became, nats per token.
        n_tokens: Of the neutral texts.
        near: The same on texts that have to do with what is steered.
        quiz: None until it was answered, or where it was not asked for.
        fluency: The same of short answers.
        finished: Whether there is more to come.
    """

    interventions: tuple[Intervention, ...]
    kl: float
    nll_delta: float
    n_tokens: int
    near: tuple[TextCost, ...] = ()
    quiz: Quiz | None = None
    fluency: Fluency | None = None
    finished: bool = True


class Word(StrEnum):
    """What a cost comes to, for people."""

    SAFE = "safe"
    STRAINED = "strained"
    BROKEN = "broken"


STRAINED_KL = 0.4
_BROKEN_KL = 2.0  # where no answers were judged
_BROKEN_SURPRISE = 2.75  # nats per token more than the plain answers'
_STRAINED_QUIZ, _BROKEN_QUIZ = 0.85, 0.6  # share of what was known that still is
_STRAINED_REPETITION, _BROKEN_REPETITION = 0.15, 0.4  # more than the plain answer's
_NEAR_LOSS = 0.3  # nats per token more than the neutral texts'
_LEVELS = tuple(Word)


@dataclass(frozen=True)
class Judgement:
    """A word, and the figures behind it in words, the worst first.

    Attributes:
        forgets: Topics near to what is steered that it knows worse now, the worst first.
    """

    word: Word
    reasons: tuple[str, ...]
    forgets: tuple[str, ...] = ()


def word_of_kl(kl: float) -> Word:
    """What a KL on neutral texts alone comes to."""
    return _LEVELS[(kl >= STRAINED_KL) + (kl >= _BROKEN_KL)]


def judge(damage: Damage, repeats: float = 0.0, plain_repeats: float = 0.0) -> Judgement:
    """The worst of what was measured.

    Args:
        repeats: ``repetition`` of the steered answer, where there is one.
        plain_repeats: The same of the plain answer.
    """
    forgets = _forgets(damage)
    found = [_of_kl(damage), *_of_quiz(damage), *_of_near(damage, forgets)]
    more, share = repeats - plain_repeats, repeats
    if damage.fluency is not None:
        fluency = damage.fluency
        odd = fluency.surprise - fluency.plain_surprise
        if odd >= _BROKEN_SURPRISE:
            found.append((Word.BROKEN, f"its answers are hardly language: {odd:.1f} nats per token "
                          "less likely than plain ones"))  # fmt: skip
        if fluency.repeats - fluency.plain_repeats > more:
            more, share = fluency.repeats - fluency.plain_repeats, fluency.repeats
    word = _LEVELS[(more >= _STRAINED_REPETITION) + (more >= _BROKEN_REPETITION)]
    if word is not Word.SAFE:
        found.append((word, f"{share:.0%} of the answer repeats itself"))
    found.sort(key=lambda one: -_LEVELS.index(one[0]))
    return Judgement(found[0][0], tuple(reason for _, reason in found), forgets)


def _of_kl(damage: Damage) -> tuple[Word, str]:
    """Whether what it says is language, a KL cannot tell: answers can."""
    word = word_of_kl(damage.kl)
    if word is Word.BROKEN and damage.fluency is not None:
        word = Word.STRAINED
    return word, f"neutral texts moved by KL {damage.kl:.2f} nats per token"


def _of_quiz(damage: Damage) -> Iterator[tuple[Word, str]]:
    if damage.quiz is not None and math.isfinite(damage.quiz.kept):
        kept = damage.quiz.kept
        word = _LEVELS[(kept < _STRAINED_QUIZ) + (kept < _BROKEN_QUIZ)]
        yield word, f"{1 - kept:.0%} of the quiz answers that it knew are lost"


def _of_near(damage: Damage, forgets: Sequence[str]) -> Iterator[tuple[Word, str]]:
    worst = dict(one for cost in damage.near for one in cost.by_name)
    lost = {f"texts about {name}": worst[name] for name in forgets[:1]}
    lost |= {cost.title: cost.nll_delta for cost in damage.near if not cost.names}
    for title, much in lost.items():
        if _more(damage, much):
            yield Word.STRAINED, f"{title} became {much:.2f} nats per token less likely"


def _forgets(damage: Damage) -> tuple[str, ...]:
    named = (one for cost in damage.near for one in cost.by_name)
    return tuple(name for name, lost in named if _more(damage, lost))


def _more(damage: Damage, lost: float) -> bool:
    """Whether a text near to it lost clearly more than neutral ones."""
    return lost - max(damage.nll_delta, 0.0) >= _NEAR_LOSS


def repetition(ids: Sequence[int], n: int = 3) -> float:
    """Share of a text's n-grams that occurred in it before; 0 when it is shorter than n."""
    grams = [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0

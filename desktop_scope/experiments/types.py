"""What the experiments answer with: frozen values, numpy and plain Python only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from desktop_scope.engine.cost_types import Word
from desktop_scope.engine.types import Firing, Intervention, Prompt, Rule


class Interval(NamedTuple):
    """A mean with its 95 % bootstrap interval over prompts or texts."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class SweepPoint:
    """One strength of a sweep.

    Attributes:
        factor: What every amount was multiplied by.
        effect: How much likelier the words that tell the effect became, nats (log-ratio of their
            probability, mean over the tokens of the plain answer).
        said: The share of sampled answers' tokens that are among those words.
        kl: KL(unsteered || steered) on neutral texts, nats per token.
        nll_delta: How much less likely the neutral texts became, nats per token.
        repetition: Of the sampled answers.
        text: The first prompt's answer.
    """

    factor: float
    effect: Interval
    said: Interval
    kl: Interval
    nll_delta: Interval
    repetition: Interval
    text: str
    word: Word


@dataclass(frozen=True)
class Sweep:
    """Effect against cost over strengths.

    Attributes:
        words: What tells the effect.
        points: Ascending by factor; those measured so far.
        safe: The widest run of factors around 0 that is safe, by interpolation; None if unknown.
        best: The factor of largest effect whose cost stays within the limit; None before it is
            found, or where every strength costs more.
    """

    interventions: tuple[Intervention, ...]
    prompts: tuple[Prompt, ...]
    words: tuple[str, ...]
    limit: float
    points: tuple[SweepPoint, ...]
    safe: tuple[float, float] | None = None
    best: float | None = None
    finished: bool = True


@dataclass(frozen=True)
class TopicsRead:
    """How many of the built-in topics the model has read, to know what is near to what."""

    done: int
    total: int

    @property
    def finished(self) -> bool:
        """Whether it has read them all."""
        return self.done >= self.total


class Control(StrEnum):
    """What stands in for the feature."""

    FEATURE = "feature"  # the feature itself
    RANDOM = "random"  # another feature of its SAE, equally long; several draws
    OPPOSITE = "opposite"  # the wrong sign
    INSTRUCTION = "instruction"  # no push: a sentence in the prompt that asks for it


@dataclass(frozen=True)
class ControlRow:
    """What one push, or a control of it, did.

    Attributes:
        effect: As of a SweepPoint, over prompts (and draws).
        said: The share of the answers' tokens that tell the effect.
        kl: On neutral texts; nan for an instruction, which changes no weights.
        behind: The feature's effect less this one's, by prompt; None for the feature itself.
        text: An answer.
    """

    control: Control
    title: str
    effect: Interval
    said: Interval
    kl: float
    behind: Interval | None
    n: int
    text: str


@dataclass(frozen=True)
class Controls:
    """Whether the feature did it, or the push.

    Attributes:
        verdict: In one sentence, for people; empty until all rows are there.
    """

    interventions: tuple[Intervention, ...]
    prompts: tuple[Prompt, ...]
    words: tuple[str, ...]
    rows: tuple[ControlRow, ...]
    verdict: str = ""
    finished: bool = True


@dataclass(frozen=True)
class RuleExample:
    """A text of the user's, and whether a rule should fire on it."""

    text: str
    wanted: bool
    chat: bool = False


@dataclass(frozen=True)
class RuleCase:
    """What a rule did on an example.

    Attributes:
        texts: Its tokens.
        peak: How far the strongest trigger came, as a multiple of its threshold.
    """

    example: RuleExample
    texts: tuple[str, ...]
    firing: Firing
    peak: float

    @property
    def fired(self) -> bool:
        """Whether it fired anywhere."""
        return bool(self.firing.tokens)

    @property
    def right(self) -> bool:
        """Whether it did what was wanted."""
        return self.fired == self.example.wanted


@dataclass(frozen=True)
class RuleTest:
    """How well a rule tells the user's own examples apart; nan where there are none to tell."""

    rule: Rule
    cases: tuple[RuleCase, ...]

    @property
    def precision(self) -> float:
        """Of the texts on which it fired, the share on which it should."""
        return _share([case.example.wanted for case in self.cases if case.fired])

    @property
    def recall(self) -> float:
        """Of the texts on which it should fire, the share on which it did."""
        return _share([case.fired for case in self.cases if case.example.wanted])

    @property
    def remark(self) -> str:
        """What is to be said of a rule that never or always fires; empty otherwise."""
        fired = [case.fired for case in self.cases]
        if fired and not any(fired):
            return "The rule fires on none of these texts: lower its threshold."
        if len(fired) > 1 and all(fired):
            return "The rule fires on all of these texts: raise its threshold."
        return ""


def _share(these: list[bool]) -> float:
    return sum(these) / len(these) if these else float("nan")

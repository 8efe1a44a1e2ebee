"""One frozen request per study. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

from desktop_scope.engine.requests import Request, Workspace
from desktop_scope.engine.types import Intervention, Prompt, Rule
from desktop_scope.experiments.types import RuleExample

FACTORS = (-1.0, -0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)


@dataclass(frozen=True)
class ReadTopics(Request):
    """Read some more of the built-in topics, to know later on which of them a feature fires.

    Attributes:
        done: So many have been read.
    """

    kind = "topics"
    replaces = frozenset({"topics"})
    worker = "engine"
    patient = True

    workspace: Workspace
    done: int = 0


@dataclass(frozen=True)
class SweepStrengths(Request):
    """Effect against cost over strengths; what was measured so far comes as partial results.

    Attributes:
        factors: Every amount is multiplied by each of these; empty: look for the best strength
            and stop where it costs more than the limit.
        prompts: What the answers are to; the built-in ones if there are none.
        words: What tells the effect; the features' own words if there are none.
        limit: What it may cost: KL on neutral texts, nats per token.
        n_tokens: How long the answers are.
    """

    kind = "sweep"
    replaces = frozenset({"sweep"})
    worker = "engine"
    patient = True

    interventions: tuple[Intervention, ...]
    factors: tuple[float, ...] = FACTORS
    prompts: tuple[Prompt, ...] = ()
    words: tuple[str, ...] = ()
    limit: float = 0.4
    n_tokens: int = 30
    seed: int = 0


@dataclass(frozen=True)
class RunControls(Request):
    """The same push with random features, with the wrong sign, and an instruction instead.

    Attributes:
        draws: How many random features.
        instruction: What the prompt asks for instead; made of the feature's words if empty.
    """

    kind = "controls"
    replaces = frozenset({"controls"})
    worker = "engine"
    patient = True

    interventions: tuple[Intervention, ...]
    prompts: tuple[Prompt, ...] = ()
    words: tuple[str, ...] = ()
    instruction: str = ""
    draws: int = 5
    n_tokens: int = 30
    seed: int = 0


@dataclass(frozen=True)
class TestRule(Request):
    """How well a rule tells the user's own examples apart."""

    __test__ = False  # pytest is not meant

    kind = "rule"
    replaces = frozenset({"rule"})
    worker = "engine"

    rule: Rule
    examples: tuple[RuleExample, ...]

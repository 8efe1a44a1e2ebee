"""What is tried out about the rack: sweeps, controls, rules on one's own texts, own vectors."""

from __future__ import annotations

from dataclasses import dataclass

from desktop_scope.engine.requests import MakeVector, ReadVector
from desktop_scope.experiments.requests import RunControls, SweepStrengths, TestRule
from desktop_scope.experiments.types import Controls, RuleTest, Sweep, TopicsRead


@dataclass(frozen=True)
class LabState:
    """The experiments that run, and what the last ones have shown.

    Attributes:
        topics: How far the open model has read the texts that tell what is near to what.
    """

    sweeping: SweepStrengths | None = None
    controlling: RunControls | None = None
    testing: TestRule | None = None
    making: MakeVector | ReadVector | None = None
    sweep: Sweep | None = None
    controls: Controls | None = None
    test: RuleTest | None = None
    topics: TopicsRead | None = None

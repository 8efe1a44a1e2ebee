"""Gathering evidence, as far as the window knows."""

from __future__ import annotations

from dataclasses import dataclass, field

from desktop_scope.engine.requests import Workspace
from desktop_scope.evidence.gathering import GatherCost, GatherPlan, LeaveGathering, Standing


@dataclass(frozen=True)
class GatheringState:
    """What is to be gathered, and how far it is.

    Attributes:
        chosen: What the panel is set to.
        shown: The panel is in sight, so that the cost matters.
        running: What is under way, for the SAEs of ``workspace``.
        leaving: How a run is to be left, until that has been done.
        resting: The person stopped what the window gathers by itself.
        turn: Slices carried out.
        plan: That ``standing`` is of.
        done: Runs that came to their end; the evidence is opened anew after each.
    """

    chosen: GatherPlan = field(default_factory=GatherPlan)
    shown: bool = False
    running: GatherPlan | None = None
    workspace: Workspace | None = None
    leaving: LeaveGathering | None = None
    resting: bool = False
    turn: int = 0
    plan: GatherPlan | None = None
    standing: Standing = field(default_factory=Standing)
    cost: GatherCost | None = None
    done: int = 0

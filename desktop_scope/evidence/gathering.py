"""Requests to gather evidence about the open SAEs, slice by slice, and what they answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from desktop_scope.engine.requests import Request, Workspace


@dataclass(frozen=True)
class GatherPlan:
    """What is gathered, from what.

    Attributes:
        texts: Files and folders; without any, the text of the pack, or the little built-in one.
        most_tokens: Stop after so many; all by default.
        only_together: Only which features fire together, of a pack that lacks no other evidence.
    """

    texts: tuple[Path, ...] = ()
    most_tokens: int | None = None
    only_together: bool = False


#: What is gathered by itself about a pack: a sample of its text.
SAMPLE = GatherPlan(most_tokens=24_576, only_together=True)


@dataclass(frozen=True)
class Standing:
    """How far a run has come.

    Attributes:
        tokens: Read so far.
        share: Of the text.
        rate: Tokens a second, as this process has seen; nan before anything was read.
        left: Seconds; nan where that is not known yet.
        done: Everything is written.
    """

    tokens: int = 0
    share: float = 0.0
    rate: float = math.nan
    left: float = math.nan
    done: bool = False


@dataclass(frozen=True)
class GatherCost:
    """What a plan will take.

    Attributes:
        tokens: About so many, judged by the first of them.
        seconds: At the speed that was measured on the first of them.
        bytes: On the disk.
        note: What is to be said about the text.
        standing: How far an earlier run has come, which will be gone on with.
    """

    plan: GatherPlan
    tokens: int
    seconds: float
    bytes: int
    note: str
    standing: Standing = Standing()


@dataclass(frozen=True)
class Gather(Request):
    """About two seconds of gathering.

    Attributes:
        turn: Grows with every slice.
    """

    kind = "gather"
    replaces = frozenset({"gather"})
    worker = "engine"
    patient = True

    workspace: Workspace
    plan: GatherPlan
    turn: int = 0


@dataclass(frozen=True)
class WeighText(Request):
    """Find out what a plan will cost."""

    kind = "weigh"
    replaces = frozenset({"weigh"})
    worker = "engine"
    patient = True

    workspace: Workspace
    plan: GatherPlan


@dataclass(frozen=True)
class LeaveGathering(Request):
    """Stop a run: keep what there is to go on another time, or throw it away."""

    kind = "leave"
    replaces = frozenset({"leave", "gather"})
    worker = "engine"
    patient = True

    workspace: Workspace
    plan: GatherPlan
    keep: bool = True


def minutes(seconds: float) -> str:
    """A duration, for people."""
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

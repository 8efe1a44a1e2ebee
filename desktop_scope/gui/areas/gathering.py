"""Gathering evidence about the open SAEs, while nobody waits for the engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from desktop_scope.engine.requests import Request
from desktop_scope.evidence.gathering import (
    SAMPLE,
    Gather,
    GatherCost,
    GatherPlan,
    LeaveGathering,
    Standing,
    WeighText,
)
from desktop_scope.evidence.types import Opened
from desktop_scope.gui.areas.base import Area
from desktop_scope.gui.state import AppState


def under_way(state: AppState) -> GatherPlan | None:
    """What is being gathered; without a wish of the person a sample, if that is missing."""
    own = state.gathering
    if own.running is not None and own.workspace == state.workspace:
        return own.running
    missing = state.opened is not None and state.opened.lacks_sample
    return SAMPLE if missing and not own.resting else None


def _wanted(state: AppState) -> Iterator[Request]:
    own = state.gathering
    if state.workspace is None or state.model is None or state.opened is None or not state.saes:
        return
    if own.leaving is not None:
        yield own.leaving
        return
    plan = under_way(state)
    if plan is not None:
        yield Gather(state.workspace, plan, own.turn)
    unknown = own.cost is None or own.cost.plan != own.chosen
    if own.shown and own.running is None and unknown:
        yield WeighText(state.workspace, own.chosen)


# ---- what a person does


def choose_texts(state: AppState, texts: tuple[Path, ...]) -> AppState:
    """Gather from these files and folders; without any, from the text that is there."""
    return _with(state, chosen=replace(state.gathering.chosen, texts=texts))


def limit_tokens(state: AppState, most_tokens: int | None) -> AppState:
    """Gather from so many tokens at most."""
    return _with(state, chosen=replace(state.gathering.chosen, most_tokens=most_tokens))


def show_cost(state: AppState, shown: bool) -> AppState:
    """The panel came into sight, or went."""
    return _with(state, shown=shown)


def start(state: AppState) -> AppState:
    """Gather what is chosen, or go on with it."""
    own = state.gathering
    standing = own.cost.standing if own.cost is not None else Standing()
    return _with(
        state, running=own.chosen, workspace=state.workspace, plan=own.chosen, standing=standing
    )


def leave(state: AppState, keep: bool) -> AppState:
    """Pause, or throw away what there is."""
    own = state.gathering
    if own.running is None or state.workspace is None:
        return state
    request = LeaveGathering(state.workspace, own.running, keep)
    return _with(state, running=None, leaving=request, cost=None)


def rest(state: AppState) -> AppState:
    """Stop all gathering; what there is can be gone on with."""
    return _with(state, running=None, resting=True, cost=None)


# ---- what comes back


def opened(state: AppState, opened: Opened) -> AppState:
    """Go on with what was under way when the window was closed."""
    if opened.interrupted is None or state.gathering.running is not None:
        return state
    return start(_with(state, chosen=opened.interrupted, cost=None))


def _gathered(state: AppState, standing: Standing) -> AppState:
    own, plan = state.gathering, under_way(state)
    state = _with(state, turn=own.turn + 1, plan=plan, standing=standing)
    if not standing.done:
        return state
    return _with(state, running=None, done=own.done + 1, cost=None)


def _weighed(state: AppState, cost: GatherCost) -> AppState:
    return _with(state, cost=cost)


def _left(state: AppState, kept: bool) -> AppState:
    return _with(state, leaving=None)


def _with(state: AppState, **changes: Any) -> AppState:
    return replace(state, gathering=replace(state.gathering, **changes))


AREA = Area(
    wanted=_wanted,
    results={"gather": _gathered, "weigh": _weighed, "leave": _left},
    failures={
        "gather": rest,
        "weigh": lambda state: _with(state, shown=False),
        "leave": lambda state: _with(state, leaving=None),
    },
)

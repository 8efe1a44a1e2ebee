"""Trying out the rack: strengths, controls, rules on one's own texts, and own vectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from desktop_scope.engine.requests import Request
from desktop_scope.engine.types import Vector
from desktop_scope.experiments.types import Controls, RuleTest, Sweep
from desktop_scope.gui import lab_actions
from desktop_scope.gui.areas.base import Area
from desktop_scope.gui.state import AppState


def _wanted(state: AppState) -> Iterator[Request]:
    lab = state.lab
    if state.model is not None and state.opened is not None:
        asked = (lab.making, lab.testing, lab.sweeping, lab.controlling)
        yield from (request for request in asked if request is not None)


def _with(state: AppState, **changes: Any) -> AppState:
    return replace(state, lab=replace(state.lab, **changes))


def _swept(state: AppState, sweep: Sweep) -> AppState:
    return _with(state, sweep=sweep, sweeping=None)


def _swept_partly(state: AppState, sweep: Sweep) -> AppState:
    return _with(state, sweep=sweep)


def _controlled(state: AppState, controls: Controls) -> AppState:
    return _with(state, controls=controls, controlling=None)


def _controlled_partly(state: AppState, controls: Controls) -> AppState:
    return _with(state, controls=controls)


def _tested(state: AppState, test: RuleTest) -> AppState:
    return _with(state, test=test, testing=None)


def _made(state: AppState, vector: Vector) -> AppState:
    return lab_actions.add_vectors(state, (vector,))


AREA = Area(
    wanted=_wanted,
    results={
        "sweep": _swept,
        "controls": _controlled,
        "rule": _tested,
        "vector": _made,
        "read vector": lab_actions.add_vectors,
    },
    partly={"sweep": _swept_partly, "controls": _controlled_partly},
    failures={
        "sweep": lambda state: _with(state, sweeping=None),
        "controls": lambda state: _with(state, controlling=None),
        "rule": lambda state: _with(state, testing=None),
        "vector": lambda state: _with(state, making=None),
        "read vector": lambda state: _with(state, making=None),
    },
)

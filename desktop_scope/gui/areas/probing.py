"""A probe and what it should not have learnt; a concept and the features that may stand for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from desktop_scope.engine.requests import Request
from desktop_scope.errors import ScopeError
from desktop_scope.experiments.concept import Concept, LookForConcept
from desktop_scope.experiments.shift import ReadShiftTable, ShiftTable, begin
from desktop_scope.gui import audit_actions
from desktop_scope.gui.actions import say
from desktop_scope.gui.areas.base import Area
from desktop_scope.gui.state import AppState, Message


def _wanted(state: AppState) -> Iterator[Request]:
    shift, concept = state.audit.shift, state.audit.concept
    if state.model is None or state.opened is None:
        return
    if shift.reading:
        yield ReadShiftTable(shift.path, shift.attempt)
    request = shift.study.next_request() if shift.study and shift.running else None
    if request is not None:
        yield request
    if concept.asked:
        yield LookForConcept(concept.having, concept.lacking)


def _read(state: AppState, table: ShiftTable) -> AppState:
    try:
        study = begin(table, state.saes)
    except ScopeError as error:
        return say(_shift_failed(state), Message(error.message, error.hint))
    return audit_actions.change_shift(state, reading=False, study=study, running=True, ticked=())


def _measured(state: AppState, result: Any) -> AppState:
    shift = state.audit.shift
    request = None if shift.study is None else shift.study.next_request()
    if shift.study is None or request is None:
        return state
    study = shift.study.taken(request, result)
    running = shift.running and study.next_request() is not None
    return audit_actions.change_shift(state, study=study, running=running)


def _found(state: AppState, concept: Concept) -> AppState:
    first = concept.candidates[0].feature if concept.candidates else None
    changed = replace(state.audit.concept, asked=False, found=concept, chosen=first)
    return audit_actions.change(state, concept=changed)


def _shift_failed(state: AppState) -> AppState:
    return audit_actions.change_shift(state, reading=False, running=False)


def _not_found(state: AppState) -> AppState:
    return audit_actions.change(state, concept=replace(state.audit.concept, asked=False))


AREA = Area(
    wanted=_wanted,
    results={
        "shift-table": _read,
        "shift": _measured,
        "shift-digest": _measured,
        "concept": _found,
    },
    failures={
        **dict.fromkeys(("shift-table", "shift", "shift-digest"), _shift_failed),
        "concept": _not_found,
    },
)

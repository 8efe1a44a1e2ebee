"""Audits: a table of questions, asked slice by slice while nobody waits for the engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from desktop_scope.engine.requests import Request
from desktop_scope.experiments.audit import DigestParts
from desktop_scope.experiments.audit_sources import MakeTable
from desktop_scope.gui import audit_actions
from desktop_scope.gui.areas.base import Area
from desktop_scope.gui.state import AppState


def _wanted(state: AppState) -> Iterator[Request]:
    audit = state.audit
    if audit.source is not None:
        yield MakeTable(audit.source, audit.aim, audit.attempt)
    if state.model is None or state.opened is None or audit.study is None or not audit.running:
        return
    request = audit.study.next_request()
    if request is not None:
        yield request


def _measured(state: AppState, result: Any) -> AppState:
    audit = state.audit
    request = None if audit.study is None else audit.study.next_request()
    if audit.study is None or request is None:
        return state
    study = audit.study.taken(request, result)
    running = audit.running and study.next_request() is not None
    return replace(state, audit=replace(audit, study=study, running=running))


def _failed(state: AppState) -> AppState:
    return audit_actions.change(state, running=False, source=None)


AREA = Area(
    wanted=_wanted,
    results={
        "audit-table": audit_actions.begin,
        "audit": _measured,
        DigestParts.kind: _measured,
    },
    failures=dict.fromkeys(("audit-table", "audit", DigestParts.kind), _failed),
)

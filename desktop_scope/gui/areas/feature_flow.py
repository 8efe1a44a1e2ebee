"""Flow between layers: what feeds the selected feature, what it feeds, and the check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from desktop_scope.engine.flow_types import CheckFlow, Flow, FlowCheck, FollowFlow
from desktop_scope.engine.requests import Request
from desktop_scope.engine.types import FeatureId
from desktop_scope.evidence.requests import NameFlow
from desktop_scope.evidence.types import Label
from desktop_scope.experiments.birth import Birth
from desktop_scope.gui.areas.base import Area
from desktop_scope.gui.flow_actions import change_birth
from desktop_scope.gui.state import AppState


def _wanted(state: AppState) -> Iterator[Request]:
    look = state.flow
    if state.model is None:
        return
    if look.birth.asked is not None and state.opened is not None:
        yield look.birth.asked
    if look.question is None:
        return
    yield FollowFlow(look.question)
    if look.flow is None or not look.is_current:
        return
    if look.doubted is look.flow:
        yield CheckFlow(look.flow)
    if state.opened is not None:
        features = dict.fromkeys(edge.feature for edge in look.flow.edges)
        yield NameFlow((look.flow.question.feature, *features), state.revision)


def _changed(state: AppState, **changes: Any) -> AppState:
    return replace(state, flow=replace(state.flow, **changes))


def _followed(state: AppState, flow: Flow) -> AppState:
    return _changed(state, flow=flow)


def _not_followed(state: AppState) -> AppState:
    """The message says why; asked again, it would be said again."""
    return _changed(state, question=None, doubted=None)


def _checked(state: AppState, check: FlowCheck) -> AppState:
    return _changed(state, check=check)


def _named(state: AppState, labels: Mapping[FeatureId, Label]) -> AppState:
    return _changed(state, labels=labels)


def _born(state: AppState, birth: Birth) -> AppState:
    return change_birth(state, found=birth)


AREA = Area(
    wanted=_wanted,
    results={"flow": _followed, "flow-check": _checked, "flow-names": _named, "birth": _born},
    failures={
        "flow": _not_followed,
        "birth": lambda state: change_birth(state, asked=None),
        "flow-check": lambda state: _changed(state, doubted=None),
    },
)

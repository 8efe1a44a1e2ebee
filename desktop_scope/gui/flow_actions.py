"""Following flow between layers, each step as a pure function from one state to the next."""

from __future__ import annotations

from dataclasses import replace

from desktop_scope.engine.flow_types import Edge, FlowQuestion, Way
from desktop_scope.engine.types import FeatureId
from desktop_scope.gui import actions
from desktop_scope.gui.state import AppState


def question_of(state: AppState) -> FlowQuestion | None:
    """What there is to ask of what is selected; None where nothing flows through it."""
    feature, trace, look = state.selection.feature, state.trace, state.flow
    if feature is None or trace is None or feature.sae >= len(trace.acts):
        return None
    own, token = trace.acts[feature.sae].of(feature.index), state.selection.token
    if look.way is not Way.WEIGHTS and not own.any():
        return None
    fires = token is not None and token < len(own) and own[token] > 0
    answer = tuple(int(i) for i in trace.ids[trace.n_prompt :])
    return FlowQuestion(
        trace.prompt, answer, feature, token if fires else None, look.reach, look.way
    )


def follow(state: AppState) -> AppState:
    """Follow what is selected."""
    return replace(state, flow=replace(state.flow, question=question_of(state), doubted=None))


def set_way(state: AppState, way: Way) -> AppState:
    """Follow along other paths."""
    return follow(replace(state, flow=replace(state.flow, way=way)))


def set_reach(state: AppState, reach: int) -> AppState:
    """Look so many layers before and after."""
    return follow(replace(state, flow=replace(state.flow, reach=reach)))


def check(state: AppState) -> AppState:
    """Really switch features off."""
    return replace(state, flow=replace(state.flow, doubted=state.flow.flow))


def go_to(state: AppState, edge: Edge) -> AppState:
    """Select a feature that flow leads to or comes from, at its token."""
    return actions.select(state, feature=FeatureId(*edge.feature), token=edge.token)

"""Following flow between layers, each step as a pure function from one state to the next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from desktop_scope.engine.flow_types import Edge, FlowQuestion, Way
from desktop_scope.engine.types import FeatureId
from desktop_scope.experiments.birth import FindBirth
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


def change_birth(state: AppState, **changes: Any) -> AppState:
    """Another concept; nothing is read by it."""
    birth = replace(state.flow.birth, **changes)
    return replace(state, flow=replace(state.flow, birth=birth))


def birth_request(state: AppState) -> FindBirth | None:
    """What there is to find out; None while something is missing."""
    look, feature = state.flow.birth, state.selection.feature
    if state.model is None:
        return None
    if not look.own_texts:
        return None if feature is None else FindBirth(feature)
    sides = (tuple(text.splitlines()) for text in (look.having, look.lacking))
    having, lacking = (tuple(t for line in side if (t := line.strip())) for side in sides)
    return FindBirth(None, having, lacking) if having and lacking else None


def find_birth(state: AppState) -> AppState:
    """Find the first layer at which the concept can be read."""
    card = state.card
    own = card is not None and card.feature == state.selection.feature
    label = card.label if card is not None and own else None
    return change_birth(state, asked=birth_request(state), label=label)


def go_to(state: AppState, edge: Edge) -> AppState:
    """Select a feature that flow leads to or comes from, at its token."""
    return actions.select(state, feature=FeatureId(*edge.feature), token=edge.token)

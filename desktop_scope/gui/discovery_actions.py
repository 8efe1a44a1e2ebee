"""What a person does to find features without a question; pure, like ``actions``."""

from __future__ import annotations

from dataclasses import replace

from desktop_scope.engine.types import FeatureId
from desktop_scope.experiments.answer_types import AnswerTrial
from desktop_scope.gui import actions
from desktop_scope.gui.state import AppState


def surprise(state: AppState) -> AppState:
    """Go to some interesting feature."""
    discovery = state.discovery
    return replace(state, discovery=replace(discovery, turns=discovery.turns + 1))


def toggle_scoring(state: AppState, slot: int) -> AppState:
    """Score all features of an SAE as levers, or leave it at those that are scored."""
    scoring = None if state.discovery.scoring == slot else slot
    return replace(state, discovery=replace(state.discovery, scoring=scoring, scored=0))


def toggle_trial(state: AppState, feature: FeatureId) -> AppState:
    """See whether whole answers move towards what a feature is about, or leave that."""
    running = state.discovery.trial
    trial = None if running and running.feature == feature else AnswerTrial(feature)
    return replace(state, discovery=replace(state.discovery, trial=trial))


def step_index(state: AppState, step: int) -> AppState:
    """Go to the feature with the next or previous number in its SAE."""
    feature = state.selection.feature
    if feature is None or feature.sae >= len(state.saes):
        return state
    index = (feature.index + step) % state.saes[feature.sae].d_sae
    return actions.select(state, feature=FeatureId(feature.sae, index))


def step_list(state: AppState, step: int) -> AppState:
    """Go to the next or previous feature of the list; to its first one from elsewhere."""
    features = [row.feature for row in state.ranking.rows] if state.ranking else []
    if not features:
        return state
    chosen = state.selection.feature
    place = features.index(chosen) + step if chosen in features else 0
    return actions.select(state, feature=features[min(max(place, 0), len(features) - 1)])


def look_at_map(state: AppState) -> AppState:
    """Open the map."""
    return replace(state, map=replace(state.map, wanted=True))


def draw_map(state: AppState, drawing: bool) -> AppState:
    """Draw the map, or stop drawing; what was drawn is gone on from."""
    return replace(state, map=replace(state.map, drawing=drawing))


def hover(state: AppState, feature: FeatureId | None) -> AppState:
    """Point at a feature on the map."""
    if feature == state.map.hovered:
        return state
    return replace(state, map=replace(state.map, hovered=feature))

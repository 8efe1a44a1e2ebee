"""What a person does to look more coarsely or more finely; pure, like ``actions``."""

from __future__ import annotations

from dataclasses import replace

from desktop_scope.engine.sizes import is_shown, sizes
from desktop_scope.engine.types import FeatureId
from desktop_scope.gui import actions
from desktop_scope.gui.state import AppState


def set_size(state: AppState, size: int | None) -> AppState:
    """Look at dictionaries of this size; None for all that is open.

    A selected feature that this size lacks gives way to its nearest ancestor that it has; zooming
    in again leads back to it.
    """
    if size == state.zoom.size:
        return state
    state = replace(state, zoom=replace(state.zoom, size=size))
    feature, shown, zoom = state.selection.feature, state.shown, state.zoom
    if feature is None:
        return state
    meant = zoom.meant(feature)
    there = meant if is_shown(shown, meant) else _ancestor(state, shown)
    if there is None:
        return state
    stand_in = None if there == meant else there
    state = replace(state, zoom=replace(zoom, came_from=stand_in and meant, stand_in=stand_in))
    return actions.select(state, feature=there)


def _ancestor(state: AppState, shown: tuple[int, ...]) -> FeatureId | None:
    """What takes the place of the selected feature; itself where it is looked at."""
    feature, family = state.selection.feature, state.zoom.family
    if feature is None or is_shown(shown, feature):
        return feature
    known = family is not None and family.feature == feature
    return family.ancestor(shown) if known and family is not None else None


def step(state: AppState, by: int) -> AppState:
    """Look one size more finely, or more coarsely."""
    there = sizes(state.saes)
    if not there:
        return state
    place = len(there) - 1 if state.zoom.size is None else there.index(state.zoom.size)
    return set_size(state, there[min(max(place + by, 0), len(there) - 1)])


def toggle_branch(state: AppState, feature: FeatureId) -> AppState:
    """Show what a feature of the family splits into, or no longer."""
    return replace(state, zoom=replace(state.zoom, opened=state.zoom.opened ^ {feature}))


def look(state: AppState, looked_at: bool) -> AppState:
    """The losses came into sight, or went."""
    return replace(state, zoom=replace(state.zoom, looked_at=looked_at))


def measure_everywhere(state: AppState, everywhere: bool) -> AppState:
    """Measure what is lost at all layers, or only at the one that is selected."""
    return replace(state, zoom=replace(state.zoom, everywhere=everywhere))

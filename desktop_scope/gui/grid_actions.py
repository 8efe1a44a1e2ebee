"""What a person does with the grid of layers and tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from desktop_scope.engine.lenses import LensKind
from desktop_scope.engine.types import FeatureId
from desktop_scope.gui import actions
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.grid import Quantity


def show(state: AppState, quantity: Quantity) -> AppState:
    """Colour the cells by something else."""
    return _changed(state, quantity=quantity)


def read_with(state: AppState, lens: LensKind) -> AppState:
    """Read the layers through another lens."""
    return _changed(state, lens=lens)


def look_for(state: AppState, word: str) -> AppState:
    """Ask how likely a word is in every cell."""
    return _changed(state, word=word.strip())


def compare_with(state: AppState, prompt: str) -> AppState:
    """Show what changes against another prompt."""
    return _changed(state, against=prompt)


def choose(
    state: AppState, token: int, layer: int, feature: FeatureId | None, stay: bool
) -> AppState:
    """Select what a cell stands for.

    Args:
        feature: None leaves the selected one.
        stay: Whether the family that is shown stays, whose member the feature is.
    """
    anchor = state.path.feature if stay and state.path is not None else None
    changes: dict[str, Any] = {} if feature is None else {"feature": feature}
    state = actions.select(state, token=token, **changes)
    return _changed(state, anchor=anchor, layer=layer)


def followed(state: AppState) -> FeatureId | None:
    """The feature whose family is shown: the selected one, or the one that the grid stays with."""
    selected, anchor, path = state.selection.feature, state.grid.anchor, state.path
    if anchor is None or path is None or path.feature != anchor:
        return selected
    return anchor if any(member.feature == selected for member in path.family) else selected


def _changed(state: AppState, **changes: Any) -> AppState:
    return replace(state, grid=replace(state.grid, **changes))

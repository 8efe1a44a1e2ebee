"""What a person does to look more coarsely or more finely; pure, like ``actions``."""

from __future__ import annotations

from dataclasses import replace

from desktop_scope.engine.sizes import sizes
from desktop_scope.gui.state import AppState


def set_size(state: AppState, size: int | None) -> AppState:
    """Look at dictionaries of this size; None for all that is open."""
    if size == state.zoom.size:
        return state
    return replace(state, zoom=replace(state.zoom, size=size))


def step(state: AppState, by: int) -> AppState:
    """Look one size more finely, or more coarsely."""
    there = sizes(state.saes)
    if not there:
        return state
    place = len(there) - 1 if state.zoom.size is None else there.index(state.zoom.size)
    return set_size(state, there[min(max(place + by, 0), len(there) - 1)])

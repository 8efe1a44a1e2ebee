"""The map of decoder directions: opened, drawn in slices, and what lies where on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from desktop_scope.engine.requests import Request
from desktop_scope.evidence.mapping.types import (
    Drawing,
    DrawMap,
    FeatureMap,
    NameHovered,
    NameNearby,
    OpenMap,
    nearest,
)
from desktop_scope.evidence.types import Named
from desktop_scope.gui.areas.base import Area
from desktop_scope.gui.state import AppState

N_NEARBY = 10


def _changed(state: AppState, **changes: Any) -> AppState:
    return replace(state, map=replace(state.map, **changes))


def _wanted(state: AppState) -> Iterator[Request]:
    look, feature = state.map, state.selection.feature
    if state.model is None or state.opened is None or not look.wanted:
        return
    yield OpenMap(look.drawn, state.revision)
    if look.drawing and look.looked and look.map is None:
        yield DrawMap(look.progress.done if look.progress else 0)
    if look.hovered is not None:
        yield NameHovered(look.hovered)
    around = nearest(look.map, feature, N_NEARBY) if look.map and feature else ()
    if feature is not None and around:
        yield NameNearby(feature, around, state.revision)


def _opened(state: AppState, found: FeatureMap | None) -> AppState:
    return _changed(state, map=found, looked=True)


def _not_opened(state: AppState) -> AppState:
    return _changed(state, wanted=False)


def _drawn(state: AppState, drawing: Drawing) -> AppState:
    if drawing.done < drawing.total:
        return _changed(state, progress=drawing)
    return _changed(state, progress=None, drawing=False, drawn=state.map.drawn + 1)


def _named(state: AppState, name: Named) -> AppState:
    return _changed(state, hovered_name=name)


def _named_nearby(state: AppState, names: tuple[Named, ...]) -> AppState:
    return _changed(state, nearby=names)


AREA = Area(
    wanted=_wanted,
    results={"map": _opened, "draw": _drawn, "hover": _named, "nearby": _named_nearby},
    failures={"map": _not_opened},
)

"""The grid of layers and tokens: what stands out in its cells, lenses, and another prompt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from desktop_scope.engine.lenses import FitLens, LensFit, LensGrid, LensKind, ReadLensGrid
from desktop_scope.engine.requests import Request
from desktop_scope.engine.types import Trace
from desktop_scope.evidence.cells import Cells, Errors, ReadCells, ReadErrors
from desktop_scope.evidence.requests import FollowOther, ReadOther
from desktop_scope.evidence.types import FeaturePath
from desktop_scope.gui import grid_actions
from desktop_scope.gui.areas.base import Area
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.grid import BY_LENS, Quantity


def _wanted(state: AppState) -> Iterator[Request]:
    grid, trace = state.grid, state.trace
    if state.workspace is None or state.model is None:
        return
    if grid.lens is LensKind.TUNED and not grid.lens_ready:
        done = grid.fit.done if grid.fit is not None else 0
        yield FitLens(state.workspace, state.attempt, done)
    if trace is None:
        return
    if grid.quantity in BY_LENS and grid.lens_ready:
        read = grid.read_of(trace)
        asked = grid.word if grid.quantity is Quantity.WORD else ""
        idle = grid.quantity is Quantity.WORD and not asked
        if not idle and (read is None or read.first > 0):
            word = asked if read is None else read.word
            yield ReadLensGrid(trace, grid.lens, word, None if read is None else read.first)
    if state.opened is None or not state.saes:
        return
    yield ReadCells(trace, state.revision, state.shown, state.filters.max_density)
    if grid.quantity is Quantity.MISSED:
        yield ReadErrors(trace, state.shown)
    if grid.quantity is Quantity.CHANGE and grid.against.strip():
        yield ReadOther(replace(state.prompt, text=grid.against))
        feature = grid_actions.followed(state)
        if grid.other is not None and feature is not None:
            yield FollowOther(grid.other, feature, state.revision, state.shown)


def _lens_read(state: AppState, part: LensGrid) -> AppState:
    before = state.grid.read_of(part.trace)
    whole = part if before is None else before.above(part)
    return _changed(state, read=whole)


def _lens_not_read(state: AppState) -> AppState:
    if state.grid.quantity is Quantity.WORD:
        return _changed(state, word="")
    return _changed(state, quantity=Quantity.STRENGTH)


def _fitted(state: AppState, fit: LensFit) -> AppState:
    return _changed(state, fit=fit)


def _not_fitted(state: AppState) -> AppState:
    return _changed(state, lens=LensKind.LOGIT)


def _cells(state: AppState, cells: Cells) -> AppState:
    return _changed(state, cells=cells)


def _errors(state: AppState, errors: Errors) -> AppState:
    return _changed(state, errors=errors)


def _other(state: AppState, trace: Trace) -> AppState:
    return _changed(state, other=trace)


def _other_not_read(state: AppState) -> AppState:
    return _changed(state, against="")


def _followed(state: AppState, path: FeaturePath) -> AppState:
    return _changed(state, other_path=path)


def _changed(state: AppState, **changes: Any) -> AppState:
    return replace(state, grid=replace(state.grid, **changes))


AREA = Area(
    wanted=_wanted,
    results={
        "lens grid": _lens_read,
        "fit lens": _fitted,
        "cells": _cells,
        "errors": _errors,
        "other": _other,
        "follow other": _followed,
    },
    failures={
        "lens grid": _lens_not_read,
        "fit lens": _not_fitted,
        "other": _other_not_read,
    },
)

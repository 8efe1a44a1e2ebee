"""Looking more coarsely or more finely: what each size loses, and who is whose child."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from desktop_scope.engine.requests import MeasureSizes, Request
from desktop_scope.engine.sizes import SiteLosses, ladder
from desktop_scope.evidence.kinship.types import Family, MeasureKin, ReadFamily
from desktop_scope.gui.areas.base import Area
from desktop_scope.gui.state import AppState


def _wanted(state: AppState) -> Iterator[Request]:
    zoom, feature = state.zoom, state.selection.feature
    if state.model is None or state.opened is None or feature is None:
        return
    if feature.sae >= len(state.saes):
        return
    if len({rung.size for rung in ladder(state.saes, feature.sae)}) > 1:
        opened = tuple(sorted(zoom.opened))
        yield ReadFamily(feature, opened, state.revision, zoom.measured)
        family = zoom.family
        if family is not None and family.feature == feature and family.unmeasured:
            yield MeasureKin(family.unmeasured[0], zoom.measured)
    unmeasured = _unmeasured(state)
    if state.trace is not None and zoom.looked_at and unmeasured is not None:
        yield MeasureSizes(state.trace, unmeasured)


def _unmeasured(state: AppState) -> int | None:
    """An SAE at a site of which it is not known yet what its sizes lose of this text."""
    feature = state.selection.feature
    assert feature is not None
    known = {slot for site in state.zoom.of_text(state.trace) for slot in site.slots}
    slots = (feature.sae, *(range(len(state.saes)) if state.zoom.everywhere else ()))
    return next((slot for slot in slots if slot not in known), None)


def _changed(state: AppState, **changes: Any) -> AppState:
    return replace(state, zoom=replace(state.zoom, **changes))


def _read(state: AppState, family: Family) -> AppState:
    return _changed(state, family=family)


def _learnt(state: AppState, finished: bool) -> AppState:
    return _changed(state, measured=state.zoom.measured + 1)


def _measured(state: AppState, site: SiteLosses) -> AppState:
    known = state.zoom.of_text(state.trace)
    return _changed(state, text=state.trace, losses=(*known, site))


def _not_measured(state: AppState) -> AppState:
    return _changed(state, looked_at=False, everywhere=False)


def _not_read(state: AppState) -> AppState:
    return _changed(state, family=None)


AREA = Area(
    wanted=_wanted,
    results={"family": _read, "kin": _learnt, "sizes": _measured},
    failures={"sizes": _not_measured, "kin": _not_read},
)

"""Opening a model with its SAEs, what is known of them, and whether they fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from desktop_scope.engine.health import Health
from desktop_scope.engine.requests import CheckSae, LoadModel, Request
from desktop_scope.engine.types import FeatureId, Loaded, SaeInfo
from desktop_scope.evidence.requests import OpenCatalogue
from desktop_scope.evidence.types import Opened
from desktop_scope.gui import doctor
from desktop_scope.gui.actions import say
from desktop_scope.gui.areas import gathering
from desktop_scope.gui.areas.base import Area
from desktop_scope.gui.state import AppState, Message

_SPARE_CORES = 1  # for the window


def _wanted(state: AppState) -> Iterator[Request]:
    if state.workspace is None:
        return
    yield LoadModel(state.workspace, state.device, state.dtype, _SPARE_CORES, state.attempt)
    if state.model is None:
        return
    yield OpenCatalogue(state.workspace, state.gathering.done)
    if state.opened is not None and state.unchecked:
        yield CheckSae(state.unchecked[0], state.workspace)


def _loaded(state: AppState, loaded: Loaded) -> AppState:
    return replace(
        _still_there(state, loaded.saes),
        model=loaded.model,
        saes=loaded.saes,
        last=state.workspace,
        opened=None,
        health=(),
        unchecked=(),
        trace=None,
        ranking=None,
        audit=state.audit.afresh(),
        lab=replace(state.lab, topics=None),
        search=state.search.of_other_saes(),
    )


def _still_there(state: AppState, saes: tuple[SaeInfo, ...]) -> AppState:
    """The state without features that none of these SAEs has."""

    def there(feature: FeatureId | None) -> bool:
        return feature is not None and (
            feature.sae < len(saes) and feature.index < saes[feature.sae].d_sae
        )

    selection = state.selection
    if not there(selection.feature):
        selection = replace(selection, feature=None)
    return replace(
        state,
        selection=selection,
        pins=tuple(pin for pin in state.pins if there(pin.feature)),
        rack=tuple(d for d in state.rack if d.feature is None or there(d.feature)),
        steering=replace(state.steering, undo=(), redo=()),
        back=tuple(s for s in state.back if s.feature is None or there(s.feature)),
        forward=tuple(s for s in state.forward if s.feature is None or there(s.feature)),
        card=state.card if state.card and there(state.card.feature) else None,
        path=None,
    )


def _opened(state: AppState, opened: Opened) -> AppState:
    for note in opened.notes:
        state = say(state, Message(note, is_error=False))
    unknown = tuple(slot for slot, maxima in enumerate(opened.max_active) if np.isnan(maxima).all())
    state = replace(state, opened=opened, unchecked=unknown)
    return gathering.opened(state, opened)


def _checked(state: AppState, health: Health) -> AppState:
    others = tuple(one for one in state.health if one.slot != health.slot)
    left = tuple(slot for slot in state.unchecked if slot != health.slot)
    state = replace(state, health=(*others, health), unchecked=left)
    return doctor.report(state)


def _not_checked(state: AppState) -> AppState:
    return replace(state, unchecked=state.unchecked[1:])


AREA = Area(
    wanted=_wanted,
    results={"load": _loaded, "open": _opened, "check": _checked},
    failures={"check": _not_checked},
)

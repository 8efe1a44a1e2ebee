"""What a person adds to features: kept at once, and shown wherever the features appear."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from desktop_scope.engine.requests import Request
from desktop_scope.evidence.marks.requests import MarkFeatures
from desktop_scope.evidence.marks.types import Marked
from desktop_scope.gui.areas.base import Area
from desktop_scope.gui.state import AppState


def _wanted(state: AppState) -> Iterator[Request]:
    if state.workspace is None or state.model is None or state.opened is None:
        return
    changes = state.marks.changes
    turned = (dial.feature for dial in state.rack if dial.feature is not None)
    at_hand = {*(pin.feature for pin in state.pins), *turned}
    yield MarkFeatures(changes, tuple(sorted(at_hand)) if changes else ())


def _marked(state: AppState, marked: Marked) -> AppState:
    labels = dict(marked.labels)
    return replace(
        state,
        marks=replace(
            state.marks,
            changes=tuple(c for c in state.marks.changes if c.number > marked.done),
            version=marked.version,
            lists=marked.lists,
            undoable=marked.undoable,
        ),
        pins=tuple(replace(p, label=labels.get(p.feature, p.label)) for p in state.pins),
        rack=tuple(
            d if d.feature is None else replace(d, label=labels.get(d.feature, d.label))
            for d in state.rack
        ),
    )


AREA = Area(wanted=_wanted, results={"mark": _marked})

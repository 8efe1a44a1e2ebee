"""What a person adds to features: kept at once, and shown wherever the features appear."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from desktop_scope.engine.requests import Request
from desktop_scope.evidence.asking.requests import Asked
from desktop_scope.evidence.marks.requests import (
    ExportMarks,
    ImportLabels,
    JudgeLabels,
    MarkFeatures,
)
from desktop_scope.evidence.marks.types import Judged, Marked
from desktop_scope.gui import marks_actions
from desktop_scope.gui.actions import say
from desktop_scope.gui.areas.base import Area
from desktop_scope.gui.state import AppState, Message


def _wanted(state: AppState) -> Iterator[Request]:
    if state.workspace is None or state.model is None or state.opened is None:
        return
    marks, changes = state.marks, state.marks.changes
    turned = (dial.feature for dial in state.rack if dial.feature is not None)
    at_hand = {*(pin.feature for pin in state.pins), *turned}
    yield MarkFeatures(changes, tuple(sorted(at_hand)) if changes else ())
    if marks.importing:
        yield ImportLabels(marks.importing, marks.files)
    if marks.exporting:
        yield ExportMarks(marks.exporting, marks.files)
    if marks.judging or marks.waiting:
        yield JudgeLabels(marks.judging, marks.steps)
    if marks.asking is not None:
        yield marks.asking


def _judged(state: AppState, judged: Judged) -> AppState:
    marks = replace(
        state.marks,
        version=judged.version,
        waiting=judged.waiting,
        judging=judged.waiting and state.marks.judging,
        steps=state.marks.steps + 1,
    )
    return replace(state, marks=marks)


def _not_judged(state: AppState) -> AppState:
    return replace(state, marks=replace(state.marks, judging=False, waiting=False))


def _done_with_files(state: AppState, marked: Marked) -> AppState:
    state = _no_files(_marked(state, marked))
    return say(state, Message(marked.message, is_error=False))


def _asked(state: AppState, asked: Asked) -> AppState:
    return say(marks_actions.keep(state, asked), Message(asked.message, is_error=False))


def _not_asked(state: AppState) -> AppState:
    return replace(state, marks=replace(state.marks, asking=None))


def _no_files(state: AppState) -> AppState:
    return replace(state, marks=replace(state.marks, importing=(), exporting=None))


def _marked(state: AppState, marked: Marked) -> AppState:
    labels = dict(marked.labels)
    return replace(
        state,
        marks=replace(
            state.marks,
            changes=tuple(c for c in state.marks.changes if c.number > marked.done),
            asked=max(state.marks.asked, marked.done),  # others may have asked before
            version=marked.version,
            lists=marked.lists,
            undoable=marked.undoable,
            waiting=marked.waiting,
        ),
        pins=tuple(replace(p, label=labels.get(p.feature, p.label)) for p in state.pins),
        rack=tuple(
            d if d.feature is None else replace(d, label=labels.get(d.feature, d.label))
            for d in state.rack
        ),
    )


AREA = Area(
    wanted=_wanted,
    results={
        "mark": _marked,
        "import": _done_with_files,
        "export": _done_with_files,
        "judge": _judged,
        "ask": _asked,
    },
    failures={"import": _no_files, "export": _no_files, "judge": _not_judged, "ask": _not_asked},
)

"""Taking steering along: files for other programs, changed copies of the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from desktop_scope.engine.requests import Request
from desktop_scope.exports.types import Exported
from desktop_scope.exports.words import about
from desktop_scope.gui.actions import say
from desktop_scope.gui.areas.base import Area
from desktop_scope.gui.state import AppState, Message
from desktop_scope.gui.states.exporting import ExportState


def _wanted(state: AppState) -> Iterator[Request]:
    if state.model is not None and state.export.request is not None:
        yield state.export.request


def _done(state: AppState, done: Exported) -> AppState:
    where = done.files[0] if len(done.files) == 1 else done.files[0].parent
    message = Message(f"Wrote {where}.", " ".join(about(done)), is_error=False)
    return say(_nothing(state), message)


def _nothing(state: AppState) -> AppState:
    return replace(state, export=ExportState())


AREA = Area(
    wanted=_wanted,
    results={"export-vector": _done, "export-model": _done},
    failures={"export-vector": _nothing, "export-model": _nothing},
)

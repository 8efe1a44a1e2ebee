"""Taking steering along, as pure functions from one state to the next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from desktop_scope.exports.types import ExportModel, ExportVector
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.exporting import ExportState


def export_vector(state: AppState, path: Path) -> AppState:
    """Write what the dials add as a control vector."""
    request = ExportVector(state.interventions, path, _texts(state))
    return replace(state, export=ExportState(request))


def export_model(state: AppState, folder: Path) -> AppState:
    """Write a copy of the model with what the dials do in its weights."""
    request = ExportModel(state.interventions, folder, _texts(state))
    return replace(state, export=ExportState(request))


def _texts(state: AppState) -> tuple[str, ...]:
    """What it is compared on besides the neutral texts."""
    return tuple(filter(None, (state.prompt.text.strip(),)))

"""What is on this machine, and what dropped files are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from desktop_scope.engine.requests import Request, Workspace
from desktop_scope.experiments.recipes import Offer
from desktop_scope.gui import actions, recipe_actions
from desktop_scope.gui.areas.base import Area, result
from desktop_scope.gui.state import AppState
from desktop_scope.library.browsing import Browse, KeepShelf, LookAround, ReadMore
from desktop_scope.library.entries import Library
from desktop_scope.library.folders import Recent
from desktop_scope.library.identifying import Identify
from desktop_scope.library.room import MeasureRoom


def _wanted(state: AppState) -> Iterator[Request]:
    workspace, browsing, model = state.workspace, state.browsing, state.model_entry
    opened = None
    if model is not None and workspace is not None and workspace.model is not None:
        opened = Recent(workspace.model, workspace.saes)
    if workspace is not None or state.folders or state.looks:
        yield KeepShelf(state.folders, opened)
    if state.given:
        waits = state.model is None and not state.busy("load")
        yield Identify(state.given, workspace, model, waits, state.gifts)
    if not state.looks:
        return
    shown = browsing.model or model
    own = workspace.saes if workspace and model and shown and shown.path == model.path else ()
    version, library = state.library_version, state.library
    yield LookAround(state.folders, state.looks)
    yield Browse(version, library, state.shelf, shown, browsing.words, own)
    if state.listing.unread and not state.busy("scan", "browse"):
        yield ReadMore(version, library, state.listing.unread)
    if browsing.model is not None and _is_measured(browsing.model.path):
        yield MeasureRoom(browsing.model.path, browsing.dtype, browsing.device)


def _is_measured(path: Path) -> bool:
    """Of a GGUF file it shows only once it is unpacked."""
    return path.suffix.lower() != ".gguf"


def _scanned(state: AppState, library: Library) -> AppState:
    return replace(state, library=library, library_version=state.library_version + 1)


def _scanned_partly(state: AppState, library: Library) -> AppState:
    # Listing takes longer than finding: without patience nothing would ever be listed.
    return state if state.busy("browse") else _scanned(state, library)


def _identified(state: AppState, found: Workspace | Offer) -> AppState:
    state = replace(state, given=())
    if isinstance(found, Offer):
        return recipe_actions.use(state, found)
    return state if found == state.workspace else actions.open_workspace(state, found)


def _not_identified(state: AppState) -> AppState:
    return replace(state, given=())


AREA = Area(
    wanted=_wanted,
    results={
        "shelf": result("shelf"),
        "scan": _scanned,
        "details": _scanned,
        "browse": result("listing"),
        "room": result("room"),
        "identify": _identified,
    },
    partly={"scan": _scanned_partly},
    failures={"identify": _not_identified},
)

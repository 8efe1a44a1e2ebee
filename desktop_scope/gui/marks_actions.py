"""What a person adds to features, each as a pure function from one state to the next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from desktop_scope.engine.types import FeatureId
from desktop_scope.evidence.asking.requests import Asked, AskOpenModel, AskServer
from desktop_scope.evidence.marks.store import label_value, trial_value
from desktop_scope.evidence.marks.types import STARS, Change, Kind
from desktop_scope.evidence.types import Source
from desktop_scope.gui.state import AppState


def set_label(state: AppState, feature: FeatureId, text: str) -> AppState:
    """Call a feature otherwise; without words the shipped label comes back."""
    text = " ".join(text.split())
    value = label_value(text) if text else None
    return _change(state, feature, Kind.LABEL, Source.OWN, value)


def set_note(state: AppState, feature: FeatureId, text: str) -> AppState:
    """Write down what one knows of a feature."""
    return _change(state, feature, Kind.NOTE, "", text.strip() or None)


def set_listed(state: AppState, feature: FeatureId, name: str, listed: bool) -> AppState:
    """Put a feature on a list, or take it off."""
    name = " ".join(name.split())
    return _change(state, feature, Kind.LIST, name, "" if listed else None) if name else state


def set_starred(state: AppState, feature: FeatureId, starred: bool) -> AppState:
    """Give a feature a star, or take it away."""
    return set_listed(state, feature, STARS, starred)


def set_trial(state: AppState, feature: FeatureId, said: bool | None) -> AppState:
    """Say whether the typed text should wake a feature; None takes it back."""
    probe = state.probe
    if probe is None or probe.feature != feature or not probe.text.strip():
        return state
    value = None if said is None else trial_value(said, float(probe.values.max(initial=0.0)))
    return _change(state, feature, Kind.TRIAL, probe.text, value)


def undo(state: AppState) -> AppState:
    """Take back the last change to any label, note or list."""
    return _ask(state, Change(state.marks.asked + 1))


def may_hold_labels(path: Path) -> bool:
    """Whether a dropped file is taken for labels, by its name: no model or SAE has such a one."""
    name = path.name.lower()
    listed = name.endswith((".csv", ".jsonl", ".jsonl.gz", ".json.gz"))
    return listed or (name.endswith(".json") and name.startswith(("batch-", "explanation")))


def import_labels(state: AppState, *paths: Path) -> AppState:
    """Take in labels from files and folders."""
    marks = replace(state.marks, importing=paths, files=state.marks.files + 1)
    return replace(state, marks=marks)


def export_marks(state: AppState, path: Path) -> AppState:
    """Write own labels, notes, stars and lists to a file."""
    marks = replace(state.marks, exporting=path, files=state.marks.files + 1)
    return replace(state, marks=marks)


def judge(state: AppState, on: bool = True) -> AppState:
    """Have all labels judged, or no longer."""
    return replace(state, marks=replace(state.marks, judging=on))


def ask(state: AppState, feature: FeatureId, judge: bool, server: str = "") -> AppState:
    """Ask a language model for a label, or to judge the one that is shown.

    Args:
        server: Empty for the model that is open.
    """
    number = state.marks.asks + 1
    asking = (
        AskServer(feature, judge, number, server)
        if server
        else AskOpenModel(feature, judge, number)
    )
    return replace(state, marks=replace(state.marks, asking=asking, asks=number))


def name_server(state: AppState, server: str) -> AppState:
    """Say where on this machine a model may be asked; nothing is asked yet."""
    return replace(state, marks=replace(state.marks, server=server.strip()))


def keep(state: AppState, asked: Asked) -> AppState:
    """Keep what a model said."""
    for kind, key, value in asked.marks:
        state = _change(state, asked.feature, kind, key, value)
    return replace(state, marks=replace(state.marks, asking=None))


def _change(
    state: AppState, feature: FeatureId, kind: Kind, key: str, value: str | None
) -> AppState:
    return _ask(state, Change(state.marks.asked + 1, feature, kind, key, value))


def _ask(state: AppState, change: Change) -> AppState:
    changes = (*state.marks.changes, change)
    return replace(state, marks=replace(state.marks, changes=changes, asked=change.number))

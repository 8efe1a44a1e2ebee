"""What a person adds to features, each as a pure function from one state to the next."""

from __future__ import annotations

from dataclasses import replace

from desktop_scope.engine.types import FeatureId
from desktop_scope.evidence.marks.store import label_value
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


def set_trial(state: AppState, feature: FeatureId, text: str, fires: bool | None) -> AppState:
    """Say whether a text should wake a feature; None takes it back."""
    value = None if fires is None else "fires" if fires else "silent"
    return _change(state, feature, Kind.TRIAL, text, value) if text.strip() else state


def undo(state: AppState) -> AppState:
    """Take back the last change to any label, note or list."""
    return _ask(state, Change(state.marks.asked + 1))


def _change(
    state: AppState, feature: FeatureId, kind: Kind, key: str, value: str | None
) -> AppState:
    return _ask(state, Change(state.marks.asked + 1, feature, kind, key, value))


def _ask(state: AppState, change: Change) -> AppState:
    changes = (*state.marks.changes, change)
    return replace(state, marks=replace(state.marks, changes=changes, asked=change.number))

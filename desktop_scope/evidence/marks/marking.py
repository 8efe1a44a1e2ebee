"""Makes the changes that a person asks for in the window."""

from __future__ import annotations

from desktop_scope.evidence.catalogue import Catalogue
from desktop_scope.evidence.marks.requests import MarkFeatures
from desktop_scope.evidence.marks.types import Change, Kind, Mark, Marked

_WORDS = {
    Kind.LABEL: "the label of",
    Kind.NOTE: "the note on",
    Kind.LIST: "a list of",
    Kind.TRIAL: "a text tried on",
}


def mark_features(catalogue: Catalogue, request: MarkFeatures) -> Marked:
    """Carry out the changes that are new.

    Raises:
        ScopeError: The file cannot be written.
    """
    marks = catalogue.marks
    version = marks.version
    for change in request.changes:
        if change.number > marks.done:
            _make(catalogue, change)
            marks.done = change.number
    if marks.version != version:
        catalogue.marked()
    return Marked(
        done=marks.done,
        version=marks.version,
        lists=marks.lists(),
        undoable=marks.undoable,
        labels=tuple((feature, catalogue.label(feature)) for feature in request.shown),
    )


def _make(catalogue: Catalogue, change: Change) -> None:
    feature = change.feature
    if feature is None:
        catalogue.marks.undo()
        return
    key = catalogue.evidence[feature.sae].key
    mark = Mark(key, feature.index, change.kind, change.key, change.value)
    catalogue.marks.change(f"{_WORDS[change.kind]} {catalogue.name(feature)}", [mark])

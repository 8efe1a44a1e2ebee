"""Makes the changes that a person asks for in the window."""

from __future__ import annotations

from desktop_scope.engine.types import FeatureId
from desktop_scope.engine.worker import Job
from desktop_scope.evidence.catalogue import Catalogue
from desktop_scope.evidence.marks.exporting import export_marks
from desktop_scope.evidence.marks.importing import import_labels
from desktop_scope.evidence.marks.requests import (
    ExportMarks,
    ImportLabels,
    JudgeLabels,
    MarkFeatures,
)
from desktop_scope.evidence.marks.types import Change, Judged, Kind, Mark, Marked

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
    return _told(catalogue, request.shown)


def take_in(catalogue: Catalogue, request: ImportLabels) -> Marked:
    """Import files, and say what came of it.

    Raises:
        ScopeError: Nothing could be used.
    """
    return _told(catalogue, message=import_labels(catalogue, request.paths).text)


def write_out(catalogue: Catalogue, request: ExportMarks) -> Marked:
    """Export the marks.

    Raises:
        ScopeError: The file cannot be written.
    """
    count = export_marks(catalogue.marks, request.path)
    return _told(catalogue, message=f"Wrote {count:,} marks to {request.path}.")


def judge_labels(catalogue: Catalogue, request: JudgeLabels, job: Job) -> Judged:
    """Do the next step of the first court that has work.

    Raises:
        Cancelled: The job was; the step will be done again.
        ScopeError: What was made cannot be written.
    """
    for court in catalogue.courts:
        court.asked = court.asked or request.asked
    waiting = [court for court in catalogue.courts if court.waiting]
    if not waiting:
        return Judged(catalogue.marks.version, False, 0, 0)
    done, total = waiting[0].progress
    job.progress(done, total, "Trying the labels on held-out text")
    waiting[0].step(job)
    if not waiting[0].waiting:
        catalogue.marks.version += 1
        catalogue.marked()
    return Judged(catalogue.marks.version, any(c.waiting for c in waiting), done + 1, total)


def _told(catalogue: Catalogue, shown: tuple[FeatureId, ...] = (), message: str = "") -> Marked:
    marks = catalogue.marks
    return Marked(
        done=marks.done,
        version=marks.version,
        lists=marks.lists(),
        undoable=marks.undoable,
        labels=tuple((feature, catalogue.label(feature)) for feature in shown),
        waiting=any(court.waiting for court in catalogue.courts),
        message=message,
    )


def _make(catalogue: Catalogue, change: Change) -> None:
    feature = change.feature
    if feature is None:
        catalogue.marks.undo()
        return
    key = catalogue.evidence[feature.sae].key
    mark = Mark(key, feature.index, change.kind, change.key, change.value)
    catalogue.marks.change(f"{_WORDS[change.kind]} {catalogue.name(feature)}", [mark])

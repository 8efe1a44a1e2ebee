"""The requests by which a window marks features, and has their labels judged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from desktop_scope.engine.requests import Request
from desktop_scope.engine.types import FeatureId
from desktop_scope.evidence.marks.types import Change


@dataclass(frozen=True)
class MarkFeatures(Request):
    """Keep what the user said of features, and tell what else is kept.

    It may ask for changes that an earlier one was asked for, too: none is made twice.

    Attributes:
        shown: Features whose labels are kept at hand somewhere, to be told anew.
    """

    kind = "mark"

    changes: tuple[Change, ...] = ()
    shown: tuple[FeatureId, ...] = ()


@dataclass(frozen=True)
class ImportLabels(Request):
    """Take in labels, or exported marks, from files and folders.

    Attributes:
        attempt: The same files may be imported again.
    """

    kind = "import"

    paths: tuple[Path, ...]
    attempt: int


@dataclass(frozen=True)
class ExportMarks(Request):
    """Write the user's own labels, notes, stars and lists to a file."""

    kind = "export"

    path: Path
    attempt: int


@dataclass(frozen=True)
class JudgeLabels(Request):
    """Try labels on held-out text: the next few seconds of that work.

    Attributes:
        asked: The user wants all labels judged, though that takes minutes.
        step: Counts them.
    """

    kind = "judge"
    worker = "engine"
    patient = True

    asked: bool
    step: int

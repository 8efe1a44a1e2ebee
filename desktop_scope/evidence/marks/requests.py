"""The request by which a window marks features."""

from __future__ import annotations

from dataclasses import dataclass

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

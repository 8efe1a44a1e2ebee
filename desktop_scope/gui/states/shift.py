"""What the audit panel shows of a probe, and of a concept that is looked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from desktop_scope.engine.types import FeatureId
from desktop_scope.experiments.concept import Concept
from desktop_scope.experiments.shift import Shift


@dataclass(frozen=True)
class ShiftState:
    """The SHIFT experiment, as far as it went.

    Attributes:
        path: The table to be read; None for the built-in texts.
        reading: It is to be read.
        attempt: How often that was asked for.
        running: It goes on by itself.
        ticked: What is to be switched off.
    """

    path: Path | None = None
    reading: bool = False
    attempt: int = 0
    study: Shift | None = None
    running: bool = False
    ticked: tuple[FeatureId, ...] = ()


@dataclass(frozen=True)
class ConceptState:
    """A concept that is looked for.

    Attributes:
        having: Texts with it.
        lacking: Texts without.
        asked: It is to be looked for.
        chosen: The candidate that is looked at.
    """

    having: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    asked: bool = False
    found: Concept | None = None
    chosen: FeatureId | None = None

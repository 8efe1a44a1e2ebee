"""What the steering panel shows, and what its experiments have shown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from desktop_scope.gui.states.dials import Dial, Key


class View(StrEnum):
    """What the steering panel shows."""

    DIALS = "dials"
    RECIPES = "recipes"
    SWEEP = "sweep"
    CONTROLS = "controls"
    VECTOR = "vector"


@dataclass(frozen=True)
class SteeringState:
    """The steering panel.

    Attributes:
        unfolded: The dial whose details are shown.
        undo: Earlier racks, the latest last.
        redo: Racks that were undone, the latest last.
    """

    view: View = View.DIALS
    unfolded: Key | None = None
    undo: tuple[tuple[Dial, ...], ...] = ()
    redo: tuple[tuple[Dial, ...], ...] = ()

"""How finely the model is looked at, as far as the window knows."""

from __future__ import annotations

from dataclasses import dataclass

from desktop_scope.engine.types import FeatureId


@dataclass(frozen=True)
class ZoomState:
    """The size that is looked at.

    Attributes:
        size: Of the dictionaries; None for all that is open.
        came_from: The feature that was selected before zooming out led to one of its ancestors.
    """

    size: int | None = None
    came_from: FeatureId | None = None

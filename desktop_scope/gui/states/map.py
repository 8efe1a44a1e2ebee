"""The map, as far as the window knows."""

from __future__ import annotations

from dataclasses import dataclass

from desktop_scope.engine.types import FeatureId
from desktop_scope.evidence.mapping.types import Drawing, FeatureMap
from desktop_scope.evidence.types import Named


@dataclass(frozen=True)
class MapState:
    """What is on the map and what is looked at on it.

    Attributes:
        wanted: The map was looked at: it is opened.
        looked: It was looked for; without a map it has not been drawn yet.
        drawing: The person wants it drawn.
        drawn: How often one was finished.
        progress: Of drawing.
        hovered: The feature under the pointer.
        hovered_name: What it is called.
        nearby: The features around the selected one, nearest first.
    """

    wanted: bool = False
    looked: bool = False
    drawing: bool = False
    drawn: int = 0
    progress: Drawing | None = None
    map: FeatureMap | None = None
    hovered: FeatureId | None = None
    hovered_name: Named | None = None
    nearby: tuple[Named, ...] = ()

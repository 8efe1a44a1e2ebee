"""What the window computes, area by area. A new one is a file here and an entry in AREAS."""

from desktop_scope.gui.areas import (
    answering,
    audit,
    comparing,
    discovering,
    exporting,
    feature_flow,
    gathering,
    grid,
    laboratory,
    library,
    mapping,
    marks,
    opening,
    probing,
    reading,
    recipes,
    search,
    why,
)
from desktop_scope.gui.areas.base import Area

AREAS: tuple[Area, ...] = (
    opening.AREA,
    reading.AREA,
    answering.AREA,
    laboratory.AREA,
    recipes.AREA,
    exporting.AREA,
    audit.AREA,
    probing.AREA,
    library.AREA,
    marks.AREA,
    discovering.AREA,
    why.AREA,
    feature_flow.AREA,
    comparing.AREA,
    gathering.AREA,
    mapping.AREA,
    search.AREA,
    grid.AREA,
)

"""What the window computes, area by area. A new one is a file here and an entry in AREAS."""

from desktop_scope.gui.areas import answering, audit, library, marks, opening, reading
from desktop_scope.gui.areas.base import Area

AREAS: tuple[Area, ...] = (
    opening.AREA,
    reading.AREA,
    answering.AREA,
    audit.AREA,
    library.AREA,
    marks.AREA,
)

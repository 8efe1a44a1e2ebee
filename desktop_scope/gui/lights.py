"""The colours of the lights that tell how an SAE fits."""

from __future__ import annotations

from PySide6.QtGui import QColor

from desktop_scope.gui import theme
from desktop_scope.gui.doctor import Light


def color_of(light: Light) -> QColor:
    """In the theme in use."""
    t = theme.tokens()
    return {
        Light.GREEN: t.strength,
        Light.AMBER: t.orange,
        Light.RED: t.danger,
        Light.UNKNOWN: t.muted,
    }[light]

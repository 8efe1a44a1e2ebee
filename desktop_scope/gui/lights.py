"""The looks of the lights that tell how an SAE fits."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap

from desktop_scope.gui import theme
from desktop_scope.gui.doctor import Light

_SIZE = 14


def color_of(light: Light) -> QColor:
    """In the theme in use."""
    t = theme.tokens()
    return {
        Light.GREEN: t.strength,
        Light.AMBER: t.orange,
        Light.RED: t.danger,
        Light.UNKNOWN: t.muted,
    }[light]


def icon_of(light: Light) -> QIcon:
    """Shape and colour, for menus and buttons."""
    picture = QPixmap(_SIZE * 2, _SIZE * 2)  # sharp on fine screens, too
    picture.setDevicePixelRatio(2)
    picture.fill(Qt.GlobalColor.transparent)
    with QPainter(picture) as painter:
        painter.setFont(theme.ui_font(_SIZE))
        painter.setPen(color_of(light))
        painter.drawText(0, 0, _SIZE, _SIZE, Qt.AlignmentFlag.AlignCenter, light.value)
    return QIcon(picture)

"""A bar and its number in a table cell."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPalette
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from desktop_scope.gui import theme

FRACTION_ROLE = int(Qt.ItemDataRole.UserRole) + 40


class StrengthBarDelegate(QStyledItemDelegate):
    """Draws the item's text at the right, and a bar for its fraction.

    The model answers ``FRACTION_ROLE`` with −1…1; below 0 the bar is orange, above it is green,
    or blue where ``signed``.
    """

    def __init__(self, parent: QObject | None = None, signed: bool = False) -> None:
        super().__init__(parent)
        self._signed = signed

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        rect = QRectF(option.rect)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, option.palette.color(QPalette.ColorRole.Highlight))
        font = theme.figures(option.font)
        text = str(index.data(Qt.ItemDataRole.DisplayRole) or "")
        numbers = QFontMetrics(font).horizontalAdvance("00.00") + 12
        draw_bar(
            painter,
            rect.adjusted(8, 0, -numbers - 4, 0),
            index.data(FRACTION_ROLE),
            self._signed,
        )
        painter.setFont(font)
        painter.setPen(theme.tokens().text)
        align = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
        painter.drawText(rect.adjusted(0, 0, -8, 0), align, text)

    def sizeHint(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        return QSize(120, option.fontMetrics.height() + 8)


def draw_bar(
    painter: QPainter,
    room: QRectF,
    fraction: float | None,
    signed: bool = False,
    height: float = 8,
    color: QColor | None = None,
) -> None:
    """A bar from the left of ``room``, as long as the fraction and as green as it is strong."""
    if fraction is None or not math.isfinite(fraction) or fraction == 0 or room.width() < 4:
        return
    if color is None:
        # A short bar in pale green would be lost twice over.
        shade = np.array([math.copysign(0.35 + 0.65 * min(abs(fraction), 1), fraction)])
        ramp = theme.diverging_rgba if signed or fraction < 0 else theme.strength_rgba
        color = QColor(*ramp(shade, behind_text=False)[0].tolist())
    width = max(2.0, room.width() * min(abs(fraction), 1))
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    radius = min(2.0, width / 2)
    bar = QRectF(room.left(), room.center().y() - height / 2, width, height)
    painter.drawRoundedRect(bar, radius, radius)
    painter.restore()

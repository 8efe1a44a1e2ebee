"""A share of the whole as a grey bar with its name."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.painting import percent
from desktop_scope.gui.widgets.strength_bar import draw_bar

_BAR = 90


class ShareBar(QWidget):
    """Says a name, a percentage, and draws it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._share = 0.0
        self.setAccessibleName(name)

    def set_share(self, share: float, help_: str) -> None:
        """Show a share of one, explained on hover."""
        self._share = share
        self.setToolTip(help_)
        self.setAccessibleDescription(percent(share))
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        measure = QFontMetrics(self.font())
        return QSize(measure.horizontalAdvance(self._text()) + _BAR + 12, measure.height() + 6)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def _text(self) -> str:
        return f"{self._name} {percent(self._share)}"

    def paintEvent(self, event: QPaintEvent) -> None:
        t, painter = theme.tokens(), QPainter(self)
        rect = QRectF(self.rect())
        painter.setPen(t.muted)
        room = QRectF(rect.right() - _BAR, rect.center().y() - 4, _BAR, 8)
        painter.drawText(
            rect.adjusted(0, 0, -_BAR - 8, 0),
            Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight,
            self._text(),
        )
        painter.fillRect(room, t.raised)
        draw_bar(painter, room, self._share, color=t.faint)

"""Estimated against measured: a point each, and the line on which they would agree."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QHelpEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QToolTip, QWidget

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.exporting import Columns
from desktop_scope.gui.widgets.painting import Stale, number
from desktop_scope.gui.widgets.plot_menu import PlotMenu

_DOT = 3.5
_NEAR = 8  # pixels from a point that count as on it


class Scatter(Stale, QWidget):
    """A square field with both axes through 0, on the same scale."""

    def __init__(self, x_name: str, y_name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names = (x_name, y_name)
        self._x = self._y = np.zeros(0)
        self._words: tuple[str, ...] = ()
        self.setAccessibleName(f"{y_name} against {x_name}")
        self.setMinimumSize(80, 80)
        self.menu = PlotMenu(self, self.accessibleName(), self.table)

    def set_points(self, x: Sequence[float], y: Sequence[float], words: Sequence[str]) -> None:
        """Show points, each with what is said of it on hover."""
        self._x, self._y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        self._words = tuple(words)
        self.setAccessibleDescription(f"{len(self._x)} points")
        self.update()

    def table(self) -> Columns:
        """The points."""
        return {self._names[0]: self._x, self._names[1]: self._y, "what": self._words}

    def sizeHint(self) -> QSize:
        return QSize(200, 200)

    def _field(self) -> QRectF:
        line = QFontMetrics(theme.small(self.font())).height()
        side = max(min(self.width() - 8, self.height() - 2 * line - 4), 1)
        return QRectF((self.width() - side) / 2, line + 2, side, side)

    def _pixels(self) -> np.ndarray:
        """[n, 2] where the points lie."""
        field, reach = self._field(), self._reach()
        centre, scale = field.center(), field.width() / 2 / reach
        return np.stack([centre.x() + self._x * scale, centre.y() - self._y * scale], axis=1)

    def _reach(self) -> float:
        values = np.abs(np.concatenate([self._x, self._y]))
        return 1.1 * float(values.max(initial=0.0)) or 1.0

    def paintEvent(self, event: QPaintEvent) -> None:
        t, painter, field = theme.tokens(), QPainter(self), self._field()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = theme.small(self.font())
        painter.setFont(font)
        centre = field.center()
        painter.setPen(QPen(t.line, 1))
        painter.drawLine(QPointF(field.left(), centre.y()), QPointF(field.right(), centre.y()))
        painter.drawLine(QPointF(centre.x(), field.top()), QPointF(centre.x(), field.bottom()))
        painter.setPen(QPen(t.faint, 1, Qt.PenStyle.DashLine))
        painter.drawLine(field.bottomLeft(), field.topRight())
        painter.setPen(t.muted)
        line = QFontMetrics(font).height()
        above = QRectF(0, field.top() - line - 2, self.width(), line)
        below = QRectF(0, field.bottom() + 2, self.width(), line)
        left, right = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight
        painter.drawText(above, left, f"{self._names[1]} ↑")
        painter.drawText(above, right, f"±{number(self._reach())} nats")
        painter.drawText(below, right, f"{self._names[0]} →")
        painter.setOpacity(self.content_opacity())
        painter.setPen(Qt.PenStyle.NoPen)
        for (x, y), value in zip(self._pixels(), self._x, strict=True):
            painter.setBrush(t.blue if value > 0 else t.orange)
            painter.drawEllipse(QPointF(x, y), _DOT, _DOT)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and len(self._x):
            away = np.hypot(*(self._pixels() - (event.x(), event.y())).T)
            nearest = int(away.argmin())
            if away[nearest] < _NEAR:
                QToolTip.showText(event.globalPos(), self._words[nearest], self)
            return True
        return super().event(event)

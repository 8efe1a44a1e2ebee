"""A few features over the tokens, as lines; shares its token axis with the heat map."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.heat_map import axis_gutter
from desktop_scope.gui.widgets.painting import Stale, number
from desktop_scope.gui.widgets.token_layout import shown

Line = tuple[str, NDArray[np.floating], QColor]


class LinePlot(Stale, QWidget):
    """Lines over tokens.

    Signals:
        token_clicked: The user clicked at a token, or moved to it with the arrow keys.
        token_hovered: The pointer is over a token; −1 when it left.
    """

    token_clicked = Signal(int)
    token_hovered = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lines: tuple[Line, ...] = ()
        self._texts: tuple[str, ...] = ()
        self._maximum: float | None = None
        self._gutters: tuple[int, int] | None = None
        self._current = self._hovered = -1
        self.setAccessibleName(self.tr("Pinned features over the tokens"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setMinimumSize(160, 60)

    def sizeHint(self) -> QSize:
        return QSize(560, 110)

    def set_lines(
        self, lines: Sequence[Line], texts: Sequence[str] = (), maximum: float | None = None
    ) -> None:
        """Show lines: (name, value per token, colour).

        Args:
            lines: All of the same length.
            texts: The tokens, for the read-out.
            maximum: Top of the axis; the highest value by default.
        """
        self._lines = tuple((name, np.asarray(v, np.float64), QColor(c)) for name, v, c in lines)
        self._texts = tuple(texts)
        self._maximum = maximum
        self._hovered = -1
        if self._current >= self.n_tokens():
            self._current = -1
        self._describe()
        self.update()

    def set_gutters(self, left: int, right: int) -> None:
        """Line the tokens up with another plot: room at its left and right."""
        self._gutters = (left, right)
        self.update()

    def set_current(self, token: int) -> None:
        """Choose a token; −1 for none. Emits nothing."""
        self._current = token if token < self.n_tokens() else -1
        self._describe()
        self.update()

    def set_hovered(self, token: int) -> None:
        """Mark a token that the pointer is over elsewhere."""
        if token != self._hovered:
            self._hovered = token
            self.update()

    def n_tokens(self) -> int:
        """How many tokens the lines span."""
        return len(self._lines[0][1]) if self._lines else 0

    def token_at(self, point: QPoint) -> int:
        """The token at a point's height line, or −1."""
        area, n = self._area(), self.n_tokens()
        inside = n and area.left() <= point.x() < area.right()
        return int((point.x() - area.left()) / area.width() * n) if inside else -1

    def read_out(self, token: int) -> str:
        """The values at a token, in words."""
        text = self.tr("position {0}").format(token)
        if token < len(self._texts):
            word = self._texts[token].strip() or shown(self._texts[token]).text
            text = f"“{word}”, {text}"
        return "\n".join([text, *(f"{name}: {number(v[token])}" for name, v, _ in self._lines)])

    def _area(self) -> QRectF:
        left, right = self._gutters or (axis_gutter(self), 8)
        return QRectF(left, 8, max(1, self.width() - left - right), max(1, self.height() - 16))

    def _top(self) -> float:
        if self._maximum is not None:
            return max(self._maximum, 1e-9)
        return max((float(np.nanmax(v, initial=0)) for _, v, _ in self._lines), default=1) or 1.0

    def _describe(self) -> None:
        known = 0 <= self._current < self.n_tokens()
        self.setAccessibleDescription(
            self.read_out(self._current) if known else self.tr("No token chosen")
        )

    def paintEvent(self, event: QPaintEvent) -> None:
        # Left open by an exception, a painter would crash Qt: hence "with".
        with QPainter(self) as painter:
            self._draw(painter)

    def _draw(self, painter: QPainter) -> None:
        t = theme.tokens()
        painter.fillRect(self.rect(), t.surface)
        n = self.n_tokens()
        if not n:
            return
        painter.setOpacity(self.content_opacity())
        area, top = self._area(), self._top()
        column = area.width() / n
        painter.setFont(theme.figures(theme.small(self.font())))
        measure = painter.fontMetrics()
        for share in (0.0, 1.0):
            y = round(area.bottom() - share * area.height()) + 0.5
            painter.setPen(QPen(t.line, 1))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(t.muted)
            painter.drawText(
                QRectF(0, y - measure.height() / 2, area.left() - 6, measure.height()),
                Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter,
                number(share * top) if share else "0",
            )
        band = QColor(t.text)
        for token, alpha in ((self._hovered, 12), (self._current, 22)):
            if 0 <= token < n:
                band.setAlpha(alpha)
                left = area.left() + token * column
                painter.fillRect(QRectF(left, area.top(), max(1.0, column), area.height()), band)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        x = area.left() + (np.arange(n) + 0.5) * column
        for _, values, color in self._lines:
            y = area.bottom() - np.clip(np.nan_to_num(values) / top, 0, 1) * area.height()
            painter.setPen(QPen(color, 1.5, j=Qt.PenJoinStyle.RoundJoin))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawPolyline(QPolygonF([QPointF(a, b) for a, b in zip(x, y, strict=True)]))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(color)
            for token in {self._hovered, self._current}:
                if 0 <= token < n:
                    painter.drawEllipse(QPointF(x[token], y[token]), 3, 3)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._go(self.token_at(event.position().toPoint()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        token = self.token_at(event.position().toPoint())
        if token != self._hovered:
            self.set_hovered(token)
            self.token_hovered.emit(token)

    def leaveEvent(self, event: QEvent) -> None:
        if self._hovered >= 0:
            self.set_hovered(-1)
            self.token_hovered.emit(-1)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if step is None or not self.n_tokens():
            event.ignore()
        else:
            self._go(min(max(self._current + step, 0), self.n_tokens() - 1))

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            token = self.token_at(event.pos())
            if token >= 0:
                QToolTip.showText(event.globalPos(), self.read_out(token), self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)

    def _go(self, token: int) -> None:
        if token >= 0 and token != self._current:
            self.set_current(token)
            self.token_clicked.emit(token)

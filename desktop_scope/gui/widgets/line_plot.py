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
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.heat_map import axis_gutter
from desktop_scope.gui.widgets.painting import Pixels, Stale, argb, device_size, image_of, number
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
        self._pixels: Pixels = np.zeros((0, 0), np.uint32)
        self._key: object = None
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
        self._key = None
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
            painter.fillRect(self.rect(), theme.tokens().surface)
            if self.n_tokens():
                painter.setOpacity(self.content_opacity())
                self._draw(painter)

    def _draw(self, painter: QPainter) -> None:
        t = theme.tokens()
        n, area, top = self.n_tokens(), self._area(), self._top()
        ratio = self.devicePixelRatioF()
        key = (area, top, ratio, t)
        if key != self._key:
            size = device_size(area.width(), area.height() + 2, ratio)
            self._pixels, self._key = self._make_image(*size, top, ratio), key
        painter.drawImage(QPointF(area.left(), area.top() - 1), image_of(self._pixels, ratio))
        painter.setFont(theme.figures(theme.small(self.font())))
        painter.setPen(t.muted)
        height = painter.fontMetrics().height()
        align = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for text, y in (("0", area.bottom()), (number(top), area.top())):
            painter.drawText(QRectF(0, y - height / 2, area.left() - 6, height), align, text)
        column = area.width() / n
        band = QColor(t.text)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for token, alpha in ((self._hovered, 14), (self._current, 24)):
            if not 0 <= token < n:
                continue
            left = area.left() + token * column
            band.setAlpha(alpha)
            painter.fillRect(QRectF(left, area.top(), max(1.0, column), area.height()), band)
            painter.setPen(Qt.PenStyle.NoPen)
            for _, values, color in self._lines:
                share = min(max(float(np.nan_to_num(values[token])) / top, 0), 1)
                painter.setBrush(color)
                y = area.bottom() - share * area.height()
                painter.drawEllipse(QPointF(left + column / 2, y), 3, 3)

    def _make_image(self, width: int, height: int, top: float, ratio: float) -> Pixels:
        """The lines, made with numpy: Qt takes half a second for 2,000 tokens."""
        t = theme.tokens()
        pixels = np.full((height, width), argb(t.surface), np.uint32)
        high, low = ratio, height - 1 - ratio
        for y in (high, low):
            pixels[round(y)] = argb(t.line)
        canvas = pixels.view(np.uint8).reshape(height, width, 4)  # blue, green, red, opaque
        for _, values, color in self._lines:
            share = np.clip(np.nan_to_num(values) / top, 0, 1)
            y = low - share * (low - high)
            rows, columns, cover = _curve(y, width, height, 1.5 * ratio)
            ground = canvas[rows, columns, :3]
            ink = theme.rgb(color)[::-1]
            canvas[rows, columns, :3] = ground + (ink - ground) * cover[:, None]
        return pixels

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


def _curve(
    y: NDArray[np.floating], width: int, height: int, pen: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.floating]]:
    """The pixels that a line through equally spaced heights touches: row, column, how much."""
    x = (np.arange(len(y)) + 0.5) * (width / len(y))
    at = np.interp(np.arange(width + 1), x, y)
    upper, lower = np.minimum(at[:-1], at[1:]), np.maximum(at[:-1], at[1:])
    steep = np.hypot(1, np.diff(at))
    middle = (at[:-1] + at[1:]) / 2
    column = np.minimum(x.astype(int), width - 1)
    np.minimum.at(upper, column, y)  # a peak narrower than a pixel is still a peak
    np.maximum.at(lower, column, y)
    padded_upper, padded_lower = np.pad(upper, 1, mode="edge"), np.pad(lower, 1, mode="edge")
    first = np.minimum(padded_upper[:-2], padded_upper[2:]).clip(max=upper) - pen / 2
    last = np.maximum(padded_lower[:-2], padded_lower[2:]).clip(min=lower) + pen / 2
    first = np.floor(first).astype(np.int64).clip(0, height)
    run = np.ceil(last + 1).astype(np.int64).clip(first, height) - first
    columns = np.repeat(np.arange(width), run)
    rows = np.arange(len(columns)) + np.repeat(first - (np.cumsum(run) - run), run)
    upper, lower = upper[columns] - pen / 2, lower[columns] + pen / 2
    beside = 0.5 + pen / 2 - np.abs(rows - middle[columns]) / steep[columns]
    within = np.minimum(rows + 0.5, lower) - np.maximum(rows - 0.5, upper)
    return rows, columns, np.maximum(beside, within).clip(0, 1)

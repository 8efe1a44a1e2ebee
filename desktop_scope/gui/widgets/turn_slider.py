"""A slider with nothing in its middle, which shows the range within which answers stay sound."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QSlider, QWidget

from desktop_scope.gui import theme

REACH = 3  # multiples of the feature's own maximum, either way
STEPS = 20  # slider steps per multiple
DETENT = 0.08  # closer to nothing than this is nothing


class TurnSlider(QSlider):
    """A slider with nothing in its middle, filled from there to the handle."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._safe = (-float(REACH), float(REACH))
        self.setRange(-REACH * STEPS, REACH * STEPS)
        self.setSingleStep(STEPS // 10)
        self.setPageStep(STEPS // 2)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(200, 28)

    def minimumSizeHint(self) -> QSize:
        return QSize(96, 28)

    def set_safe(self, low: float, high: float) -> None:
        """The range within which answers stayed sound; dotted beyond."""
        self._safe = (low, high)
        self.update()

    def safe(self) -> tuple[float, float]:
        """The range within which answers stayed sound."""
        return self._safe

    def _groove(self) -> QRectF:
        return QRectF(8, self.height() / 2 - 3, max(1, self.width() - 16), 2)

    def x_of(self, multiple: float) -> float:
        """Where a multiple lies."""
        groove = self._groove()
        return groove.left() + (multiple + REACH) / (2 * REACH) * groove.width()

    def _value_at(self, x: float) -> int:
        groove = self._groove()
        multiple = (x - groove.left()) / groove.width() * 2 * REACH - REACH
        return 0 if abs(multiple) < DETENT else round(multiple * STEPS)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.setSliderDown(True)
            self.setValue(self._value_at(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self.isSliderDown():
            self.setValue(self._value_at(event.position().x()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self.setSliderDown(False)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.setValue(0)

    def paintEvent(self, event: QPaintEvent) -> None:
        # Left open by an exception, a painter would crash Qt: hence "with".
        with QPainter(self) as painter:
            self._draw(painter)

    def _draw(self, painter: QPainter) -> None:
        t = theme.tokens()
        groove, y = self._groove(), self._groove().center().y()
        ink = t.accent if self.isEnabled() else t.faint
        low, high = (self.x_of(min(max(edge, -REACH), REACH)) for edge in self._safe)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        dotted = QPen(t.faint, 2, Qt.PenStyle.DotLine)
        for left, right, pen in (
            (groove.left(), low, dotted),
            (low, high, QPen(t.line, 2)),
            (high, groove.right(), dotted),
        ):
            if right > left:
                painter.setPen(pen)
                painter.drawLine(QPointF(left, y), QPointF(right, y))
        for multiple in range(-REACH, REACH + 1):
            x = round(self.x_of(multiple)) + 0.5
            painter.setPen(QPen(t.faint if multiple else t.muted, 1))
            painter.drawLine(QPointF(x, y + 6), QPointF(x, y + (9 if multiple else 12)))
        x = self.x_of(self.value() / STEPS)
        painter.setPen(QPen(ink, 2))
        painter.drawLine(QPointF(self.x_of(0), y), QPointF(x, y))
        if self.hasFocus():
            painter.setPen(QPen(t.faint, 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(QPointF(x, y), 8.5, 8.5)
        painter.setPen(QPen(t.surface, 1.5))
        painter.setBrush(ink)
        painter.drawEllipse(QPointF(x, y), 6, 6)

"""What the colours mean, with numbers."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize
from PySide6.QtGui import QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.heat_cells import Scale, cell_colors
from desktop_scope.gui.widgets.painting import Stale, image_of, number

BAR = 72


class StrengthLegend(Stale, QWidget):
    """A small scale: from 0 to the maximum, or from minus to plus."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._low, self._high = "0", "1"
        self._scale = Scale.STRENGTH
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setToolTip(
            self.tr(
                "How strongly the feature fires, from not at all to its strongest activation\n"
                "seen. Activations are lengths in the model's residual stream."
            )
        )
        self.set_range(1.0)

    def set_range(self, maximum: float, signed: bool = False) -> None:
        """Say what full colour stands for."""
        low = number(-maximum) if signed else "0"
        self.set_scale(Scale.SIGNED if signed else Scale.STRENGTH, low, number(maximum))

    def set_scale(self, scale: Scale, low: str, high: str) -> None:
        """Say what the least and the most colour stand for."""
        self._scale, self._low, self._high = scale, low, high
        self.setAccessibleName(
            self.tr("Colour scale from {0} to {1}").format(self._low, self._high)
        )
        self.updateGeometry()
        self.update()

    def _widths(self) -> tuple[int, int]:
        measure = QFontMetrics(theme.figures(theme.small(self.font())))
        return measure.horizontalAdvance(self._low), measure.horizontalAdvance(self._high)

    def sizeHint(self) -> QSize:
        return QSize(sum(self._widths()) + BAR + 12, QFontMetrics(self.font()).height() + 4)

    def paintEvent(self, event: QPaintEvent) -> None:
        t = theme.tokens()
        ratio = self.devicePixelRatioF()
        at = np.linspace(-1 if self._scale is Scale.SIGNED else 0, 1, round(BAR * ratio))
        colors = theme.opaque(cell_colors(at, self._scale, behind_text=True))
        pixels = np.repeat(colors[None], round(8 * ratio), axis=0)
        pixels = np.ascontiguousarray(pixels)
        low, _ = self._widths()
        middle = self.height() / 2
        # Left open by an exception, a painter would crash Qt: hence "with".
        with QPainter(self) as painter:
            painter.setOpacity(self.content_opacity())
            painter.setFont(theme.figures(theme.small(self.font())))
            measure = painter.fontMetrics()
            painter.setPen(t.muted)
            base = middle + measure.capHeight() / 2
            painter.drawText(QPointF(0, base), self._low)
            painter.drawText(QPointF(low + BAR + 12, base), self._high)
            bar = QRectF(low + 6, round(middle) - 4, BAR, 8)
            painter.drawImage(bar.topLeft(), image_of(pixels, ratio))
            painter.setPen(t.line)
            painter.drawRect(bar.adjusted(-0.5, -0.5, -0.5, -0.5))

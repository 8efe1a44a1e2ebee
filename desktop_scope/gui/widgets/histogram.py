"""How often a feature fires how strongly."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QHelpEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.exporting import Columns
from desktop_scope.gui.widgets.painting import Stale, number, percent
from desktop_scope.gui.widgets.plot_menu import PlotMenu


class Histogram(Stale, QWidget):
    """Bars over bins of activation; each bar in the green of its strength."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._counts: NDArray[np.floating] = np.zeros(0)
        self._edges: NDArray[np.floating] = np.zeros(0)
        self._marker: float | None = None
        self._hovered = -1
        self.setAccessibleName(self.tr("How often it fires how strongly"))
        self.menu = PlotMenu(self, self.accessibleName(), self.table)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(240, 88)

    def set_counts(
        self, counts: Sequence[int] | NDArray[np.integer], edges: NDArray[np.floating]
    ) -> None:
        """Show a histogram.

        Args:
            counts: Tokens per bin, [n].
            edges: Bin edges in residual units, [n + 1]; bars are equally wide.
        """
        self._counts = np.asarray(counts, np.float64)
        self._edges = np.asarray(edges, np.float64)
        if len(self._counts) and len(self._edges) != len(self._counts) + 1:
            raise ValueError("a histogram of n bins has n + 1 edges")
        self._hovered = -1
        total = int(self._counts.sum())
        self.setAccessibleDescription(
            self.tr("{0} tokens, strongest bin up to {1}").format(
                f"{total:,}", number(float(self._edges[-1]))
            )
            if len(self._counts)
            else self.tr("No activations known")
        )
        self.update()

    def set_marker(self, value: float | None) -> None:
        """Mark an activation, such as that of the chosen token; None for none."""
        self._marker = value
        self.update()

    def table(self) -> Columns:
        """The bins."""
        counts = self._counts.astype(np.int64)
        return {"from": self._edges[:-1], "to": self._edges[1:], "tokens": counts}

    def bin_at(self, point: QPoint) -> int:
        """The bin at a point, or −1."""
        area, n = self._area(), len(self._counts)
        if not n or not area.left() <= point.x() < area.right():
            return -1
        return int((point.x() - area.left()) / area.width() * n)

    def read_out(self, bin_: int) -> str:
        """One bin in words."""
        low, high = self._edges[bin_ : bin_ + 2]
        count = self._counts[bin_]
        share = percent(count / max(self._counts.sum(), 1))
        return self.tr("activation {0} to {1}: {2} tokens ({3} of those it fires on)").format(
            number(low), number(high), f"{int(count):,}", share
        )

    def _area(self) -> QRectF:
        bottom = theme.small(self.font()).pixelSize() + 8
        return QRectF(0, 4, max(1, self.width()), max(1, self.height() - 4 - bottom))

    def _position(self, value: float) -> float:
        """Where an activation lies, in bins."""
        return float(np.interp(value, self._edges, np.arange(len(self._edges))))

    def paintEvent(self, event: QPaintEvent) -> None:
        # Left open by an exception, a painter would crash Qt: hence "with".
        with QPainter(self) as painter:
            self._draw(painter)

    def _draw(self, painter: QPainter) -> None:
        t = theme.tokens()
        n = len(self._counts)
        if not n:
            return
        painter.setOpacity(self.content_opacity())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = self._area()
        heights = self._counts / max(float(self._counts.max()), 1e-9) * area.height()
        heights = np.where(self._counts > 0, np.maximum(heights, 1.5), 0)
        # At least a third of full green: the bars of weak bins are the tallest.
        strength = 0.35 + 0.65 * np.arange(1, n + 1) / n
        rgba = theme.strength_rgba(strength, behind_text=False)
        column = area.width() / n
        gap = 2 if column >= 6 else 1 if column >= 3 else 0
        painter.setPen(Qt.PenStyle.NoPen)
        for i, height in enumerate(heights.tolist()):
            if height:
                left = area.left() + i * column
                color = QColor(*rgba[i].tolist())
                painter.setBrush(t.text if i == self._hovered else color)
                painter.drawPath(_bar(left, area.bottom(), column - gap, height))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(QPen(t.line, 1))
        base = round(area.bottom())
        painter.drawLine(0, base, self.width(), base)
        if self._marker is not None and self._marker > 0:
            x = round(area.left() + self._position(self._marker) * column)
            painter.setPen(QPen(t.accent, 1.5))
            painter.drawLine(QPointF(x, area.top() - 4), QPointF(x, area.bottom()))
        self._draw_axis(painter, area, column)

    def _draw_axis(self, painter: QPainter, area: QRectF, column: float) -> None:
        painter.setFont(theme.figures(theme.small(self.font())))
        painter.setPen(theme.tokens().muted)
        measure = painter.fontMetrics()
        n = len(self._counts)
        room = measure.horizontalAdvance("00.00") + 20
        y = area.bottom() + 4 + measure.ascent()
        for i in np.linspace(0, n, min(n, max(1, int(area.width() / room))) + 1).round().tolist():
            text = number(float(self._edges[int(i)]))
            width = measure.horizontalAdvance(text)
            x = area.left() + i * column - width / 2
            painter.drawText(QPointF(min(max(0.0, x), area.right() - width), y), text)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._hover(self.bin_at(event.position().toPoint()))

    def leaveEvent(self, event: QEvent) -> None:
        self._hover(-1)

    def _hover(self, bin_: int) -> None:
        if bin_ != self._hovered:
            self._hovered = bin_
            self.update()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            bin_ = self.bin_at(event.pos())
            if bin_ >= 0:
                QToolTip.showText(event.globalPos(), self.read_out(bin_), self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)


def _bar(left: float, bottom: float, width: float, height: float) -> QPainterPath:
    """A bar with round upper corners."""
    radius = min(2.0, width / 2, height)
    path = QPainterPath()
    path.addRoundedRect(QRectF(left, bottom - height, width, height + radius), radius, radius)
    base = QPainterPath()
    base.addRect(QRectF(left, bottom - height, width, height))
    return path.intersected(base)

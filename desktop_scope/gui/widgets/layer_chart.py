"""A few curves over the layers, with bands of uncertainty, a line of chance and a mark."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from desktop_scope.engine.types import Floats
from desktop_scope.gui import theme
from desktop_scope.gui.widgets.exporting import Columns
from desktop_scope.gui.widgets.painting import Stale, percent
from desktop_scope.gui.widgets.plot_menu import PlotMenu

_GUTTER, _RIGHT, _DOT = 46.0, 12.0, 2.5
_STYLES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine)


@dataclass(frozen=True, eq=False)
class LayerCurve:
    """One curve: shares by layer, nan where there is none; told apart by its dashes.

    Attributes:
        low: Of the band; None for none.
    """

    name: str
    values: Floats
    low: Floats | None = None
    high: Floats | None = None


class LayerChart(Stale, QWidget):
    """Shares by layer.

    Signals:
        layer_clicked: The user wants to see this layer.
    """

    layer_clicked = Signal(int)

    def __init__(self, name: str) -> None:
        super().__init__()
        self._curves: tuple[LayerCurve, ...] = ()
        self._line: float | None = None
        self._mark: int | None = None
        self._mark_word = ""
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.menu = PlotMenu(self, name, self.table)

    def set_curves(
        self,
        curves: Sequence[LayerCurve],
        line: float | None = None,
        mark: tuple[int, str] | None = None,
    ) -> None:
        """Show curves.

        Args:
            line: A level to compare with, such as chance.
            mark: A layer, and what it is.
        """
        self._curves, self._line = tuple(curves), line
        self._mark, self._mark_word = mark or (None, "")
        self.setAccessibleDescription(", ".join(curve.name for curve in curves))
        self.update()

    def table(self) -> Columns:
        """The curves, with their bands."""
        columns: dict[str, Sequence[float] | Floats] = {"layer": range(self._n())}
        for curve in self._curves:
            columns[curve.name] = curve.values
            if curve.low is not None and curve.high is not None:
                columns |= {f"{curve.name}, low": curve.low, f"{curve.name}, high": curve.high}
        return columns

    def sizeHint(self) -> QSize:
        return QSize(300, 200)

    def minimumSizeHint(self) -> QSize:
        return QSize(160, 100)

    def _n(self) -> int:
        return len(self._curves[0].values) if self._curves else 0

    def _field(self) -> QRectF:
        line = self.fontMetrics().height()
        legend = line * (1 if self._legend_fits() else max(len(self._curves), 1))
        top = legend + 8.0
        bottom = self.height() - line - 6.0
        return QRectF(_GUTTER, top, max(self.width() - _GUTTER - _RIGHT, 1), max(bottom - top, 1))

    def _legend_fits(self) -> bool:
        measure = self.fontMetrics()
        wide = sum(measure.horizontalAdvance(curve.name) + 46 for curve in self._curves)
        return wide < self.width() - _GUTTER

    def _span(self) -> tuple[float, float]:
        parts = [p for c in self._curves for p in (c.values, c.low, c.high) if p is not None]
        every = np.concatenate([*parts, [0.0] if self._line is None else [self._line]])
        low, high = float(np.nanmin(every)), float(np.nanmax(every))
        return low, high if high > low else low + 1.0

    def _point(self, layer: int, value: float) -> QPointF:
        field, (low, high) = self._field(), self._span()
        x = field.left() + (layer + 0.5) / self._n() * field.width()
        return QPointF(x, field.bottom() - (value - low) / (high - low) * field.height())

    # ---- drawing

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._curves:
            return
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setFont(theme.figures(theme.small(theme.ui_font())))
            self._paint_frame(painter)
            painter.setOpacity(self.content_opacity())
            for n, curve in enumerate(self._curves):
                self._paint_curve(painter, n, curve)

    def _ink(self, n: int) -> QColor:
        t = theme.tokens()
        return QColor(t.text if n == 0 else t.muted)

    def _paint_frame(self, painter: QPainter) -> None:
        t, field, (low, high) = theme.tokens(), self._field(), self._span()
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        levels = [low, high] if self._line is None else [low, self._line, high]
        taken = -1e9
        for level in sorted(set(levels), reverse=True):
            y = self._point(0, level).y()
            if y - taken < 12:
                continue
            taken = y
            dashed = Qt.PenStyle.DashLine if level == self._line else Qt.PenStyle.SolidLine
            painter.setPen(QPen(t.faint if level == self._line else t.line, 1, dashed))
            painter.drawLine(QPointF(field.left(), y), QPointF(field.right(), y))
            painter.setPen(t.muted)
            painter.drawText(QRectF(0, y - 8, _GUTTER - 6, 16), int(right), percent(level))
        step = max(1, -(-self._n() * 22 // max(int(field.width()), 1)))
        below = QRectF(0, field.bottom() + 2, _GUTTER - 6, 16)
        painter.drawText(below, int(right), "layer")
        for layer in range(0, self._n(), step):
            x = self._point(layer, low).x()
            box = QRectF(x - 15, field.bottom() + 2, 30, 16)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, str(layer))
        if self._mark is not None:
            painter.setPen(QPen(t.accent, 1.5))
            x = self._point(self._mark, low).x()
            painter.drawLine(QPointF(x, field.top()), QPointF(x, field.bottom()))
            painter.drawText(QPointF(x + 4, field.bottom() - 5), self._mark_word)

    def _paint_curve(self, painter: QPainter, n: int, curve: LayerCurve) -> None:
        ink, there = self._ink(n), np.flatnonzero(np.isfinite(curve.values)).tolist()
        if curve.low is not None and curve.high is not None and there:
            band = [self._point(k, float(curve.low[k])) for k in there]
            band += [self._point(k, float(curve.high[k])) for k in reversed(there)]
            shade = QColor(ink)
            shade.setAlpha(34 if n == 0 else 0)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(shade)
            painter.drawPolygon(QPolygonF(band))
        points = [self._point(k, float(curve.values[k])) for k in there]
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(ink, 1.5, _STYLES[n % len(_STYLES)]))
        painter.drawPolyline(QPolygonF(points))
        line, left = painter.fontMetrics().height(), _GUTTER
        if self._legend_fits():
            measure = self.fontMetrics()
            left += sum(measure.horizontalAdvance(c.name) + 46 for c in self._curves[:n])
        y = 2.0 + line / 2 + (0 if self._legend_fits() else n * line)
        painter.drawLine(QPointF(left, y), QPointF(left + 22, y))
        painter.drawText(QPointF(left + 28, y + line / 2 - 3), curve.name)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(ink)
        for point in points:
            painter.drawEllipse(point, _DOT, _DOT)

    # ---- acts of the user

    def layer_at(self, x: float) -> int | None:
        """The layer under a point."""
        field = self._field()
        if not self._n() or not field.left() <= x <= field.right():
            return None
        return min(int((x - field.left()) / field.width() * self._n()), self._n() - 1)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        layer = self.layer_at(event.position().x())
        if layer is not None and event.button() == Qt.MouseButton.LeftButton:
            self.layer_clicked.emit(layer)

    def words(self, layer: int) -> str:
        """What is said of a layer on hover."""
        lines = [f"layer {layer}"]
        for curve in self._curves:
            said = f"{curve.name}: {percent(float(curve.values[layer]))}"
            if curve.low is not None and curve.high is not None:
                low, high = (percent(float(end[layer])) for end in (curve.low, curve.high))
                said += f" (95 %: {low} to {high})"
            lines.append(said)
        return "\n".join(lines)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent):
            layer = self.layer_at(event.pos().x())
            if layer is not None:
                QToolTip.showText(event.globalPos(), self.words(layer), self)
            return True
        return super().event(event)

"""A few features over the tokens, as lines; shares its token axis with the heat map.

Importing this imports pyqtgraph, which takes 0.2 s: let a worker's thread do it first.
"""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QAction, QColor, QKeyEvent, QMouseEvent, QPainter
from PySide6.QtWidgets import QSizePolicy, QWidget

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.exporting import Columns
from desktop_scope.gui.widgets.heat_map import axis_gutter
from desktop_scope.gui.widgets.painting import Stale, number
from desktop_scope.gui.widgets.plot_menu import PlotMenu
from desktop_scope.gui.widgets.token_layout import shown

Line = tuple[str, NDArray[np.floating], QColor]

# Drawn as one path instead of segments, four lines over 2,000 tokens take 220 ms instead of 14.
pg.setConfigOptions(useOpenGL=False, antialias=True, segmentedLineMode="on")


class LinePlot(Stale, pg.PlotWidget):
    """Lines over tokens. The wheel enlarges their heights; the context menu takes them along.

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
        self._current = self._hovered = -1
        self._view: pg.ViewBox = self.plotItem.vb
        self._axis: pg.AxisItem = self.plotItem.getAxis("left")
        self._dots = pg.ScatterPlotItem(size=6, pen=None)
        self._dots.setZValue(1)
        # Of the hovered and the current token.
        self._bands = [pg.LinearRegionItem(movable=False, pen=pg.mkPen(None)) for _ in range(2)]
        for item in (*self._bands, self._dots):
            self._view.addItem(item, ignoreBounds=True)  # not the plot's: it would be exported
        self.hideAxis("bottom")
        self.hideButtons()
        self.disableAutoRange()
        self.setMouseEnabled(x=False)
        self._axis.setStyle(tickLength=0, tickTextOffset=6, maxTickLevel=0)
        self._axis.setGrid(255)
        self._axis.setZValue(-1)
        self.set_gutters(axis_gutter(self), 8)
        self.setAccessibleName(self.tr("Pinned features over the tokens"))
        self._make_menu()
        self.viewport().setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setMinimumSize(160, 60)
        theme.changed.connect(self._dress)
        self._dress()
        self.set_lines([])

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
        self.clear()
        self._lines = tuple((name, np.asarray(v, np.float64), QColor(c)) for name, v, c in lines)
        self._texts = tuple(texts)
        n = self.n_tokens()
        for name, values, _ in self._lines:
            curve = pg.PlotCurveItem(np.arange(n), np.nan_to_num(values), name=name)
            # Only the bands are painted anew when the pointer moves; and stale lines fade as one.
            curve.setCacheMode(curve.CacheMode.DeviceCoordinateCache)
            self.addItem(curve)
        highest = max((float(np.nanmax(v, initial=0)) for _, v, _ in self._lines), default=0)
        top = maximum or highest or 1.0
        margin = 0.1 * top  # for half a tick’s number, half a dot
        x, y = (-0.5, max(n, 1) - 0.5), (-margin, top + margin)
        self._view.setLimits(
            xMin=x[0], xMax=x[1], minXRange=x[1] - x[0], yMin=y[0], yMax=y[1], minYRange=top / 20
        )
        self._view.setRange(xRange=x, yRange=y, padding=0)
        self._hovered = -1
        self._set_pens(self.devicePixelRatioF())
        self.set_current(self._current)

    def set_gutters(self, left: int, right: int) -> None:
        """Line the tokens up with another plot: room at its left and right."""
        self._axis.setWidth(left)
        self.plotItem.layout.setContentsMargins(0, 0, right, 0)
        self.plotItem.layout.activate()

    def set_span(self, first: float, last: float) -> None:
        """Show a part of the token axis, as another plot does."""
        limits = self._view.state["limits"]["xLimits"]
        self._view.setLimits(minXRange=min(last - first, limits[1] - limits[0]))
        self._view.setRange(xRange=(first - 0.5, last - 0.5), padding=0)

    def set_current(self, token: int) -> None:
        """Choose a token; −1 for none. Emits nothing."""
        self._current = token if token < self.n_tokens() else -1
        known = self._current >= 0
        self.setAccessibleDescription(
            self.read_out(self._current) if known else self.tr("No token chosen")
        )
        self._mark()

    def set_hovered(self, token: int) -> None:
        """Mark a token that the pointer is over elsewhere."""
        if token != self._hovered:
            self._hovered = token if token < self.n_tokens() else -1
            self._mark()

    def set_stale(self, stale: bool) -> None:
        super().set_stale(stale)
        self.plotItem.setOpacity(self.content_opacity())

    def n_tokens(self) -> int:
        """How many tokens the lines span."""
        return len(self._lines[0][1]) if self._lines else 0

    def token_at(self, point: QPoint | QPointF) -> int:
        """The token at a point's height line, or −1."""
        token = math.floor(self._view.mapSceneToView(QPointF(point)).x() + 0.5)
        return token if 0 <= token < self.n_tokens() else -1

    def read_out(self, token: int) -> str:
        """The values at a token, in words."""
        text = self.tr("position {0}").format(token)
        if token < len(self._texts):
            word = self._texts[token].strip() or shown(self._texts[token]).text
            text = f"“{word}”, {text}"
        return "\n".join([text, *(f"{name}: {number(v[token])}" for name, v, _ in self._lines)])

    def _mark(self) -> None:
        marked = (self._hovered, self._current)
        half = max(0.5, self._view.viewPixelSize()[0])  # also seen where tokens share a pixel
        for band, token in zip(self._bands, marked, strict=True):
            band.setVisible(token >= 0)
            band.setRegion((token - half, token + half))
        at = [(token, line) for token in marked if token >= 0 for line in self._lines]
        self._dots.setData(
            [token for token, _ in at],
            [np.nan_to_num(values[token]) for token, (_, values, _) in at],
            brush=[color for _, (_, _, color) in at],
        )
        self._view.setToolTip(self.read_out(self._hovered) if self._hovered >= 0 else "")

    @Slot()
    def _dress(self) -> None:
        t = theme.tokens()
        self.setBackground(t.surface)
        self._axis.setPen(None)
        self._axis.setTickPen(pg.mkPen(t.line))
        self._axis.setTextPen(t.muted)
        self._axis.setStyle(tickFont=theme.figures(theme.small(theme.ui_font())))
        for band, alpha in zip(self._bands, (14, 24), strict=True):
            ink = QColor(t.text)
            ink.setAlpha(alpha)
            band.setBrush(ink)

    def _set_pens(self, ratio: float) -> None:
        # pyqtgraph's pens are as many device pixels wide.
        for curve, (_, _, color) in zip(self.listDataItems(), self._lines, strict=True):
            curve.setPen(color, width=1.5 * ratio)

    def _make_menu(self) -> None:
        """The menu of all plots instead of pyqtgraph's."""
        self.plotItem.setMenuEnabled(False, enableViewBoxMenu=False)
        whole = QAction(self.tr("&Whole height"), self)
        whole.triggered.connect(self._show_whole)
        self.menu = PlotMenu(self, self.accessibleName(), self.table, self._paint, more=[whole])

    @Slot()
    def _show_whole(self) -> None:
        """Undo what the wheel did."""
        limits = self._view.state["limits"]["yLimits"]
        self._view.setRange(yRange=limits, padding=0)

    def table(self) -> Columns:
        """The lines, token by token."""
        columns: dict[str, Any] = {"position": range(self.n_tokens())}
        if self._texts:
            columns["token"] = self._texts[: self.n_tokens()]
        return columns | {name: values for name, values, _ in self._lines}

    def _paint(self, painter: QPainter, ratio: float) -> None:
        # Pens are as many device pixels wide; on paper the cached lines would be coarse.
        self._set_pens(ratio)
        for curve in self.listDataItems():
            curve.setCacheMode(curve.CacheMode.NoCache)
        self.scene().render(painter, QRectF(self.rect()), QRectF(self.rect()))
        for curve in self.listDataItems():
            curve.setCacheMode(curve.CacheMode.DeviceCoordinateCache)
        self._set_pens(self.devicePixelRatioF())

    def _go(self, token: int) -> None:
        if token >= 0 and token != self._current:
            self.set_current(token)
            self.token_clicked.emit(token)

    def _hover(self, token: int) -> None:
        if token != self._hovered:
            self.set_hovered(token)
            self.token_hovered.emit(token)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        event.accept()
        if event.button() == Qt.MouseButton.LeftButton:
            self._go(self.token_at(event.position()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        self._hover(self.token_at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._hover(-1)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if step is None or not self.n_tokens():
            event.ignore()
        else:
            self._go(min(max(self._current + step, 0), self.n_tokens() - 1))

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.DevicePixelRatioChange:
            self._set_pens(self.devicePixelRatioF())
        return super().event(event)

    def close(self) -> bool:
        # pyqtgraph's own takes the plot apart, after which a change of theme would find nothing.
        return QWidget.close(self)

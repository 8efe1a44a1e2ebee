"""A graph of boxes and edges that can be moved and enlarged.

Boxes and edges are sorted by colour when the graph is set, so that a picture takes few calls.
"""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QToolTip, QWidget

from desktop_scope.experiments.graph_layout import HEIGHT, WIDTH, Drawing
from desktop_scope.gui import theme
from desktop_scope.gui.widgets.exporting import Columns
from desktop_scope.gui.widgets.painting import Stale
from desktop_scope.gui.widgets.plot_menu import PlotMenu

_SMALLEST, _LARGEST = 0.08, 3.0
_READABLE = 0.55  # scale from which the words in boxes grow with them
_NAMED = 0.36  # scale from which there are words in boxes
_WIDTHS = (0.8, 1.6, 2.8, 4.5)  # of edges, by what they carry
_SHADES = (0.15, 0.4, 0.7, 1.0)
_MARGIN = 24
_CLICK = 4  # pixels that a click may move
_SMOOTH = 150  # edges up to which they are drawn without jags
_SETTLED_MS = 120  # after the last movement, until all is drawn anew


class GraphView(Stale, QWidget):
    """Tokens at the bottom, layers upwards, the answer on top.

    Signals:
        node_clicked: The number of a node.
        node_activated: It was double-clicked.
    """

    node_clicked = Signal(int)
    node_activated = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._drawing: Drawing | None = None
        self._words: tuple[str, ...] = ()
        self._help: tuple[str, ...] = ()
        self._marked: frozenset[int] = frozenset()
        self._chosen = -1
        self._scale = 1.0
        self._origin = QPointF()
        self._fits = True  # stays whole when the view's size changes, until it is moved
        self._picture: tuple[QPixmap, QPointF, float] | None = None  # of the last full painting
        self._settling = QTimer(self, singleShot=True, interval=_SETTLED_MS)
        self._settling.timeout.connect(self.update)
        self._pressed: QPointF | None = None
        self._moved = False
        self.setAccessibleName("The path from the text to the answer")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(120, 80)
        self.menu = PlotMenu(self, self.accessibleName(), self.table, self._paint_sharp)

    # ---- what is shown

    def set_drawing(self, drawing: Drawing, words: Sequence[str], help_: Sequence[str]) -> None:
        """Show a graph; what stands in each box, and what is said of it on hover."""
        new = self._drawing is None or self._drawing.graph is not drawing.graph
        self._drawing, self._words, self._help = drawing, tuple(words), tuple(help_)
        self._top_effect = max(map(abs, (n.effect for n in drawing.nodes)), default=1.0) or 1.0
        self._edges = _buckets(drawing)
        self.setAccessibleDescription(f"{len(drawing.nodes)} nodes, {len(drawing.source)} edges")
        if new or self._fits:
            self.fit()
        self.update()

    def table(self) -> Columns:
        """The edges, and what the boxes at their ends say."""
        drawing = self._drawing
        if drawing is None:
            return {"from": (), "to": (), "carries": ()}
        return {
            "from": [self._words[n] for n in drawing.source],
            "to": [self._words[n] for n in drawing.target],
            "carries": drawing.carried,
        }

    def set_marks(self, pinned: frozenset[int], chosen: int) -> None:
        """Outline the pinned nodes, and show the edges of the chosen one alone."""
        if (pinned, chosen) != (self._marked, self._chosen):
            self._marked, self._chosen = pinned, chosen
            self.update()

    def fit(self) -> None:
        """Show all of it."""
        self._fits = True
        bounds = self._bounds()
        room = QRectF(self.rect()).adjusted(_MARGIN, 8, -8, -8)
        if bounds.isEmpty() or room.width() < 10 or room.height() < 10:
            return
        scale = min(room.width() / bounds.width(), room.height() / bounds.height())
        self._scale = float(np.clip(scale, _SMALLEST, 1.0))
        self._origin = room.center() - bounds.center() * self._scale
        self.update()

    def zoom(self, factor: float, about: QPointF | None = None) -> None:
        """Enlarge about a point of the view, its middle by default."""
        about = QPointF(self.rect().center()) if about is None else about
        scale = float(np.clip(self._scale * factor, _SMALLEST, _LARGEST))
        self._origin = about + (self._origin - about) * (scale / self._scale)
        self._scale = scale
        self._move()

    def _move(self, step: QPointF = QPointF()) -> None:  # noqa: B008
        """While it moves the last picture is moved; then all is drawn anew."""
        self._origin += step
        self._fits = False
        self._settling.start()
        self.update()

    def _bounds(self) -> QRectF:
        drawing = self._drawing
        if drawing is None:
            return QRectF()
        x, y = drawing.x, drawing.y
        return QRectF(
            QPointF(float(x.min()) - WIDTH / 2, float(y.min()) - HEIGHT),
            QPointF(float(x.max()) + WIDTH / 2, float(y.max()) + HEIGHT),
        )

    def node_at(self, point: QPointF) -> int:
        """The number of the node at a point of the view; −1 for none."""
        if self._drawing is None:
            return -1
        x, y = self._in_graph(point)
        hits = (np.abs(self._drawing.x - x) < WIDTH / 2) & (
            np.abs(self._drawing.y - y) < HEIGHT / 2
        )
        return int(hits.argmax()) if hits.any() else -1

    def _in_graph(self, point: QPointF) -> tuple[float, float]:
        there = (point - self._origin) / self._scale
        return there.x(), there.y()

    # ---- drawing

    def sizeHint(self) -> QSize:
        return QSize(500, 300)

    def paintEvent(self, event: QPaintEvent) -> None:
        drawing = self._drawing
        if drawing is None:
            return
        painter = QPainter(self)
        if self._settling.isActive() and self._picture is not None:
            picture, origin, scale = self._picture
            grown = self._scale / scale
            painter.translate(self._origin - origin * grown)
            painter.scale(grown, grown)
            painter.drawPixmap(0, 0, picture)
            return
        ratio = self.devicePixelRatioF()
        picture = QPixmap(self.size() * ratio)
        picture.setDevicePixelRatio(ratio)
        picture.fill(theme.tokens().surface)
        with QPainter(picture) as brush:
            self._paint_all(brush, drawing)
        self._picture = (picture, QPointF(self._origin), self._scale)
        painter.drawPixmap(0, 0, picture)

    def _paint_sharp(self, painter: QPainter, ratio: float) -> None:
        if self._drawing is not None:
            self._paint_all(painter, self._drawing)

    def _paint_all(self, painter: QPainter, drawing: Drawing) -> None:
        painter.setFont(theme.small(self.font()))
        self._paint_layers(painter, drawing)
        painter.setOpacity(self.content_opacity())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, len(drawing.source) <= _SMOOTH)
        painter.translate(self._origin)
        painter.scale(self._scale, self._scale)
        self._paint_edges(painter, drawing)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_nodes(painter, drawing)

    def _paint_layers(self, painter: QPainter, drawing: Drawing) -> None:
        t, free = theme.tokens(), float("inf")
        line = QFontMetrics(painter.font()).height()
        for layer, at in drawing.rows:
            y = self._origin.y() + at * self._scale
            painter.setPen(t.line)
            painter.drawLine(QPointF(_MARGIN, y), QPointF(self.width(), y))
            if y + line <= free:
                free = y
                painter.setPen(t.faint)
                painter.drawText(QPointF(2, y + line / 3), str(layer))

    def _paint_edges(self, painter: QPainter, drawing: Drawing) -> None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        alone = self._chosen >= 0
        if alone:
            painter.setOpacity(self.content_opacity() * 0.12)
        for sign, width, path in self._edges:
            painter.setPen(QPen(_tint(sign, 0.75), width))
            painter.drawPath(path)
        if not alone:
            return
        painter.setOpacity(self.content_opacity())
        mine = (drawing.source == self._chosen) | (drawing.target == self._chosen)
        top = float(np.abs(drawing.carried).max(initial=1e-9))
        for s, e, carried in zip(
            drawing.source[mine], drawing.target[mine], drawing.carried[mine], strict=True
        ):
            width = 1 + 4 * abs(float(carried)) / top
            painter.setPen(QPen(_tint(float(np.sign(carried)), 1.0), width))
            path = QPainterPath()
            _curve(path, drawing, int(s), int(e))
            painter.drawPath(path)

    def _paint_nodes(self, painter: QPainter, drawing: Drawing) -> None:
        t = theme.tokens()
        left, top = self._in_graph(QPointF(0, 0))
        right, bottom = self._in_graph(QPointF(self.width(), self.height()))
        seen = np.flatnonzero(
            (drawing.x > left - WIDTH) & (drawing.x < right + WIDTH)
            & (drawing.y > top - HEIGHT) & (drawing.y < bottom + HEIGHT)
        ).tolist()  # fmt: skip
        readable = self._scale >= _READABLE
        measure = QFontMetrics(painter.font())
        shades = np.array([node.effect for node in drawing.nodes]) / self._top_effect
        fills = theme.diverging_rgba(shades)
        for n in seen:
            node = drawing.nodes[n]
            box = QRectF(drawing.x[n] - WIDTH / 2, drawing.y[n] - HEIGHT / 2, WIDTH, HEIGHT)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(t.surface)
            painter.drawRoundedRect(box, theme.RADIUS, theme.RADIUS)
            painter.setBrush(QColor(*fills[n].tolist()) if node.causes else t.raised)
            painter.setPen(self._outline(n))
            painter.drawRoundedRect(box, theme.RADIUS, theme.RADIUS)
            if self._scale >= _NAMED or not node.causes:
                painter.setPen(t.text)
                if not readable:
                    self._name(painter, n)
                    continue
                words = measure.elidedText(
                    self._words[n], Qt.TextElideMode.ElideRight, int(WIDTH - 10)
                )
                painter.drawText(box, Qt.AlignmentFlag.AlignCenter, words)

    def _name(self, painter: QPainter, n: int) -> None:
        """What a box is called, in letters that do not shrink with it."""
        assert self._drawing is not None
        at = QPointF(float(self._drawing.x[n]), float(self._drawing.y[n])) * self._scale
        measure = QFontMetrics(painter.font())
        node = self._drawing.nodes[n]
        room = WIDTH * self._scale + (-4 if node.causes else 24)
        wide = 4 * room if node.token is None else room
        words = measure.elidedText(self._words[n], Qt.TextElideMode.ElideRight, int(wide))
        painter.save()
        painter.resetTransform()
        centre = at + self._origin
        box = QRectF(centre.x() - wide / 2, centre.y() - 8, wide, 16)
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, words)
        painter.restore()

    def _outline(self, n: int) -> QPen:
        t = theme.tokens()
        if n == self._chosen:
            return QPen(t.accent, 2)
        return QPen(t.accent, 1.5, Qt.PenStyle.DotLine) if n in self._marked else QPen(t.line, 1)

    # ---- moving about

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._fits:
            self.fit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        self.zoom(1.0015 ** event.angleDelta().y(), event.position())
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._pressed, self._moved = event.position(), False

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._pressed is None:
            return
        step = event.position() - self._pressed
        if self._moved or step.manhattanLength() > _CLICK:
            self._moved = True
            self._pressed = event.position()
            self._move(step)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._pressed is not None and not self._moved:
            self.node_clicked.emit(self.node_at(event.position()))
        self._pressed = None

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        n = self.node_at(event.position())
        if n >= 0:
            self.node_activated.emit(n)
        else:
            self.fit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {
            Qt.Key.Key_Left: (60, 0), Qt.Key.Key_Right: (-60, 0),
            Qt.Key.Key_Up: (0, 60), Qt.Key.Key_Down: (0, -60),
        }.get(Qt.Key(event.key()))  # fmt: skip
        if step is not None:
            self._move(QPointF(*step))
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent):
            n = self.node_at(QPointF(event.pos()))
            if n >= 0:
                QToolTip.showText(event.globalPos(), self._help[n], self)
            return True
        return super().event(event)


def _tint(sign: float, strength: float) -> QColor:
    return QColor(*theme.diverging_rgba(np.array([sign * strength]), behind_text=False)[0].tolist())


def _curve(path: QPainterPath, drawing: Drawing, source: int, target: int) -> None:
    """From the top of a box to the bottom of another."""
    x0, y0 = float(drawing.x[source]), float(drawing.y[source]) - HEIGHT / 2
    x1, y1 = float(drawing.x[target]), float(drawing.y[target]) + HEIGHT / 2
    bend = max((y0 - y1) / 2, 6)
    path.moveTo(x0, y0)
    path.cubicTo(x0, y0 - bend, x1, y1 + bend, x1, y1)


def _buckets(drawing: Drawing) -> list[tuple[float, float, QPainterPath]]:
    """Edges of like sign and width as one path each: sign, width, path."""
    top = float(np.abs(drawing.carried).max(initial=1e-9))
    sizes = np.searchsorted(_SHADES, np.abs(drawing.carried) / top)
    paths: dict[tuple[float, int], QPainterPath] = {}
    for s, e, carried, size in zip(
        drawing.source.tolist(), drawing.target.tolist(), drawing.carried, sizes, strict=True
    ):
        key = (float(np.sign(carried)), min(int(size), len(_WIDTHS) - 1))
        _curve(paths.setdefault(key, QPainterPath()), drawing, s, e)
    return [
        (sign, _WIDTHS[size], path)
        for (sign, size), path in sorted(paths.items(), key=lambda i: i[0][1])
    ]

"""Points on a plane to wander over: one picture made with numpy, however many there are."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from desktop_scope.evidence.mapping.types import Region
from desktop_scope.gui import theme
from desktop_scope.gui.widgets.painting import Pixels, argb, device_size, image_of

_MARGIN = 0.04  # around the whole map, as a share of it
_CLOSEST = 2000.0  # times the whole
_NOTCH = 1.25  # zoom of one step of the wheel
_REACH = 12.0  # pixels from the pointer to a point that it points at
_LARGEST = 9  # pixels of a point
_PART = 80.0  # pixels of the part of the map that one word names
_SHARE = 0.03  # a word that stands out less than this share of the most is left out
_MOST_WORDS = 40


class PointMap(QWidget):
    """Pan by dragging, zoom with the wheel, click a point; arrows go from point to point.

    Signals:
        point_hovered: The point under the pointer, −1 for none.
        point_chosen: The user clicked a point or went to it.
    """

    point_hovered = Signal(int)
    point_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._points: NDArray[np.float32] = np.zeros((0, 2), np.float32)
        self._colors: Pixels = np.zeros(0, np.uint32)
        self._lit: tuple[NDArray[np.int64], Pixels] = (np.zeros(0, np.int64), self._colors)
        self._levels: dict[int, tuple[list[str], NDArray[np.float64]]] = {}
        self._rings: tuple[tuple[int, QColor], ...] = ()
        self._chosen = self._hovered = -1
        self._centre, self._zoom = np.array([0.5, 0.5]), 1.0
        self._grabbed: QPointF | None = None
        self._moved = False
        self._pixels: Pixels = np.zeros((1, 1), np.uint32)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(self.tr("Map of features"))

    def sizeHint(self) -> QSize:
        return QSize(320, 320)

    # -- what is shown

    def set_points(
        self, points: NDArray[np.float32], colors: Pixels, regions: Sequence[Region] = ()
    ) -> None:
        """Show points.

        Args:
            points: [N, 2] places, 0…1.
            colors: [N] opaque pixels.
            regions: Names of parts.
        """
        self._points, self._colors = points, colors
        self._levels = _by_level(regions)
        self._lit = (np.zeros(0, np.int64), np.zeros(0, np.uint32))
        self._chosen = self._hovered = -1
        self._rings = ()
        self.update()

    def set_colors(self, colors: Pixels) -> None:
        """Colour the points anew."""
        self._colors = colors
        self.update()

    def set_lit(self, points: NDArray[np.int64], colors: Pixels) -> None:
        """Draw some points larger, over the others, in these colours."""
        self._lit = (points, colors)
        self.update()

    def set_chosen(self, point: int, rings: Sequence[tuple[int, QColor]] = ()) -> None:
        """Mark the selected point, −1 for none, and others with rings of their own colours."""
        self._chosen, self._rings = point, tuple(rings)
        self.setAccessibleDescription(
            self.tr("{0} features; arrows go to the next one").format(f"{len(self._points):,}")
        )
        self.update()

    def chosen(self) -> int:
        """The selected point, −1 for none."""
        return self._chosen

    # -- where things are

    @property
    def zoom(self) -> float:
        """1 shows the whole."""
        return self._zoom

    def show_whole(self) -> None:
        """All of the map."""
        self._centre, self._zoom = np.array([0.5, 0.5]), 1.0
        self.update()

    def look_at(self, point: int, zoom: float | None = None) -> None:
        """Bring a point into the middle."""
        self._centre = self._points[point].astype(np.float64)
        self._zoom = min(max(zoom or self._zoom, 1.0), _CLOSEST)
        self.update()

    def _scale(self) -> float:
        """Logical pixels of the unit of the map."""
        return min(self.width(), self.height()) / (1 + 2 * _MARGIN) * self._zoom

    def place_of(self, point: int) -> QPointF:
        """Where a point is drawn."""
        x, y = (self._points[point] - self._centre) * self._scale()
        return QPointF(self.width() / 2 + float(x), self.height() / 2 + float(y))

    def _on_map(self, at: QPointF) -> NDArray[np.float64]:
        offset = np.array([at.x() - self.width() / 2, at.y() - self.height() / 2])
        return self._centre + offset / self._scale()

    def point_at(self, at: QPointF) -> int:
        """The nearest point within reach of the pointer, or −1."""
        if not len(self._points):
            return -1
        apart = self._points - self._on_map(at).astype(np.float32)
        squared = (apart * apart).sum(axis=1)
        best = int(squared.argmin())
        return best if squared[best] ** 0.5 * self._scale() <= _REACH else -1

    # -- drawing

    def _size_of_points(self, ratio: float, n_shown: int) -> int:
        """Device pixels: larger where there are few, so that a frame never takes long."""
        room = self.width() * self.height() / max(n_shown, 1)
        return round(min(max(np.sqrt(room) / 3.5, 1.3), _LARGEST) * ratio)

    def _raster(self, ratio: float) -> Pixels:
        """The points as pixels."""
        width, height = device_size(self.width(), self.height(), ratio)
        pad = _LARGEST * 4
        if self._pixels.shape != (height + 2 * pad, width + 2 * pad):
            self._pixels = np.empty((height + 2 * pad, width + 2 * pad), np.uint32)
        pixels = self._pixels
        pixels[:] = argb(theme.tokens().surface)
        scale = np.float32(self._scale() * ratio)
        centre = self._centre.astype(np.float32)
        x = (self._points[:, 0] - centre[0]) * scale + np.float32(width / 2)
        y = (self._points[:, 1] - centre[1]) * scale + np.float32(height / 2)
        if self._zoom > 1:  # at the whole all are in sight
            shown = np.flatnonzero((x >= 0) & (x < width) & (y >= 0) & (y < height))
            x, y, colors = x[shown], y[shown], self._colors[shown]
        else:
            colors = self._colors
        size = self._size_of_points(ratio, len(x))
        _stamp(pixels, x, y, colors, size, pad)
        lit, lit_colors = self._lit
        if len(lit):
            some = self._points[lit]
            x = (some[:, 0] - centre[0]) * scale + np.float32(width / 2)
            y = (some[:, 1] - centre[1]) * scale + np.float32(height / 2)
            seen = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            _stamp(pixels, x[seen], y[seen], lit_colors[seen], size + round(3 * ratio), pad)
        return np.ascontiguousarray(pixels[pad : pad + height, pad : pad + width])

    def paintEvent(self, event: QPaintEvent) -> None:
        ratio = self.devicePixelRatioF()
        with QPainter(self) as painter:
            self.paint(painter, ratio)
            if self._hovered >= 0:
                self._ring(painter, self._hovered, theme.tokens().muted, 5.0)
            if self.hasFocus():
                painter.setPen(QPen(theme.tokens().accent, 1))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5))

    def paint(self, painter: QPainter, ratio: float) -> None:
        """Draw all but what only the pointer and the keyboard are about.

        Args:
            painter: Of any device.
            ratio: Its pixels to one of this widget.
        """
        pixels = self._raster(ratio)
        painter.drawImage(QPointF(0, 0), image_of(pixels, ratio))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._draw_regions(painter)
        for point, color in self._rings:
            self._ring(painter, point, color, 6.0)
        if self._chosen >= 0:
            self._ring(painter, self._chosen, theme.tokens().surface, 10.0)
            self._ring(painter, self._chosen, theme.tokens().text, 8.0)

    def _ring(self, painter: QPainter, point: int, color: QColor, radius: float) -> None:
        painter.setPen(QPen(color, 2))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(self.place_of(point), radius, radius)

    def _draw_regions(self, painter: QPainter) -> None:
        """Words of the level that suits the zoom, the weightiest first, none over another."""
        level = round(float(np.log2(max(self._scale() / _PART, 1.0))))
        if not self._levels or level > max(self._levels) + 1:
            return  # so near that single points can be read
        words, places = self._levels[min(max(level, min(self._levels)), max(self._levels))]
        at = (places - self._centre) * self._scale() + (self.width() / 2, self.height() / 2)
        inside = (at > 0).all(axis=1) & (at < (self.width(), self.height())).all(axis=1)
        painter.setFont(theme.strong(theme.small(self.font())))
        measure, t = painter.fontMetrics(), theme.tokens()
        halo = QColor(t.surface)
        halo.setAlpha(205)
        taken: list[QRectF] = []
        for n in np.flatnonzero(inside).tolist():
            width = measure.horizontalAdvance(words[n]) + 8
            box = QRectF(at[n, 0] - width / 2, at[n, 1] - 9, width, 18)
            cut = not QRectF(self.rect()).contains(box)
            if cut or any(box.intersects(other) for other in taken):
                continue
            taken.append(box.adjusted(-4, -4, 4, 4))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(halo)
            painter.drawRoundedRect(box, 4, 4)
            painter.setPen(t.text)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, words[n])
            if len(taken) == _MOST_WORDS:
                break

    # -- acts of the user

    def wheelEvent(self, event: QWheelEvent) -> None:
        self.zoom_at(event.position(), _NOTCH ** (event.angleDelta().y() / 120))
        event.accept()

    def zoom_at(self, at: QPointF, factor: float) -> None:
        """Zoom in or out; what is under ``at`` stays there."""
        before = self._on_map(at)
        self._zoom = min(max(self._zoom * factor, 1.0), _CLOSEST)
        self._centre = np.clip(self._centre + before - self._on_map(at), 0, 1)
        if self._zoom == 1.0:
            self._centre = np.array([0.5, 0.5])
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._grabbed, self._moved = event.position(), False

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = event.position()
        if self._grabbed is None or not event.buttons() & Qt.MouseButton.LeftButton:
            self._hover(self.point_at(at))
            return
        step = at - self._grabbed
        if self._moved or step.manhattanLength() > 4:
            self._moved, self._grabbed = True, at
            move = np.array([step.x(), step.y()]) / self._scale()
            self._centre = np.clip(self._centre - move, 0, 1)
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        clicked = self._grabbed is not None and not self._moved
        self._grabbed = None
        point = self.point_at(event.position()) if clicked else -1
        if point >= 0:
            self.point_chosen.emit(point)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.zoom_at(event.position(), _NOTCH**4)

    def leaveEvent(self, event: QEvent) -> None:
        self._hover(-1)

    def _hover(self, point: int) -> None:
        if point != self._hovered:
            self._hovered = point
            if point < 0:
                QToolTip.hideText()
            self.update()
            self.point_hovered.emit(point)

    def say(self, point: int, text: str) -> None:
        """Show what a point is called, if the pointer is still on it."""
        if point == self._hovered and point >= 0:
            where = self.mapToGlobal(self.place_of(point).toPoint())
            QToolTip.showText(where, text, self)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            return True  # names come from ``say``
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        directions = {
            Qt.Key.Key_Left: (-1, 0),
            Qt.Key.Key_Right: (1, 0),
            Qt.Key.Key_Up: (0, -1),
            Qt.Key.Key_Down: (0, 1),
        }
        middle = QPointF(self.width() / 2, self.height() / 2)
        if event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier or not len(self._points):
            event.ignore()
        elif event.key() in directions:
            self._go(np.array(directions[Qt.Key(event.key())], np.float32))
        elif event.key() in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self.zoom_at(self.place_of(self._chosen) if self._chosen >= 0 else middle, _NOTCH)
        elif event.key() == Qt.Key.Key_Minus:
            self.zoom_at(middle, 1 / _NOTCH)
        elif event.key() == Qt.Key.Key_Home:
            self.show_whole()
        else:
            event.ignore()

    def _go(self, direction: NDArray[np.float32]) -> None:
        """To the nearest point in a direction, within 45 degrees of it."""
        if self._chosen < 0:
            self.point_chosen.emit(int(np.abs(self._points - self._centre).sum(1).argmin()))
            return
        apart = self._points - self._points[self._chosen]
        along = apart @ direction
        across = np.abs(apart @ direction[::-1])
        squared = np.where((along > 0) & (across <= along), (apart * apart).sum(axis=1), np.inf)
        best = int(squared.argmin())
        if np.isfinite(squared[best]):
            self.point_chosen.emit(best)


def _by_level(regions: Sequence[Region]) -> dict[int, tuple[list[str], NDArray[np.float64]]]:
    """By level the words, the weightiest first, and where they are, [n, 2]."""
    levels: dict[int, tuple[list[str], NDArray[np.float64]]] = {}
    for level in {region.level for region in regions}:
        own = sorted((r for r in regions if r.level == level), key=lambda r: -r.weight)
        own = [r for r in own if r.weight >= _SHARE * own[0].weight]
        levels[level] = ([r.word for r in own], np.array([(r.x, r.y) for r in own]))
    return levels


def _stamp(
    pixels: Pixels,
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    colors: Pixels,
    size: int,
    pad: int,
) -> None:
    """Draw round points of a size into pixels with a margin."""
    width = pixels.shape[1]
    flat = pixels.reshape(-1)
    first = (y.astype(np.int32) + (pad - size // 2)) * width + x.astype(np.int32) + pad - size // 2
    middle = (size - 1) / 2
    for row in range(size):
        for column in range(size):
            if (row - middle) ** 2 + (column - middle) ** 2 <= (size / 2) ** 2 + 0.25:
                flat[first + (row * width + column)] = colors

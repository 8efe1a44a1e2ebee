"""Layers × tokens: where in the model, and where in the text, a feature is at work.

Painted by hand, as the histogram is, and not with pyqtgraph: another 30 × 512 image takes 0.2 ms
instead of 2.8, and hatching, row strengths and labels would be our own there, too.
"""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFontMetrics,
    QHelpEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.exporting import Columns
from desktop_scope.gui.widgets.heat_cells import cell_pixels, edges
from desktop_scope.gui.widgets.painting import (
    Pixels,
    Stale,
    device_size,
    image_of,
    number,
)
from desktop_scope.gui.widgets.plot_menu import PlotMenu
from desktop_scope.gui.widgets.token_layout import shown

LABEL_LENGTH = 64  # room for token labels, at most
_TALLEST_ROW = 40  # pixels
WIDE_COLUMN = 44  # labels lie flat from here on


class HeatMap(Stale, QWidget):
    """One row per layer, the last layer on top; one column per token.

    Signals:
        cell_clicked: The user clicked a cell: layer, token.
        cell_activated: The user double-clicked a cell or pressed Enter on it.
        cell_hovered: The pointer is over a cell; −1, −1 when it left.
        current_changed: The user moved to a cell by click or key; ``set_current`` is silent.
    """

    cell_clicked = Signal(int, int)
    cell_activated = Signal(int, int)
    cell_hovered = Signal(int, int)
    current_changed = Signal(int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._values = np.zeros((0, 0), np.float32)
        self._maximum = 1.0
        self._signed = False
        self._masked = np.zeros(0, bool)
        self._row_labels: tuple[str, ...] = ()
        self._texts: tuple[str, ...] = ()
        self._row_alpha: NDArray[np.floating] = np.ones(0)
        self._row_notes: tuple[str, ...] = ()
        self._current = (-1, -1)
        self._hovered = (-1, -1)
        self._tooltip_of: Callable[[int, int], str] | None = None
        self._cells: tuple[object, Pixels] | None = None  # what they were made for, and they
        self._image = QImage()
        self._key: object = None
        self.setAccessibleName(self.tr("Layers by tokens"))
        name = self.accessibleName()
        self.menu = PlotMenu(self, name, self.table, self._draw_sharp, corner=False)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(160, 80)

    def sizeHint(self) -> QSize:
        return QSize(560, 280)

    # -- content --------------------------------------------------------------------------------

    def set_data(
        self,
        values: NDArray[np.floating],
        maximum: float = 1.0,
        masked: NDArray[np.bool_] | None = None,
        row_labels: Sequence[str] | None = None,
        texts: Sequence[str] = (),
        signed: bool = False,
    ) -> None:
        """Show values [layers, tokens].

        Args:
            values: Activations, one row per layer from the first layer on.
            maximum: What counts as full strength.
            masked: Tokens that were not encoded; their columns are hatched.
            row_labels: Names of the layers; their numbers by default.
            texts: The tokens, for the labels below.
            signed: Values below 0 mean something: orange to blue instead of green.
        """
        self._values = np.atleast_2d(np.asarray(values, np.float32))
        n_layers, n_tokens = self._values.shape
        self._maximum = max(float(maximum), 1e-9)
        self._signed = signed
        self._masked = np.zeros(n_tokens, bool) if masked is None else np.asarray(masked, bool)
        self._row_labels = tuple(row_labels or map(str, range(n_layers)))
        self._texts = tuple(texts)
        if len(self._row_alpha) != n_layers:
            self._row_alpha = np.ones(n_layers)
            self._row_notes = ()
        layer, token = self._current
        self._current = (layer if layer < n_layers else -1, token if token < n_tokens else -1)
        self._hovered = (-1, -1)
        self._changed()

    def set_row_alpha(self, alpha: NDArray[np.floating] | None) -> None:
        """Draw rows fainter, 0…1 per layer; such as where the feature has no good match."""
        n = len(self._values)
        self._row_alpha = np.ones(n) if alpha is None else np.clip(alpha, 0, 1)
        self._changed()

    def set_row_notes(self, notes: Sequence[str]) -> None:
        """A short note at the right end of each row, such as “0.83”; empty for none."""
        self._row_notes = tuple(notes)
        self._changed()

    def set_current(self, layer: int, token: int) -> None:
        """Choose a cell; −1 stands for no layer or no token. Emits nothing."""
        n_layers, n_tokens = self._values.shape
        cell = (layer if -1 <= layer < n_layers else -1, token if -1 <= token < n_tokens else -1)
        if cell != self._current:
            self._current = cell
            self._describe()
            self.update()

    def set_hovered(self, layer: int, token: int) -> None:
        """Outline a cell that the pointer is over elsewhere; −1 for none."""
        if (layer, token) != self._hovered:
            self._hovered = (layer, token)
            self.update()

    def set_tooltip_provider(self, provider: Callable[[int, int], str] | None) -> None:
        """Say more when hovering: a function of layer and token."""
        self._tooltip_of = provider

    # -- questions ------------------------------------------------------------------------------

    def current(self) -> tuple[int, int]:
        """The chosen layer and token, −1 for none."""
        return self._current

    def table(self) -> Columns:
        """The cells, layer by layer."""
        n_layers, n_tokens = self._values.shape
        columns: dict[str, Any] = {
            "layer": np.repeat(np.array(self._row_labels), n_tokens),
            "position": np.tile(np.arange(n_tokens), n_layers),
        }
        if self._texts:
            columns["token"] = list(self._texts) * n_layers
        return columns | {"value": np.where(self._masked, np.nan, self._values).ravel()}

    def gutters(self) -> tuple[int, int]:
        """Room left and right of the cells, for plots that share the token axis."""
        measure = QFontMetrics(theme.small(self.font()))
        right = max((measure.horizontalAdvance(note) for note in self._row_notes), default=0)
        return axis_gutter(self), (right + 12) if right else 8

    def cell_at(self, point: QPoint) -> tuple[int, int]:
        """Layer and token under a point, or (−1, −1)."""
        area = self._area()
        n_layers, n_tokens = self._values.shape
        if not (n_layers and n_tokens and area.contains(point)):
            return -1, -1
        ratio = self.devicePixelRatioF()
        width, height = device_size(area.width(), area.height(), ratio)
        x = min((point.x() - area.left() + 0.5) * ratio, width - 1)
        y = min((point.y() - area.top() + 0.5) * ratio, height - 1)
        token = int(np.searchsorted(edges(width, n_tokens), x, side="right")) - 1
        row = int(np.searchsorted(edges(height, n_layers), y, side="right")) - 1
        return n_layers - 1 - row, token

    def cell_rect(self, layer: int, token: int) -> QRectF:
        """A cell's place; a whole row or column where token or layer is −1."""
        area = QRectF(self._area())
        n_layers, n_tokens = self._values.shape
        ratio = self.devicePixelRatioF()
        width, height = device_size(area.width(), area.height(), ratio)
        if token >= 0 and n_tokens:
            at = edges(width, n_tokens) / ratio
            area.setLeft(self._area().left() + at[token])
            area.setRight(self._area().left() + max(at[token + 1], at[token] + 1 / ratio))
        if layer >= 0 and n_layers:
            at = edges(height, n_layers) / ratio
            row = n_layers - 1 - layer
            area.setTop(self._area().top() + at[row])
            area.setBottom(self._area().top() + max(at[row + 1], at[row] + 1 / ratio))
        return area

    def tooltip_text(self, layer: int, token: int) -> str:
        """What hovering over a cell says."""
        if self._tooltip_of is not None:
            return self._tooltip_of(layer, token)
        return self._cell_text(layer, token)

    def _cell_text(self, layer: int, token: int) -> str:
        where = self.tr("layer {0}").format(self._row_labels[layer])
        if token < len(self._texts):
            word = self._texts[token].strip() or shown(self._texts[token]).text
            where += self.tr(", position {0} “{1}”").format(token, word)
        else:
            where += self.tr(", position {0}").format(token)
        if self._masked[token]:
            return where + self.tr(", not encoded")
        text = where + self.tr(", activation {0}").format(number(self._values[layer, token]))
        if layer < len(self._row_notes) and self._row_notes[layer]:
            text += self.tr("\nmatch in this layer: {0} (1 means the same direction)").format(
                self._row_notes[layer]
            )
        return text

    # -- geometry -------------------------------------------------------------------------------

    def _area(self) -> QRect:
        left, right = self.gutters()
        bottom = self._label_height()
        height = max(1, self.height() - 4 - bottom)
        if len(self._values):
            height = min(height, _TALLEST_ROW * len(self._values))  # a few rows stay rows
        return QRect(left, 4, max(1, self.width() - left - right), height)

    def _column_width(self) -> float:
        left, right = self.gutters()
        return max(1, self.width() - left - right) / max(1, self._values.shape[1])

    def _label_height(self) -> int:
        measure = QFontMetrics(theme.small(self.font()))
        if not self._texts or self.height() < 140 or self._column_width() >= WIDE_COLUMN:
            return measure.height() + 6
        longest = max(measure.horizontalAdvance(shown(text).text) for text in self._texts[:200])
        return min(LABEL_LENGTH, longest) + 10

    def _changed(self) -> None:
        self._key = self._cells = None
        self._describe()
        self.update()

    def _describe(self) -> None:
        layer, token = self._current
        known = layer >= 0 and token >= 0
        self.setAccessibleDescription(
            self._cell_text(layer, token) if known else self.tr("No cell chosen")
        )

    # -- painting -------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        # Left open by an exception, a painter would crash Qt: hence "with".
        canvas = self._canvas()
        with QPainter(self) as painter:
            painter.fillRect(self.rect(), theme.tokens().surface)
            painter.setOpacity(self.content_opacity())
            painter.drawImage(QPoint(0, 0), canvas)
            if min(self._hovered) >= 0:
                self._draw_ring(painter, self._hovered, theme.tokens().muted, 1.0)

    def _canvas(self) -> QImage:
        """All but the hovered cell, kept while only the pointer moves."""
        ratio = self.devicePixelRatioF()
        key = (self.size(), ratio, theme.tokens(), self.font(), self._current, self.hasFocus())
        if key != self._key:
            width, height = device_size(self.width(), self.height(), ratio)
            self._image = QImage(width, height, QImage.Format.Format_RGB32)
            self._image.setDevicePixelRatio(ratio)
            self._image.fill(theme.tokens().surface)
            if self._values.size:
                with QPainter(self._image) as painter:
                    self._draw(painter, ratio)
            self._key = key
        return self._image

    def _draw_sharp(self, painter: QPainter, ratio: float) -> None:
        if self._values.size:
            self._draw(painter, ratio)

    def _draw(self, painter: QPainter, ratio: float) -> None:
        area = self._area()
        size = (*device_size(area.width(), area.height(), ratio), ratio)
        if self._cells is None or self._cells[0] != (size, theme.tokens()):
            strength = self._values / self._maximum
            pixels = cell_pixels(strength, self._signed, self._masked, self._row_alpha, *size)
            self._cells = ((size, theme.tokens()), pixels)
        painter.drawImage(area.topLeft(), image_of(self._cells[1], ratio))
        self._draw_cross(painter)
        painter.setFont(theme.figures(theme.small(self.font())))
        self._draw_layers(painter, area)
        self._draw_tokens(painter, area)

    def _draw_cross(self, painter: QPainter) -> None:
        t = theme.tokens()
        layer, token = self._current
        band = QColor(t.text)
        band.setAlpha(22)
        if token >= 0:
            painter.fillRect(self.cell_rect(-1, token), band)
        if layer >= 0:
            painter.fillRect(self.cell_rect(layer, -1), band)
        if layer >= 0 and token >= 0:
            width = 2.0 if self.hasFocus() else 1.25
            self._draw_ring(painter, self._current, t.accent, width)

    def _draw_ring(
        self, painter: QPainter, cell: tuple[int, int], color: QColor, width: float
    ) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(color, width))
        painter.drawRoundedRect(self.cell_rect(*cell).adjusted(-1, -1, 0.5, 0.5), 2, 2)

    def _draw_layers(self, painter: QPainter, area: QRect) -> None:
        t = theme.tokens()
        measure = painter.fontMetrics()
        n_layers = len(self._values)
        pitch = area.height() / n_layers
        step = next((s for s in (1, 2, 5, 10, 20, 50) if s * pitch >= measure.height()), 100)
        chosen = self._current[0]
        for layer in range(n_layers):
            is_chosen = layer == chosen
            if not is_chosen and (
                layer % step or (chosen >= 0 and abs(layer - chosen) * pitch < measure.height())
            ):
                continue
            painter.setPen(t.text if is_chosen else t.muted)
            middle = area.top() + (n_layers - 1 - layer + 0.5) * pitch
            box = QRectF(0, middle - 10, area.left() - 6, 20)
            align = Qt.AlignmentFlag.AlignVCenter
            painter.drawText(box, align | Qt.AlignmentFlag.AlignRight, self._row_labels[layer])
            if layer < len(self._row_notes):
                box = QRectF(area.right() + 1, middle - 10, self.width() - area.right() - 5, 20)
                painter.drawText(box, align | Qt.AlignmentFlag.AlignRight, self._row_notes[layer])

    def _draw_tokens(self, painter: QPainter, area: QRect) -> None:
        t = theme.tokens()
        measure = painter.fontMetrics()
        painter.setPen(t.faint)
        align = Qt.AlignmentFlag.AlignRight
        below = QRectF(0, area.bottom() + 4, area.left() - 6, measure.height())
        painter.drawText(below, align, self.tr("layer"))
        if not self._texts:
            return
        column = self._column_width()
        flat = column >= WIDE_COLUMN
        room = self.height() - area.bottom() - 6
        if not flat and room < 24:
            return
        step = 1 if flat else max(1, int(np.ceil(measure.height() * 0.95 / column)))
        chosen = self._current[1]
        for token in range(min(len(self._texts), self._values.shape[1])):
            is_chosen = token == chosen
            near = chosen >= 0 and abs(token - chosen) < step
            if not is_chosen and (token % step or near):
                continue
            painter.setPen(t.text if is_chosen else t.muted)
            text = shown(self._texts[token]).text
            middle = area.left() + (token + 0.5) * column
            if flat:
                text = measure.elidedText(text, Qt.TextElideMode.ElideRight, int(column - 4))
                box = QRectF(middle - column / 2, area.bottom() + 3, column, measure.height())
                painter.drawText(box, Qt.AlignmentFlag.AlignHCenter, text)
            else:
                text = measure.elidedText(text, Qt.TextElideMode.ElideRight, room)
                painter.save()
                painter.translate(middle, area.bottom() + 5)
                painter.rotate(-90)
                painter.drawText(
                    QPointF(-measure.horizontalAdvance(text), measure.capHeight() / 2), text
                )
                painter.restore()

    # -- acts of the user -----------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        cell = self.cell_at(event.position().toPoint())
        if event.button() == Qt.MouseButton.LeftButton and cell[1] >= 0:
            self._go(*cell)
            self.cell_clicked.emit(*cell)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        cell = self.cell_at(event.position().toPoint())
        if cell[1] >= 0:
            self.cell_activated.emit(*cell)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        cell = self.cell_at(event.position().toPoint())
        if event.buttons() & Qt.MouseButton.LeftButton and cell[1] >= 0:
            self._go(*cell)
        self._hover(cell)

    def leaveEvent(self, event: QEvent) -> None:
        self._hover((-1, -1))

    def focusInEvent(self, event: QFocusEvent) -> None:
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        n_layers, n_tokens = self._values.shape
        layer, token = self._current
        steps = {
            Qt.Key.Key_Up: (1, 0),
            Qt.Key.Key_Down: (-1, 0),
            Qt.Key.Key_Left: (0, -1),
            Qt.Key.Key_Right: (0, 1),
            Qt.Key.Key_Home: (0, -n_tokens),
            Qt.Key.Key_End: (0, n_tokens),
            Qt.Key.Key_PageUp: (n_layers, 0),
            Qt.Key.Key_PageDown: (-n_layers, 0),
        }
        if not n_layers or not n_tokens:
            event.ignore()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and min(layer, token) >= 0:
            self.cell_activated.emit(layer, token)
        elif event.key() in steps:
            up, right = steps[Qt.Key(event.key())]
            self._go(
                min(max(layer + up, 0), n_layers - 1) if layer >= 0 else n_layers - 1,
                min(max(token + right, 0), n_tokens - 1) if token >= 0 else 0,
            )
        else:
            event.ignore()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            cell = self.cell_at(event.pos())
            if cell[1] >= 0:
                QToolTip.showText(event.globalPos(), self.tooltip_text(*cell), self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)

    def _go(self, layer: int, token: int) -> None:
        if (layer, token) != self._current:
            self.set_current(layer, token)
            self.current_changed.emit(layer, token)

    def _hover(self, cell: tuple[int, int]) -> None:
        if cell != self._hovered:
            self.set_hovered(*cell)
            self.cell_hovered.emit(*cell)


def axis_gutter(widget: QWidget) -> int:
    """Room for axis labels left of a plot, the same in all plots over tokens."""
    return QFontMetrics(theme.small(widget.font())).horizontalAdvance("layer0") + 8

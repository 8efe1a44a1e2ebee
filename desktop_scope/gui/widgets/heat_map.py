"""Layers × tokens: where in the model, and where in the text, something is at work.

Painted by hand, as the histogram is, and not with pyqtgraph: another 30 × 512 image takes 0.2 ms
instead of 2.8, and hatching, row strengths and labels would be our own there, too. The wheel
enlarges, dragging moves the enlarged map; where cells are large enough, there are words in them.
"""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFontMetrics,
    QImage,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.exporting import Columns
from desktop_scope.gui.widgets.heat_cells import Scale, cell_colors, cell_pixels, crowded
from desktop_scope.gui.widgets.heat_frame import Frame
from desktop_scope.gui.widgets.heat_view import HeatView
from desktop_scope.gui.widgets.heat_words import (
    LABEL_LENGTH,
    WIDE_COLUMN,
    draw_layers,
    draw_tokens,
    draw_words,
    has_room_for_words,
)
from desktop_scope.gui.widgets.painting import Stale, device_size, image_of, number
from desktop_scope.gui.widgets.plot_menu import PlotMenu
from desktop_scope.gui.widgets.token_layout import shown

Words = Callable[[int, int], str]


class HeatMap(Stale, HeatView):
    """One row per layer, the last layer on top; one column per token."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._values = np.zeros((0, 0), np.float32)
        self._shade = self._values
        self._scale = Scale.STRENGTH
        self._masked = np.zeros(0, bool)
        self._row_labels: tuple[str, ...] = ()
        self._texts: tuple[str, ...] = ()
        self._row_alpha: NDArray[np.floating] = np.ones(0)
        self._row_notes: tuple[str, ...] = ()
        self._words: Words | None = None
        self._tooltip_of: Words | None = None
        self._image = QImage()
        self._key: object = None
        self.setAccessibleName(self.tr("Layers by tokens"))
        name = self.accessibleName()
        self.menu = PlotMenu(self, name, self.table, self._paint_sharp, corner=False)
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
        scale: Scale = Scale.STRENGTH,
        shade: NDArray[np.floating] | None = None,
    ) -> None:
        """Show values [layers, tokens].

        Args:
            values: One row per layer from the first layer on.
            maximum: What counts as full strength.
            masked: Tokens that were not encoded; their columns are hatched.
            row_labels: Names of the layers; their numbers by default.
            texts: The tokens, for the labels below.
            scale: What the colours mean.
            shade: The colours, 0…1 or −1…1, where they are not the values over the maximum.
        """
        self._values = np.atleast_2d(np.asarray(values, np.float32))
        n_layers, n_tokens = self._values.shape
        self._scale = scale
        self._shade = self._values / max(float(maximum), 1e-9) if shade is None else shade
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

    def set_words(self, words: Words | None) -> None:
        """What to write into cells that are large enough: a function of layer and token."""
        self._words = words
        self._changed()

    def set_tooltip_provider(self, provider: Words | None) -> None:
        """Say more when hovering: a function of layer and token."""
        self._tooltip_of = provider

    # -- questions ------------------------------------------------------------------------------

    def table(self) -> Columns:
        """The cells, layer by layer."""
        n_layers, n_tokens = self._values.shape
        columns: dict[str, Any] = {
            "layer": np.repeat(np.array(self._row_labels), n_tokens),
            "position": np.tile(np.arange(n_tokens), n_layers),
        }
        if self._texts:
            columns["token"] = list(self._texts) * n_layers
        columns["value"] = np.where(self._masked, np.nan, self._values).ravel()
        if self._words is not None:
            cells = ((n, token) for n in range(n_layers) for token in range(n_tokens))
            columns["word"] = [self._words(*cell) for cell in cells]
        return columns

    def gutters(self) -> tuple[int, int]:
        """Room left and right of the cells, for plots that share the token axis."""
        measure = QFontMetrics(theme.small(self.font()))
        right = max((measure.horizontalAdvance(note) for note in self._row_notes), default=0)
        return axis_gutter(self), (right + 12) if right else 8

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

    def whole(self) -> Frame:
        """The frame that shows all cells."""
        left, right = self.gutters()
        room = QRectF(left, 4, self.width() - left - right, self.height() - 4)
        n_layers, n_tokens = self._values.shape
        column = room.width() / max(n_tokens, 1)
        room.setHeight(max(room.height() - self._label_height(column), 1))
        return Frame.within(n_layers, n_tokens, room, self.devicePixelRatioF())

    def _label_height(self, column: float) -> int:
        measure = QFontMetrics(theme.small(self.font()))
        if not self._texts or self.height() < 140 or column >= WIDE_COLUMN:
            return measure.height() + 6
        longest = _longest(self._texts[:200], measure.averageCharWidth())
        return min(LABEL_LENGTH, longest) + 10

    def _changed(self) -> None:
        self._look(self._frame.resized(self.whole()))
        self.describe()
        self.redraw()

    def redraw(self) -> None:
        """Draw anew: what is in sight has changed."""
        self._key = None
        self.update()

    def describe(self) -> None:
        """Tell screen readers of the chosen cell."""
        layer, token = self._current
        known = layer >= 0 and token >= 0
        self.setAccessibleDescription(
            self._cell_text(layer, token) if known else self.tr("No cell chosen")
        )

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._changed()

    def focusInEvent(self, event: QFocusEvent) -> None:
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self.update()

    # -- painting -------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._frame.ratio != self.devicePixelRatioF():
            self._changed()  # it was moved to another screen
        # Left open by an exception, a painter would crash Qt: hence "with".
        canvas = self._canvas()
        with QPainter(self) as painter:
            painter.fillRect(self.rect(), theme.tokens().surface)
            painter.setOpacity(self.content_opacity())
            painter.drawImage(QPoint(0, 0), canvas)
            if min(self._hovered) >= 0:
                painter.setClipRect(self._frame.rect().adjusted(-2, -2, 2, 2))
                self._draw_ring(painter, self._hovered, theme.tokens().muted, 1.0)

    def _canvas(self) -> QImage:
        """All but the hovered cell, kept while only the pointer moves."""
        ratio = self.devicePixelRatioF()
        key = (self.size(), theme.tokens(), self.font(), self._current, self.hasFocus())
        if key != self._key:
            width, height = device_size(self.width(), self.height(), ratio)
            self._image = QImage(width, height, QImage.Format.Format_RGB32)
            self._image.setDevicePixelRatio(ratio)
            self._image.fill(theme.tokens().surface)
            if self._values.size:
                with QPainter(self._image) as painter:
                    self._draw(painter, self._frame, words=not self._settling.isActive())
            self._key = key
        return self._image

    def _paint_sharp(self, painter: QPainter, ratio: float) -> None:
        if self._values.size:
            whole = Frame.within(*self._values.shape, self._frame.rect(), ratio)
            self._draw(painter, self._frame.resized(whole), words=True)

    def _draw(self, painter: QPainter, frame: Frame, words: bool) -> None:
        (top, bottom), (first, last) = frame.seen_rows, frame.tokens
        shade, masked, cells = crowded(self._shade[::-1], self._masked, frame)
        if cells is not frame:
            first, last = cells.tokens
        legible = self._words is not None and has_room_for_words(frame)
        rgba = cell_colors(shade[top:bottom, first:last], self._scale, behind_text=legible)
        alpha = self._row_alpha[::-1][top:bottom, None]
        rgba[..., 3] = rgba[..., 3] * alpha
        colors = theme.opaque(rgba, theme.tokens().window)
        pixels = cell_pixels(colors, masked[first:last], cells)
        painter.drawImage(QPointF(frame.left, frame.top), image_of(pixels, frame.ratio))
        painter.setFont(theme.figures(theme.small(self.font())))
        if words and legible:
            draw_words(painter, frame, colors, self._words)
        self._draw_cross(painter, frame)
        layer, token = self._current
        draw_layers(painter, frame, self._row_labels, self._row_notes, layer, self.width() - 4)
        draw_tokens(painter, frame, self._texts, token, self.height() + 1)

    def _draw_cross(self, painter: QPainter, frame: Frame) -> None:
        t = theme.tokens()
        layer, token = self._current
        band = QColor(t.text)
        band.setAlpha(22)
        painter.save()
        painter.setClipRect(frame.rect().adjusted(-2, -2, 2, 2))
        if token >= 0:
            painter.fillRect(frame.cell_rect(-1, token), band)
        if layer >= 0:
            painter.fillRect(frame.cell_rect(layer, -1), band)
        if layer >= 0 and token >= 0:
            width = 2.0 if self.hasFocus() else 1.25
            self._draw_ring(painter, self._current, t.accent, width)
        painter.restore()

    def _draw_ring(
        self, painter: QPainter, cell: tuple[int, int], color: QColor, width: float
    ) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(color, width))
        painter.drawRoundedRect(self.cell_rect(*cell).adjusted(-1, -1, 0.5, 0.5), 2, 2)


@lru_cache(maxsize=8)
def _longest(texts: tuple[str, ...], letter: int) -> int:
    """About how wide the widest of some tokens is, in pixels; measuring all takes a while."""
    return max((len(shown(text).text) for text in texts), default=0) * letter


def axis_gutter(widget: QWidget) -> int:
    """Room for axis labels left of a plot, the same in all plots over tokens."""
    return QFontMetrics(theme.small(widget.font())).horizontalAdvance("layer0") + 8

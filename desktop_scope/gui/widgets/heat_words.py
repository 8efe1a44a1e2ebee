"""What is written on and around a heat map: layers, tokens, and words in its cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.heat_frame import Frame
from desktop_scope.gui.widgets.token_layout import shown

WIDE_COLUMN = 44  # labels lie flat from here on
LABEL_LENGTH = 64  # room for token labels, at most
_STEPS = (1, 2, 5, 10, 20, 50)
_WORD_WIDTH, _WORD_HEIGHT = 34, 12  # pixels of a cell from which there are words in it
_MOST_WORDS = 900  # that a picture takes the time for
_MARGIN = 3
_DARK, _LIGHT = QColor("#000000"), QColor("#ffffff")
_MIDDLE = 0.179  # luminance that black and white text stand out from alike


def draw_layers(
    painter: QPainter,
    frame: Frame,
    labels: Sequence[str],
    notes: Sequence[str],
    chosen: int,
    right: float,
) -> None:
    """Names at the left of the rows, notes at their right.

    Args:
        chosen: The layer that is always named.
        right: Where notes end.
    """
    t, measure = theme.tokens(), painter.fontMetrics()
    pitch = frame.cell[1]
    step = next((s for s in _STEPS if s * pitch >= measure.height()), 100)
    align = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
    for row in range(*frame.seen_rows):
        layer = frame.n_layers - 1 - row
        is_chosen = layer == chosen
        near = chosen >= 0 and abs(layer - chosen) * pitch < measure.height()
        if not is_chosen and (layer % step or near):
            continue
        middle = frame.cell_rect(layer, -1).center().y()
        if not frame.top <= middle <= frame.top + frame.height:
            continue
        painter.setPen(t.text if is_chosen else t.muted)
        painter.drawText(QRectF(0, middle - 10, frame.left - 6, 20), align, labels[layer])
        if layer < len(notes):
            edge = frame.left + frame.width
            painter.drawText(QRectF(edge, middle - 10, right - edge, 20), align, notes[layer])


def draw_tokens(
    painter: QPainter, frame: Frame, texts: Sequence[str], chosen: int, bottom: float
) -> None:
    """The tokens below the columns: lying where there is room, else upright, as many as fit.

    Args:
        chosen: The token that is always written.
        bottom: Where there is no more room.
    """
    t, measure = theme.tokens(), painter.fontMetrics()
    below = frame.top + frame.height
    painter.setPen(t.faint)
    corner = QRectF(0, below + 3, frame.left - 6, measure.height())
    painter.drawText(corner, Qt.AlignmentFlag.AlignRight, "layer")
    column = frame.cell[0]
    flat = column >= WIDE_COLUMN
    room = int(bottom - below - 7)
    if not texts or (not flat and room < 24):
        return
    step = 1 if flat else max(1, int(np.ceil(measure.height() * 0.95 / column)))
    first, last = frame.tokens
    written = list(range(-(-first // step) * step, last, step))
    if first <= chosen < last:
        written = [*(token for token in written if abs(token - chosen) >= step), chosen]
    middles = (frame.columns[:-1] + frame.columns[1:]) / 2 / frame.ratio + frame.left
    for token in written:
        is_chosen, middle = token == chosen, float(middles[token])
        if token >= len(texts) or not frame.left <= middle <= frame.left + frame.width:
            continue
        painter.setPen(t.text if is_chosen else t.muted)
        text = shown(texts[token]).text
        if flat:
            text = measure.elidedText(text, Qt.TextElideMode.ElideRight, int(column - 4))
            box = QRectF(middle - column / 2, below + 3, column, measure.height())
            painter.drawText(box, Qt.AlignmentFlag.AlignHCenter, text)
            continue
        text = measure.elidedText(text, Qt.TextElideMode.ElideRight, room)
        painter.save()
        painter.translate(middle, below + 5)
        painter.rotate(-90)
        across = measure.capHeight() / 2
        painter.drawText(QPointF(-measure.horizontalAdvance(text), across), text)
        painter.restore()


def has_room_for_words(frame: Frame) -> bool:
    """Whether cells are so large that something can be read in them."""
    width, height = frame.cell
    n_seen = (frame.tokens[1] - frame.tokens[0]) * (frame.seen_rows[1] - frame.seen_rows[0])
    return width >= _WORD_WIDTH and height >= _WORD_HEIGHT and n_seen <= _MOST_WORDS


def draw_words(
    painter: QPainter,
    frame: Frame,
    colors: NDArray[np.uint32],
    words: Callable[[int, int], str],
) -> None:
    """A word in every cell in sight.

    Args:
        colors: Of the cells in sight, the last layer on top: the words stand out from them.
        words: By layer and token.
    """
    measure, width = painter.fontMetrics(), frame.cell[0] - 2 * _MARGIN
    painter.save()
    painter.setClipRect(frame.rect())
    # Two passes: a change of pen costs more than a word.
    light = is_dark(colors)
    for color, wanted in ((_DARK, False), (_LIGHT, True)):
        painter.setPen(color)
        for y, row in enumerate(range(*frame.seen_rows)):
            layer = frame.n_layers - 1 - row
            place = frame.cell_rect(layer, -1)
            base = place.center().y() + measure.capHeight() / 2
            for x, token in enumerate(range(*frame.tokens)):
                if light[y, x] == wanted and (text := words(layer, token)):
                    # Of a cell that begins beyond the border, what is in sight of it.
                    hidden = max(-frame.columns[token] / frame.ratio, 0)
                    left = frame.left + frame.columns[token] / frame.ratio + hidden + _MARGIN
                    if width > hidden:
                        text = shortened(text, measure, width - hidden)
                        painter.drawText(QPointF(left, base), text)
    painter.restore()


def is_dark(colors: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Where white text is easier to read than black."""
    parts = np.stack([(colors >> shift) & 255 for shift in (16, 8, 0)], axis=-1) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return linear @ (0.2126, 0.7152, 0.0722) < _MIDDLE


_short: dict[tuple[str, int, str], str] = {}


def shortened(text: str, measure: QFontMetrics, width: float) -> str:
    """The text, or as much of it as fits."""
    key = (text, int(width), f"{measure.height()}/{measure.averageCharWidth()}")
    found = _short.get(key)
    if found is None:
        if len(_short) > 20_000:
            _short.clear()
        found = measure.elidedText(text, Qt.TextElideMode.ElideRight, int(width))
        _short[key] = found
    return found

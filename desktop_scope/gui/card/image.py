"""A card as a picture for slides: 16 to 9, large type, readable from the last row."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter

from desktop_scope.evidence.store import BIN_EDGES
from desktop_scope.evidence.types import Card, Example, Insight
from desktop_scope.gui import theme
from desktop_scope.gui.card import text
from desktop_scope.gui.naming import title
from desktop_scope.gui.widgets.painting import number, percent
from desktop_scope.gui.widgets.token_layout import shown

WIDTH, HEIGHT = 1600, 900
_EDGE = 72
_N_EXAMPLES = 7
_RIGHT = 400  # width of the column with the histogram and the words
_TITLE_PX, _LARGE_PX, _TEXT_PX, _SMALL_PX = 56, 30, 30, 20
_LINE = 66  # of the examples
_PEAK_AT = 0.55  # of a line
_MADE_WITH = "Desktop Scope"


def card_image(card: Card, insight: Insight | None = None, dark: bool = False) -> QImage:
    """Draw a card: name, numbers, the best examples highlighted, histogram, words, its source."""
    colors = theme.DARK if dark else theme.LIGHT
    image = QImage(WIDTH, HEIGHT, QImage.Format.Format_RGB32)
    image.fill(colors.surface)
    with QPainter(image) as painter:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        page = _Page(painter, colors)
        top = page.head(card, insight)
        left = QRectF(_EDGE, top, WIDTH - 2 * _EDGE - _RIGHT - 48, HEIGHT - top - 96)
        page.examples(card, left)
        right = QRectF(WIDTH - _EDGE - _RIGHT, top, _RIGHT, left.height())
        pulls = insight is not None and text.pulls(insight)
        page.numbers(card, right, pulls)
        page.foot(card)
    return image


class _Page:
    """Draws the parts of one picture."""

    def __init__(self, painter: QPainter, colors: theme.Tokens) -> None:
        self._painter, self._colors = painter, colors

    def _write(self, at: QPointF, words: str, font: QFont, color: QColor) -> None:
        self._painter.setFont(font)
        self._painter.setPen(color)
        self._painter.drawText(at, words)

    def head(self, card: Card, insight: Insight | None) -> float:
        """Name and numbers; returns where the rest begins."""
        colors, room = self._colors, WIDTH - 2 * _EDGE
        name = title(card.label, card.name)
        name = name[:1].upper() + name[1:]
        font, lines = _fitted(name, room)
        y = 64.0
        for line in lines:
            y += QFontMetricsF(font).height()
            self._write(QPointF(_EDGE, y - QFontMetricsF(font).descent()), line, font, colors.text)
        about = [text.where(card)]
        if math.isfinite(card.density):
            about.append(f"fires on {percent(card.density)} of tokens")
        if insight is not None and (card.examples or insight.lever):
            about.append(text.role(card, insight).lower())
        y += 46
        line = "   ·   ".join(about)
        self._write(QPointF(_EDGE, y), line, theme.ui_font(_LARGE_PX), colors.muted)
        return y + 52

    def examples(self, card: Card, area: QRectF) -> None:
        """The strongest examples, one a line, their peaks below each other."""
        best = [example for example in card.examples if example.band == "top"]
        y = area.top()
        for example in _varied(best)[: min(_N_EXAMPLES, int(area.height() // _LINE))]:
            self._example(example, card.max_active, QRectF(area.left(), y, area.width(), _LINE))
            y += _LINE

    def _example(self, example: Example, maximum: float, line: QRectF) -> None:
        painter, colors = self._painter, self._colors
        font = theme.ui_font(_TEXT_PX)
        measure = QFontMetricsF(font)
        pieces = [shown(token) for token in example.texts]
        words = [(" " if piece.gap else "") + piece.text for piece in pieces]
        widths = [measure.horizontalAdvance(word) for word in words]
        lefts = np.cumsum([0.0, *widths])
        shift = line.left() + _PEAK_AT * line.width() - lefts[example.peak]
        shift = min(shift, line.left()) if lefts[example.peak] > _PEAK_AT * line.width() else 0.0
        shift = shift or line.left()
        painter.save()
        painter.setClipRect(line)
        painter.setFont(font)
        kinds = [piece.kind for piece in pieces]
        for word, kind, left, width, value in zip(
            words, kinds, lefts[:-1], widths, example.values, strict=True
        ):
            x = shift + float(left)
            if x + width < line.left() or x > line.right():
                continue
            gap = measure.horizontalAdvance(" ") if word.startswith(" ") else 0.0
            strength = min(max(float(value) / max(maximum, 1e-9), 0.0), 1.0)
            if strength > 0:
                fill = QColor(colors.fill_strength)
                fill.setAlpha(round(20 + 235 * strength**0.9))
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(fill)
                box = QRectF(x + gap - 3, line.top() + 10, width - gap + 6, _LINE - 20)
                painter.drawRoundedRect(box, 6, 6)
            painter.setPen(colors.faint if kind and strength == 0 else colors.text)
            painter.drawText(QPointF(x, line.top() + 44), word)
        painter.restore()
        self._fade(line, shift < line.left(), shift + float(lefts[-1]) > line.right())

    def _fade(self, line: QRectF, left: bool, right: bool) -> None:
        """Text that goes on beyond the line fades out."""
        for there, x, step in ((left, line.left(), 1), (right, line.right() - 1, -1)):
            for n in range(40 if there else 0):
                color = QColor(self._colors.surface)
                color.setAlphaF(1 - n / 40)
                self._painter.fillRect(QRectF(x + step * n, line.top(), 1, _LINE), color)

    def numbers(self, card: Card, area: QRectF, pulls: bool) -> None:
        """Histogram, what it fires on, and what it promotes if that is what it does."""
        y = area.top()
        if card.histogram.any():
            y = self._histogram(card, QRectF(area.left(), y, area.width(), 150)) + 44
        words = [token for token in card.top_tokens if token.text.strip()]
        fires = [f"“{t.text.strip()}”\u00a0{_unbroken(percent(t.share))}" for t in words]
        promotes = [f"“{t.text.strip()}”" for t in card.promotes if t.text.strip()]
        for heading, rows in (
            ("Strongest on", fires[:4]),
            ("Turned up, it makes likelier", promotes[:6] if pulls else []),
        ):
            if not rows or y > area.bottom() - 60:
                continue
            self._write(
                QPointF(area.left(), y), heading, theme.ui_font(_SMALL_PX), self._colors.muted
            )
            font = theme.ui_font(24)
            for line in _broken(", ".join(rows), font, area.width())[:2]:
                y += 34
                self._write(QPointF(area.left(), y), line, font, self._colors.text)
            y += 46

    def _histogram(self, card: Card, area: QRectF) -> float:
        painter, colors, counts = self._painter, self._colors, card.histogram
        shown_bins = np.flatnonzero(counts)
        first, past = int(shown_bins[0]), int(shown_bins[-1]) + 1
        part, edges = counts[first:past], BIN_EDGES[first : past + 1]
        step = area.width() / len(part)
        painter.setPen(Qt.PenStyle.NoPen)
        for n, count in enumerate(part.tolist()):
            strength = min(float(edges[n + 1]) / max(card.max_active, 1e-9), 1.0)
            fill = QColor(colors.strength)
            fill.setAlpha(round(60 + 195 * strength))
            painter.setBrush(fill)
            height = max(area.height() * count / float(part.max()), 1.0 if count else 0.0)
            left = area.left() + n * step
            painter.drawRect(QRectF(left, area.bottom() - height, step - 3, height))
        small = theme.figures(theme.ui_font(_SMALL_PX))
        y = area.bottom() + 28
        self._write(QPointF(area.left(), y), number(float(edges[0])), small, colors.muted)
        last = number(float(edges[-1]))
        width = QFontMetricsF(small).horizontalAdvance(last)
        self._write(QPointF(area.right() - width, y), last, small, colors.muted)
        middle = "how strongly it fires"
        width = QFontMetricsF(small).horizontalAdvance(middle)
        at = QPointF(area.center().x() - width / 2, y)
        self._write(at, middle, small, colors.muted)
        return y

    def foot(self, card: Card) -> None:
        """Where it all comes from."""
        colors, font = self._colors, theme.ui_font(_SMALL_PX)
        y = HEIGHT - 48
        self._painter.fillRect(QRectF(_EDGE, y - 36, WIDTH - 2 * _EDGE, 1), colors.line)
        line = f"{card.hook_name} · feature {card.name} · {text.source(card.label)}"
        room = WIDTH - 2 * _EDGE - 180
        line = QFontMetricsF(font).elidedText(line, Qt.TextElideMode.ElideRight, room)
        self._write(QPointF(_EDGE, y), line, font, colors.muted)
        width = QFontMetricsF(font).horizontalAdvance(_MADE_WITH)
        self._write(QPointF(WIDTH - _EDGE - width, y), _MADE_WITH, font, colors.muted)


def _fitted(name: str, room: float) -> tuple[QFont, list[str]]:
    """The largest type in which a name takes at most two lines."""
    for px in (_TITLE_PX, 46, 38):
        font = theme.strong(theme.ui_font(px))
        lines = _broken(name, font, room)
        if len(lines) <= 2:
            return font, lines
    return font, lines[:2]


def _broken(words: str, font: QFont, room: float) -> list[str]:
    """Text in lines no wider than the room; a word that is wider is cut."""
    measure, lines = QFontMetricsF(font), [""]
    for word in words.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and measure.horizontalAdvance(longer) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return [measure.elidedText(line, Qt.TextElideMode.ElideRight, room) for line in lines]


def _varied(examples: list[Example]) -> list[Example]:
    """The same examples without repetitions; those whose peak word came before come last."""
    seen: set[str] = set()
    fresh, again = [], []
    for example in {example.texts: example for example in examples}.values():
        word = example.texts[example.peak].strip().lower()
        (again if word in seen else fresh).append(example)
        seen.add(word)
    return fresh + again


def _unbroken(words: str) -> str:
    return words.replace(" ", "\u00a0")

"""The two layers of the token view: strength made anew with numpy, text kept in tiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QFontMetricsF, QPainter, QPen

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.painting import (
    Pixels,
    argb,
    device_size,
    hatch_pixmap,
    image_of,
)
from desktop_scope.gui.widgets.token_layout import Kind, TokenLayout

UNDERLINE = 4  # height at full strength
PIN = 3  # a pinned feature's line and the gap above it
LINE_GAP = 5
DIVIDER = 26
TILE_LINES = 8
RADIUS = 3

Pinned = Sequence[tuple[str, NDArray[np.floating], QColor]]


class LineMetrics:
    """The vertical measures of a layout, and the boxes that follow; logical pixels.

    Attributes:
        box: Height of a token's box: text, then room for the underline.
        pitch: From one line to the next.
        height: Of everything.
    """

    def __init__(self, layout: TokenLayout, n_pinned: int) -> None:
        self.layout = layout
        self.box = layout.text_height + 2 + UNDERLINE
        self.pins = 1 + PIN * n_pinned if n_pinned else 0
        self.pitch = self.box + self.pins + LINE_GAP
        has_answer = 0 < layout.answer_start < len(layout)
        self.divider_line = int(layout.lines[layout.answer_start]) if has_answer else -1
        self.height = self.top(layout.n_lines) - LINE_GAP if layout.n_lines else 0

    def top(self, line: int) -> int:
        """Upper edge of a line."""
        return line * self.pitch + (DIVIDER if 0 <= self.divider_line <= line else 0)

    def tops(self, first: int, past: int) -> NDArray[np.int64]:
        """Upper edges of several lines."""
        lines = np.arange(first, past)
        return lines * self.pitch + DIVIDER * (
            (self.divider_line >= 0) & (lines >= self.divider_line)
        )

    def visible(self, top: int, height: int) -> tuple[int, int]:
        """First line and line past the last that a stretch of the text touches."""
        first = max(0, (top - DIVIDER) // self.pitch)
        past = min(self.layout.n_lines, (top + height) // self.pitch + 1)
        return first, max(first, past)

    def token_rect(self, token: int) -> QRect:
        """A token's box."""
        layout = self.layout
        top = self.top(int(layout.lines[token]))
        return QRect(int(layout.lefts[token]), top, int(layout.widths[token]), self.box)

    def token_at(self, x: int, y: int) -> int:
        """The token at a point, or −1; gaps below a box belong to it."""
        layout = self.layout
        if self.divider_line >= 0 and y >= self.divider_line * self.pitch:
            y -= DIVIDER
            if y < self.divider_line * self.pitch:
                return -1
        line = y // self.pitch
        if not 0 <= line < layout.n_lines:
            return -1
        tokens = layout.tokens_of(line, line + 1)
        lefts = layout.lefts[tokens.start : tokens.stop]
        at = int(np.searchsorted(lefts, x, side="right")) - 1
        if at < 0 or x > lefts[at] + layout.widths[tokens.start + at]:
            return -1
        return tokens.start + at

    def token_lines_away(self, token: int, lines: int) -> int:
        """The token above or below another one."""
        layout = self.layout
        line = min(max(int(layout.lines[token]) + lines, 0), layout.n_lines - 1)
        tokens = layout.tokens_of(line, line + 1)
        span = slice(tokens.start, tokens.stop)
        centers = layout.lefts[span] + layout.widths[span] / 2
        center = layout.lefts[token] + layout.widths[token] / 2
        return tokens.start + int(np.argmin(np.abs(centers - center)))

    @staticmethod
    def ring(painter: QPainter, rect: QRect, color: QColor, width: float) -> None:
        """Outline a token."""
        if not rect.isEmpty():
            painter.setPen(QPen(color, width))
            painter.drawRoundedRect(QRectF(rect).adjusted(-0.5, -0.5, 0.5, 0.5), 3.5, 3.5)


class StrengthLayer:
    """Colour and underlines, made for what is in sight at every paint."""

    def __init__(self) -> None:
        self._key: object = None

    def forget(self) -> None:
        """Lines have moved."""
        self._key = None

    def pixels(
        self,
        metrics: LineMetrics,
        width: int,
        height: int,
        ratio: float,
        scroll: int,
        margin: int,
        strength: NDArray[np.floating],
        signed: bool,
        pinned: Pinned,
    ) -> Pixels:
        """The layer for a viewport, opaque, in device pixels."""
        t = theme.tokens()
        out_width, out_height = device_size(width, height, ratio)
        out = np.full((out_height, out_width), argb(t.surface), np.uint32)
        first, past = metrics.visible(scroll, height)
        if past <= first:
            return out
        key = (first, past, out_width, ratio, margin)
        if key != self._key:
            self._token_of = _token_map(metrics.layout, first, past, out_width, ratio, margin)
            self._key = key
        fill, under, rows = _colors(metrics.layout, strength, signed, round(UNDERLINE * ratio))
        filled = fill[self._token_of]
        tops = np.round((metrics.tops(first, past) - scroll) * ratio).astype(int)
        box = round(metrics.box * ratio)
        for row, top in zip(filled, tops.tolist(), strict=True):
            out[max(top, 0) : max(top + box, 0)] = row
        n_rows = int(rows.max(initial=0))
        for k in range(n_rows):
            _put(out, tops + box - 1 - k, np.where(rows > k, under, fill)[self._token_of])
        thick = max(1, round(2 * ratio))
        for slot, (_, values, color) in enumerate(pinned):
            shade = np.append(np.clip(values, 0, 1), 0)[:, None]
            rgba = np.empty((len(shade), 4), np.uint8)
            rgba[:, :3] = theme.rgb(color)
            rgba[:, 3] = np.where(shade > 0, 50 + 205 * shade, 0)[:, 0]
            line = theme.opaque(rgba)[self._token_of]
            start = tops + round((metrics.box + 2 + PIN * slot) * ratio)
            for k in range(thick):
                _put(out, start + k, line)
        return out


def _token_map(
    layout: TokenLayout, first: int, past: int, width: int, ratio: float, margin: int
) -> NDArray[np.intp]:
    """Which token each device pixel of each line belongs to; the last entry is none."""
    tokens = layout.tokens_of(first, past)
    span = slice(tokens.start, tokens.stop)
    left = np.round((layout.lefts[span] + margin) * ratio).astype(np.int64)
    right = np.round((layout.lefts[span] + layout.widths[span] + margin) * ratio).astype(np.int64)
    left, right = np.clip(left, 0, width), np.clip(right, 0, width)
    run = right - left
    flat = np.full((past - first) * width, -1, np.intp)
    starts = (layout.lines[span] - first) * width + left
    before = np.cumsum(run) - run
    where = np.repeat(starts - before, run) + np.arange(int(run.sum()))
    flat[where] = np.repeat(np.arange(tokens.start, tokens.stop), run)
    return flat.reshape(past - first, width)


def _colors(
    layout: TokenLayout, strength: NDArray[np.floating], signed: bool, full_rows: int
) -> tuple[Pixels, Pixels, NDArray[np.int64]]:
    """Fill, underline colour and underline rows per token, and for no token at the end."""
    strength = np.append(np.nan_to_num(strength), 0)
    ramp = theme.diverging_rgba if signed else theme.strength_rgba
    behind = strength * layout.fill_limit
    fill = theme.opaque(ramp(behind))
    under = theme.opaque(ramp(np.sign(strength), behind_text=False))
    size = np.clip(np.abs(strength) if signed else strength, 0, 1)
    # Below 2 % an underline would say more than there is.
    return fill, under, np.where(size < 0.02, 0, np.ceil(size * full_rows)).astype(np.int64)


def _put(out: Pixels, rows: NDArray[np.int64], content: Pixels) -> None:
    inside = (rows >= 0) & (rows < len(out))
    out[rows[inside]] = content[inside]


class _Tile:
    """Text of a few lines, drawn as far as the tokens went when it was last looked at."""

    def __init__(self, metrics: LineMetrics, tile: int, ratio: float) -> None:
        self.first = tile * TILE_LINES
        self.top = metrics.top(self.first)
        if self.first == metrics.divider_line:
            self.top -= DIVIDER  # the divider belongs to the tile of the line below it
        height = metrics.top(self.first + TILE_LINES) - self.top
        width, height = device_size(metrics.layout.available + 4, height, ratio)
        self.pixels = np.zeros((height, width), np.uint32)
        self.image = image_of(self.pixels, alpha=True)
        self.drawn = metrics.layout.tokens_of(self.first, self.first).start


class TextLayer:
    """Text, pills, hatching and the divider, in tiles of a few lines that are kept.

    Tokens that stream in are drawn onto the last tile: drawing text is what costs most.
    """

    def __init__(self) -> None:
        self._tiles: dict[int, _Tile] = {}
        self._key: object = None

    def forget(self, from_line: int = 0) -> None:
        """Lines from one on have changed."""
        for tile in [tile for tile in self._tiles if (tile + 1) * TILE_LINES > from_line]:
            del self._tiles[tile]

    def draw(
        self,
        painter: QPainter,
        metrics: LineMetrics,
        masked: NDArray[np.bool_],
        ratio: float,
        scroll: int,
        margin: int,
        height: int,
    ) -> None:
        """Draw what is in sight, in device pixels."""
        key = (theme.tokens(), ratio, metrics.pitch)
        if key != self._key:
            self._tiles.clear()
            self._key = key
        if len(self._tiles) > 64:
            self._tiles.clear()
        first, past = metrics.visible(scroll, height)
        for at in range(first // TILE_LINES, -(-past // TILE_LINES)):
            if at not in self._tiles:
                self._tiles[at] = _Tile(metrics, at, ratio)
            tile = self._tiles[at]
            self._fill(tile, metrics, masked, ratio)
            x, y = round((margin - 2) * ratio), round((tile.top - scroll) * ratio)
            painter.drawImage(QPoint(x, y), tile.image)

    def _fill(
        self, tile: _Tile, metrics: LineMetrics, masked: NDArray[np.bool_], ratio: float
    ) -> None:
        """Draw the tokens that the tile lacks."""
        layout = metrics.layout
        lines = range(tile.first, min(tile.first + TILE_LINES, layout.n_lines))
        tokens = range(tile.drawn, layout.tokens_of(lines.start, lines.stop).stop)
        if not tokens:
            return
        span = slice(tokens.start, tokens.stop)
        tops = metrics.tops(lines.start, lines.stop)[layout.lines[span] - tile.first] - tile.top
        lefts, widths = layout.lefts[span] + 2, layout.widths[span]
        _round_corners(tile.pixels, lefts, widths, tops, metrics.box, ratio)
        with QPainter(tile.image) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.scale(ratio, ratio)
            painter.translate(2, -tile.top)
            self._draw_marks(painter, metrics, tokens, masked, ratio)
            self._draw_text(painter, metrics, tokens, masked)
            if layout.answer_start in tokens and metrics.divider_line in lines:
                _draw_divider(painter, metrics)
        tile.drawn = tokens.stop

    def _draw_marks(
        self,
        painter: QPainter,
        metrics: LineMetrics,
        tokens: range,
        masked: NDArray[np.bool_],
        ratio: float,
    ) -> None:
        t, layout = theme.tokens(), metrics.layout
        brush: QBrush | None = None
        for token in tokens:
            rect = metrics.token_rect(token)
            if masked[token]:
                brush = brush or QBrush(hatch_pixmap(t.hatch, ratio))
                painter.setBrushOrigin(rect.topLeft())
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(brush)
                painter.drawRoundedRect(rect, RADIUS, RADIUS)
            if layout.shown(token).kind is Kind.PILL:
                painter.setPen(QPen(t.line, 1))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRoundedRect(QRectF(rect).adjusted(0.5, 0.5, -0.5, -0.5), RADIUS, RADIUS)

    def _draw_text(
        self, painter: QPainter, metrics: LineMetrics, tokens: range, masked: NDArray[np.bool_]
    ) -> None:
        t, layout = theme.tokens(), metrics.layout
        plain, pill = QFontMetricsF(layout.font), QFontMetricsF(layout.pill_font)
        base = round(1 + plain.ascent())
        tops = metrics.tops(0, layout.n_lines)
        for kind in Kind:
            small = kind is Kind.PILL
            painter.setFont(layout.pill_font if small else layout.font)
            painter.setPen(t.text if kind is Kind.PLAIN else t.muted)
            for token in tokens:
                one = layout.shown(token)
                if one.kind is not kind:
                    continue
                left, width = int(layout.lefts[token]), int(layout.widths[token])
                text, inset = one.text, layout.inset(one)
                if layout.is_cut(token):
                    measure = pill if small else plain
                    text = measure.elidedText(text, Qt.TextElideMode.ElideRight, width - 2 * inset)
                at = QPointF(left + inset, int(tops[layout.lines[token]]) + base)
                if masked[token] and kind is Kind.PLAIN:
                    painter.setPen(t.muted)
                    painter.drawText(at, text)
                    painter.setPen(t.text)
                else:
                    painter.drawText(at, text)


def _draw_divider(painter: QPainter, metrics: LineMetrics) -> None:
    t, layout = theme.tokens(), metrics.layout
    font = theme.small(layout.font)
    middle = metrics.top(metrics.divider_line) - DIVIDER // 2 - 2
    measure = QFontMetricsF(font)
    painter.setFont(font)
    painter.setPen(t.muted)
    painter.drawText(QPointF(1, round(middle + measure.capHeight() / 2)), "answer")
    painter.setPen(QPen(t.line, 1))
    left = measure.horizontalAdvance("answer") + 10
    painter.drawLine(QPointF(left, middle + 0.5), QPointF(layout.available, middle + 0.5))


def _round_corners(
    pixels: Pixels,
    lefts: NDArray[np.integer],
    widths: NDArray[np.integer],
    tops: NDArray[np.integer],
    box: int,
    ratio: float,
) -> None:
    """Cover the corners of all boxes with the background, so that the layer below looks round."""
    radius = max(1, round(RADIUS * ratio))
    background = theme.rgb(theme.tokens().surface)[::-1]
    x0 = np.round(lefts * ratio).astype(int)
    x1 = np.round((lefts + widths) * ratio).astype(int) - 1
    y0 = np.round(tops * ratio).astype(int)
    y1 = y0 + round(box * ratio) - 1
    ok = (x1 < pixels.shape[1]) & (y1 < pixels.shape[0])
    x0, x1, y0, y1 = x0[ok], x1[ok], y0[ok], y1[ok]
    for j in range(radius):
        for i in range(radius):
            away = np.hypot(radius - i - 0.5, radius - j - 0.5)
            cover = float(np.clip(away - radius + 0.5, 0, 1))
            if cover > 0:
                parts = (np.append(background, 255) * cover).round().astype(np.uint8)
                pixel = parts.view(np.uint32)[0]
                for x in (x0 + i, x1 - i):
                    for y in (y0 + j, y1 - j):
                        pixels[y, x] = pixel

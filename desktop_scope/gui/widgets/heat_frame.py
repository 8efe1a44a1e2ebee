"""Which cells of a heat map are in sight, and where: pan and zoom as numbers. No painting here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF

LARGEST_ZOOM = 400.0
_WIDEST, _TALLEST = 150.0, 26.0  # pixels that a cell may be made, if it is not larger anyway
_TALLEST_ROW = 40.0  # pixels of a row of the whole map: a few rows stay rows

Edges = NDArray[np.int64]


def edges(pixels: int, n: int) -> Edges:
    """Where n columns begin and end in a number of pixels, [n + 1]."""
    return np.arange(n + 1, dtype=np.int64) * pixels // max(n, 1)


@dataclass(frozen=True)
class Frame:
    """Cells [layers, tokens] seen through a rectangle, the last layer on top.

    Attributes:
        left, top, width, height: Of the rectangle that the whole map fills.
        ratio: Device pixels to one of these.
        zoom: 1 shows the whole map.
        x, y: How far the enlarged map is moved to the left and upwards, in pixels.
    """

    n_layers: int
    n_tokens: int
    left: int = 0
    top: int = 0
    width: int = 1
    height: int = 1
    ratio: float = 1.0
    zoom: float = 1.0
    x: float = 0.0
    y: float = 0.0

    @classmethod
    def within(cls, n_layers: int, n_tokens: int, room: QRectF, ratio: float) -> Frame:
        """The whole map in some room."""
        height = min(room.height(), _TALLEST_ROW * n_layers) if n_layers else room.height()
        return cls(
            *(n_layers, n_tokens, int(room.left()), int(room.top())),
            *(max(int(room.width()), 1), max(int(height), 1), ratio),
        )

    # ---- sizes

    @cached_property
    def device(self) -> tuple[int, int]:
        """Device pixels of the rectangle; rounding down would leave a line unpainted."""
        return int(np.ceil(self.width * self.ratio)), int(np.ceil(self.height * self.ratio))

    @cached_property
    def whole(self) -> tuple[int, int]:
        """Device pixels of the whole map as it is enlarged now."""
        found = []
        for room, n, most in (
            (self.device[0], self.n_tokens, _WIDEST),
            (self.device[1], self.n_layers, _TALLEST),
        ):
            fit = room / max(n, 1)
            found.append(round(n * min(fit * self.zoom, max(fit, most * self.ratio))) or room)
        return max(found[0], self.device[0]), max(found[1], self.device[1])

    @property
    def cell(self) -> tuple[float, float]:
        """Width and height of a cell."""
        return (
            self.whole[0] / max(self.n_tokens, 1) / self.ratio,
            self.whole[1] / max(self.n_layers, 1) / self.ratio,
        )

    @property
    def moved(self) -> tuple[int, int]:
        """Device pixels by which the map is moved."""
        return (
            round(min(max(self.x * self.ratio, 0), self.whole[0] - self.device[0])),
            round(min(max(self.y * self.ratio, 0), self.whole[1] - self.device[1])),
        )

    @property
    def is_whole(self) -> bool:
        """Whether all is in sight."""
        return self.whole == self.device

    @cached_property
    def columns(self) -> Edges:
        """Where the tokens begin and end, device pixels from the left, [n_tokens + 1]."""
        return edges(self.whole[0], self.n_tokens) - self.moved[0]

    @cached_property
    def rows(self) -> Edges:
        """Where the rows begin and end from the top, the last layer first, [n_layers + 1]."""
        return edges(self.whole[1], self.n_layers) - self.moved[1]

    @cached_property
    def tokens(self) -> tuple[int, int]:
        """The tokens in sight: the first, and the one after the last."""
        return _seen(self.columns, self.device[0])

    @cached_property
    def seen_rows(self) -> tuple[int, int]:
        """The rows in sight, counted from the top."""
        return _seen(self.rows, self.device[1])

    # ---- places

    def rect(self) -> QRectF:
        """The rectangle."""
        return QRectF(self.left, self.top, self.width, self.height)

    def cell_at(self, at: QPointF) -> tuple[int, int]:
        """Layer and token at a point, or (−1, −1)."""
        inside = self.rect().contains(at) and self.n_layers and self.n_tokens
        if not inside:
            return -1, -1
        x = min((at.x() - self.left) * self.ratio, self.device[0] - 1)
        y = min((at.y() - self.top) * self.ratio, self.device[1] - 1)
        token = int(np.searchsorted(self.columns, x, side="right")) - 1
        row = int(np.searchsorted(self.rows, y, side="right")) - 1
        return self.n_layers - 1 - min(row, self.n_layers - 1), min(token, self.n_tokens - 1)

    def cell_rect(self, layer: int, token: int) -> QRectF:
        """A cell's place, in sight or not; a whole row or column where token or layer is −1."""
        found = self.rect()
        if token >= 0 and self.n_tokens:
            begin, end = self.columns[token], self.columns[token + 1]
            found.setLeft(self.left + begin / self.ratio)
            found.setRight(self.left + max(end, begin + 1) / self.ratio)
        if layer >= 0 and self.n_layers:
            row = self.n_layers - 1 - layer
            begin, end = self.rows[row], self.rows[row + 1]
            found.setTop(self.top + begin / self.ratio)
            found.setBottom(self.top + max(end, begin + 1) / self.ratio)
        return found

    # ---- moving about

    def zoomed(self, factor: float, about: QPointF) -> Frame:
        """Enlarged; what lies at a point stays there."""
        zoom = min(max(self.zoom * factor, 1.0), LARGEST_ZOOM)
        new = replace(self, zoom=zoom)
        if zoom > self.zoom and new.whole == self.whole:
            return self  # as large as cells get
        x, y = about.x() - self.left, about.y() - self.top
        now, then = self.whole, new.whole
        return replace(
            new,
            x=(self.moved[0] / self.ratio + x) * then[0] / now[0] - x,
            y=(self.moved[1] / self.ratio + y) * then[1] / now[1] - y,
        ).clamped()

    def panned(self, dx: float, dy: float) -> Frame:
        """Moved by so many pixels."""
        moved = self.moved
        return replace(self, x=moved[0] / self.ratio - dx, y=moved[1] / self.ratio - dy).clamped()

    def clamped(self) -> Frame:
        """With no room beside the map."""
        moved = self.moved
        return replace(self, x=moved[0] / self.ratio, y=moved[1] / self.ratio)

    def showing(self, layer: int, token: int) -> Frame:
        """Moved as little as brings a cell into sight; −1 for any layer or token."""
        place = self.cell_rect(layer, token)
        dx = _step(place.left(), place.right(), self.left, self.left + self.width)
        dy = _step(place.top(), place.bottom(), self.top, self.top + self.height)
        return self.panned(dx if token >= 0 else 0, dy if layer >= 0 else 0)

    def resized(self, other: Frame) -> Frame:
        """This part of the map in another frame for the same cells."""
        if (self.n_layers, self.n_tokens) != (other.n_layers, other.n_tokens) or self.zoom == 1:
            return other
        new = replace(other, zoom=self.zoom)
        x, y = (
            moved / here * there / new.ratio
            for moved, here, there in zip(self.moved, self.whole, new.whole, strict=True)
        )
        return replace(new, x=x, y=y).clamped()


def _seen(at: Edges, pixels: int) -> tuple[int, int]:
    first = int(np.searchsorted(at, 0, side="right")) - 1
    last = int(np.searchsorted(at, pixels, side="left"))
    return max(first, 0), min(last, len(at) - 1)


def _step(begin: float, end: float, low: float, high: float) -> float:
    """By how much something has to move to lie within bounds, its beginning first."""
    if begin < low or end - begin > high - low:
        return low - begin
    return min(high - end, 0.0)

"""The pixels of a heat map, made with numpy: one picture, however many cells."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.heat_frame import Edges, Frame
from desktop_scope.gui.widgets.painting import Pixels, argb, hatch_mask

GRID_FROM = 5  # cells at least this large are set apart by hair lines


class Scale(StrEnum):
    """What colours mean."""

    STRENGTH = "strength"  # green: of the selected feature
    SIGNED = "signed"  # orange to blue
    ORDER = "order"  # blue to ochre: anything else that has an order


def cell_colors(
    shade: NDArray[np.floating], scale: Scale, behind_text: bool = False
) -> NDArray[np.uint8]:
    """Straight RGBA of cells, [..., 4].

    Args:
        shade: 0…1, or −1…1 where signed; nan shows nothing.
        behind_text: Stay light enough for text, where the scale has a way to.
    """
    if scale is Scale.SIGNED:
        return theme.diverging_rgba(shade, behind_text)
    if scale is Scale.STRENGTH:
        return theme.strength_rgba(shade, behind_text)
    rgba = np.full((*shade.shape, 4), 255, np.uint8)
    rgba[..., :3] = theme.order_rgb(shade)
    rgba[..., 3] = np.where(np.isnan(shade), 0, 255)
    return rgba


def cell_pixels(colors: NDArray[np.uint32], masked: NDArray[np.bool_], frame: Frame) -> Pixels:
    """The picture of the cells in sight.

    Args:
        colors: Opaque colours of the cells in sight, the last layer on top.
        masked: Hatched columns among them.
        frame: Where the cells are.
    """
    t, (width, height) = theme.tokens(), frame.device
    columns = _cut(frame.columns, frame.tokens, width)
    rows = _cut(frame.rows, frame.seen_rows, height)
    widths, heights = np.diff(columns), np.diff(rows)
    lines = np.repeat(colors, widths, axis=1)
    if frame.cell[0] >= GRID_FROM:
        lines[:, columns[1:-1] - 1] = argb(t.surface)
    out = np.repeat(lines, heights, axis=0)
    if frame.cell[1] >= GRID_FROM:
        out[rows[1:-1] - 1] = argb(t.surface)
    if masked.any():
        hatched = np.repeat(masked, widths)
        strip = out[:, hatched]
        strip[hatch_mask(height, width, frame.ratio)[:, hatched]] = argb(t.hatch)
        out[:, hatched] = strip
    return np.ascontiguousarray(out)


def crowded(
    shade: NDArray[np.floating], masked: NDArray[np.bool_], frame: Frame
) -> tuple[NDArray[np.floating], NDArray[np.bool_], Frame]:
    """Where tokens share a pixel, the strongest of them, as if there were a token for each."""
    pixels = frame.whole[0]
    if pixels >= frame.n_tokens:
        return shade, masked, frame
    starts = np.arange(pixels, dtype=np.int64) * frame.n_tokens // pixels
    high = np.fmax.reduceat(shade, starts, axis=1)
    low = np.fmin.reduceat(shade, starts, axis=1)
    shade = np.where(-low > high, low, high)
    masked = np.logical_and.reduceat(masked, starts)
    return shade, masked, replace(frame, n_tokens=pixels)


def _cut(at: Edges, seen: tuple[int, int], pixels: int) -> Edges:
    """The edges of the cells in sight, cut off at the border."""
    return np.clip(at[seen[0] : seen[1] + 1], 0, pixels)

"""The pixels of a heat map, made with numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.painting import Pixels, argb, hatch_mask

GRID_FROM = 5  # cells at least this large are set apart by hair lines


def edges(pixels: int, n: int) -> NDArray[np.int64]:
    """Where n columns begin and end in a number of pixels, [n + 1]."""
    return np.arange(n + 1, dtype=np.int64) * pixels // n


def cell_pixels(
    strength: NDArray[np.floating],
    signed: bool,
    masked: NDArray[np.bool_],
    row_alpha: NDArray[np.floating],
    width: int,
    height: int,
    ratio: float,
) -> Pixels:
    """Colour the cells.

    Args:
        strength: 0…1, or −1…1 where signed; [layers, tokens], at least one of each.
        signed: Orange to blue instead of green.
        masked: Hatched columns, [tokens].
        row_alpha: How clearly each row is drawn, [layers].
        width: Device pixels.
        height: Device pixels.
        ratio: Device pixels per logical pixel.
    """
    t = theme.tokens()
    strength = strength[::-1]  # the last layer on top
    n_layers, n_tokens = strength.shape
    columns, rows = edges(width, n_tokens), edges(height, n_layers)
    if n_tokens > width:  # show the strongest of the tokens that share a pixel
        starts = np.arange(width, dtype=np.int64) * n_tokens // width
        high = np.maximum.reduceat(strength, starts, axis=1)
        low = np.minimum.reduceat(strength, starts, axis=1)
        strength = np.where(-low > high, low, high) if signed else high
        masked = np.logical_and.reduceat(masked, starts)
        columns = np.arange(width + 1)
    ramp = theme.diverging_rgba if signed else theme.strength_rgba
    rgba = ramp(strength, behind_text=False)
    rgba[..., 3] = rgba[..., 3] * row_alpha[::-1, None]
    widths, heights = np.diff(columns), np.diff(rows)
    lines = np.repeat(theme.opaque(rgba, t.window), widths, axis=1)
    if widths.min() >= GRID_FROM * ratio:
        lines[:, columns[1:-1] - 1] = argb(t.surface)
    out = np.repeat(lines, heights, axis=0)
    if heights.min() >= GRID_FROM * ratio:
        out[rows[1:-1] - 1] = argb(t.surface)
    if masked.any():
        hatched = np.repeat(masked, widths)
        strip = out[:, hatched]
        strip[hatch_mask(height, width, ratio)[:, hatched]] = argb(t.hatch)
        out[:, hatched] = strip
    return np.ascontiguousarray(out)

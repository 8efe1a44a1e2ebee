"""What the self-painted widgets share: numpy images, stale content, numbers as text.

Few Qt calls per paint keep the window smooth: PySide gives up the interpreter lock at each call
and may wait milliseconds to win it back. So pixels are made with numpy and drawn as one image.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QColor, QImage, QPalette, QPixmap
from PySide6.QtWidgets import QAbstractScrollArea, QLabel, QWidget

from desktop_scope.gui import theme

STALE_OPACITY = 0.5

Pixels = NDArray[np.uint32]


class Stale:
    """Mixin: content that is being replaced is drawn at half strength, never taken away."""

    _stale = False

    def set_stale(self, stale: bool) -> None:
        """Dim the content while something newer is on its way."""
        if stale != self._stale:
            self._stale = stale
            repaint(self)

    def is_stale(self) -> bool:
        """Whether the content is dimmed."""
        return self._stale

    def content_opacity(self) -> float:
        """What painters of content use as opacity."""
        return STALE_OPACITY if self._stale else 1.0


def repaint(widget: object) -> None:
    """Ask for a repaint of a widget, or of what a scroll area shows."""
    if isinstance(widget, QAbstractScrollArea):
        widget.viewport().update()
    elif isinstance(widget, QWidget):
        widget.update()


def image_of(pixels: Pixels, ratio: float = 1.0, alpha: bool = False) -> QImage:
    """Wrap pixels [height, width] as an image; the pixels must outlive it and be contiguous."""
    height, width = pixels.shape
    form = QImage.Format.Format_ARGB32_Premultiplied if alpha else QImage.Format.Format_RGB32
    image = QImage(pixels.data, width, height, width * 4, form)
    image.setDevicePixelRatio(ratio)
    return image


def muted(label: QLabel) -> QLabel:
    """Make a label's text secondary, in both themes."""
    # The role follows the palette; a colour of its own would stay when the theme changes.
    label.setForegroundRole(theme.MUTED_ROLE)
    return label


def dimmed(label: QLabel, dim: bool) -> QLabel:
    """Make a label's text secondary, or not any more."""
    label.setForegroundRole(theme.MUTED_ROLE if dim else QPalette.ColorRole.WindowText)
    return label


def device_size(width: float, height: float, ratio: float) -> tuple[int, int]:
    """Device pixels that cover a logical size; rounding down would leave a line unpainted."""
    return max(1, math.ceil(width * ratio)), max(1, math.ceil(height * ratio))


def argb(color: QColor) -> np.uint32:
    """An opaque colour as a pixel."""
    return np.uint32(color.rgb())


def hatch_pixmap(color: QColor, ratio: float) -> QPixmap:
    """A seamless tile of diagonal lines; Qt's own patterns ignore the scale factor."""
    size = round(5 * ratio)
    y, x = np.mgrid[0:size, 0:size]
    distance = (x + y) % size
    near = np.minimum(distance, size - distance) / ratio
    cover = np.clip(1.0 - near, 0, 1)
    parts = np.stack([cover * c for c in (color.blue(), color.green(), color.red(), 255)], axis=-1)
    pixels = np.ascontiguousarray(parts.round().astype(np.uint8)).view(np.uint32)[..., 0]
    pixels = np.ascontiguousarray(pixels)
    pixmap = QPixmap.fromImage(image_of(pixels, ratio, alpha=True).copy())
    pixmap.setDevicePixelRatio(ratio)
    return pixmap


def hatch_mask(height: int, width: int, ratio: float) -> NDArray[np.bool_]:
    """Where diagonal lines fall, for images made with numpy."""
    period = max(4, round(5 * ratio))
    y, x = np.ogrid[0:height, 0:width]
    return (x + y) % period < max(1, round(ratio))


def number(value: float) -> str:
    """A measured value in at most five characters: 0.03, 1.24, 12.4, 1,240."""
    if not math.isfinite(value):
        return "–"
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2
    return f"{value:,.{digits}f}".replace("-", "−")


def percent(share: float) -> str:
    """A share of one: 0.09 %, 3.1 %, 42 %."""
    if not math.isfinite(share):
        return "–"
    value = share * 100
    digits = 0 if abs(value) >= 10 or value == 0 else 1 if abs(value) >= 1 else 2
    if 0 < abs(value) < 0.01:
        return "< 0.01 %"
    return f"{value:.{digits}f} %".replace("-", "−")

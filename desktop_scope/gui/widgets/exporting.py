"""A plot as a table, a picture or a drawing, and a file that is whole or not there at all."""

from __future__ import annotations

import csv
import errno
import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QRect, QSize
from PySide6.QtGui import QImage, QPainter
from PySide6.QtSvg import QSvgGenerator

from desktop_scope.errors import ScopeError
from desktop_scope.gui import theme
from desktop_scope.library.parts import part_of, remove

# What a plot shows, by name of the column; all columns are of one length.
Columns = Mapping[str, Sequence[Any] | NDArray[Any]]
# Draws a plot with so many pixels of the device to one of its own.
Paint = Callable[[QPainter, float], None]

PRINT_SCALE = 3.0  # pixels of a picture to one on the screen
_DPI = 96  # of drawings: one of their units is a pixel to browsers
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def cell_text(value: object) -> str:
    """One cell of a table; empty for what is not known."""
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}" if math.isfinite(value) else ""
    return "" if value is None else str(value)


def written(columns: Columns, separator: str = ",") -> str:
    """A table as text, its first line the names of the columns."""
    file = io.StringIO()
    writer = csv.writer(file, delimiter=separator, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(map(cell_text, row) for row in zip(*columns.values(), strict=True))
    return file.getvalue()


def picture(size: QSize, paint: Paint, ratio: float = PRINT_SCALE) -> QImage:
    """A plot as pixels."""
    image = QImage(size * ratio, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(ratio)
    image.fill(theme.tokens().surface)
    with QPainter(image) as painter:
        paint(painter, ratio)
    return image


def as_png(size: QSize, paint: Paint) -> bytes:
    """A plot as a file of pixels, fine enough for print."""
    return _filled(lambda buffer: picture(size, paint).save(buffer, "PNG"))


def as_svg(size: QSize, paint: Paint, title: str) -> bytes:
    """A plot as lines and letters, which stay sharp at any size."""

    def draw(buffer: QBuffer) -> None:
        drawing = QSvgGenerator()
        drawing.setOutputDevice(buffer)
        drawing.setSize(size)
        drawing.setViewBox(QRect(0, 0, size.width(), size.height()))
        drawing.setResolution(_DPI)
        drawing.setTitle(title)
        with QPainter(drawing) as painter:
            painter.fillRect(QRect(0, 0, size.width(), size.height()), theme.tokens().surface)
            paint(painter, PRINT_SCALE)

    return _filled(draw)


def _filled(fill: Callable[[QBuffer], object]) -> bytes:
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    fill(buffer)
    buffer.close()
    return bytes(data.data())


def save(path: Path, content: bytes) -> None:
    """Write a file; one that was there stays as it was until the new one is whole.

    Raises:
        ScopeError: It cannot be written; says why not.
    """
    try:
        part = part_of(path.absolute())
        try:
            part.write_bytes(content)
            part.replace(path)
        finally:
            remove(part)
    except OSError as error:
        raise _trouble(path, error) from error


def _trouble(path: Path, error: OSError) -> ScopeError:
    if error.errno in _FULL:
        return ScopeError(
            f"{path.name} could not be saved: the disk is full.",
            "Make room, or choose a place on another disk.",
        )
    if error.errno in _FORBIDDEN:
        return ScopeError(
            f"{path.name} could not be saved: you may not write to {path.parent}.",
            "Choose a folder of your own.",
        )
    return ScopeError(
        f"{path.name} could not be saved: {error.strerror or error}.", "Choose another place."
    )

"""Boxes for numbers, all alike."""

from __future__ import annotations

from typing import TypeVar

from PySide6.QtGui import QFont
from PySide6.QtWidgets import QDoubleSpinBox, QSpinBox

from desktop_scope.gui import theme

_Box = TypeVar("_Box", QSpinBox, QDoubleSpinBox)


def spin(box: _Box, name: str, low: float, high: float) -> _Box:
    """Dress a box.

    Args:
        name: What the number is, on hover and for screen readers.
    """
    box.setRange(low, high)  # type: ignore[arg-type]
    box.setAccessibleName(name)
    box.setToolTip(name)
    box.setKeyboardTracking(False)
    box.setFont(theme.figures(QFont()))
    box.lineEdit().setTextMargins(4, 0, 6, 0)  # style sheets do not reach it
    return box

"""Small buttons, all alike: reachable with Tab, explained on hover."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QToolButton


def tool_button(text: str, help_: str, checkable: bool = False, name: str = "") -> QToolButton:
    """A flat button.

    Args:
        text: What it shows.
        help_: What it does, on hover.
        checkable: Stays down.
        name: For screen readers, where the text says nothing (an arrow, a cross).
    """
    button = QToolButton()
    button.setText(text)
    button.setToolTip(help_)
    button.setCheckable(checkable)
    button.setAccessibleName(name)
    # Qt's own default leaves tool buttons out of the Tab chain.
    button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return button


def dimmed_button(button: QAbstractButton, dim: bool) -> None:
    """Make a button's text secondary, or not any more; see ``painting.dimmed`` for labels."""
    if bool(button.property("doubtful")) != dim:
        button.setProperty("doubtful", dim)
        button.style().unpolish(button)
        button.style().polish(button)

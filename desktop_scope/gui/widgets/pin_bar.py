"""Pinned features by name, each with the colour of its line and underline."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QIcon, QPixmap
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QWidget

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.buttons import dimmed_button, tool_button

_SWATCH = QSize(10, 10)
_WIDEST = 200


class PinBar(QWidget):
    """One button per pinned feature.

    Signals:
        chosen: The user clicked the pin in a slot.
    """

    chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(4)
        self._row.addStretch(1)
        self.setAccessibleName("Pinned features")

    def set_pins(self, pins: Sequence[tuple[str, QColor, bool]]) -> None:
        """Show (name, colour, whether the name is doubtful) of every slot."""
        while self._row.count() > 1:
            old = self._row.takeAt(0).widget()
            if old is not None:
                old.deleteLater()
        for slot, (name, color, doubtful) in enumerate(pins):
            button = self._button(slot, name, color)
            dimmed_button(button, doubtful)
            self._row.insertWidget(slot, button)

    def _button(self, slot: int, name: str, color: QColor) -> QToolButton:
        measure = QFontMetrics(theme.ui_font())
        text = " " + measure.elidedText(name, Qt.TextElideMode.ElideRight, _WIDEST)
        button = tool_button(text, f"{name}  ({slot + 1})", name=f"Pinned: {name}")
        swatch = QPixmap(_SWATCH)
        swatch.fill(color)
        button.setIcon(QIcon(swatch))
        button.setIconSize(_SWATCH)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.clicked.connect(lambda: self.chosen.emit(slot))
        return button

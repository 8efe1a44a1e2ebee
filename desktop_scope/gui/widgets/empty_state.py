"""What a panel says before it has anything to show."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from desktop_scope.gui.widgets.painting import muted


class EmptyState(QWidget):
    """One sentence in the middle, and the button that does what it says.

    Signals:
        acted: The button was pressed.
    """

    acted = Signal()

    def __init__(self, sentence: str = "", action: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._sentence = muted(QLabel())
        self._sentence.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._sentence.setWordWrap(True)
        self._sentence.setMaximumWidth(320)  # short lines read as one thought
        self._button = QPushButton()
        self._button.clicked.connect(self._pressed)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(12)
        column.addStretch(2)
        centre = Qt.AlignmentFlag.AlignHCenter
        row = QHBoxLayout()
        row.addWidget(self._sentence, 1)
        column.addLayout(row)
        column.addWidget(self._button, 0, centre)
        column.addStretch(3)
        self.set_text(sentence, action)

    def set_text(self, sentence: str, action: str = "") -> None:
        """Say what will appear here and what to do; no action, no button."""
        self._sentence.setText(sentence)
        self._button.setText(action)
        self._button.setVisible(bool(action))

    @Slot()
    def _pressed(self) -> None:
        self.acted.emit()

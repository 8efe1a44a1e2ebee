"""Two boxes for texts of two kinds, and what came of comparing them."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Signal, Slot
from PySide6.QtWidgets import (
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.elided_label import ElidedLabel
from desktop_scope.gui.widgets.painting import muted

_BOX_HEIGHT = 84


class ContrastForm(QWidget):
    """Texts A, texts B, one per line.

    Signals:
        edited: The texts of A and of B.
        compared: The user wants to know what tells them apart.
        swapped: And the other way round.
    """

    edited = Signal(str, str)
    compared = Signal()
    swapped = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._a, self._b = _box("A"), _box("B")
        boxes = QHBoxLayout()
        boxes.setSpacing(8)
        for box in (self._a, self._b):
            box.textChanged.connect(self._typed)
            boxes.addWidget(box, 1)
        self._compare = QPushButton("Compare")
        self._compare.setToolTip(
            "Read all texts, and list the features that are stronger in A than in B:\n"
            "rank-sum test per feature, corrected for how many are looked at, and checked on\n"
            "texts kept aside."
        )
        self._compare.clicked.connect(self.compared.emit)
        self._swap = tool_button("Swap", "Look for what is stronger in B")
        self._swap.clicked.connect(self.swapped.emit)
        self._verdict = ElidedLabel()
        muted(self._verdict)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self._verdict, 1)
        foot.addWidget(self._swap)
        foot.addWidget(self._compare)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(boxes)
        column.addLayout(foot)

    def set_texts(self, a: str, b: str) -> None:
        """Show these texts. Emits nothing."""
        for box, text in ((self._a, a), (self._b, b)):
            if text != box.toPlainText():
                with QSignalBlocker(box):
                    box.setPlainText(text)
        ready = bool(a.strip() and b.strip())
        self._compare.setEnabled(ready)
        self._swap.setEnabled(ready)

    def set_verdict(self, text: str, help_: str = "") -> None:
        """Say what came of it, and on hover how that was found."""
        self._verdict.set_whole(text, help_)

    @Slot()
    def _typed(self) -> None:
        self.edited.emit(self._a.toPlainText(), self._b.toPlainText())


def _box(name: str) -> QPlainTextEdit:
    box = QPlainTextEdit(tabChangesFocus=True)
    box.setPlaceholderText(f"Texts {name}, one per line")
    box.setAccessibleName(f"Texts {name}, one per line")
    box.setMinimumHeight(_BOX_HEIGHT // 2)
    box.setMaximumHeight(_BOX_HEIGHT)
    return box

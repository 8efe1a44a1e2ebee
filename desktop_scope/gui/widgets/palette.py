"""Type a few letters, press Enter: the command palette."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

_WIDTH, _HEIGHT, _TOP = 480, 340, 72


class Palette(QFrame):
    """A list that shrinks as one types; nothing modal, it closes when one looks away.

    Signals:
        chosen: The user chose the entry with this id.
    """

    chosen = Signal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAutoFillBackground(True)
        self.hide()
        self._words = QLineEdit(placeholderText="What do you want to do?")
        self._words.setAccessibleName("Find a command")
        self._words.textChanged.connect(self._filter)
        self._words.installEventFilter(self)
        self._list = QListWidget()
        self._list.setAccessibleName("Commands")
        self._list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._list.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self._list.itemClicked.connect(self._take)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(8)
        column.addWidget(self._words)
        column.addWidget(self._list)

    def open_with(self, entries: Sequence[tuple[str, str]]) -> None:
        """Show (id, what it says) entries below the top of the parent."""
        self._list.clear()
        for id_, text in entries:
            item = QListWidgetItem(text)
            item.setData(Qt.ItemDataRole.UserRole, id_)
            self._list.addItem(item)
        self._words.clear()
        self._filter("")
        self.setGeometry((self.parentWidget().width() - _WIDTH) // 2, _TOP, _WIDTH, _HEIGHT)
        self.show()
        self.raise_()
        self._words.setFocus()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.FocusOut:
            self.hide()
        escape = isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape
        if escape and event.type() == QEvent.Type.ShortcutOverride:
            event.accept()  # Escape closes this, and cancels nothing
        if escape and event.type() == QEvent.Type.KeyPress:
            self.hide()
            return True
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            steps = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(Qt.Key(event.key()))
            if steps:
                self._move(steps)
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._take(self._list.currentItem())
                return True
        return super().eventFilter(watched, event)

    def _shown(self) -> list[int]:
        return [row for row in range(self._list.count()) if not self._list.item(row).isHidden()]

    def _move(self, steps: int) -> None:
        rows = self._shown()
        if rows:
            at = rows.index(self._list.currentRow()) if self._list.currentRow() in rows else 0
            self._list.setCurrentRow(rows[(at + steps) % len(rows)])

    @Slot(str)
    def _filter(self, words: str) -> None:
        for row in range(self._list.count()):
            item = self._list.item(row)
            item.setHidden(not all(w in item.text().lower() for w in words.lower().split()))
        rows = self._shown()
        self._list.setCurrentRow(rows[0] if rows else -1)

    @Slot(QListWidgetItem)
    def _take(self, item: QListWidgetItem | None) -> None:
        if item is not None and not item.isHidden():
            self.hide()
            self.chosen.emit(item.data(Qt.ItemDataRole.UserRole))

"""A field for words of the model's, with those that it thinks likeliest to choose from."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QSignalBlocker, Qt, Signal, Slot
from PySide6.QtWidgets import QComboBox, QStyledItemDelegate, QStyleOptionViewItem

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.token_layout import shown

_BESIDE = int(Qt.ItemDataRole.UserRole) + 1
_WIDTH = 130


class _WithNumber(QStyledItemDelegate):
    """The word, and its probability behind it."""

    def initStyleOption(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        super().initStyleOption(option, index)
        option.text = f"{shown(option.text).text}    {index.data(_BESIDE)}"


class ChoiceBox(QComboBox):
    """Type literal text, or choose.

    Signals:
        words_chosen: Token ids that were chosen, or the text that was typed.
    """

    words_chosen = Signal(object)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setEditable(True)
        self.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.setAccessibleName(name)
        self.setToolTip(name)
        self.setFixedWidth(_WIDTH)
        self.setItemDelegate(_WithNumber(self))
        self.setCompleter(None)  # type: ignore[arg-type]
        self.lineEdit().setFont(theme.mono_font())
        self.lineEdit().setAccessibleName(name)
        self._choices: tuple[tuple[str, tuple[int, ...], str], ...] = ()
        self._words: object = ()
        self.activated.connect(self._chosen)
        self.lineEdit().editingFinished.connect(self._typed)

    def set_choices(
        self, choices: Sequence[tuple[str, tuple[int, ...], str]], words: str | tuple[int, ...]
    ) -> None:
        """Show what there is to choose, and what is chosen.

        Args:
            choices: Text, token ids, and what stands beside it.
            words: Token ids or literal text.
        """
        self._words = words
        with QSignalBlocker(self):
            if tuple(choices) != self._choices:
                self._choices = tuple(choices)
                self.clear()
                for text, ids, beside in choices:
                    self.addItem(text, ids)
                    self.setItemData(self.count() - 1, beside, _BESIDE)
            ids = [ids for _, ids, _ in choices]
            self.setCurrentIndex(ids.index(words) if words in ids else -1)
            if isinstance(words, str):
                self.setEditText(words)

    @Slot(int)
    def _chosen(self, index: int) -> None:
        self._say(self.itemData(index))

    @Slot()
    def _typed(self) -> None:
        text = self.currentText()
        found = next((ids for known, ids, _ in self._choices if known == text), text)
        if text:
            self._say(found)

    def _say(self, words: object) -> None:
        same = words == self._words or (isinstance(words, tuple) and tuple(words) == self._words)
        if not same:
            self.words_chosen.emit(tuple(words) if isinstance(words, list) else words)

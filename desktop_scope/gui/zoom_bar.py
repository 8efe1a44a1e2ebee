"""The objective: how large the dictionaries are through which the model is looked at."""

from __future__ import annotations

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QLabel, QToolButton, QWidget

from desktop_scope.engine.sizes import several_at_once, sizes
from desktop_scope.gui import zoom_actions
from desktop_scope.gui.state import AppState
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.painting import muted

_ABOUT = (
    "How finely to look. {0}\n"
    "Coarse features are broad topics, fine ones are particular. Nothing is computed anew:\n"
    "lists, layers and tokens show the features of the size that you choose\n"
    "(Ctrl+Shift+Up finer, Ctrl+Shift+Down coarser)."
)
_NESTED = "The autoencoders are nested: their first features alone are a coarse dictionary."
_SEVERAL = "Several autoencoders of different width are open at the same place."


class ZoomBar(QWidget):
    """One button for each size at hand; not there where there is only one."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._title = muted(QLabel("zoom"))
        self._group = QButtonGroup(self)
        self._buttons: dict[int | None, QToolButton] = {}
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(4)
        self._row.addWidget(self._title)
        self.hide()

    def draw(self, state: AppState) -> None:
        """Draw."""
        self._offer(state)
        if self._buttons:
            finest = None if None in self._buttons else max(n for n in self._buttons if n)
            chosen = state.zoom.size if state.zoom.size in self._buttons else finest
            self._buttons[chosen].setChecked(True)

    def _offer(self, state: AppState) -> None:
        """One button for each size; and one for all together, where that is something else."""
        several = several_at_once(state.saes)
        there: tuple[int | None, ...] = sizes(state.saes)
        if several and there:
            there = (*there, None)
        if tuple(self._buttons) == there:
            return
        for button in self._buttons.values():
            self._group.removeButton(button)
            self._row.removeWidget(button)
            button.hide()
            button.deleteLater()
        self._buttons = {}
        self._title.setToolTip(_ABOUT.format(_SEVERAL if several else _NESTED))
        for size in there:
            button = tool_button(*_words(size, several), checkable=True)
            button.clicked.connect(self._chosen)
            self._group.addButton(button)
            self._row.addWidget(button)
            self._buttons[size] = button
        self.setVisible(bool(there))

    @Slot()
    def _chosen(self) -> None:
        size = next(size for size, button in self._buttons.items() if button.isChecked())
        self._store.act(zoom_actions.set_size, size)


def _words(size: int | None, several: bool) -> tuple[str, str]:
    """What a button says, and on hover."""
    if size is None:
        return "all", "All open autoencoders at once"
    what = "The dictionary of" if several else "The first"
    return f"{size:,}", f"{what} {size:,} features, of every layer"

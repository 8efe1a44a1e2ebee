"""Buttons that lead from one feature to another."""

from __future__ import annotations

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QHBoxLayout, QWidget

from desktop_scope.gui import discovery_actions
from desktop_scope.gui.state import AppState
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button


class WalkButtons(QWidget):
    """The previous and next feature by number, and one that may be worth a look."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._lower = tool_button(
            "‹", "The feature with the number before (Alt+PgUp)", name="Previous by number"
        )
        self._higher = tool_button(
            "›", "The feature with the next number (Alt+PgDown)", name="Next by number"
        )
        self._surprise = tool_button(
            "Surprise me",
            "Go to a feature that may be worth a look (Ctrl+J)\n"
            "interest = variety × kinship × rarity × density × kind: it fires on many different,\n"
            "rather rare words of one meaning, and neither nearly never nor nearly everywhere",
        )
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        for button, slot in (
            (self._lower, self._go_lower),
            (self._higher, self._go_higher),
            (self._surprise, self._go_anywhere),
        ):
            button.clicked.connect(slot)
            row.addWidget(button)

    def draw(self, state: AppState) -> None:
        """While one is looked for, another cannot be asked for."""
        self._surprise.setEnabled(not state.busy("wander"))

    @Slot()
    def _go_lower(self) -> None:
        self._store.act(discovery_actions.step_index, -1)

    @Slot()
    def _go_higher(self) -> None:
        self._store.act(discovery_actions.step_index, 1)

    @Slot()
    def _go_anywhere(self) -> None:
        self._store.act(discovery_actions.surprise)

"""What every panel is: a widget that draws the state and reports what a person does."""

from __future__ import annotations

from typing import ClassVar, Literal

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from desktop_scope.gui.state import AppState
from desktop_scope.gui.store import Store


class Panel(QWidget):
    """Draws part of the state. Knows the store, but no other panel.

    Attributes:
        id: Names its dock in the saved layout.
        title: Over the panel and in the View menu.
        column: Where it stands at first.
        height: Its share of the column at first, in percent.
        behind: The panel behind which it stands as a tab at first, if any.
        draws_on: The fields of the state that it draws.

    Signals:
        panel_wanted: The user asked for the panel of this id.
    """

    panel_wanted = Signal(str)

    id: ClassVar[str]
    title: ClassVar[str]
    column: ClassVar[Literal["left", "right"]]
    height: ClassVar[int]
    behind: ClassVar[str] = ""
    draws_on: ClassVar[frozenset[str]]

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.setAutoFillBackground(True)

    def render(self, state: AppState, fields: frozenset[str]) -> None:  # type: ignore[override]
        """Draw the state; ``fields`` of it changed since the last time."""
        raise NotImplementedError

    def seen(self, visible: bool) -> None:
        """It came into sight, or went: behind another tab it is of no use to anybody."""

    def want_library(self) -> None:
        """Ask for the panel in which models and SAEs are opened."""
        self.panel_wanted.emit("library")

    def focus_first(self) -> None:
        """Give the keyboard to the control that this panel is about."""
        self.setFocus()

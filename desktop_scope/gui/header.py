"""The bar at the top: which model, how finely it is looked at, where one has been."""

from __future__ import annotations

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QWidget

from desktop_scope.engine.types import SaeInfo
from desktop_scope.gui import actions, theme
from desktop_scope.gui.state import AppState
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.painting import muted


class Header(QWidget):
    """Model, zoom, Back and Forward."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._model = QLabel("Desktop Scope")
        self._saes = muted(QLabel())
        self._zoom = muted(QLabel("zoom"))
        self._zoom.setToolTip(
            "The SAEs are nested: the first features alone are a coarse dictionary, all of them\n"
            "a fine one. Coarse features are broad topics, fine ones are particular."
        )
        self._row = row = QHBoxLayout(self)
        row.setContentsMargins(12, 4, 8, 4)
        row.setSpacing(8)
        row.addWidget(self._model)
        row.addWidget(self._saes)
        row.addStretch(1)
        row.addWidget(self._zoom)
        self._group = QButtonGroup(self)
        self._zooms: dict[int, QToolButton] = {}
        row.addSpacing(8)
        self._back = tool_button("←", "Back (Alt+Left)", name="Back")
        self._back.clicked.connect(self._go_back)
        self._forward = tool_button("→", "Forward (Alt+Right)", name="Forward")
        self._forward.clicked.connect(self._go_forward)
        row.addWidget(self._back)
        row.addWidget(self._forward)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._zoom.hide()

    def render(self, state: AppState, fields: frozenset[str]) -> None:  # type: ignore[override]
        """Draw."""
        if fields & {"model", "saes"}:
            self._model.setFont(theme.strong(theme.ui_font()))
            name = state.model.id.rpartition("/")[2] if state.model else "Desktop Scope"
            self._model.setText(name)
            n = len(state.saes)
            said = "no SAE open" if not n else "1 SAE" if n == 1 else f"{n} SAEs"
            self._saes.setText(said if state.model else "")
            self._offer(_nested(state.saes))
        if self._zooms and fields & {"filters", "saes"}:
            shown = min(state.filters.n_features, max(self._zooms))
            self._zooms[shown].setChecked(True)
        self._back.setEnabled(bool(state.back))
        self._forward.setEnabled(bool(state.forward))

    def _offer(self, widths: tuple[int, ...]) -> None:
        """One button for each nested width."""
        if tuple(self._zooms) == widths:
            return
        for button in self._zooms.values():
            self._group.removeButton(button)
            self._row.removeWidget(button)
            button.deleteLater()
        self._zooms = {}
        for width in widths:
            help_ = f"The first {width:,} features of every layer"
            button = tool_button(f"{width:,}", help_, checkable=True)
            button.clicked.connect(self._zoomed)
            self._group.addButton(button)
            self._row.insertWidget(self._row.indexOf(self._zoom) + 1 + len(self._zooms), button)
            self._zooms[width] = button
        self._zoom.setVisible(bool(widths))

    @Slot()
    def _zoomed(self) -> None:
        width = next(w for w, button in self._zooms.items() if button.isChecked())
        self._store.act(actions.set_filters, n_features=width)

    @Slot()
    def _go_back(self) -> None:
        self._store.act(actions.go_back)

    @Slot()
    def _go_forward(self) -> None:
        self._store.act(actions.go_forward)


def _nested(saes: tuple[SaeInfo, ...]) -> tuple[int, ...]:
    """The nested widths that all SAEs share; none where they differ or are not nested."""
    kinds = {info.prefixes for info in saes}
    widths = kinds.pop() if len(kinds) == 1 else ()
    return widths if len(widths) > 1 else ()

"""The bar at the top: which model, how finely it is looked at, where one has been."""

from __future__ import annotations

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QWidget

from desktop_scope.gui import actions, theme
from desktop_scope.gui.state import AppState
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.painting import muted


class Header(QWidget):
    """Model, zoom, Back and Forward.

    Args:
        widths: The nested sizes of the SAEs, ascending.
    """

    def __init__(self, store: Store, widths: tuple[int, ...], n_saes: int) -> None:
        super().__init__()
        self._store = store
        self._widths = widths
        self._n_saes = n_saes
        self._model = QLabel("Desktop Scope")
        self._saes = muted(QLabel())
        zoom = muted(QLabel("zoom"))
        zoom.setToolTip(
            "The SAEs are nested: the first features alone are a coarse dictionary, all of them\n"
            "a fine one. Coarse features are broad topics, fine ones are particular."
        )
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 4, 8, 4)
        row.setSpacing(8)
        row.addWidget(self._model)
        row.addWidget(self._saes)
        row.addStretch(1)
        row.addWidget(zoom)
        group = QButtonGroup(self)
        self._zooms: dict[int, QToolButton] = {}
        for width in widths:
            help_ = f"The first {width:,} features of every layer"
            button = tool_button(f"{width:,}", help_, checkable=True)
            button.clicked.connect(self._zoomed)
            group.addButton(button)
            self._zooms[width] = button
            row.addWidget(button)
        self._zooms[widths[-1]].setChecked(True)
        row.addSpacing(8)
        self._back = tool_button("←", "Back (Alt+Left)", name="Back")
        self._back.clicked.connect(self._go_back)
        self._forward = tool_button("→", "Forward (Alt+Right)", name="Forward")
        self._forward.clicked.connect(self._go_forward)
        row.addWidget(self._back)
        row.addWidget(self._forward)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def render(self, state: AppState, fields: frozenset[str]) -> None:  # type: ignore[override]
        """Draw."""
        if "model" in fields:
            self._model.setFont(theme.strong(theme.ui_font()))
            name = state.model.id.rpartition("/")[2] if state.model else "Desktop Scope"
            self._model.setText(name)
            self._saes.setText(f"{self._n_saes} SAEs" if state.model else "")
        if "filters" in fields:
            shown = min(state.filters.n_features, self._widths[-1])
            self._zooms[shown].setChecked(True)
        self._back.setEnabled(bool(state.back))
        self._forward.setEnabled(bool(state.forward))

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

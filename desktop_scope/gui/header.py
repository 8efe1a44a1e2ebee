"""The bar at the top: which model, how finely it is looked at, where one has been."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import (
    QHBoxLayout,
    QMenu,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from desktop_scope.gui import actions, doctor, theme
from desktop_scope.gui.lights import icon_of
from desktop_scope.gui.state import AppState
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.zoom_bar import ZoomBar
from desktop_scope.wording import counted

_LISTED = 40  # SAEs in the menu; more are in the library


class Header(QWidget):
    """Model, SAEs, zoom, Back and Forward.

    Signals:
        panel_wanted: The user asked for the panel of this id.
    """

    panel_wanted = Signal(str)

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._model = tool_button("Open a model ▾", "Open another model (Ctrl+5)")
        self._model.clicked.connect(self._want_library)
        self._saes = tool_button("", "The open autoencoders, and how they fit")
        self._saes.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._menu = QMenu(self._saes)
        self._menu.setToolTipsVisible(True)
        self._menu.aboutToShow.connect(self._fill_menu)
        self._saes.setMenu(self._menu)
        self._saes.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._saes.setProperty("arrow", "none")  # its text has one
        self._zoom = ZoomBar(store)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 4, 8, 4)
        row.setSpacing(8)
        row.addWidget(self._model)
        row.addWidget(self._saes)
        row.addStretch(1)
        row.addWidget(self._zoom)
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
        if fields & {"model", "saes", "jobs"}:
            self._model.setFont(theme.strong(theme.ui_font()))
            self._model.setText(f"{_model_name(state)} ▾")
        if fields & {"model", "saes", "health"}:
            self._draw_count(state)
            self._saes.setVisible(state.model is not None)
        if fields & {"saes", "zoom"}:
            self._zoom.draw(state)
        self._back.setEnabled(bool(state.back))
        self._forward.setEnabled(bool(state.forward))

    def _draw_count(self, state: AppState) -> None:
        """How many are open, with the worst light of those that were examined."""
        n = len(state.saes)
        self._saes.setText(f"{counted(n, 'SAE')} ▾" if n else "no SAE open ▾")
        lights = [doctor.light(state, health.slot) for health in state.health]
        worst = max(lights, key=doctor.SEVERITY.index, default=None)
        self._saes.setIcon(icon_of(worst) if worst else QIcon())
        self._saes.setAccessibleName(
            f"{counted(n, 'SAE')} open, {worst.name if worst else 'not checked'}"
        )

    @Slot()
    def _want_library(self) -> None:
        self.panel_wanted.emit("library")

    @Slot()
    def _fill_menu(self) -> None:
        state = self._store.state
        self._menu.clear()
        for slot, info in enumerate(state.saes[:_LISTED]):
            line = f"{info.place}  ·  {info.hook_name}  ·  {info.d_sae:,} features"
            action = self._menu.addAction(f"{line}  ·  {doctor.in_words(state, slot)}")
            action.setIcon(icon_of(doctor.light(state, slot)))
            action.setToolTip(f"{info.name}\n{_help(state, slot)}")
            action.triggered.connect(lambda _=False, slot=slot: self._check(slot))
        if len(state.saes) > _LISTED:
            more = self._menu.addAction(f"and {len(state.saes) - _LISTED} more")
            more.setEnabled(False)
        self._menu.addSeparator()
        if state.saes:
            self._menu.addAction("Check them all").triggered.connect(self._check_all)
        self._menu.addAction("Open others …").triggered.connect(self._want_library)

    def _check(self, slot: int) -> None:
        self._store.act(actions.check, slot)

    @Slot()
    def _check_all(self) -> None:
        self._store.act(actions.check, *range(len(self._store.state.saes)))

    @Slot()
    def _go_back(self) -> None:
        self._store.act(actions.go_back)

    @Slot()
    def _go_forward(self) -> None:
        self._store.act(actions.go_forward)


def _model_name(state: AppState) -> str:
    if state.model is not None:
        return state.model.id.rpartition("/")[2]
    return "Opening …" if state.busy("load") else "Open a model"


def _help(state: AppState, slot: int) -> str:
    health = state.health_of(slot)
    return health.reason if health else "Choose it to measure how it fits, on a short text."

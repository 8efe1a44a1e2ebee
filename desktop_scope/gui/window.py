"""The window: docks from PANELS, menus from COMMANDS, a header, a strip for messages, a status."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import msgspec
from PySide6.QtCore import QSettings, Qt, Slot
from PySide6.QtGui import (
    QAction,
    QCloseEvent,
    QDragEnterEvent,
    QDropEvent,
    QKeySequence,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QApplication,
    QDockWidget,
    QFileDialog,
    QMainWindow,
    QTabWidget,
    QToolBar,
    QWidget,
)

from desktop_scope import paths
from desktop_scope.engine.types import Prompt
from desktop_scope.gui import actions, flow, theme
from desktop_scope.gui.commands import COMMANDS
from desktop_scope.gui.header import Header
from desktop_scope.gui.panels import PANELS, Panel
from desktop_scope.gui.state import AppState
from desktop_scope.gui.state import Message as StateMessage
from desktop_scope.gui.status import StatusStrip
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.message_strip import MessageStrip
from desktop_scope.gui.widgets.palette import Palette
from desktop_scope.library.pack import Pack

_LAYOUT_VERSION = 1
_SIZE = (1440, 900)
_LEFT_SHARE = 0.6
_PX_RANGE = (10, 22)


class Window(QMainWindow):
    """Puts the panels together and keeps nothing but their places."""

    def __init__(self, store: Store, pack: Pack, settings: QSettings) -> None:
        super().__init__()
        self.store = store
        self._settings = settings
        self.setWindowTitle("Desktop Scope")
        self.setAcceptDrops(True)
        self.setDockNestingEnabled(True)
        self.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        self.setDocumentMode(True)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)
        self._header = Header(store, pack.saes.matryoshka_prefixes, pack.model.n_layers)
        self._add_bar("header", self._header)
        self.addToolBarBreak()
        self._strip = MessageStrip()
        self._strip.message_dismissed.connect(self._dismissed)
        self._strip_bar = self._add_bar("messages", self._strip)
        self._panels = {panel.id: panel(store) for panel in PANELS}
        self._docks: dict[str, QDockWidget] = {}
        self._docks = {panel.id: self._dock(panel) for panel in self._panels.values()}
        self._status = StatusStrip(store)
        self.setStatusBar(self._status)
        self._actions = self._make_menus()
        self._palette = Palette(self)
        self._palette.chosen.connect(self._run_command)
        room = self.screen().availableGeometry()
        self.resize(min(_SIZE[0], room.width()), min(_SIZE[1], room.height()))
        self._arrange()
        self._arranged = settings.value("layout") is not None
        self._default_layout = self.saveState(_LAYOUT_VERSION)
        self._restore()
        store.changed.connect(self._render)
        every = frozenset(AppState.__dataclass_fields__)
        self._render(store.state, every)

    # ---- building

    def _add_bar(self, name: str, widget: QWidget) -> QToolBar:
        bar = QToolBar(name)
        bar.setObjectName(name)
        bar.setMovable(False)
        bar.setFloatable(False)
        bar.addWidget(widget)
        bar.toggleViewAction().setVisible(False)
        self.addToolBar(bar)
        return bar

    def _dock(self, panel: Panel) -> QDockWidget:
        dock = QDockWidget(panel.title)
        dock.setObjectName(panel.id)
        dock.setWidget(panel)
        # The tab names it already; a title below it would say the same again.
        dock.visibilityChanged.connect(lambda _visible: self._retitle())
        dock.topLevelChanged.connect(lambda _floating: self._retitle())
        return dock

    def _retitle(self) -> None:
        for dock in self._docks.values():
            tabbed = bool(self.tabifiedDockWidgets(dock)) and not dock.isFloating()
            if tabbed and dock.titleBarWidget() is None:
                dock.setTitleBarWidget(QWidget(dock))
            elif not tabbed and dock.titleBarWidget() is not None:
                dock.setTitleBarWidget(None)  # type: ignore[arg-type]

    def _arrange(self) -> None:
        """The original layout: reading and steering at the left, features at the right."""
        areas = {
            "left": Qt.DockWidgetArea.LeftDockWidgetArea,
            "right": Qt.DockWidgetArea.RightDockWidgetArea,
        }
        for column, area in areas.items():
            panels = [panel for panel in PANELS if panel.column == column]
            stacked = [panel for panel in panels if not panel.behind]
            docks = [self._docks[panel.id] for panel in stacked]
            self.addDockWidget(area, docks[0])
            for above, below in pairwise(docks):
                self.splitDockWidget(above, below, Qt.Orientation.Vertical)
            for panel in panels:
                if panel.behind:
                    self.tabifyDockWidget(self._docks[panel.behind], self._docks[panel.id])
                    self._docks[panel.behind].raise_()
            heights = [panel.height * self.height() // 100 for panel in stacked]
            self.resizeDocks(docks, heights, Qt.Orientation.Vertical)
        left = round(self.width() * _LEFT_SHARE)
        firsts = [self._docks["prompt"], self._docks["features"]]
        self.resizeDocks(firsts, [left, self.width() - left], Qt.Orientation.Horizontal)

    def _make_menus(self) -> dict[str, QAction]:
        made = {}
        menus = {}
        for command in COMMANDS:
            if command.menu not in menus:
                menus[command.menu] = self.menuBar().addMenu(command.menu)
            action = QAction(command.title, self)
            action.setShortcut(QKeySequence(command.shortcut))
            action.triggered.connect(lambda _=False, run=command.run: run(self))
            menus[command.menu].addAction(action)
            made[command.id] = action
        panels = menus["&View"].addMenu("Panels")
        for dock in self._docks.values():
            panels.addAction(dock.toggleViewAction())
        return made

    # ---- drawing

    @Slot(object, object)
    def _render(self, state: AppState, fields: frozenset[str]) -> None:
        for panel in self._panels.values():
            if fields & panel.draws_on:
                panel.render(state, fields)
        self._header.render(state, fields)
        self._status.render(state, fields)
        if "messages" in fields:
            self._draw_messages(state.messages)
        for command in COMMANDS:
            self._actions[command.id].setEnabled(command.enabled(state))

    def _draw_messages(self, messages: tuple[StateMessage, ...]) -> None:
        self._strip.set_messages(
            [(m.text, m.hint, m.details, "error" if m.is_error else "news") for m in messages]
        )
        # In a tool bar it is the action that shows and hides a widget.
        self._strip_bar.actions()[0].setVisible(bool(messages))
        self._strip_bar.setVisible(bool(messages))

    @Slot(str, str)
    def _dismissed(self, text: str, hint: str) -> None:
        self.store.act(actions.dismiss, text, hint)

    # ---- what commands ask for

    def focus_panel(self, panel: str) -> None:
        """Show a panel and give it the keyboard."""
        self._docks[panel].show()
        self._docks[panel].raise_()
        self._panels[panel].focus_first()

    def open_palette(self) -> None:
        """List every command that makes sense now, to be found by typing."""
        able = [c for c in COMMANDS if c.enabled(self.store.state) and c.id != "view.palette"]
        self._palette.open_with([(c.id, c.line()) for c in able])

    @Slot(str)
    def _run_command(self, id_: str) -> None:
        next(command for command in COMMANDS if command.id == id_).run(self)

    def cancel(self) -> None:
        """Stop what is running."""
        self.store.cancel()

    def toggle_theme(self) -> None:
        """Light or dark."""
        self.set_theme("light" if theme.tokens().dark else "dark")

    def set_theme(self, scheme: theme.Scheme) -> None:
        """Dress the window, and remember it."""
        self._settings.setValue("theme", scheme)
        self._dress()

    def zoom(self, steps: int) -> None:
        """Larger or smaller type everywhere."""
        px = min(max(theme.ui_font().pixelSize() + steps, _PX_RANGE[0]), _PX_RANGE[1])
        self._settings.setValue("px", px)
        self._dress()

    def _dress(self) -> None:
        dress(self._settings)
        self._render(self.store.state, frozenset(AppState.__dataclass_fields__))

    def reset_layout(self) -> None:
        """All panels back where they were at first."""
        self.restoreState(self._default_layout, _LAYOUT_VERSION)
        self._arrange()

    def choose_model_file(self) -> None:
        """Let the user say where the demo model's file is."""
        path, _ = QFileDialog.getOpenFileName(
            self, "Choose the demo model’s file", "", "Models (*.gguf)"
        )
        if path:
            self._load_file(Path(path))

    def reload_model(self) -> None:
        """Try again, such as after the model was fetched."""
        self.store.act(actions.load_again)

    def save_picture(self) -> None:
        """Save what the window shows."""
        path, _ = QFileDialog.getSaveFileName(
            self, "Save a picture", "desktop-scope.png", "PNG (*.png)"
        )
        if path and not self.grab().save(path):
            message = StateMessage(
                f"The picture could not be saved as {path}.", "Choose another place."
            )
            self.store.replace(flow.say(self.store.state, message))

    def _load_file(self, path: Path) -> None:
        self.store.act(actions.load_again, gguf=path)

    # ---- Qt's events

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Accept a model file."""
        if any(url.toLocalFile().endswith(".gguf") for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Load the file."""
        for url in event.mimeData().urls():
            if url.toLocalFile().endswith(".gguf"):
                self._load_file(Path(url.toLocalFile()))

    def showEvent(self, event: QShowEvent) -> None:
        """Only now is the size known for which the original layout is meant."""
        super().showEvent(event)
        if not self._arranged:
            self._arranged = True
            self._arrange()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Remember where everything was, and stop the engine."""
        self._settings.setValue("geometry", self.saveGeometry())
        self._settings.setValue("layout", self.saveState(_LAYOUT_VERSION))
        history = msgspec.json.encode(self.store.state.history).decode()
        self._settings.setValue("history", history)
        self._settings.sync()
        self.hide()
        self.store.stop_soon()
        super().closeEvent(event)

    def _restore(self) -> None:
        geometry, layout = self._settings.value("geometry"), self._settings.value("layout")
        if geometry is not None:
            self.restoreGeometry(geometry)
        if layout is not None:
            self.restoreState(layout, _LAYOUT_VERSION)


def dress(settings: QSettings) -> None:
    """Apply the remembered theme and type size."""
    app = QApplication.instance()
    if isinstance(app, QApplication):
        scheme = settings.value("theme", "system")
        px = int(settings.value("px", theme.BASE_PX))
        theme.apply(app, scheme if scheme in ("light", "dark") else "system", px)


def remembered_prompts(settings: QSettings) -> tuple[Prompt, ...]:
    """Prompts answered in earlier sessions, the newest first."""
    try:
        return msgspec.json.decode(settings.value("history", "[]"), type=tuple[Prompt, ...])
    except (msgspec.DecodeError, TypeError):  # edited by hand: not worth a complaint
        return ()


def open_settings() -> QSettings:
    """This user's settings; in memory only where nothing can be written."""
    return QSettings(str(paths.config_dir() / "window.ini"), QSettings.Format.IniFormat)

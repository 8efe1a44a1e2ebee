"""The window: docks from PANELS, menus from COMMANDS, a header, a strip for messages, a status."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from PySide6.QtCore import Qt, QTimer, Slot
from PySide6.QtGui import (
    QAction,
    QCloseEvent,
    QDragEnterEvent,
    QDropEvent,
    QKeySequence,
    QShowEvent,
)
from PySide6.QtWidgets import QFileDialog, QMainWindow, QMenu, QToolBar, QWidget

from desktop_scope.engine.requests import Workspace
from desktop_scope.gui import actions, export_actions, marks_actions, theme
from desktop_scope.gui.commands import COMMANDS
from desktop_scope.gui.docks import Docks
from desktop_scope.gui.header import Header
from desktop_scope.gui.help.pages import pages
from desktop_scope.gui.help.window import HelpWindow
from desktop_scope.gui.marks_actions import may_hold_labels
from desktop_scope.gui.panels import PANELS
from desktop_scope.gui.panels.library import LibraryPanel
from desktop_scope.gui.settings import Settings
from desktop_scope.gui.state import AppState, Message
from desktop_scope.gui.status import StatusStrip
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.message_strip import MessageStrip
from desktop_scope.gui.widgets.palette import Palette
from desktop_scope.gui.widgets.plot_menu import news
from desktop_scope.library.browsing import sae_names
from desktop_scope.library.folders import Recent
from desktop_scope.library.model_names import name_of

_LAYOUT_VERSION = 3
_SIZE = (1440, 900)
_EVERYTHING = frozenset(AppState.__dataclass_fields__)


class Window(QMainWindow):
    """Puts the panels together and keeps nothing but their places."""

    def __init__(self, store: Store, settings: Settings) -> None:
        super().__init__()
        self.store = store
        self._settings = settings
        self.setWindowTitle("Desktop Scope")
        self.setAcceptDrops(True)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)
        self._header = Header(store)
        self._header.panel_wanted.connect(self.focus_panel)
        self._add_bar("header", self._header)
        self.addToolBarBreak()
        self._strip = MessageStrip()
        self._strip.message_dismissed.connect(self._dismissed)
        self._strip.message_acted.connect(self._acted)
        self._strip_bar = self._add_bar("messages", self._strip)
        self._docks = Docks(self, {panel.id: panel(store) for panel in PANELS})
        for panel in self._docks.panels.values():
            panel.panel_wanted.connect(self.focus_panel)
        self._status = StatusStrip(store)
        self.setStatusBar(self._status)
        self._palette = Palette(self)
        self._palette.chosen.connect(self._run_command)
        self._help: HelpWindow | None = None
        self._actions = self._make_menus()
        self._docks.arrange()
        room = self.screen().availableGeometry()
        self.resize(min(_SIZE[0], room.width()), min(_SIZE[1], room.height()))
        self._arranged = settings.places is not None
        if settings.places is not None:
            self.restoreGeometry(settings.places[0])
            self.restoreState(settings.places[1], _LAYOUT_VERSION)
        store.changed.connect(self._render)
        news.told.connect(self._tell)
        self._render(store.state, _EVERYTHING)

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

    def _make_menus(self) -> dict[str, QAction]:
        made = {}
        menus: dict[str, QMenu] = {}
        for command in COMMANDS:
            self._menu(menus, command.menu)
            action = QAction(command.title, self)
            action.setCheckable(command.checked is not None)
            action.setShortcut(QKeySequence(command.shortcut))
            action.triggered.connect(lambda _=False, run=command.run: run(self))
            menus[command.menu].addAction(action)
            made[command.id] = action
        menus["&View"].addMenu("Panels").addActions(self._docks.show_actions())
        self._recent = menus["&Model"].addMenu("Opened &lately")
        self._recent.aboutToShow.connect(self._fill_recent)
        return made

    def _menu(self, menus: dict[str, QMenu], path: str) -> QMenu:
        """A menu, or one within another: ``Model/Numbers``."""
        if path not in menus:
            above, _, name = path.rpartition("/")
            menus[path] = (self._menu(menus, above) if above else self.menuBar()).addMenu(name)
        return menus[path]

    # ---- drawing

    @Slot(object, object)
    def _render(self, state: AppState, fields: frozenset[str]) -> None:
        for panel in self._docks.panels.values():
            if fields & panel.draws_on:
                panel.render(state, fields)
        self._header.render(state, fields)
        self._status.render(state, fields)
        if "messages" in fields:
            self._draw_messages(state.messages)
        for command in COMMANDS:
            self._actions[command.id].setEnabled(command.enabled(state))
            if command.checked is not None:
                self._actions[command.id].setChecked(command.checked(state))

    def _draw_messages(self, messages: tuple[Message, ...]) -> None:
        self._strip.set_messages(
            [
                (m.text, m.hint, m.details, "error" if m.is_error else "news", m.action)
                for m in messages
            ]
        )
        # In a tool bar it is the action that shows and hides a widget.
        self._strip_bar.actions()[0].setVisible(bool(messages))
        self._strip_bar.setVisible(bool(messages))

    @Slot(str, str, bool)
    def _tell(self, text: str, hint: str, is_error: bool) -> None:
        self.store.act(actions.say, Message(text, hint, is_error=is_error))

    @Slot(str, str)
    def _dismissed(self, text: str, hint: str) -> None:
        self.store.act(actions.dismiss, text, hint)

    @Slot(str, str)
    def _acted(self, text: str, hint: str) -> None:
        message = next(m for m in self.store.state.messages if (m.text, m.hint) == (text, hint))
        if message.workspace is not None:
            self.store.act(actions.open_workspace, message.workspace)

    @Slot()
    def _fill_recent(self) -> None:
        self._recent.clear()
        for recent in self.store.state.shelf.recent:
            line = f"{name_of(recent.model)}  with {sae_names(recent.saes)}"
            action = self._recent.addAction(line.replace("&", "&&"))
            action.triggered.connect(lambda _=False, recent=recent: self._reopen(recent))
        if self._recent.isEmpty():
            self._recent.addAction("Nothing yet").setEnabled(False)

    def _reopen(self, recent: Recent) -> None:
        self.store.act(actions.open_workspace, Workspace(recent.saes, recent.model))

    # ---- what commands ask for

    @Slot(str)
    def focus_panel(self, panel: str) -> None:
        """Show a panel and give it the keyboard."""
        self._docks.focus(panel)

    def open_palette(self) -> None:
        """List every command that makes sense now, to be found by typing."""
        able = [c for c in COMMANDS if c.enabled(self.store.state) and c.id != "view.palette"]
        self._palette.open_with([(c.id, c.line()) for c in able])

    @Slot(str)
    def _run_command(self, id_: str) -> None:
        next(command for command in COMMANDS if command.id == id_).run(self)

    def help_on_panel(self) -> None:
        """Say what the panel that has the keyboard shows."""
        self.show_help(self._docks.focused() or "start")

    def show_help(self, page: str) -> None:
        """Open the help at a page."""
        if self._help is None:
            self._help = HelpWindow(pages(tuple(panel.id for panel in PANELS)), self)
        self._help.show_page(page)

    def toggle_theme(self) -> None:
        """Light or dark."""
        self.set_theme("light" if theme.tokens().dark else "dark")

    def set_theme(self, scheme: theme.Scheme) -> None:
        """Dress the window, and remember it."""
        self._settings.scheme = scheme
        self._dress()

    def zoom(self, steps: int) -> None:
        """Larger or smaller type everywhere."""
        self._settings.px = self._settings.px + steps
        self._dress()

    def _dress(self) -> None:
        self._settings.dress()
        self._render(self.store.state, _EVERYTHING)

    def reset_layout(self) -> None:
        """All panels back where they were at first."""
        size = self.size()
        self._docks.arrange()
        # On the way, docks that were not tabs yet wanted more room than the window has.
        QTimer.singleShot(0, self, lambda: self.resize(size))

    def choose_folder(self) -> None:
        """Let the user open a folder."""
        if folder := QFileDialog.getExistingDirectory(self, "Open a model, autoencoders or a pack"):
            self.store.act(actions.give, (Path(folder),))

    def choose_labels(self) -> None:
        """Let the user import labels."""
        chosen, _ = QFileDialog.getOpenFileNames(
            self, "Import labels", "", "Labels (*.jsonl.gz *.jsonl *.json *.csv)"
        )
        if chosen:
            self.store.act(marks_actions.import_labels, *map(Path, chosen))

    def save_marks(self) -> None:
        """Let the user export own labels, notes, stars and lists."""
        path, _ = QFileDialog.getSaveFileName(
            self, "Export your labels and notes", "my-labels.jsonl", "JSON lines (*.jsonl)"
        )
        if path:
            self.store.act(marks_actions.export_marks, Path(path))

    def export_vector(self) -> None:
        """Let the user take what the dials add to other programs."""
        path, chosen = QFileDialog.getSaveFileName(
            self,
            "Take steering along as a vector",
            "steering.gguf",
            "Control vector for llama.cpp (*.gguf);;Vectors (*.safetensors)",
        )
        if path:
            suffix = ".gguf" if "gguf" in chosen else ".safetensors"
            where = Path(path) if Path(path).suffix else Path(path + suffix)
            self.store.act(export_actions.export_vector, where)

    def export_model(self) -> None:
        """Let the user take along a copy of the model that is steered by its weights."""
        folder, _ = QFileDialog.getSaveFileName(
            self, "Take steering along as a copy of the model", "steered-model", "Folder (*)"
        )
        if folder:
            self.store.act(export_actions.export_model, Path(folder))

    @property
    def library(self) -> LibraryPanel:
        """Where models and SAEs are opened."""
        return cast(LibraryPanel, self._docks.panels["library"])

    def save_picture(self) -> None:
        """Save what the window shows."""
        path, _ = QFileDialog.getSaveFileName(
            self, "Save a picture", "desktop-scope.png", "PNG (*.png)"
        )
        if path and not self.grab().save(path):
            trouble = Message(f"The picture could not be saved as {path}.", "Choose another place.")
            self.store.act(actions.say, trouble)

    # ---- Qt's events

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Accept files and folders; what they are is found out once they are dropped."""
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open them."""
        urls = event.mimeData().urls()
        paths = tuple(Path(url.toLocalFile()) for url in urls if url.isLocalFile())
        if paths:
            event.acceptProposedAction()
            if all(map(may_hold_labels, paths)):
                self.store.act(marks_actions.import_labels, *paths)
            else:
                self.store.act(actions.give, paths)

    def showEvent(self, event: QShowEvent) -> None:
        """Only now is the size known for which the original layout is meant."""
        super().showEvent(event)
        if not self._arranged:
            self._arranged = True
            self.reset_layout()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Remember where everything was, and stop the engine."""
        self._settings.places = (self.saveGeometry(), self.saveState(_LAYOUT_VERSION))
        self._settings.prompts = self.store.state.history
        self._settings.save()
        self.hide()
        self.store.stop_soon()
        super().closeEvent(event)

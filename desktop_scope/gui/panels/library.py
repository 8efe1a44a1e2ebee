"""Every model and SAE on this machine: what goes together, what fits, and how to open it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QSignalBlocker, Qt, QTimer, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSplitter,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.engine.requests import Placement, Workspace
from desktop_scope.gui import actions, doctor, theme
from desktop_scope.gui.choices import DEVICES, DTYPES
from desktop_scope.gui.lights import color_of
from desktop_scope.gui.panels.base import Panel
from desktop_scope.gui.state import AppState
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.empty_state import EmptyState
from desktop_scope.gui.widgets.painting import muted
from desktop_scope.gui.widgets.row_list import Row, RowList
from desktop_scope.library.browsing import Attachable, Openable, size_words
from desktop_scope.wording import counted

_TYPING_PAUSE_MS = 60
_SORTS = {"recent": "opened lately", "pack": "pack", "model": ""}


class LibraryPanel(Panel):
    """Models at the left, what goes with the chosen one at the right, and the button that opens."""

    id = "library"
    title = "Library"
    column = "left"
    height = 54
    behind = "layers"
    draws_on = frozenset(
        {"listing", "browsing", "workspace", "model", "saes", "health", "unchecked", "room",
         "jobs", "library", "dtype", "device", "looks"}
    )  # fmt: skip

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._picked: frozenset[Path] = frozenset()  # what would be open with the model
        self._chosen: Openable | None = None
        self._words = QLineEdit(placeholderText="Search models and autoencoders")
        self._words.setAccessibleName("Search the library")
        self._words.setClearButtonEnabled(True)
        self._pause = QTimer(self, singleShot=True, interval=_TYPING_PAUSE_MS)
        self._words.textChanged.connect(self._pause.start)
        self._pause.timeout.connect(self._words_typed)
        self._again = tool_button("Look again", "Search this machine anew")
        self._again.clicked.connect(self._look_again)
        self._folder = tool_button(
            "Add folder …", "Search another folder, too, now and from now on"
        )
        self._folder.clicked.connect(self.choose_folder)
        self._files = tool_button(
            "Open files …", "Open a model or autoencoders from anywhere; or drop them on the window"
        )
        self._files.clicked.connect(self.choose_files)
        self._models = RowList("Models", self._model_row)
        self._models.chosen.connect(self._model_chosen)
        self._models.taken.connect(self._model_taken)
        self._saes = RowList("Autoencoders that go with the model", self._sae_row)
        self._saes.toggled.connect(self._toggle)
        self._saes.taken.connect(self._sae_taken)
        self._saes_head = muted(QLabel())
        self._models_head = muted(QLabel("Models on this machine"))
        self._no_models, self._no_saes = EmptyState(), EmptyState()
        self._dtype = _choice("Number type to compute in", DTYPES)
        self._dtype.activated.connect(self._choices_made)
        self._device = _choice("Where to compute", DEVICES)
        self._device.activated.connect(self._choices_made)
        self._room = muted(QLabel(wordWrap=True))
        self._check = tool_button("Check", "Measure how the open autoencoders fit, on a short text")
        self._check.clicked.connect(self._check_all)
        self._open = QPushButton("Open")
        self._open.clicked.connect(self._open_now)
        self._lay_out()

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(4)
        top.addWidget(self._words, 1)
        for button in (self._again, self._folder, self._files):
            top.addWidget(button)
        split = QSplitter(Qt.Orientation.Horizontal)
        split.setChildrenCollapsible(False)
        self._model_stack = _side(split, self._models_head, self._models, self._no_models)
        self._sae_stack = _side(split, self._saes_head, self._saes, self._no_saes)
        split.setSizes([300, 400])
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self._room, 1)
        for widget in (self._check, self._device, self._dtype, self._open):
            foot.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 8)
        column.setSpacing(4)
        column.addLayout(top)
        column.addWidget(split, 1)
        column.addLayout(foot)

    def focus_first(self) -> None:
        """Search at once."""
        self._words.setFocus()

    def seen(self, visible: bool) -> None:
        """Whoever opens the library wants to see what there is."""
        if visible and not self.store.state.looks:
            self.store.act(actions.look_around)

    # ---- drawing

    def render(self, state: AppState, fields: frozenset[str]) -> None:
        """Draw."""
        if fields & {"workspace", "model"}:
            self._picked = _opened_with(state)
        if fields & {"listing", "workspace", "model", "browsing"}:
            self._draw_lists(state)
        elif fields & {"health", "unchecked", "saes", "jobs"}:
            self._saes.refresh()
        browsing = state.browsing
        for box, value in ((self._dtype, browsing.dtype), (self._device, browsing.device)):
            with QSignalBlocker(box):
                box.setCurrentIndex(box.findData(value))
        self._draw_foot(state)

    def _draw_lists(self, state: AppState) -> None:
        listing, shown = state.listing, state.browsing.model or state.model_entry
        current = self._chosen
        if current is None and shown is not None:
            current = next((m for m in listing.models if _is_open(state, m)), None)
        self._models.set_items(listing.models, current)
        self._model_stack.setCurrentIndex(0 if listing.models else 1)
        self._saes.set_items(listing.saes)
        self._sae_stack.setCurrentIndex(0 if listing.saes else 1)
        self._saes_head.setText(f"What goes with {shown.id}" if shown else "Autoencoders")

    def _draw_foot(self, state: AppState) -> None:
        scan = next((job for job in state.jobs if job.kind == "scan"), None)
        read = state.busy("details")
        self._again.setEnabled(scan is None)
        if not state.listing.models:
            self._no_models.set_text(
                "Looking through this machine’s folders …" if scan else _nothing(state)
            )
        if not state.listing.saes:
            self._no_saes.set_text(_no_saes(state, bool(scan) or read))
        n_models, n_saes = len(state.library.models), len(state.library.saes)
        found = f"{counted(n_models, 'model')}, {counted(n_saes, 'autoencoder')}"
        self._models_head.setText(f"{found} so far …" if scan else f"{found} on this machine")
        target, what = self._target(state)
        self._room.setText(_room_words(state))
        short = state.room is not None and not state.room.fits and bool(state.browsing.model)
        self._room.setForegroundRole(theme.MUTED_ROLE if not short else theme.TEXT_ROLE)
        self._open.setText(what)
        self._open.setEnabled(target is not None)
        self._check.setVisible(bool(state.saes))
        self._check.setEnabled(len(state.health) + len(state.unchecked) < len(state.saes))

    def _model_row(self, item: Openable) -> Row:
        state = self.store.state
        is_open = _is_open(state, item)
        sort = _SORTS[item.sort]
        return Row(
            title=item.title,
            about=item.about,
            sign="open" if is_open else sort,
            trouble=item.problem,
            strong=is_open,
        )

    def _sae_row(self, item: Attachable) -> Row:
        state = self.store.state
        about, sign, color = item.about, "", None
        slots = _slots_of(state, item)
        if slots:
            worst = max(slots, key=lambda slot: doctor.SEVERITY.index(doctor.light(state, slot)))
            lamp = doctor.light(state, worst)
            sign, color = lamp.value, color_of(lamp)
            health = state.health_of(worst)
            sign += f" {health.verdict if health else doctor.in_words(state, worst)}"
            if len(slots) > 1:
                sign = f"{len(slots)} open  {sign}"
            elif health:
                about = f"{doctor.figures(health)}  ·  {about}"
            hook = state.saes[worst].hook_name
            if len(slots) == 1 and any(move.hook_name == hook for move in _moves(state, worst)):
                about = f"attached at {hook}  ·  {about}"
        return Row(
            title=item.title,
            about=about,
            sign=sign,
            sign_color=color,
            trouble=item.problem,
            checked=item.path in self._picked,
            strong=bool(slots),
        )

    # ---- what the button opens

    def _target(self, state: AppState) -> tuple[tuple[Workspace, str, str] | None, str]:
        """What to open (workspace, number type, device), if that is anything new, and its name."""
        chosen, browsing = self._chosen, state.browsing
        kind = (browsing.dtype, browsing.device)
        if chosen is not None and chosen.problem:
            return None, "Open"
        if chosen is not None and chosen.sort != "model" and browsing.model is None:
            return (chosen.workspace, *kind), "Open"
        if browsing.model is not None and not _is_open_model(state, browsing.model.path):
            n = len(self._picked)
            what = "Open alone" if not n else f"Open with {n} chosen"
            return (Workspace(self._in_order(()), browsing.model.path), *kind), what
        if state.workspace is None or state.model is None:
            return None, "Open"
        workspace = self._changed(state)
        if workspace == state.workspace and kind == (state.dtype, state.device):
            return None, "Is open"
        before, after = set(state.workspace.saes), set(workspace.saes)
        added, taken = len(after - before), len(before - after)
        words = [f"add {added}"] * bool(added) + [f"take {taken} away"] * bool(taken)
        return (workspace, *kind), ", ".join(words).capitalize() or "Load it so"

    def _changed(self, state: AppState) -> Workspace:
        """What is open, with what was chosen and without what was not."""
        workspace = state.workspace
        assert workspace is not None
        assert state.model is not None
        saes = self._in_order(workspace.saes)
        own_pack = workspace.model is None and not set(workspace.saes) <= set(saes)
        model = Path(state.model.path) if own_pack else workspace.model
        return replace(workspace, saes=saes, model=model)

    def _in_order(self, first: tuple[Path, ...]) -> tuple[Path, ...]:
        kept = tuple(path for path in first if path in self._picked)
        return (*kept, *sorted(self._picked - set(kept)))

    # ---- what a person does

    @Slot()
    def _words_typed(self) -> None:
        self.store.act(actions.browse, words=self._words.text())

    @Slot()
    def _look_again(self) -> None:
        self.store.act(actions.look_around)

    @Slot(object)
    def _model_chosen(self, item: Openable) -> None:
        self._chosen = item
        is_open = _is_open(self.store.state, item)
        self._picked = _opened_with(self.store.state) if is_open else frozenset()
        self.store.act(actions.browse, model=None if item.problem or is_open else item.model)
        self._draw_lists(self.store.state)
        self._draw_foot(self.store.state)

    @Slot(object)
    def _model_taken(self, item: Openable) -> None:
        self._model_chosen(item)
        self._open_now()

    @Slot(object)
    def _toggle(self, item: Attachable) -> None:
        if not item.problem:
            self._picked ^= {item.path}
            self._saes.refresh()
            self._draw_foot(self.store.state)

    @Slot(object)
    def _sae_taken(self, item: Attachable) -> None:
        if not item.problem:
            self._picked |= {item.path}
            self._open_now()

    @Slot()
    def _open_now(self) -> None:
        target, _ = self._target(self.store.state)
        if target is not None:
            self._chosen = None
            self.store.act(actions.open_workspace, *target)

    @Slot()
    def _choices_made(self) -> None:
        self.store.act(
            actions.browse, dtype=self._dtype.currentData(), device=self._device.currentData()
        )

    @Slot()
    def _check_all(self) -> None:
        self.store.act(actions.check, *range(len(self.store.state.saes)))

    @Slot()
    def choose_folder(self) -> None:
        """Let the user say where else to search."""
        if folder := QFileDialog.getExistingDirectory(self, "Search this folder, too"):
            self.store.act(actions.add_folder, Path(folder))

    @Slot()
    def choose_files(self) -> None:
        """Let the user say what to open."""
        paths, _ = QFileDialog.getOpenFileNames(self, "Open a model or autoencoders")
        if paths:
            self.store.act(actions.give, tuple(map(Path, paths)))


def _side(split: QSplitter, head: QLabel, view: RowList, empty: EmptyState) -> QStackedLayout:
    side = QWidget()
    column = QVBoxLayout(side)
    column.setContentsMargins(4, 0, 4, 0)
    column.setSpacing(4)
    column.addWidget(head)
    stack = QStackedLayout()
    stack.addWidget(view)
    stack.addWidget(empty)
    column.addLayout(stack, 1)
    split.addWidget(side)
    return stack


def _choice(name: str, choices: tuple[tuple[str, str, str], ...]) -> QComboBox:
    box = QComboBox()
    box.setAccessibleName(name)
    box.setToolTip(name)
    for value, text, help_ in choices:
        box.addItem(text, value)
        box.setItemData(box.count() - 1, help_, Qt.ItemDataRole.ToolTipRole)
    return box


def _opened_with(state: AppState) -> frozenset[Path]:
    return frozenset(state.workspace.saes if state.workspace and state.model else ())


def _is_open_model(state: AppState, path: Path) -> bool:
    if state.model is None or state.workspace is None:
        return False
    return path in (state.workspace.model, Path(state.model.path))


def _is_open(state: AppState, item: Openable) -> bool:
    if state.model is None or state.workspace is None:
        return False
    if item.sort == "model":
        return _is_open_model(state, item.workspace.model or Path())
    same = (item.workspace.saes, item.workspace.model)
    return same == (state.workspace.saes, state.workspace.model)


def _slots_of(state: AppState, item: Attachable) -> list[int]:
    """The open SAEs that come from an entry."""
    if state.workspace is None or item.path not in state.workspace.saes:
        return []
    if len(state.workspace.saes) == 1:
        return list(range(len(state.saes)))
    if item.pack:
        return [n for n, info in enumerate(state.saes) if info.name.startswith(f"{item.title}/")]
    return [n for n, info in enumerate(state.saes) if info.name in item.names]


def _moves(state: AppState, slot: int) -> list[Placement]:
    moved = state.workspace.moved if state.workspace else ()
    return [move for move in moved if move.name == state.saes[slot].name]


def _nothing(state: AppState) -> str:
    if state.browsing.words.strip():
        return "Nothing matches these words."
    return (
        "No model was found in the usual places. Add the folder where yours are, "
        "or drop one on the window."
    )


def _no_saes(state: AppState, looking: bool) -> str:
    if state.browsing.model is None and state.model is None:
        return "Choose a model: the autoencoders that go with it will be listed here."
    if looking:
        return "Looking for autoencoders that go with this model …"
    if state.browsing.words.strip():
        return "No autoencoder that goes with this model matches these words."
    return (
        "No autoencoder on this machine goes with this model. It can be opened alone: its tokens "
        "and what each layer would say next are shown all the same."
    )


def _room_words(state: AppState) -> str:
    model, room = state.browsing.model, state.room
    if model is None:
        return ""
    if model.path.suffix.lower() == ".gguf":
        return "A GGUF file is unpacked when it is first opened; its memory is known then."
    asked = room.request if room else None
    kind = (model.path, state.browsing.dtype, state.browsing.device)
    if room is None or asked is None or (asked.path, asked.dtype, asked.device) != kind:
        return "measuring what it needs …"
    words = (
        f"Needs about {size_words(room.needed)} in {room.dtype}; "
        f"{size_words(room.available)} are free ({room.device})."
    )
    return words if room.fits else f"{words} {'; '.join(room.advice)}."

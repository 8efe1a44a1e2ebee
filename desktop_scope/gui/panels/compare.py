"""Compare: two prompts, two answers, or two models with the same autoencoders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QSignalBlocker, Qt, Slot
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSplitter,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.experiments.compare_types import By, Difference, Second
from desktop_scope.gui import compare_actions
from desktop_scope.gui.choices import DTYPES
from desktop_scope.gui.compare_words import note, rows, sentence
from desktop_scope.gui.panels.base import Panel
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.compare import What
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.difference_table import DifferenceTable
from desktop_scope.gui.widgets.elided_label import ElidedLabel
from desktop_scope.gui.widgets.empty_state import EmptyState
from desktop_scope.gui.widgets.layer_chart import LayerChart, LayerCurve
from desktop_scope.gui.widgets.painting import muted

_WHATS = (
    (What.PROMPTS, "Prompts", "The prompt above against another one"),
    (What.ANSWERS, "Answers", "The plain answer against the steered one"),
    (What.MODELS, "Models", "The open model against a second one with the same autoencoders:\n"
     "before and after tuning, or in other numbers"),
)  # fmt: skip
_BYS = (
    (By.TOKENS, "token by token", "Tokens that both have, in the same order; the others are left\n"
     "out. Two models that read the same text are compared position by position."),
    (By.WHOLES, "as wholes", "Mean activations over all tokens of either: for texts that have\n"
     "little in common"),
)  # fmt: skip


class ComparePanel(Panel):
    """What differs, feature by feature, and where the autoencoders cease to fit."""

    id = "compare"
    title = "Compare"
    column = "left"
    height = 54
    behind = "layers"
    draws_on = frozenset(
        {"compare", "prompt", "answer", "steered", "jobs", "model", "saes", "trace"}
    )

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._whats = QButtonGroup(self)
        top = QHBoxLayout()
        top.setSpacing(4)
        for n, (_, name, help_) in enumerate(_WHATS):
            button = tool_button(name, help_, checkable=True)
            self._whats.addButton(button, n)
            top.addWidget(button)
        self._whats.idClicked.connect(self._what_chosen)
        top.addWidget(self._make_prompt(), 1)
        top.addWidget(self._make_second(), 1)
        self._filler = QWidget()
        for unused in (self._second, self._filler):  # until drawn: a window keeps what it grew to
            unused.hide()
        top.addWidget(self._filler, 1)
        self._by = QComboBox()
        self._by.setAccessibleName("What is compared with what")
        for n, (_, words, help_) in enumerate(_BYS):
            self._by.addItem(words)
            self._by.setItemData(n, help_, Qt.ItemDataRole.ToolTipRole)
        self._by.activated.connect(self._by_chosen)
        self._compare = QPushButton("Compare")
        self._compare.setToolTip("Read both sides, and list the features that differ most")
        self._compare.clicked.connect(self._compare_now)
        top.addWidget(self._by)
        top.addWidget(self._compare)

        self._note = muted(ElidedLabel())
        self._table = DifferenceTable()
        self._table.difference_chosen.connect(self._chosen)
        self._chart = LayerChart("What the autoencoders leave unexplained")
        body = QSplitter(Qt.Orientation.Horizontal)
        body.addWidget(self._table)
        body.addWidget(self._chart)
        body.setStretchFactor(0, 2)
        body.setStretchFactor(1, 1)
        body.setChildrenCollapsible(False)
        self._empty = EmptyState()
        self._empty.acted.connect(self._act)
        content = QWidget()
        self._stack = QStackedLayout(content)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(body)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 8)
        column.setSpacing(6)
        column.addLayout(top)
        column.addWidget(self._note)
        column.addWidget(content, 1)

    def _make_prompt(self) -> QLineEdit:
        self._other = QLineEdit()
        self._other.setPlaceholderText("Another prompt, to compare with the one above")
        self._other.setAccessibleName("The other prompt")
        self._other.textChanged.connect(self._typed)
        self._other.returnPressed.connect(self._compare_now)
        return self._other

    def _make_second(self) -> QWidget:
        """Which model, in which numbers, what that takes; open, close."""
        self._second = QWidget()
        self._file = tool_button(
            "Other model …", "A folder with another model of the same kind, such as a tuned one"
        )
        self._file.clicked.connect(self._choose_file)
        self._dtype = QComboBox()
        self._dtype.setAccessibleName("Numbers of the second model")
        for n, (dtype, words, help_) in enumerate(DTYPES):
            self._dtype.addItem(words, dtype)
            self._dtype.setItemData(n, help_, Qt.ItemDataRole.ToolTipRole)
        self._dtype.activated.connect(self._dtype_chosen)
        self._open = QPushButton()
        self._open.clicked.connect(self._open_or_close)
        row = QHBoxLayout(self._second)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for widget in (self._file, self._dtype, self._open):
            row.addWidget(widget)
        row.addStretch(1)
        return self._second

    def focus_first(self) -> None:
        """The other prompt."""
        self._other.setFocus()

    def render(self, state: AppState, fields: frozenset[str]) -> None:
        """Draw."""
        look, found = state.compare, state.compare.found
        self._whats.button([what for what, *_ in _WHATS].index(look.what)).setChecked(True)
        self._other.setVisible(look.what is What.PROMPTS)
        self._second.setVisible(look.what is What.MODELS)
        self._filler.setVisible(look.what is What.ANSWERS)
        with QSignalBlocker(self._by), QSignalBlocker(self._other), QSignalBlocker(self._dtype):
            self._by.setCurrentIndex([by for by, *_ in _BYS].index(look.by))
            self._dtype.setCurrentIndex([d for d, *_ in DTYPES].index(look.second.dtype))
            if self._other.text() != look.other:
                self._other.setText(look.other)
        self._open.setText("Let go" if look.beside is not None else "Open beside")
        self._open.setEnabled(state.model is not None and not (look.opening or look.closing))
        for widget in (self._file, self._dtype):
            widget.setEnabled(look.beside is None and not look.opening)
        busy = state.busy("compare", "beside")
        able = state.model is not None and compare_actions.readings(state) is not None
        self._compare.setEnabled(able and not busy)
        self._stack.setCurrentIndex(0 if found is None else 1)
        self._empty.set_text(*sentence(state))
        self._note.set_whole(*note(state))
        stale = busy or not look.is_current
        self._table.set_stale(stale)
        self._chart.set_stale(stale)
        if found is not None and fields & {"compare", "saes"}:
            self._table.set_rows(rows(state, found))
            sides = zip(("unexplained, first", "second"), found.fvu, strict=True)
            curves = [LayerCurve(name, fvu) for name, fvu in sides]
            if len(found.moved) == found.fvu.shape[1]:
                curves.append(LayerCurve("stream moved", found.moved))
            self._chart.set_curves(curves)

    # ---- what a person does

    @Slot(int)
    def _what_chosen(self, n: int) -> None:
        self.store.act(compare_actions.choose, _WHATS[n][0])

    @Slot(int)
    def _by_chosen(self, n: int) -> None:
        self.store.act(compare_actions.set_by, _BYS[n][0])

    @Slot(str)
    def _typed(self, text: str) -> None:
        self.store.act(compare_actions.change, other=text)

    @Slot()
    def _compare_now(self) -> None:
        self.store.act(compare_actions.compare)

    @Slot(int)
    def _dtype_chosen(self, n: int) -> None:
        second = replace(self.store.state.compare.second, dtype=self._dtype.itemData(n))
        self.store.act(compare_actions.set_second, second)

    @Slot()
    def _choose_file(self) -> None:
        if folder := QFileDialog.getExistingDirectory(self, "A model to compare with"):
            self.store.act(compare_actions.set_path, Path(folder))
        elif self.store.state.compare.second.path is not None:
            self.store.act(compare_actions.set_second, Second())

    @Slot()
    def _open_or_close(self) -> None:
        look = self.store.state.compare
        run = compare_actions.open_beside if look.beside is None else compare_actions.close_beside
        self.store.act(run)

    @Slot()
    def _act(self) -> None:
        what = self.store.state.compare.what
        if not self.store.state.saes:
            self.want_library()
        elif what is What.ANSWERS:
            self.panel_wanted.emit("steering")
        else:
            self._compare_now()

    @Slot(object)
    def _chosen(self, difference: Difference) -> None:
        self.store.act(compare_actions.go_to, difference)

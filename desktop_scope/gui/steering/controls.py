"""Whether the feature itself did it: the same push with what should not do it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QStackedLayout,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.experiments.types import Control, ControlRow, Controls
from desktop_scope.gui import lab_actions, theme
from desktop_scope.gui.state import AppState
from desktop_scope.gui.steering.sweep import WORDS_HELP, interval_words
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.empty_state import EmptyState
from desktop_scope.gui.widgets.numbers import spin
from desktop_scope.gui.widgets.painting import number, percent
from desktop_scope.gui.widgets.tables import make_plain

_COLUMNS = (
    ("What was done", "The push itself, and what stands in for it"),
    ("Effect, nats", "How much likelier its words become; mean and 95 % interval over prompts"),
    ("Behind the push", "The push’s effect less this one’s; mean and 95 % interval"),
    ("Said", "The share of the answers’ words that are among them"),
    ("KL", "What it costs on neutral texts, nats per token"),
    ("An answer", "The answer to the first prompt"),
)


class ControlsView(QWidget):
    """A table, and its verdict in one sentence."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._verdict = QLabel(wordWrap=True)
        self._verdict.setAccessibleName("Whether the feature itself did it")
        self._table = QTableWidget(0, len(_COLUMNS))
        make_plain(self._table, "Controls")
        self._table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self._table.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        head = self._table.horizontalHeader()
        head.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for n, (title, help_) in enumerate(_COLUMNS):
            item = QTableWidgetItem(title)
            item.setToolTip(help_)
            self._table.setHorizontalHeaderItem(n, item)
            head.setSectionResizeMode(n, QHeaderView.ResizeMode.ResizeToContents)
        head.setSectionResizeMode(len(_COLUMNS) - 1, QHeaderView.ResizeMode.Stretch)
        self._empty = EmptyState()
        self._words = QLineEdit(placeholderText="words that tell the effect: its own")
        self._words.setAccessibleName("Words that tell the effect")
        self._words.setToolTip(WORDS_HELP)
        self._asked = QLineEdit(placeholderText="asked for instead: to talk about its words")
        self._asked.setAccessibleName("What the prompt asks for instead")
        self._draws = spin(QSpinBox(), "How many random features", 1, 100)
        self._draws.setValue(5)
        self._draws.setSuffix(" random")
        self._run = QPushButton("Run controls")
        self._run.setToolTip(
            "The same push with random features of the same layer, with the wrong sign, and a\n"
            "plain instruction in the prompt instead"
        )
        self._run.clicked.connect(self._begin)
        self._lay_out()

    def _lay_out(self) -> None:
        body = QWidget()
        self._stack = QStackedLayout(body)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(self._table)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self._words, 1)
        foot.addWidget(self._asked, 1)
        foot.addWidget(self._draws)
        foot.addWidget(self._run)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self._verdict)
        column.addWidget(body, 1)
        column.addLayout(foot)

    def focus_first(self) -> None:
        """The button that runs them."""
        self._run.setFocus()

    def render(self, state: AppState, fields: frozenset[str]) -> None:  # type: ignore[override]
        """Draw."""
        if not fields & {"lab", "rack", "jobs", "steering", "model"}:
            return
        controls, running = state.lab.controls, state.lab.controlling is not None
        shown = controls is not None and bool(controls.rows)
        self._stack.setCurrentIndex(1 if shown else 0)
        self._empty.set_text(
            "Running controls …"
            if running
            else "Did the feature do it, or would any push of that size? Put a feature into the "
            "rack, then run the controls."
        )
        self._run.setText("Stop" if running else "Run controls")
        self._run.setEnabled(running or bool(state.interventions))
        self._verdict.setVisible(shown)
        if controls is not None and shown:
            self._verdict.setFont(theme.strong(theme.ui_font()))
            self._verdict.setText(_verdict(controls, state))
            self._fill(controls.rows)

    def _fill(self, rows: tuple[ControlRow, ...]) -> None:
        self._table.setRowCount(len(rows))
        for n, row in enumerate(rows):
            behind = "" if row.behind is None else interval_words(row.behind)
            cost = "" if row.control is Control.INSTRUCTION else number(row.kl)
            text = " ".join(row.text.split())
            cells = (row.title, interval_words(row.effect), behind, percent(row.said.mean), cost)
            for column, cell in enumerate((*cells, text)):
                item = QTableWidgetItem(cell)
                item.setToolTip(row.text if column == len(cells) else cell)
                self._table.setItem(n, column, item)

    @Slot()
    def _begin(self) -> None:
        if self._store.state.lab.controlling is not None:
            self._store.act(lab_actions.stop_studies)
            return
        words = lab_actions.words_in(self._words.text())
        self._store.act(lab_actions.control, words, self._asked.text().strip(), self._draws.value())


def _verdict(controls: Controls, state: AppState) -> str:
    if controls.interventions != state.interventions:
        return "This was measured for something else than what is in the rack now."
    return controls.verdict or "Measuring …"

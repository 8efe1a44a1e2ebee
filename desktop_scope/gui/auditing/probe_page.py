"""SHIFT: what a probe has learnt that it should not have, and the probe without it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QFont
from PySide6.QtWidgets import (
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.engine.types import FeatureId
from desktop_scope.experiments.audit import Ranked
from desktop_scope.gui import theme
from desktop_scope.gui.naming import title
from desktop_scope.gui.states.shift import ShiftState
from desktop_scope.gui.widgets.empty_state import EmptyState
from desktop_scope.gui.widgets.painting import muted, number, percent
from desktop_scope.gui.widgets.row_list import Row, RowList
from desktop_scope.wording import counted

_WHAT = (
    "A probe is trained on texts where what it should tell always goes along with something else; "
    "it learns either. Tick the features of what it should not use, and train it again without."
)
_TABLE_HELP = (
    "A CSV file with the columns text, label and attribute (true or false each). Texts in which "
    "both are\nthe same train the biased probe; every second text of each group is kept apart to "
    "test it,\nunless a column test says which."
)
_COLUMNS = (
    ("right", "Share of the texts kept apart in which the probe is right about the label"),
    (
        "follows attribute",
        "Share in which it says what the attribute would say: 50 % if it does not see it",
    ),
    ("worst group", "Accuracy in the worst of the four groups of label and attribute"),
)
_N_LINES = 5


class ProbePage(QWidget):
    """Features of the probe, each with a box, and how probes do without some.

    Signals:
        texts_wanted: Carries a file, or None for the built-in texts.
        looked_at: The user moved to this feature.
        ticked: A feature, and whether it is to be switched off.
        go: Switch off what is ticked, and train again.
    """

    texts_wanted = Signal(object)
    looked_at = Signal(object)
    ticked = Signal(object, bool)
    go = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._ticked: tuple[FeatureId, ...] = ()
        self._list = RowList("Features by their part in the probe", self._row)
        self._list.chosen.connect(lambda one: self.looked_at.emit(one.feature))
        self._list.toggled.connect(self._toggled)
        self._empty = EmptyState(_WHAT, "Try it on built-in texts")
        self._empty.acted.connect(lambda: self.texts_wanted.emit(None))
        self._about = muted(QLabel(wordWrap=True))
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(16)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnStretch(0, 1)
        self._cells: list[list[QLabel]] = []
        for column, (words, help_) in enumerate(_COLUMNS, start=1):
            head = muted(QLabel(words))
            head.setToolTip(help_)
            self._grid.addWidget(head, 0, column, Qt.AlignmentFlag.AlignRight)
        for row in range(1, _N_LINES + 1):
            cells = [QLabel() for _ in range(len(_COLUMNS) + 1)]
            cells[0].setWordWrap(True)
            for column, cell in enumerate(cells):
                side = Qt.AlignmentFlag.AlignRight if column else Qt.AlignmentFlag(0)
                self._grid.addWidget(cell, row, column, side)
            self._cells.append(cells)
        self._open = QPushButton("Open a table …")
        self._open.setToolTip(_TABLE_HELP)
        self._open.clicked.connect(self._choose_file)
        self._go = QPushButton("Train without")
        self._go.setDefault(True)
        self._go.clicked.connect(self.go)
        right = QWidget()
        side = QVBoxLayout(right)
        side.setContentsMargins(0, 0, 0, 0)
        side.setSpacing(8)
        side.addWidget(self._about)
        side.addLayout(self._grid)
        side.addStretch(1)
        body = QWidget()
        columns = QHBoxLayout(body)
        columns.setContentsMargins(0, 0, 0, 0)
        columns.setSpacing(16)
        columns.addWidget(self._list, 1)
        columns.addWidget(right, 1)
        self._stack = QStackedLayout()
        self._stack.addWidget(self._empty)
        self._stack.addWidget(body)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self._open)
        foot.addStretch(1)
        foot.addWidget(self._go)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(self._stack, 1)
        column.addLayout(foot)

    def focus_first(self) -> None:
        """The list."""
        self._list.setFocus()

    def show_shift(self, shift: ShiftState) -> None:
        """Draw what was measured so far."""
        study, self._ticked = shift.study, shift.ticked
        self._stack.setCurrentIndex(0 if study is None else 1)
        n = len(shift.ticked)
        self._go.setText(f"Train without {counted(n, 'feature')}" if n else "Train without")
        self._go.setEnabled(bool(n) and study is not None and study.digest is not None)
        if study is None:
            return
        table, biased = study.table, len(study.table.biased)
        self._about.setText(
            f"{table.label[0].capitalize()} or {table.label[1]}? In the {biased} training texts "
            f"it always goes along with {table.attribute[0]} or {table.attribute[1]}. "
            f"Tick what speaks of “{table.attribute[0]}” or “{table.attribute[1]}”; "
            "the card shows examples."
        )
        self._list.set_items(study.digest.ranking if study.digest else ())
        self._list.refresh()
        lines = study.lines.get(study.off or (), ())
        figures = theme.figures(QFont(theme.ui_font()))
        for number_, cells in enumerate(self._cells):
            line = lines[number_] if number_ < len(lines) else None
            texts = ("", "", "", "")
            if line is not None:
                shares = (line.label, line.attribute, line.worst)
                texts = (line.name, *map(percent, shares))  # type: ignore[assignment]
            for cell, text in zip(cells, texts, strict=True):
                cell.setText(text)
                cell.setFont(figures)
        for column in range(1, len(_COLUMNS) + 1):
            self._grid.itemAtPosition(0, column).widget().setVisible(bool(lines))

    def _row(self, one: Ranked) -> Row:
        return Row(
            title=title(one.label, one.name),
            about=f"{one.name}  ·  fires on {percent(one.density)} of tokens",
            sign=number(one.part),
            checked=one.feature in self._ticked,
        )

    @Slot(object)
    def _toggled(self, one: Ranked) -> None:
        self.ticked.emit(one.feature, one.feature not in self._ticked)

    @Slot()
    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Open labelled texts", "", "Tables (*.csv *.txt)"
        )
        if path:
            self.texts_wanted.emit(Path(path))

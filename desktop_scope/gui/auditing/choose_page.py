"""First step: a ready-made case, a file, or a sentence of one's own with a place for words."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.experiments.audit_sources import Template
from desktop_scope.experiments.audit_table import Aim
from desktop_scope.experiments.ready_cases import CASES, Case
from desktop_scope.gui.widgets.painting import muted
from desktop_scope.gui.widgets.row_list import Row, RowList

_AIMS = (
    (Aim.SPREAD, "rows should differ less"),
    (Aim.ACCURACY, "the first answer is right"),
)
_TABLE_HELP = (
    "A CSV file with the columns prompt, answer and instead; answers are literal text, with\n"
    "their leading space. If need be also: chat (true or false), begun (how an answer in a chat\n"
    "begins), word (what was filled in), control (true: this row should keep its answer)."
)


class ChoosePage(QWidget):
    """What to ask.

    Signals:
        chosen: Carries the source and the aim.
    """

    chosen = Signal(object, object)

    def __init__(self) -> None:
        super().__init__()
        self._cases = RowList("Ready-made audits", _case_row)
        self._cases.set_items(CASES)
        self._cases.taken.connect(self._case_taken)
        self._cases.clicked.connect(lambda index: self._case_taken(CASES[index.row()]))
        self._file = QPushButton("Open a table …")
        self._file.setToolTip(_TABLE_HELP)
        self._file.clicked.connect(self._choose_file)
        self._aim = QComboBox()
        self._aim.setAccessibleName("What would be better")
        for aim, words in _AIMS:
            self._aim.addItem(words, aim)
        left = QVBoxLayout()
        left.setSpacing(4)
        left.addWidget(muted(QLabel("Ready-made: click one")))
        left.addWidget(self._cases, 1)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self._file)
        row.addWidget(self._aim)
        row.addStretch(1)
        left.addLayout(row)

        self._text = QLineEdit(placeholderText="The {} was tired after work because")
        self._text.setAccessibleName("Sentence with {} where the words are to stand")
        self._words = QPlainTextEdit(placeholderText="nurse\npilot\n…  one word a line")
        self._words.setAccessibleName("Words to fill in, one a line")
        self._words.setTabChangesFocus(True)
        self._answer = QLineEdit(placeholderText="he")
        self._answer.setAccessibleName("One answer")
        self._instead = QLineEdit(placeholderText="she")
        self._instead.setAccessibleName("The other answer")
        self._chat = QCheckBox("as a chat; the answer begins")
        self._begun = QLineEdit(placeholderText="The {} was late because")
        self._begun.setAccessibleName("How the model’s answer begins")
        self._begun.setEnabled(False)
        self._chat.toggled.connect(self._begun.setEnabled)
        self._ask = QPushButton("Ask")
        self._ask.setToolTip("Words go on after a space: “he” is asked as “ he”")
        self._ask.clicked.connect(self._template_given)
        answers = QHBoxLayout()
        answers.setSpacing(8)
        answers.addWidget(self._answer)
        answers.addWidget(muted(QLabel("or")))
        answers.addWidget(self._instead)
        answers.addWidget(self._ask)
        chat = QHBoxLayout()
        chat.setSpacing(8)
        chat.addWidget(self._chat)
        chat.addWidget(self._begun, 1)
        right = QVBoxLayout()
        right.setSpacing(4)
        right.addWidget(muted(QLabel("Or a sentence of your own, with {} where words go")))
        right.addWidget(self._text)
        right.addWidget(self._words, 1)
        right.addLayout(chat)
        right.addLayout(answers)
        columns = QHBoxLayout(self)
        columns.setContentsMargins(0, 0, 0, 0)
        columns.setSpacing(16)
        columns.addLayout(left, 1)
        columns.addLayout(right, 1)

    def set_template(self, template: Template) -> None:
        """Fill the form, unless somebody writes in it."""
        if template == self._template() or any(
            field.hasFocus() for field in (self._text, self._words, self._answer, self._instead)
        ):
            return
        self._text.setText(template.text)
        self._words.setPlainText("\n".join(template.words))
        self._answer.setText(template.answer.removeprefix(" "))
        self._instead.setText(template.instead.removeprefix(" "))
        self._chat.setChecked(template.chat)
        self._begun.setText(template.begun)

    def focus_first(self) -> None:
        """The ready-made cases."""
        self._cases.setFocus(Qt.FocusReason.OtherFocusReason)

    def _template(self) -> Template:
        chat = self._chat.isChecked()
        return Template(
            text=self._text.text(),
            words=tuple(self._words.toPlainText().splitlines()),
            answer=_continued(self._answer.text()),
            instead=_continued(self._instead.text()),
            chat=chat,
            begun=self._begun.text() if chat else "",
        )

    @Slot(object)
    def _case_taken(self, case: Case) -> None:
        self.chosen.emit(case.id, Aim.SPREAD)

    @Slot()
    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Open a table of prompts and answers", "", "Tables (*.csv *.tsv *.txt)"
        )
        if path:
            self.chosen.emit(Path(path), _AIMS[self._aim.currentIndex()][0])

    @Slot()
    def _template_given(self) -> None:
        self.chosen.emit(self._template(), Aim.SPREAD)


def _continued(word: str) -> str:
    """A word that goes on after a sentence; what begins with a space or a sign is literal."""
    return f" {word}" if word[:1].isalnum() else word


def _case_row(case: Case) -> Row:
    return Row(title=case.title, about=case.summary)

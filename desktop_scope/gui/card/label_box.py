"""What a feature is called and by whom, how well that predicts, and what a person adds to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QVBoxLayout,
    QWidget,
    QWidgetAction,
)

from desktop_scope.evidence.marks.types import STARS
from desktop_scope.evidence.types import Card, Source
from desktop_scope.gui import marks_actions
from desktop_scope.gui.card import text as card_text
from desktop_scope.gui.card.asking import AskMenu
from desktop_scope.gui.card.trials import Trials
from desktop_scope.gui.card.verdict_text import (
    about_judges,
    about_models,
    about_score,
    about_verdict,
)
from desktop_scope.gui.state import AppState
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.painting import muted


class LabelBox(QWidget):
    """Where the label comes from, its score, and star, lists, note and label to be changed.

    Args:
        act: Carries out an action on the state: ``Store.act``.

    Attributes:
        trials: What stands below the line in which a text is tried.
    """

    def __init__(self, act: Callable[..., None]) -> None:
        super().__init__()
        self._act = act
        self._card: Card | None = None
        self._lists: tuple[str, ...] = ()
        self._server = ""
        self.trials = Trials(act)
        self._source = muted(QLabel(wordWrap=True))
        self._score = QLabel(wordWrap=True)
        self._judge = tool_button(
            "Score it", "Try all labels on held-out text, in the background: some minutes once"
        )
        self._judge.clicked.connect(self._asked)
        self._note_text = QLabel(wordWrap=True)
        self._note_text.setTextFormat(Qt.TextFormat.PlainText)
        self._star = tool_button(
            "☆", "Star it, to find it again (Ctrl+B)", checkable=True, name="Star"
        )
        self._star.clicked.connect(self._starred)
        self._add = tool_button("Lists", "Put it on lists of your own")
        self._add.clicked.connect(self._choose_lists)
        self._rename = tool_button(
            "Label", "Call it otherwise: your label comes before all others", checkable=True
        )
        self._rename.clicked.connect(self._show_lines)
        self._ask = tool_button("Ask", "Have a language model write or judge the label")
        self._ask.clicked.connect(self._choose_model)
        self._note = tool_button("Note", "Write down what you know of it", checkable=True)
        self._note.clicked.connect(self._show_lines)
        self._undo = tool_button("Undo", "")
        self._undo.clicked.connect(self._undone)
        self._label_line = _line("Your own label; leave it empty to go back to the first one")
        self._label_line.editingFinished.connect(self._label_written)
        self._note_line = _line("Your note")
        self._note_line.editingFinished.connect(self._note_written)
        self._lay_out()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        for button in (self._star, self._add, self._rename, self._note, self._ask):
            buttons.addWidget(button)
        buttons.addStretch(1)
        buttons.addWidget(self._undo)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self._source)
        score = QHBoxLayout()
        score.addWidget(self._score, 1)
        score.addWidget(self._judge, 0, Qt.AlignmentFlag.AlignTop)
        column.addLayout(score)
        column.addLayout(buttons)
        for widget in (self._label_line, self._note_line, self._note_text):
            column.addWidget(widget)
            widget.hide()

    def show_card(self, state: AppState, card: Card) -> None:
        """Draw what is known of the card's label and what this user added."""
        another = self._card is None or self._card.feature != card.feature
        self._card, self._lists = card, state.marks.lists
        self._server = state.marks.server
        if another:
            for button in (self._rename, self._note):
                button.setChecked(False)
        said = card_text.source(card.label)
        self._source.setText(said[:1].upper() + said[1:])
        verdict = card.marks.verdict
        models = about_models(card.marks.by_models)
        self._score.setText("\n".join(filter(None, (about_score(card.label, verdict), models))))
        told = about_verdict(verdict, card.marks.held_out), about_judges(card.marks.by_models)
        self._score.setToolTip("\n\n".join(filter(None, told)))
        self._score.setVisible(card.label.source is not Source.NONE)
        going = state.marks.judging or state.marks.waiting
        named = card.label.source is not Source.NONE
        self._judge.setVisible(named and card.label.score is None and not going)
        self._star.setChecked(card.marks.starred)
        self._star.setText("★" if card.marks.starred else "☆")
        names = card.marks.lists
        self._add.setText(f"Lists: {len(names)}" if names else "Lists")
        self._add.setToolTip(", ".join(names) or "Put it on lists of your own")
        self._undo.setVisible(bool(state.marks.undoable))
        self._undo.setToolTip(f"Take back the last change: {state.marks.undoable} (Ctrl+Z)")
        self._note_text.setText(card.marks.note)
        self._show_lines()
        self.trials.show_card(state, card)

    @Slot()
    def _show_lines(self) -> None:
        if self._card is None:
            return
        own = next((la.text for la in self._card.marks.labels if la.source is Source.OWN), "")
        for button, line, text in (
            (self._rename, self._label_line, own or self._card.label.text),
            (self._note, self._note_line, self._card.marks.note),
        ):
            if button.isChecked() and not line.isVisibleTo(self):
                line.setText(text)
                line.setModified(False)
                line.show()
                line.setFocus()
                line.selectAll()
            elif not button.isChecked():
                line.hide()
        noted = bool(self._card.marks.note) and not self._note.isChecked()
        self._note_text.setVisible(noted)

    @Slot()
    def _label_written(self) -> None:
        if self._card is not None and self._label_line.isModified():
            self._act(marks_actions.set_label, self._card.feature, self._label_line.text())
        self._label_line.setModified(False)
        self._rename.setChecked(False)
        self._show_lines()

    @Slot()
    def _note_written(self) -> None:
        if self._card is not None and self._note_line.isModified():
            self._act(marks_actions.set_note, self._card.feature, self._note_line.text())
        self._note_line.setModified(False)
        self._note.setChecked(False)
        self._show_lines()

    @Slot()
    def _starred(self) -> None:
        if self._card is not None:
            self._act(marks_actions.set_starred, self._card.feature, self._star.isChecked())

    @Slot()
    def _asked(self) -> None:
        self._act(marks_actions.judge)

    @Slot()
    def _undone(self) -> None:
        self._act(marks_actions.undo)

    @Slot()
    def _choose_model(self) -> None:
        """A menu: whom to ask for what."""
        if self._card is not None:
            menu = AskMenu(self, self._act, self._card.feature, self._server)
            menu.popup(self._ask.mapToGlobal(self._ask.rect().bottomLeft()))

    @Slot()
    def _choose_lists(self) -> None:
        """A menu of all lists, and a line for a new one."""
        card = self._card
        if card is None:
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        line = _line("New list")
        new = QWidgetAction(menu)
        new.setDefaultWidget(line)

        def put(name: str, listed: bool) -> None:
            self._act(marks_actions.set_listed, card.feature, name, listed)

        def made() -> None:
            put(line.text(), True)
            menu.close()

        line.returnPressed.connect(made)
        for name in dict.fromkeys((*card.marks.lists, *self._lists)):
            if name != STARS:
                action = menu.addAction(name.replace("&", "&&"))
                action.setCheckable(True)
                action.setChecked(name in card.marks.lists)
                action.triggered.connect(lambda on, name=name: put(name, on))
        menu.addAction(new)
        menu.popup(self._add.mapToGlobal(self._add.rect().bottomLeft()))
        line.setFocus()


def _line(hint: str) -> Any:
    line = QLineEdit(placeholderText=hint)
    line.setAccessibleName(hint)
    return line

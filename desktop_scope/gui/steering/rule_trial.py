"""How well a rule tells one's own texts apart."""

from __future__ import annotations

import math

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPlainTextEdit, QVBoxLayout, QWidget

from desktop_scope.engine.types import Rule
from desktop_scope.experiments.types import RuleTest
from desktop_scope.gui import lab_actions
from desktop_scope.gui.state import AppState
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.painting import percent

_LINES = 3


class RuleTrial(QWidget):
    """Texts on which the rule should fire, and others."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._rule: Rule | None = None
        self._yes = _texts("Texts on which it should fire")
        self._no = _texts("Texts on which it should not")
        self._try = tool_button("Try", "Read the texts, and see on which the rule fires")
        self._try.clicked.connect(self._try_it)
        self._said = QLabel(wordWrap=True)
        self._said.setAccessibleName("How well the rule tells them apart")
        boxes = QHBoxLayout()
        boxes.setSpacing(8)
        boxes.addWidget(self._yes, 1)
        boxes.addWidget(self._no, 1)
        boxes.addWidget(self._try)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(boxes)
        column.addWidget(self._said)

    def show_rule(self, state: AppState, rule: Rule) -> None:
        """Be about this rule."""
        self._rule = rule
        testing, test = state.lab.testing, state.lab.test
        self._try.setEnabled(testing is None)
        fits = test is not None and test.rule == rule
        words, help_ = _verdict(test) if test is not None and fits else ("", "")
        self._said.setText("Trying …" if testing is not None else words)
        self._said.setToolTip(help_)
        self._said.setVisible(bool(self._said.text()))

    @Slot()
    def _try_it(self) -> None:
        if self._rule is not None:
            self._store.act(
                lab_actions.test_rule,
                self._rule,
                self._yes.toPlainText(),
                self._no.toPlainText(),
            )


def _verdict(test: RuleTest) -> tuple[str, str]:
    """In one line, and by text."""
    yes = [case for case in test.cases if case.example.wanted]
    no = [case for case in test.cases if not case.example.wanted]
    hits, false = sum(case.fired for case in yes), sum(case.fired for case in no)
    line = f"Fires on {hits} of {len(yes)} where it should, on {false} of {len(no)} others"
    if math.isfinite(test.precision):
        line += f": precision {percent(test.precision)}"
    if math.isfinite(test.recall):
        line += f", recall {percent(test.recall)}"
    by_text = (
        f"{'✓' if case.right else '✗'} {'fires' if case.fired else 'silent'} "
        f"({case.peak:.2f} of the threshold): {case.example.text[:80]}"
        for case in test.cases
    )
    return f"{line}. {test.remark}".strip(), "\n".join(by_text)


def _texts(name: str) -> QPlainTextEdit:
    box = QPlainTextEdit()
    box.setAccessibleName(name)
    box.setPlaceholderText(f"{name}, one a line")
    box.setTabChangesFocus(True)
    box.setFixedHeight(_LINES * box.fontMetrics().lineSpacing() + 12)
    return box

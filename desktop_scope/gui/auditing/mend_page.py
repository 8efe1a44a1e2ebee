"""Mend an answer that was explained: ask it in other words, and say what must stay right."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.experiments.audit_table import AuditRow
from desktop_scope.experiments.mending import Mend, listed, rewordings
from desktop_scope.gui.widgets.empty_state import EmptyState
from desktop_scope.gui.widgets.painting import muted


class MendPage(QWidget):
    """The question, its rewordings, and a control.

    Signals:
        wanted: Carries what is to be mended.
        why_wanted: The user wants to ask a question first.
    """

    wanted = Signal(object)
    why_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._question: AuditRow | None = None
        self._empty = EmptyState(
            "First ask, in the Why panel, why the model said one thing rather than another; then "
            "here: is what it said wrong in other words, too, and what does mending it cost?",
            "Go to Why",
        )
        self._empty.acted.connect(self.why_wanted)
        self._head = QLabel(wordWrap=True)
        self._others = _lines("The same question in other words, one a line")
        self._control = _lines("What must stay right, one a line")
        self._control.setPlaceholderText(
            "question | right answer | wrong answer\n"
            "Best is the opposite question: whoever mends “bigger” asks for “smaller” here"
        )
        self._ask = QPushButton("Ask them all")
        self._ask.setDefault(True)
        self._ask.clicked.connect(self._go)
        body = QWidget()
        boxes = QHBoxLayout()
        boxes.setSpacing(16)
        for words, box in (
            ("The same in other words; half are held out", self._others),
            ("Control: what must stay right", self._control),
        ):
            side = QVBoxLayout()
            side.setSpacing(4)
            side.addWidget(muted(QLabel(words)))
            side.addWidget(box, 1)
            boxes.addLayout(side, 1)
        foot = QHBoxLayout()
        foot.addStretch(1)
        foot.addWidget(self._ask)
        inner = QVBoxLayout(body)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(6)
        inner.addWidget(self._head)
        inner.addLayout(boxes, 1)
        inner.addLayout(foot)
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(body)

    def show_question(self, question: AuditRow | None) -> None:
        """The question that was explained last; another one is reworded anew."""
        self._stack.setCurrentIndex(0 if question is None else 1)
        if question is None or question == self._question:
            return
        self._question = question
        self._others.setPlainText("\n".join(rewordings(question.prompt, question.chat)))
        self._head.setText(
            f"It said “{question.instead.strip()}”; “{question.answer.strip()}” would be right. "
            f"Asked: “{question.prompt.strip()}”"
        )

    def focus_first(self) -> None:
        """The wordings."""
        self._others.setFocus()

    @Slot()
    def _go(self) -> None:
        if self._question is not None:
            others, control = (
                listed(box.toPlainText().splitlines()) for box in (self._others, self._control)
            )
            self.wanted.emit(Mend(self._question, others, control))


def _lines(name: str) -> QPlainTextEdit:
    box = QPlainTextEdit()
    box.setAccessibleName(name)
    box.setTabChangesFocus(True)
    return box

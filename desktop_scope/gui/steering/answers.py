"""The plain and the steered conversation side by side."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QLabel, QPlainTextEdit, QVBoxLayout, QWidget

from desktop_scope.engine.types import Generation, Prompt, Role
from desktop_scope.gui.state import AppState
from desktop_scope.gui.widgets.painting import muted, number
from desktop_scope.wording import counted


class Answers(QWidget):
    """Two columns that grow in step, a turn of the chat after another."""

    def __init__(self) -> None:
        super().__init__()
        self._plain = _Column("Plain")
        self._steered = _Column("Steered")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        row.addWidget(self._plain, 1)
        row.addWidget(self._steered, 1)

    def render(self, state: AppState, fields: frozenset[str]) -> None:  # type: ignore[override]
        """Draw."""
        if fields & {"answer", "steered", "rack", "prompt", "chat"}:
            self._plain.say(state.prompt, state.answer)
            self._steered.say(state.steered_prompt, state.steered)


class _Column(QWidget):
    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._head = muted(QLabel())
        self._view = QPlainTextEdit(readOnly=True)
        self._view.setAccessibleName(f"{name} answer")
        self._view.setTabChangesFocus(True)
        self._view.setPlaceholderText("–")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self._head)
        column.addWidget(self._view, 1)

    def say(self, prompt: Prompt, answer: Generation | None) -> None:
        """Show a conversation; while it grows only its end is added, so that nothing jumps."""
        text, old = conversation(prompt, answer), self._view.toPlainText()
        bar = self._view.verticalScrollBar()
        at_end = bar.value() >= bar.maximum()
        if text.startswith(old) and old:
            cursor = self._view.textCursor()
            cursor.movePosition(cursor.MoveOperation.End)
            cursor.insertText(text[len(old) :])
        elif text != old:
            self._view.setPlainText(text)
        if at_end and prompt.turns:
            bar.setValue(bar.maximum())
        self._head.setText(f"{self._name} answer{_figures(answer)}")


def conversation(prompt: Prompt, answer: Generation | None) -> str:
    """What was said so far; an answer to a single prompt stands by itself."""
    said = answer.text if answer else ""
    turns = [turn for turn in prompt.turns if turn.role is not Role.SYSTEM]
    if not turns or not prompt.chat:
        return said
    lines = [turn.text if turn.role is Role.ASSISTANT else f"› {turn.text}" for turn in turns]
    if prompt.text.strip():
        lines.append(f"› {prompt.text.strip()}")
    return "\n\n".join([*lines, said] if answer else lines)


def _figures(answer: Generation | None) -> str:
    if answer is None:
        return ""
    rate = f", {number(answer.tokens_per_second)} tokens/s" if answer.tokens_per_second else ""
    stopped = f"  ·  ended by a rule: {answer.stopped}" if answer.stopped else ""
    return f"  ·  {counted(len(answer.ids), 'token')}{rate}{stopped}"

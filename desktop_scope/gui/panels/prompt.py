"""What the model reads."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Slot
from PySide6.QtGui import QAction, QKeyEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPlainTextEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.engine.types import Prompt
from desktop_scope.gui import actions, chat_actions
from desktop_scope.gui.chat_actions import asked_before
from desktop_scope.gui.panels.base import Panel
from desktop_scope.gui.state import AppState
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.chip_row import ChipRow
from desktop_scope.gui.widgets.painting import muted
from desktop_scope.wording import counted

_TYPING_PAUSE_MS = 150
_SHORT = 60
_BEGIN = "Type something for the model to read, or pick an example."
_GO_ON = "Say the next thing."

EXAMPLES = (
    Prompt("My chihuahua barks at presidents.", chat=False),
    Prompt("Who was the first president of the United States?"),
    Prompt("Write a short poem about the moon."),
    Prompt("Who are you?"),
    Prompt("What is the solar system?"),
    Prompt("The nurse was tired after work because", chat=False),
    Prompt("def fibonacci(n):\n    if n < 2:\n        return", chat=False),
    Prompt("In the beginning God created the", chat=False),
)


class PromptPanel(Panel):
    """Text, chat or raw, examples, history, and the button that lets the model answer.

    Below it, once there is one, the conversation: what was said before, and what goes on with it.
    """

    id = "prompt"
    title = "Prompt"
    column = "left"
    height = 16
    draws_on = frozenset(
        {"prompt", "history", "trace", "model", "asked", "jobs", "answer", "steered",
         "rack", "chat"}
    )  # fmt: skip

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._edit = QPlainTextEdit()
        self._edit.setAccessibleName("Prompt")
        self._edit.setPlaceholderText(_BEGIN)
        self._edit.setTabChangesFocus(True)
        self._edit.installEventFilter(self)
        self._pause = QTimer(self, singleShot=True, interval=_TYPING_PAUSE_MS)
        self._edit.textChanged.connect(self._pause.start)
        self._pause.timeout.connect(self._commit)

        self._chat = tool_button("Chat", "The text is a user's turn in a conversation", True)
        self._raw = tool_button("Raw", "The model simply continues the text", True)
        mode = QButtonGroup(self)
        mode.addButton(self._chat)
        mode.addButton(self._raw)
        self._chat.toggled.connect(self._commit)
        self._examples = _menu_button("Examples", "Prompts to begin with")
        self._examples.menu().triggered.connect(self._picked)
        _fill(self._examples.menu(), EXAMPLES)
        self._history = _menu_button("History", "Prompts that were answered before")
        self._history.menu().triggered.connect(self._picked)
        self._length = muted(QLabel())
        self._answer = QPushButton("Answer")
        self._answer.setToolTip("Let the model answer (Ctrl+Enter)")
        self._answer.setDefault(True)
        self._answer.clicked.connect(self._ask_or_stop)

        self._reply = tool_button(
            "Reply", "Go on from the answer: each column from its own (Ctrl+Shift+Enter)"
        )
        self._reply.clicked.connect(self._go_on)
        self._turns = ChipRow("What you said before", "Change it: what came after it is dropped.")
        self._turns.chosen.connect(self._edit_turn)
        self._anew = tool_button("New chat", "Forget what was said so far")
        self._anew.clicked.connect(self._begin_anew)
        self._conversation = QWidget()
        said = QHBoxLayout(self._conversation)
        said.setContentsMargins(0, 0, 0, 0)
        said.setSpacing(4)
        said.addWidget(self._turns, 1)
        said.addWidget(self._anew)

        row = QHBoxLayout()
        row.setSpacing(4)
        for widget in (self._chat, self._raw, self._examples, self._history):
            row.addWidget(widget)
        row.addStretch(1)
        row.addWidget(self._length)
        row.addSpacing(8)
        row.addWidget(self._reply)
        row.addWidget(self._answer)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 8)
        column.setSpacing(8)
        column.addWidget(self._edit, 1)
        column.addLayout(row)
        column.addWidget(self._conversation)

    def focus_first(self) -> None:
        """Type at once."""
        self._edit.setFocus()

    def render(self, state: AppState, fields: frozenset[str]) -> None:
        """Draw."""
        if "prompt" in fields and state.prompt != self._typed(state.prompt):
            self._edit.blockSignals(True)
            self._edit.setPlainText(state.prompt.text)
            self._edit.blockSignals(False)
        if "prompt" in fields:
            self._chat.blockSignals(True)
            (self._chat if state.prompt.chat else self._raw).setChecked(True)
            self._chat.blockSignals(False)
        if "model" in fields and state.model is not None:
            self._chat.setEnabled(state.model.has_chat)
        if "history" in fields:
            _fill(self._history.menu(), state.history)
            self._history.setEnabled(bool(state.history))
        if fields & {"trace", "prompt"}:
            self._length.setText(_length(state))
        asked = asked_before(state.prompt) if state.prompt.chat else ()
        self._turns.set_texts(asked)
        self._conversation.setVisible(bool(asked))
        self._edit.setPlaceholderText(_GO_ON if asked else _BEGIN)
        self._reply.setVisible(chat_actions.can_reply(state))
        answering = state.busy("generate")
        self._answer.setText("Stop" if answering else "Answer")
        self._answer.setEnabled(state.model is not None and bool(state.prompt.text.strip()))

    def _typed(self, prompt: Prompt) -> Prompt:
        """The prompt as it is typed now, after what was said before."""
        return replace(prompt, text=self._edit.toPlainText(), chat=self._chat.isChecked())

    @Slot()
    def _commit(self) -> None:
        self._pause.stop()
        self.store.act(actions.set_prompt, self._typed(self.store.state.prompt))

    @Slot()
    def _ask_or_stop(self) -> None:
        self._commit()
        self.store.act(actions.stop if self.store.state.busy("generate") else actions.ask)

    @Slot()
    def _go_on(self) -> None:
        self.store.act(chat_actions.reply)
        self._edit.setFocus()

    @Slot(int)
    def _edit_turn(self, number: int) -> None:
        self.store.act(chat_actions.go_back_to, number)
        self._edit.setFocus()

    @Slot()
    def _begin_anew(self) -> None:
        self.store.act(chat_actions.begin_anew)
        self._edit.setFocus()

    @Slot(QAction)
    def _picked(self, action: QAction) -> None:
        self.store.act(actions.set_prompt, action.data())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Ctrl+Enter in the text answers."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
            if enter and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
                self._ask_or_stop()
                return True
        return super().eventFilter(watched, event)


def _menu_button(text: str, help_: str) -> QToolButton:
    button = tool_button(text, help_)
    button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
    button.setMenu(QMenu(button))
    return button


def _fill(menu: QMenu, prompts: tuple[Prompt, ...]) -> None:
    menu.clear()
    for prompt in prompts:
        line = " ".join(prompt.text.split())
        short = line if len(line) <= _SHORT else line[: _SHORT - 1] + "…"
        action = menu.addAction(f"{short}  ({'chat' if prompt.chat else 'raw'})".replace("&", "&&"))
        action.setData(prompt)


def _length(state: AppState) -> str:
    trace = state.trace
    if trace is None or trace.prompt != state.shown_prompt:
        return ""
    own = int(trace.own[: trace.n_prompt].sum())
    around = f" + {trace.n_prompt - own} of the chat’s frame" if trace.prompt.chat else ""
    return f"{counted(own, 'token')}{around}"

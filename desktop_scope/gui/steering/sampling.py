"""How answers are drawn: behind one button, since most people leave it as it is."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Slot
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QFormLayout,
    QLineEdit,
    QMenu,
    QSpinBox,
    QToolButton,
    QWidget,
    QWidgetAction,
)

from desktop_scope.engine.types import Sampling
from desktop_scope.gui import actions, chat_actions
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.numbers import spin
from desktop_scope.wording import counted


def sampling_button(store: Store) -> QToolButton:
    """A button that says how answers are drawn, and opens what changes it."""
    button = tool_button("", "Length, temperature, top-p, seed, system prompt")
    button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
    menu = QMenu(button)
    action = QWidgetAction(menu)
    action.setDefaultWidget(_Form(store))
    menu.addAction(action)
    button.setMenu(menu)
    return button


def sampling_words(sampling: Sampling) -> str:
    """What the button says."""
    if sampling.temperature == 0:
        return f"{counted(sampling.max_new_tokens, 'token')}, likeliest"
    return (
        f"{counted(sampling.max_new_tokens, 'token')}, temperature {sampling.temperature:g}, "
        f"seed {sampling.seed}"
    )


class _Form(QWidget):
    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._length = spin(QSpinBox(), "Longest answer, in tokens", 1, 1000)
        self._temperature = spin(
            QDoubleSpinBox(), "Temperature: 0 always takes the likeliest token", 0, 2
        )
        self._temperature.setSingleStep(0.1)
        self._top_p = spin(
            QDoubleSpinBox(),
            "Top-p: only the likeliest tokens that together have this probability; 1 is all",
            0.01,
            1,
        )
        self._top_p.setSingleStep(0.05)
        self._seed = spin(QSpinBox(), "Seed: both answers throw the same dice", 0, 999_999)
        self._penalty = spin(
            QDoubleSpinBox(), "Repetition penalty: keeps small models from going in circles", 1, 2
        )
        self._penalty.setSingleStep(0.05)
        form = QFormLayout(self)
        form.setContentsMargins(12, 8, 12, 8)
        for title, box in (
            ("At most, tokens", self._length),
            ("Temperature", self._temperature),
            ("Top-p", self._top_p),
            ("Seed", self._seed),
            ("Repetition penalty", self._penalty),
        ):
            form.addRow(title, box)
            box.valueChanged.connect(self._set)
        self._system = QLineEdit(placeholderText="the model’s own")
        self._system.setAccessibleName("System prompt")
        self._system.setToolTip("What a chat begins with: how the model is to be")
        self._system.setMinimumWidth(240)
        self._system.editingFinished.connect(self._tell)
        form.addRow("System prompt", self._system)
        self._store.changed.connect(self._render)
        self._render(store.state, frozenset({"sampling"}))

    @Slot(object, object)
    def _render(self, state: object, fields: frozenset[str]) -> None:  # type: ignore[override]
        if not fields & {"sampling", "prompt"}:
            return
        sampling, prompt = self._store.state.sampling, self._store.state.prompt
        self._system.setEnabled(prompt.chat)
        if not self._system.hasFocus():
            self._system.setText(chat_actions.system_of(prompt))
        for box, value in (
            (self._length, sampling.max_new_tokens),
            (self._temperature, sampling.temperature),
            (self._top_p, sampling.top_p),
            (self._seed, sampling.seed),
            (self._penalty, sampling.repetition_penalty),
        ):
            with QSignalBlocker(box):
                box.setValue(value)

    @Slot()
    def _tell(self) -> None:
        self._store.act(chat_actions.set_system, self._system.text())

    @Slot()
    def _set(self) -> None:
        self._store.act(
            actions.set_sampling,
            max_new_tokens=self._length.value(),
            temperature=round(self._temperature.value(), 2),
            top_p=round(self._top_p.value(), 2),
            seed=self._seed.value(),
            repetition_penalty=round(self._penalty.value(), 2),
        )

"""Turn features up, down or off, and compare the answers."""

from __future__ import annotations

from typing import TypeVar

from PySide6.QtCore import QSignalBlocker, Qt, QTimer, Slot
from PySide6.QtGui import QFont
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.engine.types import FeatureId, Generation
from desktop_scope.gui import actions, theme
from desktop_scope.gui.naming import with_number
from desktop_scope.gui.panels.base import Panel
from desktop_scope.gui.state import AppState
from desktop_scope.gui.state import Dial as DialState
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.dial import Dial
from desktop_scope.gui.widgets.empty_state import EmptyState
from desktop_scope.gui.widgets.painting import muted, number

_Box = TypeVar("_Box", QSpinBox, QDoubleSpinBox)
_TURNING_PAUSE_MS = 150
_STRAINED, _BROKEN = 0.4, 1.3  # KL in nats per token, from recipes whose texts were read


class SteeringPanel(Panel):
    """A rack of features with a dial each; the plain and the steered answer side by side."""

    id = "steering"
    title = "Steering"
    column = "left"
    height = 54
    behind = "layers"
    draws_on = frozenset(
        {"rack", "answer", "steered", "damage", "jobs", "prompt", "sampling", "model", "card"}
    )

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._dials: dict[FeatureId, Dial] = {}
        self._turned: dict[FeatureId, float] = {}
        self._pause = QTimer(self, singleShot=True, interval=_TURNING_PAUSE_MS)
        self._pause.timeout.connect(self._commit)
        self._rack = QVBoxLayout()
        self._rack.setContentsMargins(0, 0, 0, 0)
        self._rack.setSpacing(0)
        self._rack.addStretch(1)
        rack = QWidget()
        rack.setLayout(self._rack)
        scroll = QScrollArea(widgetResizable=True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(rack)
        self._empty = EmptyState(
            "Put a feature here to turn it up, down or off, and see what the model says then.",
            "Steer the selected feature",
        )
        self._empty.acted.connect(self._add_selected)
        body = QWidget()
        self._stack = QStackedLayout(body)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(scroll)

        self._play = QPushButton("Answer")
        self._play.setToolTip(
            "Answer with and without the rack: the same seed, and for both a repetition penalty\n"
            "of 1.1, so that a small model does not go round in circles (Space)"
        )
        self._play.clicked.connect(self._ask_or_stop)
        self._clear = tool_button("Clear", "Take all features out of the rack")
        self._clear.clicked.connect(self._clear_rack)
        self._cost = QLabel()
        self._cost.setToolTip(
            "What the rack costs on texts that have nothing to do with it: how far the next-token\n"
            "probabilities move (KL, nats per token), measured on five plain sentences.\n"
            "Up to about 0.4 the texts that we read stayed fluent; from about 1.3 most broke."
        )
        self._length = _spin(QSpinBox(), "Longest answer, in tokens", 1, 1000)
        self._length.setSuffix(" tokens")
        self._temperature = _spin(
            QDoubleSpinBox(), "Temperature: 0 always takes the likeliest token", 0, 2
        )
        self._temperature.setSingleStep(0.1)
        self._temperature.setPrefix("temperature ")
        self._seed = _spin(QSpinBox(), "Seed: both answers throw the same dice", 0, 999_999)
        self._seed.setPrefix("seed ")
        for box in (self._length, self._temperature, self._seed):
            box.valueChanged.connect(self._sampling_set)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self._play)
        foot.addWidget(self._clear)
        foot.addWidget(self._cost, 1)
        foot.addWidget(self._length)
        foot.addWidget(self._temperature)
        foot.addWidget(self._seed)

        self._plain_head, self._plain = _answer_view("Plain answer")
        self._steered_head, self._steered = _answer_view("Steered answer")
        answers = QHBoxLayout()
        answers.setSpacing(12)
        for head, view in (
            (self._plain_head, self._plain),
            (self._steered_head, self._steered),
        ):
            side = QVBoxLayout()
            side.setSpacing(2)
            side.addWidget(head)
            side.addWidget(view, 1)
            answers.addLayout(side, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 8)
        column.setSpacing(8)
        column.addWidget(body, 2)
        column.addLayout(foot)
        column.addLayout(answers, 3)

    def focus_first(self) -> None:
        """The first dial, or the button that fills the rack."""
        first = next(iter(self._dials.values()), None)
        (first or self._play).setFocus()

    def render(self, state: AppState, fields: frozenset[str]) -> None:
        """Draw."""
        if "rack" in fields:
            self._draw_rack(state.rack)
        self._stack.setCurrentIndex(1 if state.rack else 0)
        self._clear.setEnabled(bool(state.rack))
        if "sampling" in fields:
            for box, value in (
                (self._length, state.sampling.max_new_tokens),
                (self._temperature, state.sampling.temperature),
                (self._seed, state.sampling.seed),
            ):
                with QSignalBlocker(box):
                    box.setValue(value)
        if fields & {"answer", "steered", "rack", "prompt"}:
            _say(self._plain, self._plain_head, "Plain", state.answer)
            _say(self._steered, self._steered_head, "Steered", state.steered)
        self._cost.setText(_cost_of(state))
        answering = state.busy("generate")
        self._play.setText("Stop" if answering else "Answer")
        self._play.setEnabled(state.model is not None and bool(state.prompt.text.strip()))

    def _draw_rack(self, rack: tuple[DialState, ...]) -> None:
        wanted = {dial.feature for dial in rack}
        for feature in [f for f in self._dials if f not in wanted]:
            dial = self._dials.pop(feature)
            self._rack.removeWidget(dial)
            dial.deleteLater()
        for number_, state in enumerate(rack):
            if state.feature not in self._dials:
                self._dials[state.feature] = self._new_dial(state)
                self._rack.insertWidget(number_, self._dials[state.feature])
            dial = self._dials[state.feature]
            if state.feature not in self._turned:
                dial.set_value(state.strength)
            dial.set_on(state.enabled)
            dial.set_ablated(state.off)

    def _new_dial(self, state: DialState) -> Dial:
        feature = state.feature
        unit = "" if state.known else "  (× the strongest in your text)"
        dial = Dial(with_number(state.label, self.store.state.name_of(feature)) + unit)

        def turned(value: float) -> None:
            self._turned[feature] = value
            self._pause.start()

        dial.value_changed.connect(turned)
        dial.on_changed.connect(lambda on: self._change(feature, enabled=on))
        dial.ablate_changed.connect(lambda off: self._change(feature, off=off))
        dial.removed.connect(lambda: self.store.act(actions.remove_dial, feature))
        dial.label_clicked.connect(lambda: self.store.act(actions.select, feature=feature))
        return dial

    def _change(self, feature: FeatureId, **changes: bool) -> None:
        self.store.act(actions.change_dial, feature, **changes)

    @Slot()
    def _commit(self) -> None:
        """Take the dials as they stand; waiting a moment spares a run per step of a slider."""
        turned, self._turned = self._turned, {}
        for feature, strength in turned.items():
            self.store.act(actions.change_dial, feature, strength=strength)

    @Slot()
    def _ask_or_stop(self) -> None:
        self._commit()
        self.store.act(actions.stop if self.store.state.busy("generate") else actions.ask)

    @Slot()
    def _clear_rack(self) -> None:
        self.store.act(actions.clear_rack)

    @Slot()
    def _add_selected(self) -> None:
        card = self.store.state.card
        if card is not None:
            self.store.act(actions.add_dial, card.feature, card.label, card.max_active)

    @Slot()
    def _sampling_set(self) -> None:
        self.store.act(
            actions.set_sampling,
            max_new_tokens=self._length.value(),
            temperature=round(self._temperature.value(), 2),
            seed=self._seed.value(),
        )


def _spin(box: _Box, name: str, low: int, high: int) -> _Box:
    box.setRange(low, high)
    box.setAccessibleName(name)
    box.setToolTip(name)
    box.setKeyboardTracking(False)
    box.setFont(theme.figures(QFont()))
    box.lineEdit().setTextMargins(4, 0, 6, 0)
    return box


def _answer_view(name: str) -> tuple[QLabel, QPlainTextEdit]:
    view = QPlainTextEdit(readOnly=True)
    view.setAccessibleName(name)
    view.setTabChangesFocus(True)
    view.setPlaceholderText("–")
    return muted(QLabel(name)), view


def _say(view: QPlainTextEdit, head: QLabel, name: str, answer: Generation | None) -> None:
    """Show an answer; while it grows only its new end is added, so that nothing jumps."""
    text = answer.text if answer else ""
    old = view.toPlainText()
    if text.startswith(old) and old:
        cursor = view.textCursor()
        cursor.movePosition(cursor.MoveOperation.End)
        cursor.insertText(text[len(old) :])
    elif text != old:
        view.setPlainText(text)
    if answer is None:
        head.setText(f"{name} answer")
        return
    rate = f", {number(answer.tokens_per_second)} tokens/s" if answer.tokens_per_second else ""
    head.setText(f"{name} answer  ·  {len(answer.ids)} tokens{rate}")


def _cost_of(state: AppState) -> str:
    damage = state.damage
    if not state.interventions:
        return ""
    if damage is None or damage.interventions != state.interventions:
        return "measuring the cost …"
    word = "safe" if damage.kl < _STRAINED else "strained" if damage.kl < _BROKEN else "broken"
    return f"cost: {word}, KL {damage.kl:.2f}"

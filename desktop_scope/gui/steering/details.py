"""The details of one dial: where it acts, when, and what its strength is shown in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PySide6.QtCore import QSignalBlocker, Slot
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.engine.types import FeatureId, Mode, Positions, Rule, Trigger
from desktop_scope.evidence.store import BIN_EDGES
from desktop_scope.gui import actions, rack_actions
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.dials import TURNS, Dial, Unit
from desktop_scope.gui.steering.rule_trial import RuleTrial
from desktop_scope.gui.steering.triggers import Triggers
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.dial import MODES
from desktop_scope.gui.widgets.histogram import Histogram
from desktop_scope.gui.widgets.numbers import spin
from desktop_scope.gui.widgets.painting import muted

_PLACES = (
    ("everywhere", "At the tokens of the prompt and of the answer"),
    ("in the prompt", "At the tokens of the prompt alone"),
    ("in the answer", "At the tokens of the answer alone"),
    ("at the selected token", "At the token that is selected now, and no other"),
)
_UNITS = (
    (Unit.MAX, "× maximum", "Multiples of the feature’s strongest activation seen"),
    (Unit.PUSH, "push", "Multiples of the length that usually flows there: tells the effect best"),
    (Unit.ABSOLUTE, "residual units", "As the engine adds it"),
)


_DRAWS_ON = frozenset({"rack", "steering", "card", "selection", "trace", "lab"})


class Details(QWidget):
    """What folds open below a dial."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._about = muted(QLabel(wordWrap=True))
        self._where = _combo("Where it acts", _PLACES)
        self._where.activated.connect(self._placed)
        self._first = QCheckBox("first token too")
        self._first.setToolTip(
            "Position 0 is where attention comes to rest; changing it can upset everything"
        )
        self._first.toggled.connect(self._placed)
        self._unit = _combo("What the strength is shown in", [u[1:] for u in _UNITS])
        self._unit.activated.connect(self._measured)
        self._when = _combo(
            "When it acts",
            (
                ("always", "At every token that it may act at"),
                ("only when …", "Only at tokens where a feature exceeds a threshold"),
            ),
        )
        self._when.activated.connect(self._ruled)
        self._triggers = Triggers()
        self._triggers.raised.connect(self._raised)
        self._triggers.shown.connect(self._show_trigger)
        self._triggers.removed.connect(self._remove_trigger)
        self._take = tool_button(
            "Or the selected feature",
            "Let the rule fire for the feature whose card is shown, too: any of them suffices",
        )
        self._take.clicked.connect(self._take_selected)
        self._within = spin(QSpinBox(), "How many tokens back counts; 1: this token alone", 1, 1000)
        self._within.setSpecialValueText("at this token")
        self._within.setPrefix("within ")
        self._within.setSuffix(" tokens")
        self._within.valueChanged.connect(self._looks_back)
        self._here = tool_button(
            "As at the selected token", "Set the threshold just below what it is there"
        )
        self._here.clicked.connect(self._as_here)
        self._message = QLineEdit(placeholderText="What is said where the answer ends")
        self._message.setAccessibleName("What is said where the rule ends the answer")
        self._message.editingFinished.connect(self._worded)
        self._histogram = Histogram()
        self._histogram.setFixedHeight(56)
        self._histogram.setToolTip("How often the feature fires how strongly; the line is the rule")
        self._trial = RuleTrial(store)
        self._lay_out()

    def _lay_out(self) -> None:
        where = QHBoxLayout()
        where.setSpacing(8)
        for widget in (muted(QLabel("Where")), self._where, self._first):
            where.addWidget(widget)
        where.addStretch(1)
        where.addWidget(muted(QLabel("shown in")))
        where.addWidget(self._unit)
        when = QHBoxLayout()
        when.setSpacing(8)
        for widget in (muted(QLabel("When")), self._when, self._within):
            when.addWidget(widget)
        when.addStretch(1)
        self._rule = QWidget()
        more = QHBoxLayout(self._rule)
        more.setContentsMargins(0, 0, 0, 0)
        more.setSpacing(8)
        more.addWidget(self._triggers)
        more.addWidget(self._histogram, 1)
        side = QVBoxLayout()
        side.setSpacing(2)
        side.addWidget(self._here)
        side.addWidget(self._take)
        more.addLayout(side)
        column = QVBoxLayout(self)
        column.setContentsMargins(36, 0, 8, 8)
        column.setSpacing(4)
        column.addWidget(self._about)
        column.addLayout(where)
        column.addLayout(when)
        column.addWidget(self._rule)
        column.addWidget(self._trial)
        column.addWidget(self._message)

    # ---- drawing

    def render(self, state: AppState, fields: frozenset[str]) -> None:  # type: ignore[override]
        """Draw."""
        dial = self._dial(state)
        if dial is None or not fields & _DRAWS_ON:
            return
        self._about.setText(MODES[dial.mode][1].replace("\n", " ") + ".")
        tokens = dial.where.tokens
        self._where.setItemText(3, f"at token {tokens[0]}" if tokens else _PLACES[3][0])
        self._where.setItemData(3, None)
        has_token = state.selection.token is not None or bool(tokens)
        self._where.model().item(3).setEnabled(has_token)
        self._where.setCurrentIndex(_place_of(dial.where))
        with QSignalBlocker(self._first):
            self._first.setChecked(dial.where.first)
        self._unit.setCurrentIndex([unit for unit, *_ in _UNITS].index(dial.unit))
        self._unit.setEnabled(dial.mode in TURNS)
        self._unit.model().item(1).setEnabled(bool(np.isfinite(dial.median_norm)))
        rule = dial.rule
        self._when.setCurrentIndex(0 if rule is None else 1)
        for widget in (self._within, self._rule, self._trial):
            widget.setVisible(rule is not None)
        self._message.setVisible(dial.mode is Mode.STOP)
        if rule is not None:
            self._draw_rule(state, rule)
        if not self._message.hasFocus():
            self._message.setText(dial.message)

    def _draw_rule(self, state: AppState, rule: Rule) -> None:
        trigger = _looked_at(state, rule)
        self._triggers.show_rule(rule, state.name_of)
        with QSignalBlocker(self._within):
            self._within.setValue(rule.within)
        card = state.card
        shown = card is not None and card.feature == trigger.feature
        if card is not None and shown:
            self._histogram.set_counts(card.histogram, BIN_EDGES)
        self._histogram.setEnabled(shown)
        self._histogram.setVisible(shown and card is not None and bool(card.histogram.any()))
        self._histogram.set_marker(trigger.above)
        self._trial.show_rule(state, rule)
        self._here.setEnabled(_value_here(state, trigger.feature) > 0)
        self._take.setEnabled(
            card is not None and card.feature not in rack_actions.features_of(rule)
        )

    def _dial(self, state: AppState | None = None) -> Dial | None:
        state = state or self._store.state
        return next((d for d in state.rack if d.key == state.steering.unfolded), None)

    def _change(self, **changes: object) -> None:
        dial = self._dial()
        if dial is not None:
            self._store.act(actions.change_dial, dial.key, **changes)

    # ---- what a person does

    @Slot()
    def _placed(self) -> None:
        dial, token = self._dial(), self._store.state.selection.token
        if dial is None:
            return
        place = self._where.currentIndex()
        tokens = dial.where.tokens if place == 3 else ()
        if place == 3 and not tokens and token is not None:
            tokens = (token,)
        where = Positions(place != 2, place != 1, tokens, self._first.isChecked())
        self._change(where=where)

    @Slot()
    def _measured(self) -> None:
        self._change(unit=_UNITS[self._unit.currentIndex()][0])

    @Slot()
    def _ruled(self) -> None:
        dial = self._dial()
        if dial is not None:
            ruled = self._when.currentIndex() == 1
            self._store.act(rack_actions.set_ruled, dial.key, ruled)

    @Slot()
    def _looks_back(self) -> None:
        dial = self._dial()
        if dial is not None and dial.rule is not None:
            self._change(rule=replace(dial.rule, within=self._within.value()))

    @Slot(object, float)
    def _raised(self, feature: FeatureId, above: float) -> None:
        dial = self._dial()
        if dial is not None:
            self._store.act(rack_actions.set_threshold, dial.key, feature, above)

    @Slot()
    def _as_here(self) -> None:
        dial, state = self._dial(), self._store.state
        if dial is not None and dial.rule is not None:
            feature = _looked_at(state, dial.rule).feature
            self._raised(feature, round(_value_here(state, feature) * 0.95, 2))

    @Slot()
    def _take_selected(self) -> None:
        dial, card = self._dial(), self._store.state.card
        if dial is not None and card is not None:
            more = dial.key, card.feature, card.max_active
            self._store.act(rack_actions.add_trigger, *more)

    @Slot(object)
    def _show_trigger(self, feature: FeatureId) -> None:
        self._store.act(actions.select, feature=feature)

    @Slot(object)
    def _remove_trigger(self, feature: FeatureId) -> None:
        dial = self._dial()
        if dial is not None:
            self._store.act(rack_actions.remove_trigger, dial.key, feature)

    @Slot()
    def _worded(self) -> None:
        self._change(message=self._message.text().strip())


def _combo(name: str, choices: object) -> QComboBox:
    box = QComboBox()
    box.setAccessibleName(name)
    for title, help_ in choices:  # type: ignore[attr-defined]
        box.addItem(title)
        box.setItemData(box.count() - 1, help_, 3)  # Qt.ItemDataRole.ToolTipRole
    box.setToolTip(name)
    return box


def _place_of(where: Positions) -> int:
    if where.tokens:
        return 3
    return 0 if where.prompt and where.answer else 1 if where.prompt else 2


def _looked_at(state: AppState, rule: Rule) -> Trigger:
    """The trigger whose card is shown, or else the first."""
    shown = state.card.feature if state.card is not None else None
    return next((one for one in rule.triggers if one.feature == shown), rule.triggers[0])


def _value_here(state: AppState, feature: FeatureId) -> float:
    trace, token = state.trace, state.selection.token
    if trace is None or token is None or token >= trace.n_tokens:
        return 0.0
    return float(trace.acts[feature.sae].of(feature.index)[token])

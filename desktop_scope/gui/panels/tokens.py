"""The prompt and the answer as tokens, painted by the selected feature."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QHBoxLayout, QLabel, QStackedLayout, QVBoxLayout, QWidget

from desktop_scope.engine.types import FeatureId, Floats, Trace
from desktop_scope.gui import actions, search_actions, theme
from desktop_scope.gui.naming import title, with_number
from desktop_scope.gui.panels.base import Panel
from desktop_scope.gui.rule_marks import fires_at, fires_so_far
from desktop_scope.gui.state import AppState, shown_tokens
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.empty_state import EmptyState
from desktop_scope.gui.widgets.painting import dimmed
from desktop_scope.gui.widgets.strength_legend import StrengthLegend
from desktop_scope.gui.widgets.token_view import TokenView


class TokensPanel(Panel):
    """Click a token to see what it made the model think of."""

    id = "tokens"
    title = "Tokens"
    column = "left"
    height = 30
    draws_on = frozenset(
        {"trace", "selection", "card", "opened", "pins", "show_template", "show_steered",
         "answer", "steered", "prompt", "chat", "rack", "jobs", "model"}
    )  # fmt: skip

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._shown = np.zeros(0, np.intp)
        self._streamed = 0
        self._title = QLabel()
        self._title.setTextFormat(Qt.TextFormat.PlainText)
        self._legend = StrengthLegend()
        self._template = tool_button("Template", "Show the chat's frame around the text, too", True)
        self._template.clicked.connect(self._template_toggled)
        self._steered = tool_button(
            "Steered answer", "Show the steered answer instead of the plain one", True
        )
        self._steered.clicked.connect(self._steered_toggled)
        self._view = TokenView()
        self._view.token_clicked.connect(self._chosen)
        self._view.current_changed.connect(self._chosen)
        self._view.phrase_chosen.connect(self._phrase_chosen)
        self._empty = EmptyState()

        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self._title, 1)
        head.addWidget(self._legend)
        head.addWidget(self._steered)
        head.addWidget(self._template)
        body = QWidget()
        self._stack = QStackedLayout(body)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(self._view)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(4)
        column.addLayout(head)
        column.addWidget(body, 1)

    def focus_first(self) -> None:
        """Walk the tokens with the arrow keys."""
        self._view.setFocus()

    def render(self, state: AppState, fields: frozenset[str]) -> None:
        """Draw."""
        trace = state.trace
        self._empty.set_text(_sentence(state))
        self._stack.setCurrentWidget(self._empty if trace is None else self._view)
        painted = state.opened is not None and state.selection.feature is not None
        self._legend.setVisible(trace is not None and painted)
        self._template.setChecked(state.show_template)
        self._template.setVisible(trace is not None and trace.prompt.chat)
        self._steered.setVisible(state.steered is not None)
        self._steered.setChecked(state.show_steered)
        if trace is None:
            return
        if fields & {"trace", "show_template"}:
            self._set_tokens(trace, state.show_template)
            fields |= {"selection", "card", "pins"}
        if fields & {"answer", "steered", "show_steered", "trace"}:
            self._stream(state, trace)
        if fields & {"selection", "card", "opened", "answer", "steered"}:
            self._paint(state, trace)
        if fields & {"pins", "rack", "answer", "steered"}:
            self._view.set_pinned(
                [
                    (
                        title(pin.label, state.name_of(pin.feature)),
                        self._values(state, trace, pin.feature) / pin.max_active,
                        theme.pinned_color(slot),
                    )
                    for slot, pin in enumerate(state.pins)
                ]
                + self._rules(state, trace)
            )
        stale = state.busy("trace") or trace.prompt != state.shown_prompt
        self._view.set_stale(stale)

    def _set_tokens(self, trace: Trace, show_template: bool) -> None:
        self._shown = shown_tokens(trace, show_template)
        self._streamed = 0
        answer = int(np.searchsorted(self._shown, trace.n_prompt))
        self._view.set_tokens(
            [trace.texts[i] for i in self._shown],
            trace.masked[self._shown],
            answer if answer < len(self._shown) else None,
        )
        self._view.set_details(logprobs=trace.logprobs[self._shown])

    def _stream(self, state: AppState, trace: Trace) -> None:
        """Append what is being said, before it is traced."""
        answer = state.shown_answer
        if answer is None or answer.prompt != trace.prompt:
            return
        if trace.n_tokens > trace.n_prompt:  # the trace has an answer already
            if answer.finished:
                return
            self._set_tokens(_prompt_only(trace), state.show_template)
        self._view.append_tokens(answer.pieces[self._streamed :])
        self._streamed = len(answer.pieces)

    def _paint(self, state: AppState, trace: Trace) -> None:
        feature, token, opened = state.selection.feature, state.selection.token, state.opened
        where = -1 if token is None else int(np.searchsorted(self._shown, token))
        found = 0 <= where < len(self._shown) and self._shown[where] == token
        self._view.set_current(where if found else -1)
        if feature is None or opened is None:
            self._title.clear()
            return
        values = self._values(state, trace, feature)
        card = state.card if state.card is not None and state.card.feature == feature else None
        known = float(opened.max_active[feature.sae][feature.index])
        if np.isnan(known) and card is not None:
            known = card.max_active  # what a check has shown since
        maximum = state.full_strength(feature, known)
        self._view.set_values(values, maximum)
        self._legend.set_range(maximum)
        name = state.name_of(feature)
        dimmed(self._title, card is not None and card.label.doubtful)
        self._title.setText(with_number(card.label, name) if card else f"feature {name}")

    def _values(self, state: AppState, trace: Trace, feature: FeatureId) -> Floats:
        """A feature on the tokens shown: as traced, then as read while the answer streams."""
        traced = trace.acts[feature.sae].of(feature.index)[self._shown]
        answer = state.shown_answer
        if not self._streamed or answer is None:
            return traced
        streamed = dict(answer.watched).get(feature, ())
        fresh = np.zeros(self._streamed, np.float32)
        fresh[: len(streamed)] = streamed[: self._streamed]
        return np.concatenate([traced, fresh])

    def _rules(self, state: AppState, trace: Trace) -> list[tuple[str, Floats, QColor]]:
        """Where the rules of the rack fire, as lines below the tokens."""
        found = []
        for rule in dict.fromkeys(dial.rule for dial in state.rack if dial.enabled):
            if rule is None:
                continue
            fired = fires_at(rule, trace)[self._shown]
            if self._streamed and state.shown_answer is not None:
                said = fires_so_far(rule, state.shown_answer, trace.n_prompt)
                fired = np.concatenate([fired, said])
            names = " or ".join(state.name_of(trigger.feature) for trigger in rule.triggers)
            found.append((f"rule of {names} fires", fired.astype(np.float32), theme.tokens().text))
        return found

    @Slot(int)
    def _chosen(self, token: int) -> None:
        if 0 <= token < len(self._shown):
            self.store.act(actions.select, token=int(self._shown[token]))

    @Slot(int, int)
    def _phrase_chosen(self, first: int, last: int) -> None:
        """Find what fires on a phrase more than it usually does."""
        if last < len(self._shown):
            span = int(self._shown[first]), int(self._shown[last])
            self.store.act(search_actions.by_tokens, *span)
            self.panel_wanted.emit("features")

    @Slot(bool)
    def _template_toggled(self, shown: bool) -> None:
        self.store.act(actions.show, show_template=shown)

    @Slot(bool)
    def _steered_toggled(self, shown: bool) -> None:
        self.store.act(actions.show, show_steered=shown)


def _sentence(state: AppState) -> str:
    if state.model is None:
        return "The text will appear here, piece by piece, once the model is loaded."
    if not state.prompt.text.strip():
        return "Type a prompt above: each of its tokens will appear here, painted by strength."
    return "Reading the prompt …"


def _prompt_only(trace: Trace) -> Trace:
    """The trace without its answer, for drawing."""
    n = trace.n_prompt
    return replace(
        trace,
        ids=trace.ids[:n],
        texts=trace.texts[:n],
        masked=trace.masked[:n],
        own=trace.own[:n],
        logprobs=trace.logprobs[:n],
    )

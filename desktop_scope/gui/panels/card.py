"""All that is known of the selected feature."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Slot
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QScrollArea,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.engine.types import FeatureId
from desktop_scope.evidence.store import BIN_EDGES
from desktop_scope.evidence.types import Card, Example, Insight, Source
from desktop_scope.gui import actions, search_actions, theme, why_actions
from desktop_scope.gui.card import text as card_text
from desktop_scope.gui.card.family import FamilyBox, zoom_note
from desktop_scope.gui.card.label_box import LabelBox
from desktop_scope.gui.card.levers import LeverBox
from desktop_scope.gui.card.relations import Relations
from desktop_scope.gui.card.sharing import ShareButton
from desktop_scope.gui.card.walking import WalkButtons
from desktop_scope.gui.naming import title
from desktop_scope.gui.panels.base import Panel
from desktop_scope.gui.state import AppState
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.bar_list import PromotesList
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.empty_state import EmptyState
from desktop_scope.gui.widgets.example_list import ExampleList
from desktop_scope.gui.widgets.histogram import Histogram
from desktop_scope.gui.widgets.painting import dimmed, muted
from desktop_scope.gui.widgets.token_view import TokenView

_TYPING_PAUSE_MS = 250
_LATE = 2 / 3  # from this share of the layers on, a direct reading of a direction means something


class CardPanel(Panel):
    """One feature: name, numbers, words, examples, neighbours, and a text of one's own."""

    id = "card"
    title = "Feature card"
    column = "right"
    height = 54
    draws_on = frozenset(
        {
            "card",
            "selection",
            "pins",
            "rack",
            "trace",
            "probe",
            "jobs",
            "saes",
            "opened",
            "health",
            "discovery",
            "ranking",
            "marks",
            "zoom",
        }
    )

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._card: Card | None = None
        self._name = QLabel(wordWrap=True)
        self._name.setTextFormat(Qt.TextFormat.PlainText)
        self._name.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._source = muted(QLabel(wordWrap=True))
        self._label_box = LabelBox(store.act)
        self._facts = QLabel(wordWrap=True)
        self._pin = tool_button(
            "Pin", "Keep it at hand, with a colour of its own (P)", checkable=True
        )
        self._pin.clicked.connect(self._toggle_pin)
        self._steer = tool_button("Steer", "Put it into the steering rack (S)")
        self._steer.clicked.connect(self._add_dial)
        self._why = tool_button("Why", "What this feature contributes to the answer")
        self._why.clicked.connect(self._ask_why)
        self._share = ShareButton()
        self._share.copied.connect(self._copied)
        self._walk = WalkButtons(store)
        self._histogram = Histogram()
        self._histogram.setFixedHeight(92)
        self._promotes = PromotesList()
        self._caution = muted(QLabel(wordWrap=True))
        self._caution.setText(
            "≈ Read straight off the feature’s direction, as if no layer came after it: "
            "before the last third of the layers this says little."
        )
        self._examples = ExampleList()
        self._examples.example_activated.connect(self._find_alike)
        self._lever = LeverBox(store)
        self._family = FamilyBox(store)
        self._zoomed = muted(QLabel(wordWrap=True))
        self._relations = Relations()
        self._relations.feature_chosen.connect(self._go_to)
        self._probe = QLineEdit(placeholderText="Try a text of your own on this feature")
        self._probe.setAccessibleName("Try a text of your own on this feature")
        self._pause = QTimer(self, singleShot=True, interval=_TYPING_PAUSE_MS)
        self._probe.textChanged.connect(self._pause.start)
        self._pause.timeout.connect(self._try_text)
        self._probe_tokens = TokenView()
        self._probe_tokens.setAccessibleName("Your own text as tokens")
        self._probe_tokens.setFixedHeight(64)
        self._probe_tokens.hide()
        self._empty = EmptyState()
        self._empty.acted.connect(self.want_library)
        self._lay_out()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        buttons.addWidget(self._walk)
        buttons.addStretch(1)
        for button in (self._pin, self._steer, self._why, self._share):
            buttons.addWidget(button)
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(12, 8, 12, 12)
        column.setSpacing(8)
        column.addLayout(buttons)
        column.addWidget(self._name)
        column.addWidget(self._zoomed)
        column.addWidget(self._source)
        column.addWidget(self._label_box)
        column.addWidget(self._facts)
        column.addWidget(self._lever)
        column.addWidget(self._histogram)
        column.addWidget(self._examples)
        column.addWidget(self._probe)
        column.addWidget(self._probe_tokens)
        column.addWidget(self._label_box.trials)
        column.addWidget(self._promotes)
        column.addWidget(self._caution)
        column.addWidget(self._family)
        column.addWidget(self._relations)
        column.addStretch(1)
        scroll = QScrollArea(widgetResizable=True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(content)
        self._stack = QStackedLayout(self)
        self._stack.setContentsMargins(0, 0, 0, 0)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(scroll)

    def focus_first(self) -> None:
        """Try a text at once."""
        self._probe.setFocus()

    def render(self, state: AppState, fields: frozenset[str]) -> None:
        """Draw."""
        card = state.card
        self._stack.setCurrentIndex(0 if card is None else 1)
        if card is None:
            self._empty.set_text(*_sentence(state))
            return
        if fields & {"card", "health"}:
            self._draw_card(state, card)
        if fields & {"card", "marks", "probe"}:
            self._label_box.show_card(state, card)
        if fields & {"card", "selection", "trace"}:
            self._histogram.set_marker(_here(state, card))
        if fields & {"card", "pins"}:
            self._pin.setChecked(any(pin.feature == card.feature for pin in state.pins))
        if fields & {"card", "rack"}:
            self._steer.setEnabled(all(dial.feature != card.feature for dial in state.rack))
        if fields & {"card", "probe"}:
            self._draw_probe(state, card)
        if fields & {"discovery", "card", "saes"}:
            self._lever.draw(state, card)
        if fields & {"zoom", "card", "jobs", "selection"}:
            self._family.draw(state, card.feature)
            note = zoom_note(state, card.feature)
            self._zoomed.setText(note)
            self._zoomed.setVisible(bool(note))
        self._walk.draw(state)
        if fields & {"card", "saes"} and state.model is not None:
            layer = state.saes[card.feature.sae].layer
            early = layer < state.model.n_layers * _LATE
            self._caution.setVisible(early and bool(card.promotes))
        stale = card.feature != state.selection.feature
        for widget in (self._histogram, self._promotes, self._examples, self._relations):
            widget.set_stale(stale)

    def _draw_card(self, state: AppState, card: Card) -> None:
        self._card = card
        self._name.setFont(theme.strong(theme.ui_font(round(theme.ui_font().pixelSize() * 1.25))))
        name = title(card.label, card.name)
        self._name.setText(
            name[:1].upper() + name[1:] if card.label.source is Source.NONE else name
        )
        dimmed(self._name, card.label.doubtful)
        self._source.setText(card_text.where(card))
        self._facts.setText(card_text.facts(card, state.health_of(card.feature.sae)))
        self._histogram.set_counts(card.histogram, BIN_EDGES)
        self._histogram.setVisible(bool(card.histogram.any()))
        self._promotes.set_rows(
            [(t.text, t.effect) for t in card.promotes],
            [(t.text, t.effect) for t in card.suppresses],
        )
        self._promotes.setVisible(bool(card.promotes))
        self._examples.set_examples(card.examples, card.max_active)
        self._examples.setFixedHeight(_height_of(self._examples))
        self._examples.setVisible(bool(card.examples))
        self._relations.set_card(card)

    def _draw_probe(self, state: AppState, card: Card) -> None:
        probe = state.probe
        fits = (
            probe is not None and probe.feature == card.feature and bool(state.probe_text.strip())
        )
        self._probe_tokens.setVisible(bool(fits))
        if fits and probe is not None:
            self._probe_tokens.set_tokens(probe.texts[1:], probe.masked[1:])
            full = state.full_strength(card.feature, card.max_active)
            self._probe_tokens.set_values(probe.values[1:], full)

    @Slot(object)
    def _find_alike(self, example: Example) -> None:
        """Find what else fires on an example."""
        self.store.act(search_actions.by_text, "".join(example.texts).strip())
        self.panel_wanted.emit("features")

    @Slot()
    def _toggle_pin(self) -> None:
        self._act_on_card(actions.toggle_pin)

    @Slot()
    def _add_dial(self) -> None:
        self._act_on_card(actions.add_dial)

    def _act_on_card(self, action: object) -> None:
        if self._card is not None:
            self.store.act(action, self._card.feature, self._card.label, self._card.max_active)  # type: ignore[arg-type]

    @Slot()
    def _ask_why(self) -> None:
        if self._card is not None:
            self.store.act(why_actions.ask_of, self._card.feature)
        self.panel_wanted.emit("why")

    @Slot(str)
    def _copied(self, form: str) -> None:
        if self._card is not None:
            self._share.give(form, self._card, self._insight())

    def _insight(self) -> Insight | None:
        """What is known of the card's own feature."""
        insight = self.store.state.discovery.insight
        fits = insight is not None and self._card is not None
        return insight if fits and insight.feature == self._card.feature else None

    @Slot(object)
    def _go_to(self, feature: FeatureId) -> None:
        self.store.act(actions.select, feature=feature)

    @Slot()
    def _try_text(self) -> None:
        self.store.act(actions.try_text, self._probe.text())


def _sentence(state: AppState) -> tuple[str, str]:
    if state.opened is not None and not state.saes:
        return "Open an autoencoder: what is known of a feature appears here.", "Open the library"
    return "Choose a feature: what is known of it will appear here.", ""


def _height_of(examples: ExampleList) -> int:
    """As tall as its rows, so that the card scrolls as one."""
    return sum(map(examples.row_height, range(examples.model().rowCount()))) + 4


def _here(state: AppState, card: Card) -> float | None:
    """The activation on the selected token."""
    trace, token = state.trace, state.selection.token
    if trace is None or token is None or token >= trace.n_tokens:
        return None
    value = float(trace.acts[card.feature.sae].of(card.feature.index)[token])
    return value or None

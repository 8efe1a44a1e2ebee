"""The features of a token, of the text, or of the whole model, filtered and ranked."""

from __future__ import annotations

import math

from PySide6.QtCore import QPoint, QSignalBlocker, Qt, QTimer, Slot
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QSlider,
    QSpinBox,
    QStackedLayout,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.evidence.requests import RankBy, Scope
from desktop_scope.evidence.types import FeatureRow
from desktop_scope.gui import actions
from desktop_scope.gui.panels.base import Panel
from desktop_scope.gui.state import AppState
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.empty_state import EmptyState
from desktop_scope.gui.widgets.feature_table import FeatureTable
from desktop_scope.gui.widgets.painting import muted, percent

_TYPING_PAUSE_MS = 60
_DENSITY_STEPS = 40  # of the slider: 0.01 % … 100 %, logarithmic
_SCOPES = (
    (Scope.TOKEN, "Token", "What fires on the selected token"),
    (Scope.TEXT, "Whole text", "What fires anywhere on your text and the answer"),
    (Scope.ALL, "All features", "Search every feature, whether it fires here or not"),
)
_ORDERS = (
    (
        RankBy.RARITY,
        "surprise",
        "Strong here, and seldom elsewhere: strength × log(1 / density); in a whole text,\n"
        "each further feature of the same token counts a little less",
    ),
    (RankBy.MAXIMUM, "strength", "The strongest single token"),
    (RankBy.TOTAL, "total", "Strength summed over the tokens"),
)


class FeaturesPanel(Panel):
    """Which concepts light up, and how much."""

    id = "features"
    title = "Features"
    column = "right"
    height = 46
    draws_on = frozenset(
        {"ranking", "selection", "filters", "pins", "jobs", "trace", "model", "opened", "saes"}
    )

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._scopes: dict[Scope, QToolButton] = {}
        group = QButtonGroup(self)
        top = QHBoxLayout()
        top.setSpacing(4)
        for scope, text, help_ in _SCOPES:
            button = tool_button(text, help_, checkable=True)
            button.clicked.connect(self._scope_chosen)
            group.addButton(button)
            self._scopes[scope] = button
            top.addWidget(button)
        top.addStretch(1)
        self._count = muted(QLabel())
        top.addWidget(self._count)

        self._words = QLineEdit(
            placeholderText="Filter by words, or a number such as 17/3988  ( / )"
        )
        self._words.setAccessibleName("Filter by words")
        self._words.setClearButtonEnabled(True)
        self._pause = QTimer(self, singleShot=True, interval=_TYPING_PAUSE_MS)
        self._words.textChanged.connect(self._pause.start)
        self._pause.timeout.connect(self._words_typed)
        self._order = QComboBox()
        self._order.setAccessibleName("Order by")
        for by, text, help_ in _ORDERS:
            self._order.addItem(f"by {text}", by)
            self._order.setItemData(self._order.count() - 1, help_, Qt.ItemDataRole.ToolTipRole)
        self._order.activated.connect(self._order_chosen)
        search = QHBoxLayout()
        search.setSpacing(8)
        search.addWidget(self._words, 1)
        search.addWidget(self._order)

        self._first = _layer_box("First layer listed")
        self._last = _layer_box("Last layer listed")
        for box in (self._first, self._last):
            box.valueChanged.connect(self._layers_set)
        self._density = QSlider(Qt.Orientation.Horizontal)
        self._density.setAccessibleName("Hide features that fire on a larger share of tokens")
        self._density.setToolTip(
            "Features that fire nearly everywhere say little.\n"
            "Those that fire on a larger share of tokens than this are hidden."
        )
        self._density.setRange(0, _DENSITY_STEPS)
        self._density.setMaximumWidth(120)
        self._density.valueChanged.connect(self._density_set)
        self._density_text = muted(QLabel())
        self._density_text.setMinimumWidth(132)
        filters = QHBoxLayout()
        filters.setSpacing(8)
        filters.addWidget(muted(QLabel("layers")))
        filters.addWidget(self._first)
        filters.addWidget(muted(QLabel("to")))
        filters.addWidget(self._last)
        filters.addStretch(1)
        filters.addWidget(self._density_text)
        filters.addWidget(self._density)

        self._table = FeatureTable()
        self._table.feature_chosen.connect(self._chosen)
        self._table.feature_activated.connect(self._activated)
        self._table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self._table.customContextMenuRequested.connect(self._menu)
        self._empty = EmptyState()
        self._empty.acted.connect(self.want_library)
        body = QWidget()
        self._stack = QStackedLayout(body)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(self._table)

        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(8)
        column.addLayout(top)
        column.addLayout(search)
        column.addLayout(filters)
        column.addWidget(body, 1)

    def focus_first(self) -> None:
        """Type words at once."""
        self._words.setFocus()
        self._words.selectAll()

    def render(self, state: AppState, fields: frozenset[str]) -> None:
        """Draw."""
        if "model" in fields and state.model is not None:
            for box in (self._first, self._last):
                box.setMaximum(state.model.n_layers - 1)
        if fields & {"filters", "model"}:
            self._draw_filters(state)
        if "ranking" in fields and state.ranking is not None:
            self._table.set_rows(state.ranking.rows, state.selection.feature)
            n = len(state.ranking.rows)
            most = "the first " if n < state.ranking.n_active and n >= 200 else ""
            self._count.setText(f"{most}{n} of {state.ranking.n_active:,}")
        elif "selection" in fields:
            self._table.set_chosen(state.selection.feature)
        if "pins" in fields:
            self._table.set_pinned(frozenset(pin.feature for pin in state.pins))
        self._table.set_stale(state.busy("rank"))
        filled = state.ranking is not None and bool(state.ranking.rows)
        self._empty.set_text(*_sentence(state))
        self._stack.setCurrentWidget(self._table if filled else self._empty)
        self._scopes[Scope.TOKEN].setText(_token_name(state))

    def _draw_filters(self, state: AppState) -> None:
        filters = state.filters
        self._scopes[filters.scope].setChecked(True)
        self._order.setCurrentIndex(self._order.findData(filters.by))
        self._order.setEnabled(filters.scope is not Scope.ALL)
        if filters.words != self._words.text():
            self._words.setText(filters.words)
        for box, value in zip((self._first, self._last), filters.layers, strict=True):
            with QSignalBlocker(box):
                box.setValue(value)
        with QSignalBlocker(self._density):
            self._density.setValue(_step_of(filters.max_density))
        everywhere = filters.max_density >= 1
        share = percent(filters.max_density)
        self._density_text.setText("any density" if everywhere else f"firing on ≤ {share}")

    @Slot()
    def _scope_chosen(self) -> None:
        scope = next(s for s, button in self._scopes.items() if button.isChecked())
        self.store.act(actions.set_filters, scope=scope)

    @Slot()
    def _words_typed(self) -> None:
        self.store.act(actions.set_filters, words=self._words.text())

    @Slot()
    def _order_chosen(self) -> None:
        self.store.act(actions.set_filters, by=RankBy(self._order.currentData()))

    @Slot()
    def _layers_set(self) -> None:
        layers = (self._first.value(), max(self._first.value(), self._last.value()))
        self.store.act(actions.set_filters, layers=layers)

    @Slot(int)
    def _density_set(self, step: int) -> None:
        self.store.act(actions.set_filters, max_density=_density_of(step))

    @Slot(object)
    def _chosen(self, row: FeatureRow) -> None:
        self.store.act(actions.select, feature=row.feature)

    @Slot(object)
    def _activated(self, row: FeatureRow) -> None:
        """Go to where it is strongest."""
        token = row.token if row.value > 0 else self.store.state.selection.token
        self.store.act(actions.select, feature=row.feature, token=token)

    @Slot(QPoint)
    def _menu(self, where: QPoint) -> None:
        index = self._table.indexAt(where)
        if not index.isValid():
            return
        row = self._table.row(index.row())
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for text, action in (("Pin or unpin", actions.toggle_pin), ("Steer", actions.add_dial)):
            menu.addAction(text).triggered.connect(
                lambda _=False, action=action: self.store.act(
                    action, row.feature, row.label, row.max_active
                )
            )
        menu.popup(self._table.viewport().mapToGlobal(where))


def _layer_box(name: str) -> QSpinBox:
    box = QSpinBox()
    box.setAccessibleName(name)
    box.setToolTip(name)
    box.setMaximum(10_000)
    box.lineEdit().setTextMargins(4, 0, 4, 0)
    box.setFixedWidth(52)
    return box


def _density_of(step: int) -> float:
    return float(10 ** (-4 + 4 * step / _DENSITY_STEPS))


def _step_of(density: float) -> int:
    return round((math.log10(max(density, 1e-4)) + 4) / 4 * _DENSITY_STEPS)


def _token_name(state: AppState) -> str:
    trace, token = state.trace, state.selection.token
    if trace is None or token is None or token >= trace.n_tokens:
        return "Token"
    return f"“{trace.texts[token].strip() or '⏎'}”"


def _sentence(state: AppState) -> tuple[str, str]:
    """What to say, and what a button says."""
    if state.opened is not None and not state.saes:
        return (
            "No autoencoder is open. One takes apart what flows through a layer into features: "
            "open one that goes with this model.",
            "Open the library",
        )
    return _waiting(state), ""


def _waiting(state: AppState) -> str:
    if any(job.kind == "open" and job.total for job in state.jobs):
        return (
            "The features are being named from their examples. "
            "That takes about half a minute, this first time only."
        )
    if state.opened is None:
        return "The features of your text will be listed here, once model and evidence are open."
    if state.filters.scope is Scope.ALL and not state.filters.words.strip():
        return "Type words above to search all features of the model."
    needs_text = state.filters.scope is not Scope.ALL
    if state.ranking is None or (needs_text and state.trace is None):
        return "Type a prompt: the features that fire on it will be listed here."
    return (
        "No feature passes the filters. "
        "Widen the layers, allow denser features, or clear the words."
    )

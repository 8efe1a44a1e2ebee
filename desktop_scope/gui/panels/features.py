"""The features of a token, of the text, or of the whole model: filtered, ranked, searched for."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt, QTimer, Slot
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QStackedLayout,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.evidence.meaning.embedder import HOW_TO_GET
from desktop_scope.evidence.requests import MERITS, RankBy, Scope
from desktop_scope.evidence.types import FeatureRow
from desktop_scope.gui import actions, search_actions
from desktop_scope.gui.panels.base import Panel
from desktop_scope.gui.search_examples import ANIMALS, MACHINES
from desktop_scope.gui.state import AppState, Filters
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.contrast_form import ContrastForm
from desktop_scope.gui.widgets.elided_label import ElidedLabel
from desktop_scope.gui.widgets.empty_state import EmptyState
from desktop_scope.gui.widgets.feature_filters import Chosen, FeatureFilters
from desktop_scope.gui.widgets.feature_table import FeatureTable
from desktop_scope.gui.widgets.painting import muted
from desktop_scope.wording import counted

_TYPING_PAUSE_MS = 60
_PHRASE_PAUSE_MS = 400  # a phrase is run through the model
_SCOPES = (
    (Scope.TOKEN, "Token", "What fires on the selected token"),
    (Scope.TEXT, "Text", "What fires anywhere on your text and the answer"),
    (Scope.ALL, "All", "Search the labels of all features, by words and by meaning"),
    (Scope.PROMOTES, "Promotes", "Find features that make the model say a word"),
    (
        Scope.EXAMPLE,
        "Example",
        "Find what fires in a phrase more than it usually does:\n"
        "type one, or drag over tokens of the text",
    ),
    (Scope.GIVEN, "Contrast", "Find what tells texts of one kind from texts of another"),
)
_PLACEHOLDERS = {
    Scope.TOKEN: "Filter by words, or a number such as 17/3988  ( / )",
    Scope.TEXT: "Filter by words, or a number such as 17/3988  ( / )",
    Scope.ALL: "Words, or a meaning  ( / )",
    Scope.PROMOTES: "A word the model is to say, such as Paris",
    Scope.EXAMPLE: "A phrase; or drag over tokens of the text",
    Scope.GIVEN: "Filter what was found by words",
}
_ORDERS = (
    (
        RankBy.RARITY,
        "surprise",
        "Strong here, and seldom elsewhere: strength × log(1 / density); in a whole text,\n"
        "each further feature of the same token counts a little less",
    ),
    (RankBy.MAXIMUM, "strength", "The strongest single token"),
    (RankBy.TOTAL, "total", "Strength summed over the tokens"),
    (
        RankBy.INTEREST,
        "interest",
        "Worth a look: variety × kinship × rarity × density × kind (it fires on many different,\n"
        "rather rare words of one meaning, neither nearly never nor nearly everywhere)",
    ),
    (
        RankBy.LEVER,
        "lever",
        "How much likelier turning it up makes the tokens that it promotes, as far as measured",
    ),
)
_OF_TEXTS = (Scope.TOKEN, Scope.TEXT)
_BEST_MATCH = ("best match", "How well the label answers what was typed")
_NEED_A_TEXT = (RankBy.MAXIMUM, RankBy.TOTAL)


class FeaturesPanel(Panel):
    """Which concepts light up, and how much; and where a concept is to be found."""

    id = "features"
    title = "Features"
    column = "right"
    height = 46
    draws_on = frozenset(
        {"ranking", "selection", "filters", "pins", "jobs", "trace", "model", "opened", "saes",
         "search", "marks"}
    )  # fmt: skip

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._scopes: dict[Scope, QToolButton] = {}
        group = QButtonGroup(self)
        top = QHBoxLayout()
        top.setSpacing(2)
        for scope, text, help_ in _SCOPES:
            button = tool_button(text, help_, checkable=True)
            button.clicked.connect(self._scope_chosen)
            group.addButton(button)
            self._scopes[scope] = button
            top.addWidget(button)
        top.addStretch(1)

        self._words = QLineEdit()
        self._words.setAccessibleName("Search features")
        self._words.setClearButtonEnabled(True)
        self._pause = QTimer(self, singleShot=True, interval=_TYPING_PAUSE_MS)
        self._words.textChanged.connect(self._typing)
        self._pause.timeout.connect(self._words_typed)
        self._order = QComboBox()
        self._order.setAccessibleName("Order by")
        self._order_scope: Scope | None = None
        self._order.activated.connect(self._order_chosen)
        self._more = tool_button("Filters", "Show or hide the filters", checkable=True)
        self._more.toggled.connect(self._filters_toggled)
        search = QHBoxLayout()
        search.setSpacing(8)
        search.addWidget(self._words, 1)
        search.addWidget(self._order)
        search.addWidget(self._more)

        self._filters = FeatureFilters()
        self._filters.changed.connect(self._filtered)
        self._filters.hide()
        self._form = ContrastForm()
        self._form.edited.connect(self._texts_edited)
        self._form.compared.connect(self._compare)
        self._form.swapped.connect(self._swap)
        self._form.hide()
        self._note = ElidedLabel()
        muted(self._note)
        self._count = muted(QLabel())
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self._note, 1)
        foot.addWidget(self._count)

        self._table = FeatureTable()
        self._table.feature_chosen.connect(self._chosen)
        self._table.feature_activated.connect(self._activated)
        self._table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self._table.customContextMenuRequested.connect(self._menu)
        self._empty = EmptyState()
        self._empty.acted.connect(self._try_it)
        body = QWidget()
        self._stack = QStackedLayout(body)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(self._table)

        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(6)
        column.addLayout(top)
        column.addLayout(search)
        column.addWidget(self._filters)
        column.addWidget(self._form)
        column.addWidget(body, 1)
        column.addLayout(foot)

    def focus_first(self) -> None:
        """Type words at once."""
        self._words.setFocus()
        self._words.selectAll()

    def render(self, state: AppState, fields: frozenset[str]) -> None:
        """Draw."""
        if "model" in fields and state.model is not None:
            self._filters.set_layers(state.model.n_layers)
        if "marks" in fields:
            self._filters.set_lists(state.marks.lists)
        if fields & {"filters", "model", "search"}:
            self._draw_query(state)
        if "search" in fields:
            self._form.set_texts(state.search.a, state.search.b)
        if fields & {"search", "jobs"}:
            self._form.set_verdict(*_verdict(state))
        if "ranking" in fields and state.ranking is not None:
            ranking = state.ranking
            self._table.set_rows(ranking.rows, state.selection.feature, ranking.measure)
            n = len(ranking.rows)
            most = "the first " if n < ranking.n_active and n >= 200 else ""
            self._count.setText(f"{most}{n} of {ranking.n_active:,}" if n else "")
        elif "selection" in fields:
            self._table.set_chosen(state.selection.feature)
        if "pins" in fields:
            self._table.set_pinned(frozenset(pin.feature for pin in state.pins))
        if fields & {"ranking", "search", "filters"}:
            self._note.set_whole(_note(state))
        self._table.set_stale(state.busy("rank", "example", "contrast"))
        filled = state.ranking is not None and bool(state.ranking.rows)
        self._empty.set_text(*_sentence(state))
        self._stack.setCurrentWidget(self._table if filled else self._empty)
        self._scopes[Scope.TOKEN].setText(_token_name(state))

    def _draw_query(self, state: AppState) -> None:
        filters = state.filters
        self._scopes[filters.scope].setChecked(True)
        self._words.setPlaceholderText(_PLACEHOLDERS[filters.scope])
        query = search_actions.query_of(state, filters.scope)
        if query != self._words.text() and not self._pause.isActive():
            self._words.setText(query)
            self._pause.stop()
        self._draw_orders(filters)
        self._form.setVisible(filters.scope is Scope.GIVEN)
        self._filters.set_chosen(
            Chosen(
                filters.layers,
                filters.max_density,
                filters.min_score,
                filters.on_list,
                filters.of_kind,
            )
        )
        n = _n_filters(state)
        self._more.setText(f"Filters · {n}" if n else "Filters")

    def _draw_orders(self, filters: Filters) -> None:
        """Some orders need a text; without one, the first means how well a label answers."""
        if self._order_scope is not filters.scope:
            self._order_scope = filters.scope
            self._order.clear()
            for by, text, help_ in _ORDERS:
                if filters.scope is Scope.ALL and by in _NEED_A_TEXT:
                    continue
                if filters.scope is Scope.ALL and by is RankBy.RARITY:
                    text, help_ = _BEST_MATCH
                self._order.addItem(f"by {text}", by)
                last = self._order.count() - 1
                self._order.setItemData(last, help_, Qt.ItemDataRole.ToolTipRole)
        self._order.setCurrentIndex(max(self._order.findData(filters.by), 0))
        self._order.setVisible(filters.scope in (*_OF_TEXTS, Scope.ALL))

    @Slot()
    def _scope_chosen(self) -> None:
        scope = next(s for s, button in self._scopes.items() if button.isChecked())
        self.store.act(search_actions.set_scope, scope)

    @Slot()
    def _typing(self) -> None:
        phrase = self.store.state.filters.scope is Scope.EXAMPLE
        self._pause.start(_PHRASE_PAUSE_MS if phrase else _TYPING_PAUSE_MS)

    @Slot()
    def _words_typed(self) -> None:
        self.store.act(search_actions.set_query, self._words.text())

    @Slot()
    def _order_chosen(self) -> None:
        self.store.act(actions.set_filters, by=RankBy(self._order.currentData()))

    @Slot(bool)
    def _filters_toggled(self, shown: bool) -> None:
        self._filters.setVisible(shown)

    @Slot(str, object)
    def _filtered(self, what: str, value: object) -> None:
        self.store.act(actions.set_filters, **{what: value})

    @Slot(str, str)
    def _texts_edited(self, a: str, b: str) -> None:
        self.store.act(search_actions.set_texts, a, b)

    @Slot()
    def _compare(self) -> None:
        self.store.act(search_actions.compare)

    @Slot()
    def _swap(self) -> None:
        self.store.act(search_actions.swap)

    @Slot()
    def _try_it(self) -> None:
        """Do what the empty list offers."""
        state = self.store.state
        if not state.saes:
            self.want_library()
        elif state.filters.scope is Scope.GIVEN:
            self.store.act(search_actions.set_texts, ANIMALS, MACHINES)
            self._compare()
        else:
            self.store.act(search_actions.set_query, _TRY[state.filters.scope])

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


def _token_name(state: AppState) -> str:
    trace, token = state.trace, state.selection.token
    if trace is None or token is None or token >= trace.n_tokens:
        return "Token"
    return f"“{trace.texts[token].strip() or '⏎'}”"


_TRY = {Scope.ALL: "canine", Scope.PROMOTES: "Paris", Scope.EXAMPLE: "once upon a time"}
_ABOUT = {
    Scope.ALL: "Type above what you look for: features whose labels hold the words, or mean the "
    "same, among all features of the model.",
    Scope.PROMOTES: "Type a word above: the features that make the model say it, read off their "
    "directions.",
    Scope.EXAMPLE: "Type a phrase above, or drag over tokens of the text: what fires there more "
    "than it usually does.",
    Scope.GIVEN: "Put texts of two kinds into the boxes, one per line, ten or more of each: "
    "features that tell them apart, with how sure that is.",
}


def _n_filters(state: AppState) -> int:
    """How many filters hold something back that is shown at first."""
    filters, plain = state.filters, Filters()
    last = state.model.n_layers - 1 if state.model else 0
    cut = filters.layers[0] > 0 or filters.layers[1] < last
    same = ("max_density", "min_score", "on_list", "of_kind")
    return cut + sum(getattr(filters, name) != getattr(plain, name) for name in same)


def _verdict(state: AppState) -> tuple[str, str]:
    """What came of comparing texts, and the figures behind it."""
    search = state.search
    if state.busy("contrast"):
        return "Reading the texts …", ""
    contrast = search.contrast
    if contrast is None:
        return "", ""
    held = contrast.held_out
    checked = "" if held is None else f"kept aside: AUROC {held.auroc:.2f} · "
    details = (
        f"A: {counted(contrast.n_a, 'text')}, B: {contrast.n_b}. Of each text a feature's mean "
        "activation per token counts.\nRank-sum test per feature; false claims held to 5 % of all "
        "claims (Benjamini–Hochberg)."
    )
    if held is not None:
        details += (
            f"\nHeld out: the best feature of a random half of the texts, judged on the other half "
            f"({held.n_splits} divisions): AUROC {held.auroc:.2f}, from {held.low:.2f} to "
            f"{held.high:.2f}; 0.5 is chance."
        )
    reliable = f"{contrast.n_reliable:,} reliable · " if contrast.n_reliable else ""
    return reliable + checked + contrast.verdict, "\n".join([details, *contrast.notes])


def _note(state: AppState) -> str:
    """What is to be known about how the list was found."""
    scope, meanings = state.filters.scope, state.search.meanings
    if scope is Scope.ALL and meanings is not None and not meanings.installed:
        return f"By words only. {HOW_TO_GET}"
    return "\n".join(state.ranking.notes) if state.ranking is not None else ""


def _sentence(state: AppState) -> tuple[str, str]:
    """What to say, and what a button says."""
    if state.opened is not None and not state.saes:
        return (
            "No autoencoder is open. One takes apart what flows through a layer into features: "
            "open one that goes with this model.",
            "Open the library",
        )
    scope = state.filters.scope
    if state.opened is None or scope in _OF_TEXTS:
        return _waiting(state), ""
    if scope is Scope.GIVEN and state.search.compared is None:
        return _ABOUT[scope], "" if state.search.a else "Try animals against machines"
    ordered = scope is Scope.ALL and state.filters.by in MERITS
    if not (scope is Scope.GIVEN or ordered or search_actions.query_of(state, scope).strip()):
        return _ABOUT[scope], f"Try “{_TRY[scope]}”"
    if state.busy("rank", "example", "contrast"):
        return "Looking …", ""
    return _nothing(state), ""


def _nothing(state: AppState) -> str:
    if _n_filters(state):
        return "No feature passes the filters. Widen them, or search for something else."
    if state.filters.scope is Scope.ALL:
        return "No label holds these words. Try the beginning of a word, or another one."
    return "Nothing was found. Allow denser features, or try something else."


def _waiting(state: AppState) -> str:
    if any(job.kind == "open" and job.total for job in state.jobs):
        return (
            "The features are being named from their examples. "
            "That takes about half a minute, this first time only."
        )
    if state.opened is None:
        return "The features of your text will be listed here, once model and evidence are open."
    if state.ranking is None or state.trace is None:
        return "Type a prompt: the features that fire on it will be listed here."
    return (
        "No feature passes the filters. "
        "Widen the layers, allow denser features, or clear the words."
    )

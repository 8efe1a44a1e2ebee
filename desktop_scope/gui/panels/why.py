"""Why the model says one thing rather than another, and whether that holds."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.engine.questions import Method
from desktop_scope.engine.types import FeatureId
from desktop_scope.gui import theme, why_actions
from desktop_scope.gui.panels.base import Panel
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.why import WhyState
from desktop_scope.gui.store import Store
from desktop_scope.gui.why_path import PathView
from desktop_scope.gui.why_words import (
    about_words,
    cause_rows,
    check_words,
    headline,
    layer_rows,
    point_words,
    token_rows,
    unexplained_words,
)
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.cause_table import CauseTable
from desktop_scope.gui.widgets.choice_box import ChoiceBox
from desktop_scope.gui.widgets.empty_state import EmptyState
from desktop_scope.gui.widgets.painting import muted, percent
from desktop_scope.gui.widgets.scatter import Scatter
from desktop_scope.gui.widgets.share_bar import ShareBar
from desktop_scope.gui.widgets.sum_bars import SumBars

_METHODS = (
    (Method.GRADIENT, "gradient", "Gradient × activation: one pass back. On the demo model it\n"
     "agreed best with really switching features off."),
    (Method.RELP, "linearised", "RelP: one pass back through a model made linear around this\n"
     "text, attention patterns held as they are."),
    (Method.IG, "integrated", "Integrated gradients: the mean gradient while a layer’s features\n"
     "come on; takes about a hundred times as long."),
)  # fmt: skip
_VIEWS = (
    ("Features", "What matters most, one row for each feature and token"),
    ("Sums", "What each layer and each token contributes, and what is left unexplained"),
    ("Path", "How the features feed each other, from the text to the answer"),
)
_PATH = 2


class WhyPanel(Panel):
    """Pick what was said and what it might have been; see what made the difference."""

    id = "why"
    title = "Why"
    column = "left"
    height = 54
    behind = "layers"
    draws_on = frozenset({"why", "selection", "trace", "prompt", "jobs", "model", "saes", "pins"})

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        asking = self._make_asking()
        self._empty = EmptyState(
            "Why does it say one thing rather than another? Choose a token of the answer above "
            "and ask: here stands which features made the difference, and whether that holds "
            "once they are really switched off.",
            f"Try: {why_actions.EXAMPLES[0].title}",
        )
        self._empty.acted.connect(self._first_example)
        found = self._make_found()
        content = QWidget()
        self._stack = QStackedLayout(content)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(found)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 8)
        column.setSpacing(6)
        column.addLayout(asking)
        column.addWidget(content, 1)

    # ---- building

    def _make_asking(self) -> QHBoxLayout:
        """Both answers, and what may be asked."""
        self._answer = ChoiceBox("What was said; a space at its beginning counts")
        self._answer.words_chosen.connect(lambda words: self._ask(answer=words))
        self._instead = ChoiceBox("What it might have been; a space at its beginning counts")
        self._instead.words_chosen.connect(lambda words: self._ask(instead=words))
        self._here = QPushButton("Ask about this token")
        self._here.setToolTip(
            "Why does the answer have the token that is chosen above, and not the runner-up?\n"
            "For a token of the prompt: why does the answer begin as it does?"
        )
        self._here.clicked.connect(self._ask_here)
        self._examples = tool_button("Examples", "Questions that are worth asking the demo model")
        self._examples.setPopupMode(self._examples.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self._examples)
        for example in why_actions.EXAMPLES:
            action = menu.addAction(example.title)
            action.triggered.connect(lambda _=False, e=example: self._ask_example(e))
        self._examples.setMenu(menu)
        asking = QHBoxLayout()
        asking.setSpacing(8)
        for widget in (muted(QLabel("why")), self._answer, muted(QLabel("rather than")),
                       self._instead, self._here):  # fmt: skip
            asking.addWidget(widget)
        asking.addStretch(1)
        asking.addWidget(self._examples)
        return asking

    def _make_found(self) -> QWidget:
        """What came back."""
        self._headline = QLabel(wordWrap=True)
        self._headline.setTextFormat(Qt.TextFormat.PlainText)
        self._about = muted(QLabel(wordWrap=True))
        self._about.setTextFormat(Qt.TextFormat.PlainText)
        self._about_shown: object = None  # what was last made the table's selection
        self._rest = ShareBar("Unexplained")
        views = self._make_views()
        self._make_check()
        middle = QHBoxLayout()
        middle.setSpacing(12)
        middle.addWidget(self._make_body(), 1)
        middle.addWidget(self._checked)
        found = QWidget()
        inner = QVBoxLayout(found)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(6)
        inner.addWidget(self._headline)
        inner.addWidget(self._about)
        inner.addLayout(views)
        inner.addLayout(middle, 1)
        inner.addLayout(self._make_foot())
        return found

    def _make_views(self) -> QHBoxLayout:
        """What is looked at, how much is unexplained, and by which method."""
        self._views = QButtonGroup(self)
        views = QHBoxLayout()
        views.setSpacing(4)
        for n, (name, help_) in enumerate(_VIEWS):
            button = tool_button(name, help_, checkable=True)
            self._views.addButton(button, n)
            views.addWidget(button)
        self._views.button(0).setChecked(True)
        self._views.idClicked.connect(self._view_chosen)
        self._method = QComboBox()
        self._method.setAccessibleName("How effects are estimated")
        for n, (method, words, help_) in enumerate(_METHODS):
            self._method.addItem(words, method)
            self._method.setItemData(n, help_, Qt.ItemDataRole.ToolTipRole)
        self._method.activated.connect(self._method_chosen)
        views.addStretch(1)
        views.addWidget(self._rest)
        views.addWidget(self._method)
        return views

    def _make_body(self) -> QWidget:
        """The list, the sums, or the path."""
        self._table = CauseTable()
        self._table.cause_chosen.connect(self._chosen)
        self._layers = SumBars("layer", "Sums by layer")
        self._layers.row_clicked.connect(self._layer_clicked)
        self._tokens = SumBars("token", "Sums by token")
        self._tokens.row_clicked.connect(self._token_clicked)
        sums = QWidget()
        both = QHBoxLayout(sums)
        both.setContentsMargins(0, 0, 0, 0)
        both.setSpacing(16)
        both.addWidget(self._layers, 1)
        both.addWidget(self._tokens, 1)
        body = QWidget()
        self._body = QStackedLayout(body)
        self._body.addWidget(self._table)
        self._body.addWidget(sums)
        self._path = PathView(self.store)
        self._body.addWidget(self._path)
        return body

    def _make_check(self) -> None:
        """What was estimated against what was measured."""
        self._scatter = Scatter("estimated", "measured")
        self._agreement = muted(QLabel(wordWrap=True))
        self._agreement.setFont(theme.small(theme.ui_font()))
        self._checked = QWidget()
        side = QVBoxLayout(self._checked)
        side.setContentsMargins(0, 0, 0, 0)
        side.setSpacing(4)
        side.addWidget(self._scatter, 1)
        side.addWidget(self._agreement)
        self._checked.setFixedWidth(210)
        self._checked.hide()

    def _make_foot(self) -> QHBoxLayout:
        """Whether it holds, and what to do about it."""
        self._verify = QPushButton("Check it")
        self._verify.setToolTip(
            f"Really switch off the first {why_actions.N_VERIFIED} features of the list, one at a "
            "time and together,\nand measure what becomes of the difference"
        )
        self._verify.clicked.connect(self._verify_first)
        self._verify_all = QPushButton("Check every layer")
        self._verify_all.setToolTip(
            "Switch off the five largest of every layer, one at a time, to see at which layers the "
            "picture can be relied on.\nOn the demo model, over five questions, estimated and "
            "measured effects correlated with 0.78;\nlayer by layer with 0.87 to 1.00 from layer "
            "20 on, and with less than 0.5 at layers 1 and 3"
        )
        self._verify_all.clicked.connect(self._verify_layers)
        self._off = QPushButton("Switch off in the rack")
        self._off.setToolTip("Put the selected features into the steering rack, switched off")
        self._off.clicked.connect(self._switch_off)
        self._note = muted(QLabel())
        foot = QHBoxLayout()
        foot.setSpacing(8)
        for widget in (self._verify, self._verify_all, self._off):
            foot.addWidget(widget)
        foot.addWidget(self._note, 1)
        return foot

    def focus_first(self) -> None:
        """The answer."""
        self._answer.setFocus()

    def render(self, state: AppState, fields: frozenset[str]) -> None:
        """Draw."""
        why = state.why
        self._here.setEnabled(state.trace is not None and state.model is not None)
        self._stack.setCurrentIndex(0 if why.explanation is None else 1)
        if "why" in fields:
            self._draw_question(why)
        if fields & {"why", "saes"} and why.explanation is not None:
            self._draw_found(state, why)
        self._path.render(state, fields)
        busy = state.busy("why", "verify", "runners", "path")
        stale = not why.is_current
        for widget in (self._table, self._scatter):
            widget.set_stale(stale or (state.busy("verify") and widget is self._scatter))
        self._note.setText(_note(state))
        for button in (self._verify, self._verify_all):
            button.setEnabled(why.is_current and not busy)

    def _draw_question(self, why: WhyState) -> None:
        runners = why.runners
        choices = [] if runners is None else [
            (text.replace("\n", "⏎"), (i,), percent(p))
            for i, text, p in zip(runners.ids, runners.texts, runners.probs, strict=True)
        ]  # fmt: skip
        self._answer.set_choices(choices, why.answer)
        self._instead.set_choices(choices, why.instead)
        self._method.setCurrentIndex([m for m, _, _ in _METHODS].index(why.method))

    def _draw_found(self, state: AppState, why: WhyState) -> None:
        assert why.explanation is not None
        found = why.explanation.attribution
        self._headline.setText(headline(state))
        self._about.setText(about_words(state))
        self._about.setVisible(why.about is not None)
        self._rest.set_share(1 - found.explained, unexplained_words(found))
        self._table.set_rows(cause_rows(state))
        if why.about is not None and self._about_shown != (why.about, found):
            self._about_shown = (why.about, found)
            self._table.choose(why.about)
        self._layers.set_rows(layer_rows(state))
        self._tokens.set_rows(token_rows(state))
        verification = why.verification
        on_path = self._views.checkedId() == _PATH
        self._checked.setVisible(verification is not None and not on_path)
        if verification is not None:
            self._scatter.set_points(
                verification.predicted.tolist(),
                verification.measured.tolist(),
                point_words(state),
            )
            self._agreement.setText(check_words(state))

    # ---- what a person does

    def _ask(self, **changes: object) -> None:
        self.store.act(why_actions.ask_words, **changes)

    @Slot()
    def _ask_here(self) -> None:
        self.store.act(why_actions.ask_about, self.store.state.selection.token)

    def _ask_example(self, example: why_actions.Example) -> None:
        self.store.act(why_actions.ask_example, example)

    @Slot()
    def _first_example(self) -> None:
        self._ask_example(why_actions.EXAMPLES[0])

    @Slot(int)
    def _method_chosen(self, index: int) -> None:
        self.store.act(why_actions.set_method, self._method.itemData(index))

    @Slot(int)
    def _view_chosen(self, index: int) -> None:
        self._body.setCurrentIndex(index)
        share = self._path.share() if index == _PATH else None
        self.store.act(why_actions.show_path, share)

    @Slot(object, int)
    def _chosen(self, feature: FeatureId, token: int) -> None:
        self.store.act(why_actions.look_at, feature, token)

    @Slot(int)
    def _layer_clicked(self, row: int) -> None:
        self.store.act(why_actions.look_at_layer, row)

    @Slot(int)
    def _token_clicked(self, token: int) -> None:
        self.store.act(why_actions.look_at, None, token)

    @Slot()
    def _verify_first(self) -> None:
        self.store.act(why_actions.verify)

    @Slot()
    def _verify_layers(self) -> None:
        self.store.act(why_actions.verify, every_layer=True)

    @Slot()
    def _switch_off(self) -> None:
        chosen = {row.feature for row in self._table.chosen()}
        self.store.act(why_actions.switch_off, tuple(sorted(chosen)))
        self.panel_wanted.emit("steering")


def _note(state: AppState) -> str:
    if state.busy("why"):
        return "following it back …"
    if state.busy("verify"):
        return "switching features off …"
    if state.busy("path"):
        return "following the path …"
    why = state.why
    if why.explanation is not None and why.explanation.question.prompt != state.prompt:
        return "about another prompt than the one above"
    left_out = why.explanation.attribution.left_out if why.explanation else ()
    return f"not explained: {', '.join(left_out)}" if left_out else ""

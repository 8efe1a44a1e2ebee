"""Flow: which features of earlier layers feed the selected one, and which later ones it feeds."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, QTimer, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QPushButton,
    QSpinBox,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.engine.flow_types import Way
from desktop_scope.gui import flow_actions
from desktop_scope.gui.birth_view import BirthView, verdict
from desktop_scope.gui.flow_words import check_words, heading, headline, ribbons
from desktop_scope.gui.panels.base import Panel
from desktop_scope.gui.state import AppState
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.elided_label import ElidedLabel
from desktop_scope.gui.widgets.empty_state import EmptyState
from desktop_scope.gui.widgets.numbers import spin
from desktop_scope.gui.widgets.painting import muted
from desktop_scope.gui.widgets.ribbons import RibbonView

_WAYS = (
    (Way.PROMPT, "on this prompt", "How much each brings to the other here: activation times\n"
     "slope, over all tokens and through attention and MLPs.\n"
     "≈ The slope is that of the model at this very text (a tangent): switching a feature\n"
     "really off may do more, or less. “Check by ablating” measures it."),
    (Way.MLPS, "through the MLPs", "What one unit of a feature does to another at this token,\n"
     "along the stream and through the MLPs between; attention is held as it is.\n"
     "≈ The norms and MLPs are replaced by their tangent at this text. All features are\n"
     "considered, whether they fire here or not."),
    (Way.WEIGHTS, "by weights alone", "Decoder row · encoder row: what one unit of a feature adds\n"
     "to another along the stream alone. It holds for every text, and leaves out what\n"
     "attention and MLPs do. Autoencoders that normalise their input divide it by the\n"
     "length of what they read."),
)  # fmt: skip


class FlowPanel(Panel):
    """Ribbons into the selected feature and out of it."""

    id = "flow"
    title = "Flow"
    column = "left"
    height = 54
    behind = "layers"
    draws_on = frozenset({"flow", "selection", "trace", "jobs", "model", "saes"})

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._in_sight = False
        self._way = QComboBox()
        self._way.setAccessibleName("Along which paths")
        for n, (_, words, help_) in enumerate(_WAYS):
            self._way.addItem(words)
            self._way.setItemData(n, help_, Qt.ItemDataRole.ToolTipRole)
        self._way.activated.connect(self._way_chosen)
        self._reach = spin(QSpinBox(), "How many layers before and after the feature’s own", 1, 99)
        self._reach.valueChanged.connect(self._reach_chosen)
        self._check = QPushButton("Check by ablating")
        self._check.setToolTip(
            "Really switch off each feature at the left, and see how far the one in the middle\n"
            "falls; then that one, and see how far those at the right fall. What was measured\n"
            "stands behind each estimate, in brackets."
        )
        self._check.clicked.connect(self._check_it)
        self._note = muted(ElidedLabel())
        top = QHBoxLayout()
        top.setSpacing(8)
        self._show_birth = tool_button(
            "Birth",
            "At which layer a concept can be read for the first time: of the selected feature, or\n"
            "of one that you give examples of",
            checkable=True,
        )
        self._show_birth.toggled.connect(self._birth_toggled)
        for widget in (self._show_birth, self._way, self._reach, self._check):
            top.addWidget(widget)
        top.addWidget(self._note, 1)
        self._view = RibbonView("What feeds the feature, and what it feeds")
        self._view.ribbon_chosen.connect(self._chosen)
        top.addWidget(self._view.menu.button)
        self._birth = BirthView(store)
        self._empty = EmptyState()
        self._empty.acted.connect(self._by_weights)
        body = QWidget()
        self._stack = QStackedLayout(body)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(self._view)
        self._stack.addWidget(self._birth)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 8)
        column.setSpacing(4)
        column.addLayout(top)
        column.addWidget(body, 1)

    def focus_first(self) -> None:
        """Walk along the ribbons."""
        self._view.setFocus()

    def seen(self, visible: bool) -> None:
        """Followed is what is selected while this panel is seen, and nothing behind its back."""
        self._in_sight = visible
        self._look()

    def _is_behind(self) -> bool:
        state = self.store.state
        return flow_actions.question_of(state) != state.flow.question

    @Slot()
    def _look(self) -> None:
        if self._in_sight and self._is_behind():
            self.store.act(flow_actions.follow)

    def render(self, state: AppState, fields: frozenset[str]) -> None:
        """Draw."""
        if self._in_sight and self._is_behind():
            QTimer.singleShot(0, self, self._look)
        look, flow = state.flow, state.flow.flow
        with QSignalBlocker(self._reach), QSignalBlocker(self._way):
            self._way.setCurrentIndex([way for way, *_ in _WAYS].index(look.way))
            self._reach.setValue(look.reach)
            self._reach.setSuffix(" layer away" if look.reach == 1 else " layers away")
            self._reach.setMaximum(max(state.model.n_layers - 1, 1) if state.model else 99)
        sentence = _sentence(state)
        ribbons_or_words = 0 if sentence[0] or flow is None else 1
        birth = self._show_birth.isChecked()
        self._stack.setCurrentIndex(2 if birth else ribbons_or_words)
        self._birth.render(state)
        for widget in (self._way, self._reach, self._check):
            widget.setVisible(not birth)
        self._view.menu.button.setVisible(self._stack.currentWidget() is self._view)
        self._empty.set_text(*sentence)
        busy = state.busy("flow", "flow-check")
        self._check.setEnabled(look.is_current and not busy and look.checked is None)
        note = (_note(state), _NOTE_HELP if look.checked else "")
        self._note.set_whole(*(verdict(state) if birth else note))
        self._view.set_stale(not look.is_current)
        if flow is not None and fields & {"flow", "saes"}:
            sides = (flow.upstream, flow.downstream)
            heads = (heading(sides[0], 0), heading(sides[1], 1))
            self._view.set_ribbons(
                headline(state, flow),
                heads,
                ribbons(state, flow, 0),
                ribbons(state, flow, 1),
                (sides[0].problem, sides[1].problem),
            )

    # ---- what a person does

    @Slot(int)
    def _way_chosen(self, index: int) -> None:
        self.store.act(flow_actions.set_way, _WAYS[index][0])

    @Slot(int)
    def _reach_chosen(self, reach: int) -> None:
        self.store.act(flow_actions.set_reach, reach)

    @Slot(bool)
    def _birth_toggled(self, _birth: bool) -> None:
        self.render(self.store.state, frozenset())

    @Slot()
    def _by_weights(self) -> None:
        if not self.store.state.saes:
            self.want_library()
        else:
            self.store.act(flow_actions.set_way, Way.WEIGHTS)

    @Slot()
    def _check_it(self) -> None:
        self.store.act(flow_actions.check)

    @Slot(int, int)
    def _chosen(self, side: int, place: int) -> None:
        flow = self.store.state.flow.flow
        if flow is not None:
            edges = (flow.upstream, flow.downstream)[side].edges
            self.store.act(flow_actions.go_to, edges[place])


_NOTE_HELP = (
    "Of the features that fire here: how well the order of the estimates agrees with that of\n"
    "what was measured (Spearman’s rank correlation, at most 1), and how often their sign does"
)


def _note(state: AppState) -> str:
    if state.busy("flow"):
        return "following …"
    if state.busy("flow-check"):
        return "switching features off …"
    check = state.flow.checked
    if check is not None:
        return check_words(check)
    steered = state.trace is not None and state.trace.interventions
    return "of the model without steering" if steered else ""


def _sentence(state: AppState) -> tuple[str, str]:
    """What to say where there is nothing to draw, and what a button says."""
    if state.model is not None and not state.saes:
        return "Open autoencoders of several layers: features feed each other there.", \
            "Open the library"  # fmt: skip
    if state.selection.feature is None or state.trace is None:
        return (
            "Where does a feature come from, and what comes of it? Select one: here stands which "
            "features of the layers before feed it, and which of the layers after it feeds.",
            "",
        )
    if flow_actions.question_of(state) is None:
        return (
            f"{state.name_of(state.selection.feature)} is silent on this prompt, so that nothing "
            "flows through it here. By its weights it can be followed all the same.",
            "Follow it by weights",
        )
    if state.flow.flow is None:
        return "Following the feature through the layers …", ""
    return "", ""

"""The path of an answer in the Why panel: a graph, and how much of it is shown."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, QTimer, Slot
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QSlider, QVBoxLayout, QWidget

from desktop_scope.experiments.graph_layout import Drawing, Node
from desktop_scope.gui import actions, why_actions
from desktop_scope.gui.state import AppState
from desktop_scope.gui.store import Store
from desktop_scope.gui.why_words import node_help, piece, spoken
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.graph_view import GraphView
from desktop_scope.gui.widgets.painting import muted, percent
from desktop_scope.wording import counted

_FIRST = 8  # percent
_PAUSE_MS = 250


class PathView(QWidget):
    """A graph with a slider for how much it shows."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._nodes: tuple[Node, ...] = ()
        self._slider = QSlider(Qt.Orientation.Horizontal)
        self._slider.setRange(1, 50)
        self._slider.setValue(_FIRST)
        self._slider.setFixedWidth(120)
        self._slider.setAccessibleName("Share of the features’ effects that the path shows")
        self._slider.setToolTip(
            "How much of what all features contribute, by size, the path shows; more of it takes "
            "longer to follow.\nPinned features are shown in any case."
        )
        self._pause = QTimer(self, singleShot=True, interval=_PAUSE_MS)
        self._pause.timeout.connect(self._commit)
        self._slider.valueChanged.connect(lambda _: self._pause.start())
        self._shown = muted(QLabel())
        self._grouped = QCheckBox("Group like labels")
        self._grouped.setToolTip(
            "Draw features at one token whose labels share words as one node: a model hands\n"
            "a thought on from layer to layer. Its effect is that of the largest among them."
        )
        self._grouped.setChecked(True)
        self._grouped.clicked.connect(self._commit)
        self._view = GraphView()
        self._view.node_clicked.connect(self._clicked)
        self._view.node_activated.connect(self._activated)
        head = QHBoxLayout()
        head.setSpacing(8)
        for widget in (self._slider, self._shown, self._grouped):
            head.addWidget(widget)
        head.addStretch(1)
        for text, help_, run in (
            ("−", "Smaller", lambda: self._view.zoom(1 / 1.3)),
            ("+", "Larger", lambda: self._view.zoom(1.3)),
            ("Fit", "Show all of it (double click on the ground)", self._view.fit),
        ):
            button = tool_button(text, help_, name=help_)
            button.clicked.connect(lambda _=False, run=run: run())
            head.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(head)
        column.addWidget(self._view, 1)

    def share(self) -> float:
        """What the slider says."""
        return self._slider.value() / 100

    def render(self, state: AppState, fields: frozenset[str]) -> None:  # type: ignore[override]
        """Draw."""
        why, drawing = state.why, state.why.drawing
        with QSignalBlocker(self._grouped):
            self._grouped.setChecked(why.grouped)
        if why.share is None:
            return
        stale = drawing is None or drawing.graph is not why.graph or state.busy("path")
        self._view.set_stale(stale or not why.is_current)
        if drawing is None or why.explanation is None:
            self._shown.setText("following …")
            return
        if drawing.nodes is not self._nodes:
            self._nodes = drawing.nodes
            self._view.set_drawing(drawing, *_words(state, drawing))
        n = len(drawing.graph.causes)
        share = float(why.explanation.shares[min(n, len(why.explanation.causes)) - 1])
        self._shown.setText(f"{counted(n, 'feature')}, {percent(share)} of all effects")
        pinned = {pin.feature for pin in state.pins}
        marked = [
            number
            for number, node in enumerate(self._nodes)
            if any(cause.feature in pinned for cause in node.causes)
        ]
        self._view.set_marks(frozenset(marked), self._chosen(state))

    def _chosen(self, state: AppState) -> int:
        """The node of the selected feature, at the selected token where there are several."""
        selection = state.selection
        found = [
            (cause.token != selection.token, number)
            for number, node in enumerate(self._nodes)
            for cause in node.causes
            if cause.feature == selection.feature
        ]
        return min(found)[1] if found else -1

    @Slot()
    def _commit(self) -> None:
        if self._store.state.why.share is not None:
            self._store.act(why_actions.show_path, self.share(), self._grouped.isChecked())

    @Slot(int)
    def _clicked(self, number: int) -> None:
        if number < 0:
            self._store.act(actions.select, feature=None)
            return
        node = self._nodes[number]
        feature = node.causes[0].feature if node.causes else None
        if node.token is not None:
            self._store.act(why_actions.look_at, feature, node.token)

    @Slot(int)
    def _activated(self, number: int) -> None:
        """Pin a feature, or let it go."""
        state, node = self._store.state, self._nodes[number]
        if node.causes and (label := state.why.labels.get(node.causes[0].feature)):
            feature = node.causes[0].feature
            known = state.opened.max_active if state.opened is not None else ()
            full = float(known[feature.sae][feature.index]) if known else float("nan")
            self._store.act(actions.toggle_pin, feature, label, full)


def _words(state: AppState, drawing: Drawing) -> tuple[list[str], list[str]]:
    """What stands in each box, and on hover."""
    assert state.why.explanation is not None
    said, other = spoken(state, state.why.explanation.attribution)
    words, helps = [], []
    for node in drawing.nodes:
        if node.token is None:
            words.append(f"“{said}” or “{other}”")
            helps.append(f"The answer: blue leads to “{said}”, orange to “{other}”")
        else:
            words.append(node.text if node.causes else piece(node.text))
            helps.append(node_help(state, node))
    return words, helps

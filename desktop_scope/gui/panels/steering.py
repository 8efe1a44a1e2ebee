"""Turn features up, down or off, see what that costs, and compare the answers."""

from __future__ import annotations

from PySide6.QtCore import Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.gui import actions, chat_actions, rack_actions, recipe_actions
from desktop_scope.gui.panels.base import Panel
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.steering import View
from desktop_scope.gui.steering.answers import Answers
from desktop_scope.gui.steering.controls import ControlsView
from desktop_scope.gui.steering.cost import CostLine
from desktop_scope.gui.steering.gallery import Gallery
from desktop_scope.gui.steering.rack import Rack
from desktop_scope.gui.steering.sampling import sampling_button, sampling_words
from desktop_scope.gui.steering.sweep import SweepView
from desktop_scope.gui.steering.vector import VectorView
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button

_VIEWS = (
    (View.DIALS, "Dials", "Features in the rack, and the answers with and without them"),
    (View.RECIPES, "Recipes", "What others tried, at one click; and saving your own"),
    (View.SWEEP, "Sweep", "What each strength brings, and what it costs"),
    (View.CONTROLS, "Controls", "Whether the feature did it, or any push of that size would"),
    (View.VECTOR, "Own vector", "A direction from your own texts, or from a file"),
)

_ROOMY = 460  # pixels


class SteeringPanel(Panel):
    """The rack with its answers; behind it recipes and experiments."""

    id = "steering"
    title = "Steering"
    column = "left"
    height = 54
    behind = "layers"
    draws_on = frozenset(
        {"rack", "steering", "recipes", "lab", "answer", "steered", "damage", "jobs", "prompt",
         "chat", "sampling", "model", "card", "selection", "trace"}
    )  # fmt: skip

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._unfolded = False
        self._rack = Rack(store)
        self._rack.turned.connect(self._turned)
        self._answers = Answers()
        self._others = (
            Gallery(store),
            SweepView(store),
            ControlsView(store),
            VectorView(store),
        )
        self._cost = CostLine()
        self._play = QPushButton("Answer")
        self._play.setToolTip("Answer with and without the rack: the same dice for both (Space)")
        self._play.clicked.connect(self._ask_or_stop)
        self._again = tool_button("Again", "")
        self._again.clicked.connect(self._ask_again)
        self._sampling = sampling_button(store)
        self._undo = tool_button("↶", "Undo the last change of the rack", name="Undo")
        self._undo.clicked.connect(self._undo_it)
        self._redo = tool_button("↷", "Redo what was undone", name="Redo")
        self._redo.clicked.connect(self._redo_it)
        self._clear = tool_button("Clear", "Take everything out of the rack")
        self._clear.clicked.connect(self._clear_rack)
        self._views = {view: tool_button(title, help_, True) for view, title, help_ in _VIEWS}
        group = QButtonGroup(self)
        for view, button in self._views.items():
            group.addButton(button)
            button.clicked.connect(lambda _=False, view=view: self._look_at(view))
        self._lay_out()

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(4)
        for button in self._views.values():
            head.addWidget(button)
        head.addStretch(1)
        for button in (self._undo, self._redo, self._clear):
            head.addWidget(button)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self._play)
        foot.addWidget(self._again)
        foot.addWidget(self._cost, 1)
        foot.addWidget(self._sampling)
        dials = QWidget()
        column = self._dials = QVBoxLayout(dials)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self._rack, 2)
        column.addLayout(foot)
        column.addWidget(self._answers, 3)
        self._stack = QStackedWidget()
        self._stack.addWidget(dials)
        for view in self._others:
            self._stack.addWidget(view)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(8, 4, 8, 8)
        whole.setSpacing(4)
        whole.addLayout(head)
        whole.addWidget(self._stack, 1)

    def focus_first(self) -> None:
        """What the view that is shown is about."""
        (self._rack, *self._others)[self._stack.currentIndex()].focus_first()

    def render(self, state: AppState, fields: frozenset[str]) -> None:
        """Draw."""
        view = state.steering.view
        self._views[view].setChecked(True)
        self._stack.setCurrentIndex(list(self._views).index(view))
        self._rack.render(state, fields)
        self._make_room(any(dial.key == state.steering.unfolded for dial in state.rack))
        for other in self._others:
            other.render(state, fields)
        self._answers.render(state, fields)
        self._cost.show_cost(state, self._rack.turning)
        self._undo.setEnabled(bool(state.steering.undo))
        self._redo.setEnabled(bool(state.steering.redo))
        self._clear.setEnabled(bool(state.rack))
        self._sampling.setText(sampling_words(state.sampling))
        answering = state.busy("generate")
        asks = state.model is not None and bool(state.prompt.text.strip())
        self._play.setText("Stop" if answering else "Answer")
        self._play.setEnabled(asks)
        drawn = state.sampling.temperature > 0
        self._again.setEnabled(asks and drawn and state.answer is not None and not answering)
        self._again.setToolTip(
            "Answer again with other dice"
            if drawn
            else "At temperature 0 the answer is always the same: raise it first"
        )

    def _make_room(self, unfolded: bool) -> None:
        """Of a low panel a dial's details take the place of the answers."""
        self._unfolded = unfolded
        self._dials.setStretch(0, 5 if unfolded else 2)
        self._answers.setVisible(not unfolded or self.size().height() >= _ROOMY)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """There may be room for the answers now."""
        super().resizeEvent(event)
        self._make_room(self._unfolded)

    def _look_at(self, view: View) -> None:
        self.store.act(rack_actions.look_at, view)
        if view is View.RECIPES and not self.store.state.recipes.looks:
            self.store.act(recipe_actions.look)

    @Slot()
    def _turned(self) -> None:
        self._cost.show_cost(self.store.state, turning=True)

    @Slot()
    def _ask_or_stop(self) -> None:
        self._rack.commit()
        self.store.act(actions.stop if self.store.state.busy("generate") else actions.ask)

    @Slot()
    def _ask_again(self) -> None:
        self._rack.commit()
        self.store.act(chat_actions.ask_again)

    @Slot()
    def _clear_rack(self) -> None:
        self.store.act(actions.clear_rack)

    @Slot()
    def _undo_it(self) -> None:
        self.store.act(rack_actions.undo)

    @Slot()
    def _redo_it(self) -> None:
        self.store.act(rack_actions.redo)

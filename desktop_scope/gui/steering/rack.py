"""The rack: a dial for each feature or vector, the details of one of them below it."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QScrollArea, QStackedLayout, QVBoxLayout, QWidget

from desktop_scope.engine.types import Mode
from desktop_scope.gui import actions, lab_actions, rack_actions
from desktop_scope.gui.naming import with_number
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.dials import Dial as DialState
from desktop_scope.gui.states.dials import Key, size_of
from desktop_scope.gui.steering.details import Details
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.dial import Dial
from desktop_scope.gui.widgets.empty_state import EmptyState
from desktop_scope.gui.widgets.turn_slider import REACH

_TURN_ENDS_MS = 800  # after the last move of a dial: what follows is undone by itself
_NO_LIMIT = 16_777_215  # Qt's own
_OF_A_VECTOR = (Mode.ADD, Mode.PROJECT)  # it is never "active", so nothing else makes sense


class Rack(QWidget):
    """All dials.

    Signals:
        turned: A dial is being turned: what was measured does not hold any more.
    """

    turned = Signal()

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._dials: dict[Key, Dial] = {}
        self._turned: dict[Key, float] = {}
        self._turn = QTimer(self, singleShot=True, interval=_TURN_ENDS_MS)
        self._goes_on = False  # what is turned now belongs to what was turned before
        self._unfolded: Key | None = None
        self._details = Details(store)
        self._details.hide()
        self._column = QVBoxLayout()
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self._column.addWidget(self._details)
        self._column.addStretch(1)
        rack = QWidget()
        rack.setLayout(self._column)
        self._scroll = QScrollArea(widgetResizable=True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroll.setWidget(rack)
        self._empty = EmptyState(
            "Put a feature here to turn it up, down or off, and see what the model says then. "
            "Or begin with a recipe.",
            "Steer the selected feature",
        )
        self._empty.acted.connect(self._add_selected)
        self._stack = QStackedLayout(self)
        self._stack.setContentsMargins(0, 0, 0, 0)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(self._scroll)

    def focus_first(self) -> None:
        """The first dial, or the button that fills the rack."""
        (next(iter(self._dials.values()), None) or self._empty).setFocus()

    @property
    def turning(self) -> bool:
        """Whether a dial was turned and what that costs is not even asked for yet."""
        return bool(self._turned)

    def render(self, state: AppState, fields: frozenset[str]) -> None:  # type: ignore[override]
        """Draw."""
        if fields & {"rack", "steering", "model", "lab"}:
            self._draw_rack(state)
            self._stack.setCurrentIndex(1 if state.rack else 0)
        self._details.render(state, fields)
        self._fit()
        if self._turned and fields & {"damage", "jobs"} and _has_followed(state):
            QTimer.singleShot(0, self, self.commit)  # not while the state is being drawn

    def _draw_rack(self, state: AppState) -> None:
        wanted = {dial.key for dial in state.rack}
        for key in [key for key in self._dials if key not in wanted]:
            dial = self._dials.pop(key)
            self._turned.pop(key, None)
            self._column.removeWidget(dial)
            dial.hide()
            dial.deleteLater()
        self._column.removeWidget(self._details)
        unfolded = state.steering.unfolded
        for place, one in enumerate(state.rack):
            dial = self._dials.get(one.key) or self._new_dial(one)
            if self._column.indexOf(dial) != place:
                self._column.insertWidget(place, dial)
            push = one.max_active / one.median_norm
            dial.set_label(self._name_of(one), one.feature is not None and one.label.doubtful)
            dial.set_unit(one.unit, size_of(one.unit, one), push)
            if dial.mode() is not one.mode:
                dial.set_mode(one.mode)
            if one.key not in self._turned:
                dial.set_value(one.strength)
            dial.set_on(one.enabled)
            dial.set_safe(*(lab_actions.safe_strengths(state, one) or (-REACH, REACH)))
            dial.set_unfolded(one.key == unfolded)
        self._place_details(state)

    def _place_details(self, state: AppState) -> None:
        """Below their dial; and what the rack does not need is the answers’."""
        unfolded = state.steering.unfolded
        place = next((n for n, one in enumerate(state.rack) if one.key == unfolded), None)
        self._details.setVisible(place is not None)
        if place is not None:
            self._column.insertWidget(place + 1, self._details)
        else:
            self._column.insertWidget(len(state.rack), self._details)
        if unfolded != self._unfolded:
            self._unfolded = unfolded
            QTimer.singleShot(0, self, self._show_details)
        self._fit()

    @Slot()
    def _show_details(self) -> None:
        if self._details.isVisible():
            self._scroll.ensureWidgetVisible(self._details, 0, 0)

    @Slot()
    def _fit(self) -> None:
        content = self._scroll.widget()
        self.setMaximumHeight(content.sizeHint().height() + 4 if self._dials else _NO_LIMIT)

    def _name_of(self, one: DialState) -> str:
        name = self._store.state.name_of(one.feature) if one.feature is not None else ""
        label = with_number(one.label, name) if name else one.label.text
        return label + ("" if one.known else "  (× the strongest in your text)")

    def _new_dial(self, one: DialState) -> Dial:
        key = one.key
        dial = Dial(self._name_of(one), tuple(Mode) if one.feature is not None else _OF_A_VECTOR)
        self._dials[key] = dial

        def turned(value: float) -> None:
            self._turned[key] = value
            self._goes_on = self._goes_on and self._turn.isActive()
            self._turn.start()
            self.turned.emit()
            if _has_followed(self._store.state):
                self.commit()

        def fold(shown: bool) -> None:
            self._store.act(rack_actions.unfold, key if shown else None)

        dial.value_changed.connect(turned)
        dial.on_changed.connect(lambda on: self._store.act(actions.change_dial, key, enabled=on))
        dial.mode_changed.connect(lambda mode: self._store.act(rack_actions.set_mode, key, mode))
        dial.unfolded.connect(fold)
        dial.removed.connect(lambda: self._store.act(actions.remove_dial, key))
        if one.feature is not None:
            dial.label_clicked.connect(lambda: self._store.act(actions.select, feature=one.feature))
        return dial

    @Slot()
    def commit(self) -> None:
        """Take the dials as they stand.

        While a dial turns that is done as often as the engine can follow: when it has measured the
        last strengths, and read the prompt with them.
        """
        turned, self._turned = self._turned, {}
        if turned:
            goes_on, self._goes_on = self._goes_on, True
            self._store.act(rack_actions.turn, turned, goes_on)

    @Slot()
    def _add_selected(self) -> None:
        card = self._store.state.card
        if card is not None:
            self._store.act(actions.add_dial, card.feature, card.label, card.max_active)


def _has_followed(state: AppState) -> bool:
    """Whether the engine is done with the strengths that it was last given."""
    damage = state.damage
    measured = damage is not None and damage.interventions == state.interventions
    return (measured or not state.busy("damage")) and not state.busy("trace")

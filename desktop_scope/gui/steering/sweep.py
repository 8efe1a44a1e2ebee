"""Effect against cost over strengths, and the best strength that costs no more than allowed."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.engine.cost_types import STRAINED_KL
from desktop_scope.experiments.types import Interval, Sweep, SweepPoint
from desktop_scope.gui import lab_actions
from desktop_scope.gui.state import AppState
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.curves import Curve, Curves
from desktop_scope.gui.widgets.empty_state import EmptyState
from desktop_scope.gui.widgets.numbers import spin
from desktop_scope.gui.widgets.painting import number, percent

WORDS_HELP = (
    "The effect is told by how much likelier these words become; left empty, they are taken from\n"
    "what the features fire on and promote. Separate them by commas."
)


class SweepView(QWidget):
    """The curves, what is known of one point, and what begins a sweep."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._curves = Curves("Effect and cost over strengths")
        self._curves.current_changed.connect(self._look_at)
        self._curves.taken.connect(self._take)
        self._unit: float | None = None  # the strength that a factor of 1 means
        self._empty = EmptyState()
        self._point = QLabel(wordWrap=True)
        self._point.setTextFormat(Qt.TextFormat.PlainText)
        self._point.setMinimumHeight(3 * self._point.fontMetrics().height())
        self._point.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._words = QLineEdit(placeholderText="words that tell the effect: its own")
        self._words.setAccessibleName("Words that tell the effect")
        self._words.setToolTip(WORDS_HELP)
        self._limit = spin(
            QDoubleSpinBox(),
            "What it may cost: KL on neutral texts; up to about 0.4 they stayed fluent",
            0.01,
            10,
        )
        self._limit.setSingleStep(0.1)
        self._limit.setValue(STRAINED_KL)
        self._limit.setPrefix("KL at most ")
        self._run = QPushButton("Sweep")
        self._run.setToolTip("Try ten strengths, from the wrong sign to three times as strong")
        self._run.clicked.connect(self._sweep)
        self._find = QPushButton("Find the best strength")
        self._find.setToolTip("Turn it up until the cost passes what you allow, and go back")
        self._find.clicked.connect(self._search)
        self._lay_out()

    def _lay_out(self) -> None:
        body = QWidget()
        self._stack = QStackedLayout(body)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(self._curves)
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self._words, 1)
        for widget in (self._limit, self._run, self._find):
            foot.addWidget(widget)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(body, 1)
        column.addWidget(self._point)
        column.addLayout(foot)

    def focus_first(self) -> None:
        """Walk the points with the arrow keys."""
        self._curves.setFocus()

    def render(self, state: AppState, fields: frozenset[str]) -> None:  # type: ignore[override]
        """Draw."""
        if not fields & {"lab", "rack", "jobs", "steering", "model"}:
            return
        sweep, running = state.lab.sweep, state.lab.sweeping is not None
        shown = sweep is not None and bool(sweep.points)
        self._stack.setCurrentIndex(1 if shown else 0)
        self._empty.set_text(
            "Trying strengths …"
            if running
            else "See what each strength brings and what it costs: put a feature into the rack, "
            "then sweep."
        )
        self._run.setText("Stop" if running else "Sweep")
        self._run.setEnabled(running or bool(state.interventions))
        self._find.setEnabled(not running and bool(state.interventions))
        if sweep is not None and shown:
            self._draw(state, sweep)
        else:
            self._point.setText("")

    def _draw(self, state: AppState, sweep: Sweep) -> None:
        now = lab_actions.factor_of(sweep, state.interventions)
        self._unit = lab_actions.strength_of_one(sweep, state.rack)
        one = self._unit or 1.0
        self._curves.set_curves(
            [point.factor * one for point in sweep.points],
            (
                Curve(
                    "Effect: how much likelier its words become (nats)",
                    tuple(point.effect for point in sweep.points),
                ),
                Curve(
                    "Cost: KL on neutral texts (nats per token); shaded: safe",
                    tuple(point.kl for point in sweep.points),
                    sweep.limit,
                ),
            ),
            sweep.safe and (sweep.safe[0] * one, sweep.safe[1] * one),
            now if now is None else now * one,
        )
        if sweep.words:
            self._words.setPlaceholderText(f"words that tell the effect: {', '.join(sweep.words)}")
        self._curves.set_stale(now is None)
        points = [point.factor for point in sweep.points]
        if self._curves.current() < 0 and sweep.best in points:
            self._curves.set_current(points.index(sweep.best))
        self._point.setText(_summary(sweep, self._curves.current(), now is None, self._unit))

    @Slot(int)
    def _look_at(self, _point: int) -> None:
        sweep = self._store.state.lab.sweep
        if sweep is not None:
            now = lab_actions.factor_of(sweep, self._store.state.interventions)
            self._point.setText(_summary(sweep, self._curves.current(), now is None, self._unit))

    @Slot(int)
    def _take(self, point: int) -> None:
        sweep = self._store.state.lab.sweep
        if sweep is not None and 0 <= point < len(sweep.points):
            self._store.act(lab_actions.take_factor, sweep.points[point].factor)

    @Slot()
    def _sweep(self) -> None:
        self._begin(search=False)

    @Slot()
    def _search(self) -> None:
        self._begin(search=True)

    def _begin(self, search: bool) -> None:
        if self._store.state.lab.sweeping is not None:
            self._store.act(lab_actions.stop_studies)
            return
        words = lab_actions.words_in(self._words.text())
        self._curves.set_current(-1)
        self._store.act(lab_actions.sweep, words, round(self._limit.value(), 2), search)


def _summary(sweep: Sweep, current: int, other: bool, unit: float | None) -> str:
    def said(factor: float) -> str:
        return f"×{number(factor * unit)}" if unit else f"{number(factor)} times what was set then"

    lines = []
    if other:
        lines.append("This was measured for something else than what is in the rack now.")
    elif sweep.best is not None and sweep.finished:
        lines.append(
            f"The best strength within KL {sweep.limit:g}: {said(sweep.best)}. Click a point to "
            "take its strength."
        )
    elif sweep.finished:
        lines.append(f"No strength that was tried does it within KL {sweep.limit:g}.")
    if 0 <= current < len(sweep.points):
        point = sweep.points[current]
        lines.append(f"{said(point.factor)}: {_point_words(point)}")
    return "\n".join(lines)


def _point_words(point: SweepPoint) -> str:
    text = " ".join(point.text.split())
    return (
        f"{point.word}, effect {interval_words(point.effect)}, KL "
        f"{interval_words(point.kl)}, says them in {percent(point.said.mean)} of its words, "
        f"repeats {percent(point.repetition.mean)}: “{text[:160]}”"
    )


def interval_words(value: Interval) -> str:
    """``1.24 (0.98 to 1.51)``."""
    return f"{number(value.mean)} ({number(value.low)} to {number(value.high)})"

"""One row to turn a feature up, down or off."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

import math

from PySide6.QtCore import QSignalBlocker, QSize, Qt, Signal, Slot
from PySide6.QtGui import QFont, QFontMetrics, QResizeEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from desktop_scope.engine.types import Mode
from desktop_scope.gui import theme
from desktop_scope.gui.states.dials import FACTORS, TURNS, Unit
from desktop_scope.gui.widgets.buttons import dimmed_button, tool_button
from desktop_scope.gui.widgets.painting import muted, number
from desktop_scope.gui.widgets.turn_slider import STEPS, TurnSlider

MODES = {
    Mode.ADD: (
        "Turn",
        "Turn up or down: adds the feature’s direction, or takes it away (add)",
    ),
    Mode.CLAMP: (
        "Hold",
        "Hold the feature at this value, whatever the text does (clamp)",
    ),
    Mode.SCALE: (
        "Scale",
        "Multiply the feature where it fires: 2 doubles it, 0.5 halves it; where it is silent\n"
        "nothing changes (scale)",
    ),
    Mode.ABLATE: (
        "Switch off",
        "Take the feature’s own contribution away wherever it fires (ablate)",
    ),
    Mode.PROJECT: (
        "Take out",
        "Take out whatever lies along the feature’s direction, also what other features write\n"
        "there: 0 takes all of it, 1 none (project out)",
    ),
    Mode.STOP: (
        "Stop there",
        "Change nothing: the answer ends where the rule fires",
    ),
}
_PREFIX = {Unit.MAX: "×", Unit.PUSH: "push ", Unit.ABSOLUTE: ""}
_MOST = 100.0  # maxima: more is a slip


class _Strength(QDoubleSpinBox):
    """A number written ×1.50 or ×−0.75."""

    def __init__(self) -> None:
        super().__init__()
        self.setRange(-10, 10)
        self.setDecimals(2)
        self.setSingleStep(0.1)
        self.setPrefix("×")
        self.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.setKeyboardTracking(False)
        self.lineEdit().setTextMargins(4, 0, 6, 0)  # style sheets do not reach it
        self.setFont(theme.figures(QFont()))  # of the interface's size, whatever that becomes
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        width = self.fontMetrics().horizontalAdvance("push −0.00")
        return QSize(width + 16, self._height())

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def _height(self) -> int:
        return self.fontMetrics().height() + 10

    def textFromValue(self, value: float) -> str:
        return f"{value:.{self.decimals()}f}".replace("-", "−")

    def valueFromText(self, text: str) -> float:
        return super().valueFromText(_plain(text))

    def validate(self, text: str, position: int) -> object:
        state, _, at = super().validate(_plain(text), position)
        return state, text, at


def _plain(text: str) -> str:
    """What Qt can read: a hyphen for a minus, as people type it too."""
    return text.replace("−", "-")


class Dial(QWidget):
    """A row of the steering rack.

    The value is in multiples of the feature's own maximum: +1 adds as much as the strongest
    activation ever seen, 0 changes nothing, −1 takes that much away. Where the mode scales it is a
    factor.

    Signals:
        value_changed: The user set another value.
        on_changed: The user put the row in or out of action.
        mode_changed: The user chose what else is to be done.
        unfolded: The user wants to see the details, or no longer.
        removed: The user wants the row gone.
        label_clicked: The user clicked the feature's name.
    """

    value_changed = Signal(float)
    on_changed = Signal(bool)
    mode_changed = Signal(object)
    unfolded = Signal(bool)
    removed = Signal()
    label_clicked = Signal()

    def __init__(
        self, label: str = "", modes: tuple[Mode, ...] = tuple(Mode), parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._label_text = label
        self._value = 0.0
        self._mode = Mode.ADD
        self._unit, self._one = Unit.MAX, 1.0  # what one of the unit is, in multiples
        self._push = math.nan  # of a value of 1
        self._on = QCheckBox()
        self._on.setChecked(True)
        self._on.setToolTip(self.tr("In action: compare by switching it out and in"))
        self._label = QPushButton()
        self._label.setFlat(True)
        self._label.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._label.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._label.setMinimumWidth(80)
        self._slider = TurnSlider()
        self._slider.setToolTip(
            self.tr(
                "How far, in multiples of its strongest activation seen.\n"
                "Double-click for no change. Dotted: answers became unsound when tried."
            )
        )
        self._spin = _Strength()
        self._aside = muted(QLabel())
        self._aside.setToolTip(
            self.tr(
                "Push: how long the added vector is, measured against what usually flows there\n"
                "(the median length of the residual stream). It tells the effect best: 0.2 to 0.4\n"
                "is usually seen and still fluent."
            )
        )
        self._aside.setFont(theme.figures(QFont()))
        self._what = QComboBox()
        for mode in modes:
            self._what.addItem(MODES[mode][0], mode)
            self._what.setItemData(
                self._what.count() - 1, MODES[mode][1], Qt.ItemDataRole.ToolTipRole
            )
        self._what.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self._what.setMinimumContentsLength(5)  # its list is as wide as it needs to be
        self._what.view().setMinimumWidth(110)
        self._more = tool_button(
            "⋯", self.tr("Where and when it acts, and what the strength is shown in"), True
        )
        self._remove = tool_button("✕", self.tr("Remove this row"))
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 2, 8, 2)
        row.setSpacing(8)
        row.addWidget(self._on)
        row.addWidget(self._label, 4)
        row.addWidget(self._slider, 3)
        for widget in (self._spin, self._aside, self._what, self._more, self._remove):
            row.addWidget(widget)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_label(label)
        self.set_mode(Mode.ADD)
        self._slider.valueChanged.connect(self._slid)
        self._spin.valueChanged.connect(self._typed)
        self._on.toggled.connect(self._turned_on)
        self._what.activated.connect(self._chose)
        self._more.toggled.connect(self._unfolded)
        self._remove.clicked.connect(self._removed)
        self._label.clicked.connect(self._label_was_clicked)

    # -- content --------------------------------------------------------------------------------

    def set_label(self, label: str, doubtful: bool = False) -> None:
        """Name the feature: “dogs and pets · L17/3988”; in grey, where that is doubtful."""
        dimmed_button(self._label, doubtful)
        if label == self._label_text and self._label.text():
            return
        self._label_text = label
        for widget, name in (
            (self._on, self.tr("{0}: in action")),
            (self._label, self.tr("{0}: show this feature")),
            (self._slider, self.tr("{0}: how far to turn")),
            (self._spin, self.tr("{0}: how far to turn, as a number")),
            (self._spin.lineEdit(), self.tr("{0}: how far to turn, as a number")),
            (self._what, self.tr("{0}: what to do with it")),
            (self._more, self.tr("{0}: details")),
            (self._remove, self.tr("{0}: remove")),
        ):
            widget.setAccessibleName(name.format(label))
        self._label.setToolTip(label)
        self._elide()

    def set_value(self, value: float) -> None:
        """Set how far to turn. Emits nothing."""
        self._value = value
        with QSignalBlocker(self._slider), QSignalBlocker(self._spin):
            self._spin.setValue(value / self._shown_one())
            self._slider.setValue(round(value * STEPS))
        self._draw_aside()

    def set_mode(self, mode: Mode) -> None:
        """Say what is done with it. Emits nothing."""
        self._mode = mode
        self._what.setCurrentIndex(self._what.findData(mode))
        self._what.setToolTip(MODES[mode][1])
        self._dress()
        self._enable()

    def set_unit(self, unit: Unit, one: float, push: float) -> None:
        """Say what the number is shown in. Emits nothing.

        Args:
            one: What one of the unit is, in multiples of the maximum.
            push: What a value of 1 pushes; nan if unknown.
        """
        self._unit, self._one = (unit, one) if math.isfinite(one) else (Unit.MAX, 1.0)
        self._push = push
        self._dress()

    def set_on(self, on: bool) -> None:
        """Put the row in or out of action. Emits nothing."""
        with QSignalBlocker(self._on):
            self._on.setChecked(on)
        self._enable()

    def set_unfolded(self, unfolded: bool) -> None:
        """Whether its details are shown. Emits nothing."""
        with QSignalBlocker(self._more):
            self._more.setChecked(unfolded)

    def set_safe(self, low: float, high: float) -> None:
        """The multiples between which answers stayed sound."""
        self._slider.set_safe(low, high)

    def value(self) -> float:
        """How far to turn, in multiples of the feature's maximum; or a factor."""
        return self._value

    def mode(self) -> Mode:
        """What is done with it."""
        return self._mode

    def is_on(self) -> bool:
        """Whether the row is in action."""
        return self._on.isChecked()

    def label(self) -> str:
        """The feature's name."""
        return self._label_text

    def sizeHint(self) -> QSize:
        return QSize(640, 36)

    # -- inside ---------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        room = max(40, self._label.width() - 14)
        measure = QFontMetrics(self._label.font())
        middle = Qt.TextElideMode.ElideMiddle  # the number at the end matters
        self._label.setText(measure.elidedText(self._label_text, middle, room))

    def _shown_one(self) -> float:
        return self._one if self._mode in TURNS else 1.0

    def _dress(self) -> None:
        """The number in its unit."""
        unit = self._unit if self._mode in TURNS else Unit.MAX
        one = self._shown_one()
        with QSignalBlocker(self._spin):
            self._spin.setPrefix(_PREFIX[unit])
            self._spin.setDecimals(1 if unit is Unit.ABSOLUTE else 2)
            self._spin.setSingleStep({Unit.MAX: 0.1, Unit.PUSH: 0.02, Unit.ABSOLUTE: 1.0}[unit])
            self._spin.setRange(-_MOST / one, _MOST / one)
        self.set_value(self._value)

    def _draw_aside(self) -> None:
        push = abs(self._value) * self._push
        if self._mode is not Mode.ADD or not math.isfinite(push):
            words = ""
        elif self._unit is Unit.PUSH:
            words = f"×{number(self._value)}"
        else:
            words = f"push {number(push)}"
        self._aside.setText(words)
        self._aside.setFixedWidth(self._aside.fontMetrics().horizontalAdvance("push 00.00"))

    def _enable(self) -> None:
        turns = self.is_on() and self._mode in TURNS | FACTORS
        self._slider.setEnabled(turns)
        self._spin.setEnabled(turns)
        self._what.setEnabled(self.is_on())

    @Slot(int)
    def _slid(self, steps: int) -> None:
        self._value = steps / STEPS
        with QSignalBlocker(self._spin):
            self._spin.setValue(self._value / self._shown_one())
        self._draw_aside()
        self.value_changed.emit(self._value)

    @Slot(float)
    def _typed(self, value: float) -> None:
        self._value = value * self._shown_one()
        with QSignalBlocker(self._slider):
            self._slider.setValue(round(self._value * STEPS))
        self._draw_aside()
        self.value_changed.emit(self._value)

    @Slot(bool)
    def _turned_on(self, on: bool) -> None:
        self._enable()
        self.on_changed.emit(on)

    @Slot()
    def _chose(self) -> None:
        mode = Mode(self._what.currentData())  # Qt gives back a plain text
        if mode is not self._mode:
            self.mode_changed.emit(mode)

    @Slot(bool)
    def _unfolded(self, unfolded: bool) -> None:
        self.unfolded.emit(unfolded)

    @Slot()
    def _removed(self) -> None:
        self.removed.emit()

    @Slot()
    def _label_was_clicked(self) -> None:
        self.label_clicked.emit()

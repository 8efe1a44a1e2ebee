"""One row to turn a feature up, down or off."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSignalBlocker, QSize, Qt, Signal, Slot
from PySide6.QtGui import (
    QFont,
    QFontMetrics,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QSlider,
    QToolButton,
    QWidget,
)

from desktop_scope.gui import theme

REACH = 3  # multiples of the feature's own maximum, either way
STEPS = 20  # slider steps per multiple
DETENT = 0.08  # closer to nothing than this is nothing


class TurnSlider(QSlider):
    """A slider with nothing in its middle, filled from there to the handle."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._safe = (-float(REACH), float(REACH))
        self.setRange(-REACH * STEPS, REACH * STEPS)
        self.setSingleStep(STEPS // 10)
        self.setPageStep(STEPS // 2)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(200, 28)

    def minimumSizeHint(self) -> QSize:
        return QSize(96, 28)

    def set_safe(self, low: float, high: float) -> None:
        """The range within which answers stayed sound; dotted beyond."""
        self._safe = (low, high)
        self.update()

    def _groove(self) -> QRectF:
        return QRectF(8, self.height() / 2 - 3, max(1, self.width() - 16), 2)

    def x_of(self, multiple: float) -> float:
        """Where a multiple lies."""
        groove = self._groove()
        return groove.left() + (multiple + REACH) / (2 * REACH) * groove.width()

    def _value_at(self, x: float) -> int:
        groove = self._groove()
        multiple = (x - groove.left()) / groove.width() * 2 * REACH - REACH
        return 0 if abs(multiple) < DETENT else round(multiple * STEPS)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.setSliderDown(True)
            self.setValue(self._value_at(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self.isSliderDown():
            self.setValue(self._value_at(event.position().x()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self.setSliderDown(False)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.setValue(0)

    def paintEvent(self, event: QPaintEvent) -> None:
        # Left open by an exception, a painter would crash Qt: hence "with".
        with QPainter(self) as painter:
            self._draw(painter)

    def _draw(self, painter: QPainter) -> None:
        t = theme.tokens()
        groove, y = self._groove(), self._groove().center().y()
        ink = t.accent if self.isEnabled() else t.faint
        low, high = (self.x_of(min(max(edge, -REACH), REACH)) for edge in self._safe)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        dotted = QPen(t.faint, 2, Qt.PenStyle.DotLine)
        for left, right, pen in (
            (groove.left(), low, dotted),
            (low, high, QPen(t.line, 2)),
            (high, groove.right(), dotted),
        ):
            if right > left:
                painter.setPen(pen)
                painter.drawLine(QPointF(left, y), QPointF(right, y))
        for multiple in range(-REACH, REACH + 1):
            x = round(self.x_of(multiple)) + 0.5
            painter.setPen(QPen(t.faint if multiple else t.muted, 1))
            painter.drawLine(QPointF(x, y + 6), QPointF(x, y + (9 if multiple else 12)))
        x = self.x_of(self.value() / STEPS)
        painter.setPen(QPen(ink, 2))
        painter.drawLine(QPointF(self.x_of(0), y), QPointF(x, y))
        if self.hasFocus():
            painter.setPen(QPen(t.faint, 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(QPointF(x, y), 8.5, 8.5)
        painter.setPen(QPen(t.surface, 1.5))
        painter.setBrush(ink)
        painter.drawEllipse(QPointF(x, y), 6, 6)


class _Multiple(QDoubleSpinBox):
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
        return QSize(self.fontMetrics().horizontalAdvance("×−00.00") + 24, self._height())

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def _height(self) -> int:
        return self.fontMetrics().height() + 10

    def textFromValue(self, value: float) -> str:
        return f"{value:.2f}".replace("-", "−")

    def valueFromText(self, text: str) -> float:
        return super().valueFromText(_plain(text))

    def validate(self, text: str, position: int) -> object:
        state, _, at = super().validate(_plain(text), position)
        return state, text, at


def _plain(text: str) -> str:
    """What Qt can read: a hyphen for a minus, as people type it too."""
    return text.replace("−", "-")


class Dial(QWidget):
    """A feature's row in the steering panel.

    The value is in multiples of the feature's own maximum: +1 adds as much as the strongest
    activation ever seen, 0 changes nothing, −1 takes that much away.

    Signals:
        value_changed: The user set another value.
        on_changed: The user put the row in or out of action.
        ablate_changed: The user chose to switch the feature off altogether, or no longer.
        removed: The user wants the row gone.
        label_clicked: The user clicked the feature's name.
    """

    value_changed = Signal(float)
    on_changed = Signal(bool)
    ablate_changed = Signal(bool)
    removed = Signal()
    label_clicked = Signal()

    def __init__(self, label: str = "", value: float = 0.0, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._label_text = label
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
                "Turn the feature up or down, in multiples of its strongest activation seen.\n"
                "Double-click for no change. Dotted: answers became unsound when tried."
            )
        )
        self._spin = _Multiple()
        self._off = QToolButton()
        self._off.setText(self.tr("Switch off"))
        self._off.setCheckable(True)
        self._off.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._off.setToolTip(
            self.tr("Take the feature's own contribution away wherever it fires (ablation)")
        )
        self._remove = QToolButton()
        self._remove.setText("✕")
        self._remove.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 2, 8, 2)
        row.setSpacing(8)
        row.addWidget(self._on)
        row.addWidget(self._label, 3)
        row.addWidget(self._slider, 4)
        row.addWidget(self._spin)
        row.addWidget(self._off)
        row.addWidget(self._remove)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_label(label)
        self.set_value(value)
        self._slider.valueChanged.connect(self._slid)
        self._spin.valueChanged.connect(self._typed)
        self._on.toggled.connect(self._turned_on)
        self._off.toggled.connect(self._switched_off)
        self._remove.clicked.connect(self._removed)
        self._label.clicked.connect(self._label_was_clicked)

    # -- content --------------------------------------------------------------------------------

    def set_label(self, label: str) -> None:
        """Name the feature: “dogs and pets · L17/3988”."""
        self._label_text = label
        for widget, name in (
            (self._on, self.tr("{0}: in action")),
            (self._label, self.tr("{0}: show this feature")),
            (self._slider, self.tr("{0}: how far to turn")),
            (self._spin, self.tr("{0}: how far to turn, as a number")),
            (self._spin.lineEdit(), self.tr("{0}: how far to turn, as a number")),
            (self._off, self.tr("{0}: switch off")),
            (self._remove, self.tr("{0}: remove")),
        ):
            widget.setAccessibleName(name.format(label))
        self._label.setToolTip(label)
        self._remove.setToolTip(self.tr("Remove this row"))
        self._elide()

    def set_value(self, multiple: float) -> None:
        """Set how far to turn. Emits nothing."""
        with QSignalBlocker(self._slider), QSignalBlocker(self._spin):
            self._spin.setValue(multiple)
            self._slider.setValue(round(multiple * STEPS))

    def set_on(self, on: bool) -> None:
        """Put the row in or out of action. Emits nothing."""
        with QSignalBlocker(self._on):
            self._on.setChecked(on)
        self._enable()

    def set_ablated(self, ablated: bool) -> None:
        """Switch the feature off altogether, or not. Emits nothing."""
        with QSignalBlocker(self._off):
            self._off.setChecked(ablated)
        self._enable()

    def set_safe(self, low: float, high: float) -> None:
        """The multiples between which answers stayed sound."""
        self._slider.set_safe(low, high)

    def value(self) -> float:
        """How far to turn, in multiples of the feature's maximum."""
        return float(self._spin.value())

    def is_on(self) -> bool:
        """Whether the row is in action."""
        return self._on.isChecked()

    def is_ablated(self) -> bool:
        """Whether the feature is switched off altogether."""
        return self._off.isChecked()

    def label(self) -> str:
        """The feature's name."""
        return self._label_text

    def sizeHint(self) -> QSize:
        return QSize(560, 36)

    # -- inside ---------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        room = max(40, self._label.width() - 14)
        measure = QFontMetrics(self._label.font())
        middle = Qt.TextElideMode.ElideMiddle  # the number at the end matters
        self._label.setText(measure.elidedText(self._label_text, middle, room))

    def _enable(self) -> None:
        turns = self.is_on() and not self.is_ablated()
        self._slider.setEnabled(turns)
        self._spin.setEnabled(turns)
        self._off.setEnabled(self.is_on())

    @Slot(int)
    def _slid(self, steps: int) -> None:
        with QSignalBlocker(self._spin):
            self._spin.setValue(steps / STEPS)
        self.value_changed.emit(steps / STEPS)

    @Slot(float)
    def _typed(self, value: float) -> None:
        with QSignalBlocker(self._slider):
            self._slider.setValue(round(value * STEPS))
        self.value_changed.emit(value)

    @Slot(bool)
    def _turned_on(self, on: bool) -> None:
        self._enable()
        self.on_changed.emit(on)

    @Slot(bool)
    def _switched_off(self, ablated: bool) -> None:
        self._enable()
        self.ablate_changed.emit(ablated)

    @Slot()
    def _removed(self) -> None:
        self.removed.emit()

    @Slot()
    def _label_was_clicked(self) -> None:
        self.label_clicked.emit()

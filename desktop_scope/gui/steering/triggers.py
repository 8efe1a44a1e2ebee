"""The features that a rule looks at: any of them suffices."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from desktop_scope.engine.types import FeatureId, Rule
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.numbers import spin
from desktop_scope.gui.widgets.painting import muted

Names = Callable[[FeatureId], str]


class Triggers(QWidget):
    """A line for each trigger: its name, its threshold, and what takes it out again.

    Signals:
        raised: (feature, threshold) The user set another one.
        shown: (feature) The user wants to see it.
        removed: (feature) The rule is not to look at it any more.
    """

    raised = Signal(object, float)
    shown = Signal(object)
    removed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._lines: dict[FeatureId, _Line] = {}
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(2)

    def show_rule(self, rule: Rule, name_of: Names) -> None:
        """Show a rule's triggers."""
        features = [trigger.feature for trigger in rule.triggers]
        if features != list(self._lines):
            self._make_lines(features, name_of)
        for trigger in rule.triggers:
            box = self._lines[trigger.feature].above
            with QSignalBlocker(box):
                box.setValue(trigger.above)

    def _make_lines(self, features: list[FeatureId], name_of: Names) -> None:
        for line in self._lines.values():
            self._column.removeWidget(line)
            line.hide()
            line.deleteLater()
        self._lines = {}
        for number, feature in enumerate(features):
            line = self._lines[feature] = _Line(name_of(feature), "or" if number else "if")
            line.above.valueChanged.connect(lambda value, f=feature: self.raised.emit(f, value))
            line.name.clicked.connect(lambda _=False, f=feature: self.shown.emit(f))
            line.remove.clicked.connect(lambda _=False, f=feature: self.removed.emit(f))
            line.remove.setVisible(len(features) > 1)
            self._column.addWidget(line)


class _Line(QWidget):
    def __init__(self, feature: str, word: str) -> None:
        super().__init__()
        self.name: QToolButton = tool_button(feature, "Show this feature")
        self.above = spin(QDoubleSpinBox(), f"Threshold for {feature}", 0, 1e6)
        self.above.setPrefix("exceeds ")
        self.remove: QToolButton = tool_button(
            "×", "The rule is not to look at it any more", name=f"Remove {feature} from the rule"
        )
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        label = muted(QLabel(word))
        label.setFixedWidth(label.fontMetrics().horizontalAdvance("or "))
        for widget in (label, self.name, self.above, self.remove):
            row.addWidget(widget)
        row.addStretch(1)

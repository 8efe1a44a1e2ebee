"""The features that a rule looks at: any of them suffices."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QDoubleSpinBox, QGridLayout, QLabel, QToolButton, QWidget

from desktop_scope.engine.types import FeatureId, Rule
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.numbers import spin
from desktop_scope.gui.widgets.painting import muted

Names = Callable[[FeatureId], str]
_WIDTH = 150


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
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(2)

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
            for widget in line:
                self._grid.removeWidget(widget)
                widget.hide()
                widget.deleteLater()
        self._lines = {}
        for row, feature in enumerate(features):
            line = self._lines[feature] = _line(name_of(feature), "or" if row else "if")
            line.above.valueChanged.connect(lambda value, f=feature: self.raised.emit(f, value))
            line.name.clicked.connect(lambda _=False, f=feature: self.shown.emit(f))
            line.remove.clicked.connect(lambda _=False, f=feature: self.removed.emit(f))
            for column, widget in enumerate(line):
                self._grid.addWidget(widget, row, column)
            line.remove.setVisible(len(features) > 1)  # not before it is in the window


class _Line(NamedTuple):
    word: QLabel
    name: QToolButton
    above: QDoubleSpinBox
    remove: QToolButton


def _line(feature: str, word: str) -> _Line:
    above = spin(QDoubleSpinBox(), f"Threshold for {feature}", 0, 1e6)
    above.setPrefix("exceeds ")
    above.setMaximumWidth(_WIDTH)
    help_ = "The rule is not to look at it any more"
    remove = tool_button("×", help_, name=f"Remove {feature} from the rule")
    name = tool_button(feature, "Show this feature")
    return _Line(muted(QLabel(word)), name, above, remove)

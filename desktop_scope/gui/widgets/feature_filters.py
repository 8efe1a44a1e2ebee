"""Which features are listed: layers, how often they fire, their labels, the user's own lists."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PySide6.QtCore import QSignalBlocker, Qt, Signal, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.evidence.marks.types import STARS
from desktop_scope.gui.widgets.painting import muted, percent

_DENSITY_STEPS = 40  # of the slider: 0.01 % … 100 %, logarithmic
_SCORES = (0.0, 0.6, 0.7, 0.8, 0.9)
_KINDS = (
    ("", "any kind"),
    ("token", "single words"),
    ("phrase", "phrases"),
    ("topic", "topics"),
    ("syntax", "grammar"),
    ("position", "positions"),
    ("format", "markup"),
    ("various", "mixed"),
    ("other", "others"),
)


@dataclass(frozen=True)
class Chosen:
    """What the filters let through."""

    layers: tuple[int, int]
    max_density: float
    min_score: float
    on_list: str
    of_kind: str


class FeatureFilters(QWidget):
    """Two lines of filters.

    Signals:
        changed: (what was changed, its new value), as the state calls it.
    """

    changed = Signal(str, object)

    def __init__(self) -> None:
        super().__init__()
        self._lists: tuple[str, ...] | None = None
        self._first = _layer_box("First layer listed")
        self._last = _layer_box("Last layer listed")
        for box in (self._first, self._last):
            box.valueChanged.connect(self._layers_set)
        self._density = QSlider(Qt.Orientation.Horizontal)
        self._density.setAccessibleName("Hide features that fire on a larger share of tokens")
        self._density.setToolTip(
            "Features that fire nearly everywhere say little.\n"
            "Those that fire on a larger share of tokens than this are hidden."
        )
        self._density.setRange(0, _DENSITY_STEPS)
        self._density.setMaximumWidth(120)
        self._density.valueChanged.connect(self._density_set)
        self._density_text = muted(QLabel())
        self._density_text.setMinimumWidth(132)
        above = QHBoxLayout()
        above.setSpacing(8)
        above.addWidget(muted(QLabel("layers")))
        above.addWidget(self._first)
        above.addWidget(muted(QLabel("to")))
        above.addWidget(self._last)
        above.addStretch(1)
        above.addWidget(self._density_text)
        above.addWidget(self._density)

        self._score = _combo(
            "Only labels that were scored at least so high",
            "How well a label predicts where its feature fires on held-out text:\n"
            "balanced accuracy, 0.5 is no better than chance. Labels not tried yet are hidden.",
        )
        for score in _SCORES:
            self._score.addItem(f"score ≥ {score}" if score else "any score", score)
        self._kind = _combo("Only labels of this kind", "What sort of thing the label speaks of")
        for kind, text in _KINDS:
            self._kind.addItem(text, kind)
        self._list = _combo("Only features on this list", "Your stars and lists")
        for combo, what in (
            (self._score, "min_score"),
            (self._kind, "of_kind"),
            (self._list, "on_list"),
        ):
            combo.activated.connect(
                lambda _, combo=combo, what=what: self.changed.emit(what, combo.currentData())
            )
        below = QHBoxLayout()
        below.setSpacing(8)
        for combo in (self._score, self._kind, self._list):
            below.addWidget(combo, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addLayout(above)
        column.addLayout(below)

    def set_layers(self, n_layers: int) -> None:
        """The model has so many."""
        for box in (self._first, self._last):
            box.setMaximum(n_layers - 1)

    def set_lists(self, names: tuple[str, ...]) -> None:
        """The user has these lists."""
        if names == self._lists:
            return
        self._lists, chosen = names, self._list.currentData()
        self._list.clear()
        self._list.addItem("all features", "")
        self._list.addItem("★ starred", STARS)
        for name in names:
            if name != STARS:
                self._list.addItem(name, name)
        self._list.setCurrentIndex(max(self._list.findData(chosen or ""), 0))

    def set_chosen(self, chosen: Chosen) -> None:
        """Show what is let through. Emits nothing."""
        for box, value in zip((self._first, self._last), chosen.layers, strict=True):
            with QSignalBlocker(box):
                box.setValue(value)
        with QSignalBlocker(self._density):
            self._density.setValue(_step_of(chosen.max_density))
        share = percent(chosen.max_density)
        everywhere = chosen.max_density >= 1
        self._density_text.setText("any density" if everywhere else f"firing on ≤ {share}")
        for combo, value in (
            (self._score, chosen.min_score),
            (self._kind, chosen.of_kind),
            (self._list, chosen.on_list),
        ):
            combo.setCurrentIndex(max(combo.findData(value), 0))

    @Slot()
    def _layers_set(self) -> None:
        layers = (self._first.value(), max(self._first.value(), self._last.value()))
        self.changed.emit("layers", layers)

    @Slot(int)
    def _density_set(self, step: int) -> None:
        self.changed.emit("max_density", _density_of(step))


def _combo(name: str, help_: str) -> QComboBox:
    combo = QComboBox()
    combo.setAccessibleName(name)
    combo.setToolTip(help_)
    combo.setMinimumContentsLength(8)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return combo


def _layer_box(name: str) -> QSpinBox:
    box = QSpinBox()
    box.setAccessibleName(name)
    box.setToolTip(name)
    box.setMaximum(10_000)
    box.lineEdit().setTextMargins(4, 0, 4, 0)
    box.setFixedWidth(52)
    return box


def _density_of(step: int) -> float:
    return float(10 ** (-4 + 4 * step / _DENSITY_STEPS))


def _step_of(density: float) -> int:
    return round((math.log10(max(density, 1e-4)) + 4) / 4 * _DENSITY_STEPS)

"""Draw every widget in light and dark to PNG files, to look at them.

Usage: python tests/gui/gallery.py FOLDER [NAME …]; QT_SCALE_FACTOR=2 for the other scale.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from PySide6.QtCore import QAbstractTableModel, QModelIndex, Qt
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QRadioButton,
    QSlider,
    QSpinBox,
    QTabBar,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.engine.types import Mode
from desktop_scope.evidence.types import Example
from desktop_scope.gui import theme
from desktop_scope.gui.states.dials import Unit
from desktop_scope.gui.widgets.bar_list import BarList, PromotesList
from desktop_scope.gui.widgets.dial import Dial
from desktop_scope.gui.widgets.empty_state import EmptyState
from desktop_scope.gui.widgets.example_list import ExampleList
from desktop_scope.gui.widgets.heat_cells import Scale
from desktop_scope.gui.widgets.heat_map import HeatMap
from desktop_scope.gui.widgets.histogram import Histogram
from desktop_scope.gui.widgets.line_plot import LinePlot
from desktop_scope.gui.widgets.message_strip import MessageStrip
from desktop_scope.gui.widgets.painting import number, percent
from desktop_scope.gui.widgets.strength_bar import FRACTION_ROLE, StrengthBarDelegate
from desktop_scope.gui.widgets.strength_legend import StrengthLegend
from desktop_scope.gui.widgets.token_view import TokenView

PROMPT = (
    "<|im_start|>|system|\n|You| are| a| helpful| assistant|.|<|im_end|>|\n|<|im_start|>|user|\n|"
    "My| chi|hua|hua| bar|ks| at| presidents|.| Why|?|<|im_end|>|\n|<|im_start|>|assistant|\n"
)
ANSWER = (
    "A| dog| that| bar|ks| is| usually| alert|,| ex|cited| or| afraid|.| Try|:|\n\n|  |-| reward|"
    " quiet|<0xF0>|<0x9F>|<0x90>|\t|x|;"
)


def split(text: str) -> list[str]:
    """Tokens written with bars between them."""
    marked = text.replace("<|im_start|>", "<S>").replace("<|im_end|>", "<E>")
    back = {"<S>": "<|im_start|>", "<E>": "<|im_end|>"}
    return [back.get(part, part) for part in marked.split("|") if part]


def token_view() -> QWidget:
    view = TokenView()
    prompt, answer = split(PROMPT), split(ANSWER)
    texts = prompt + answer
    masked = np.zeros(len(texts), bool)
    masked[[0, 11]] = True
    values = np.zeros(len(texts), np.float32)
    start = texts.index(" chi")
    values[start : start + 8] = [3.1, 11, 24, 19, 12, 2, 6, 1]
    values[len(prompt) + 1 : len(prompt) + 8] = [22, 4, 9, 13, 0, 3, 0]
    values[len(prompt) - 3] = 24
    view.set_tokens(texts, masked, len(prompt))
    view.set_values(values, 24.0)
    rng = np.random.default_rng(1)
    pins = [
        (name, rng.random(len(texts)) ** 4, theme.pinned_color(i))
        for i, name in enumerate(["noise and sound", "heads of state"])
    ]
    view.set_pinned(pins)
    view.set_current(start + 2)
    view.set_hovered(len(prompt) + 1)
    view.resize(620, 300)
    return view


def _layers(n_layers: int, n_tokens: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    values = rng.random((n_layers, n_tokens)) ** 9 * 8
    layer = np.arange(n_layers)[:, None]
    for token, width, size in ((6, 5, 24), (8, 7, 18), (15, 4, 12)):
        values[:, [token % n_tokens]] += size * np.exp(-(((layer - 17) / width) ** 2))
    return values.astype(np.float32)


def heat_map() -> QWidget:
    texts = split(PROMPT) + split(ANSWER)
    view = HeatMap()
    masked = np.zeros(len(texts), bool)
    masked[[0, 11]] = True
    values = _layers(30, len(texts)) * ~masked
    view.set_data(values, 24, masked, None, texts)
    match = np.exp(-(((np.arange(30) - 17) / 11) ** 2))
    view.set_row_alpha(match)
    view.set_row_notes([f"{m:.2f}" for m in match])
    view.set_current(17, 6)
    view.set_hovered(12, 30)
    view.resize(680, 320)
    return view


def heat_map_long() -> QWidget:
    view = HeatMap()
    values = np.tile(_layers(48, 64), (1, 8))
    view.set_data(values, 24, None, None, [" word"] * 512)
    view.set_current(20, 200)
    view.resize(680, 260)
    return view


def heat_map_short() -> QWidget:
    view = HeatMap()
    view.set_data(
        _layers(12, 10) - 5,
        20,
        None,
        None,
        split("The| dog| bar|ks| at| the| presidents| of|."),
        Scale.SIGNED,
    )
    view.set_current(5, 3)
    view.resize(680, 180)
    return view


def line_plot() -> QWidget:
    texts = split(PROMPT) + split(ANSWER)
    view = LinePlot()
    values = _layers(30, len(texts))
    names = ["dogs and pets", "noise and sound", "heads of state"]
    view.set_lines([(n, values[14 + i], theme.pinned_color(i)) for i, n in enumerate(names)], texts)
    view.set_current(6)
    view.resize(680, 110)
    return view


def histogram() -> QWidget:
    view = Histogram()
    at = np.arange(24)
    counts = (1800 * np.exp(-(((at - 9) / 6) ** 2))).astype(int)
    counts[-2:] = (3, 1)
    view.set_counts(counts, np.geomspace(0.4, 26, 25))
    view.set_marker(11.0)
    view.resize(320, 96)
    return view


class _Cells(QAbstractTableModel):
    ROWS = (
        (17, "dogs and pets", 24.1, 1.0),
        (12, "animals in a home", 15.3, 0.62),
        (22, "noise and sound", 8.25, 0.34),
        (26, "words after a comma", 2.04, 0.08),
        (29, "heads of state", 0.42, 0.02),
    )

    def rowCount(self, parent=QModelIndex()) -> int:  # noqa: B008
        return len(self.ROWS)

    def columnCount(self, parent=QModelIndex()) -> int:  # noqa: B008
        return 3

    def data(self, index, role=Qt.ItemDataRole.DisplayRole):
        layer, label, value, fraction = self.ROWS[index.row()]
        if role == FRACTION_ROLE:
            return fraction
        if role == Qt.ItemDataRole.DisplayRole:
            return (f"L{layer}", label, number(value))[index.column()]
        return None

    def headerData(self, section, orientation, role=Qt.ItemDataRole.DisplayRole):
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return ("Layer", "Label", "Strength")[section]
        return None


def strength_bars() -> QWidget:
    view = QTableView()
    view.setModel(_Cells(view))
    view.setItemDelegateForColumn(2, StrengthBarDelegate(view))
    view.verticalHeader().hide()
    view.verticalHeader().setDefaultSectionSize(26)
    view.setShowGrid(False)
    view.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
    for column, width in enumerate((56, 180, 180)):
        view.setColumnWidth(column, width)
    view.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
    view.horizontalHeader().setHighlightSections(False)
    view.selectRow(1)
    view.resize(420, 170)
    return view


def bar_list() -> QWidget:
    view = BarList("Next token", clickable=True)
    rows = [(" dog", 0.42), (" cat", 0.21), (" puppy", 0.083), ("\n", 0.031), ("<|im_end|>", 0.004)]
    view.set_rows(rows, 1.0, grey=True, write=percent)
    view.resize(320, 130)
    return view


def promotes() -> QWidget:
    view = PromotesList(clickable=True)
    view.set_rows(
        [(" dog", 1.82), (" dogs", 1.77), ("Dog", 1.5), (" puppy", 1.21), (" canine", 0.93)],
        [
            (" treaty", -0.71),
            (" Parliament", -0.66),
            ("国", -0.52),
            (" per", -0.5),
            ("ously", -0.31),
        ],
    )
    view.resize(420, 150)
    return _padded(view)


def _padded(widget: QWidget) -> QWidget:
    outside = QWidget()
    column = QVBoxLayout(outside)
    column.addWidget(widget)
    outside.resize(widget.width() + 24, widget.height() + 24)
    return outside


def dials() -> QWidget:
    outside = QWidget()
    column = QVBoxLayout(outside)
    column.setSpacing(0)
    first = Dial("dogs and pets · L17/3988")
    first.set_unit(Unit.MAX, 1.0, 0.22)
    first.set_value(1.5)
    first.set_safe(-1.8, 2.1)
    second = Dial("formal language in letters and complaints to an office · L22/512")
    second.set_value(-0.75)
    third = Dial("noise and sound · L12/77")
    third.set_mode(Mode.ABLATE)
    fourth = Dial("heads of state · L9/1203")
    fourth.set_value(2.2)
    fourth.set_on(False)
    for dial in (first, second, third, fourth):
        column.addWidget(dial)
    column.addStretch()
    outside.resize(760, 180)
    return outside


def _examples() -> list[Example]:
    rng = np.random.default_rng(2)
    sentences = (
        "Children| learn| early| that| our| old| pu|ppy| and| the| other| DOG|s| of| the| street|"
        " play| together| in| the| park| after| school|.",
        "She| walked| her| chi|hua|hua| DOWN| to| the| river| every| morning| before| work|,|\n|"
        "rain| or| shine|,| and| met| the| same| people|.",
        "The| vet| said| the| ter|rier| should| rest|.",
    )
    found = []
    for n, (text, peak, value, band) in enumerate(
        zip(sentences * 2, (11, 5, 5, 7, 3, 2), (25.9, 24.2, 22.8, 13.1, 12.6, 11.9),
            ("top",) * 3 + ("mid",) * 3, strict=True)
    ):  # fmt: skip
        texts = tuple(text.split("|"))
        values = (rng.random(len(texts)) ** 8 * 10).astype(np.float32)
        values[peak], values[max(peak - 1, 0)] = value, value * 0.6
        found.append(Example(texts, values, peak, value - n * 0, band))
    return found


def examples() -> QWidget:
    view = ExampleList()
    view.set_examples(_examples(), 26.0)
    view.resize(440, 260)
    return view


def message_strip() -> QWidget:
    outside = QWidget()
    column = QVBoxLayout(outside)
    column.setContentsMargins(0, 0, 0, 0)
    strip = MessageStrip()
    strip.show_message("The model was loaded with 2 of 4 threads.", kind="news")
    strip.show_message(
        "The SAE for layer 12 does not fit this model.",
        "It was made for 768 numbers per token, and the model has 576. Choose another SAE.",
        "Traceback (most recent call last):\n  File …\nScopeError: d_in 768 != 576",
    )
    column.addWidget(strip)
    column.addStretch()
    outside.resize(640, 130)
    return outside


def empty_state() -> QWidget:
    view = EmptyState(
        "Click a token, and the features that light up on it appear here.", "Try an example"
    )
    view.resize(380, 180)
    return view


def legend() -> QWidget:
    outside = QWidget()
    row = QHBoxLayout(outside)
    one, two = StrengthLegend(), StrengthLegend()
    one.set_range(25.9)
    two.set_range(1.5, signed=True)
    row.addWidget(one)
    row.addWidget(two)
    row.addStretch()
    outside.resize(380, 44)
    return outside


def controls() -> QWidget:
    """Qt's own widgets, as the theme dresses them."""
    outside = QWidget()
    grid = QGridLayout(outside)
    combo, radio, field = QComboBox(), QRadioButton("chat"), QLineEdit()
    combo.addItems(["SmolLM2-135M-Instruct", "another"])
    radio.setChecked(True)
    field.setPlaceholderText("search features")
    default, disabled, tool = QPushButton("Run"), QPushButton("Run"), QToolButton()
    default.setDefault(True)
    disabled.setEnabled(False)
    tool.setText("pin")
    tool.setCheckable(True)
    tool.setChecked(True)
    progress, slider, tabs = QProgressBar(), QSlider(Qt.Orientation.Horizontal), QTabBar()
    progress.setValue(40)
    slider.setValue(30)
    for name in ("Features", "Next token", "Lens"):
        tabs.addTab(name)
    text = QPlainTextEdit("My chihuahua barks at presidents.")
    for n, widget in enumerate(
        (combo, radio, field, default, disabled, tool, QPushButton("Plain"), QSpinBox(),
         QCheckBox("compare"), progress, slider, tabs)
    ):  # fmt: skip
        grid.addWidget(widget, n // 3, n % 3)
    grid.addWidget(text, 4, 0, 1, 3)
    field.setFocus()
    outside.resize(640, 260)
    return outside


def stale() -> QWidget:
    view = token_view()
    view.set_stale(True)
    return view


GALLERY: dict[str, Callable[[], QWidget]] = {
    function.__name__: function
    for function in (
        token_view, stale, heat_map, heat_map_long, heat_map_short, line_plot, histogram,
        strength_bars, bar_list, promotes, dials, examples, message_strip,
        empty_state, legend, controls,
    )
}  # fmt: skip


def main() -> None:
    """Write the pictures."""
    app = QApplication(sys.argv[:1])
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    names = sys.argv[2:] or list(GALLERY)
    scale = os.environ.get("QT_SCALE_FACTOR", "1")
    for scheme in ("light", "dark"):
        theme.apply(app, scheme)
        for name in names:
            widget = GALLERY[name]()
            widget.show()
            app.processEvents()
            widget.grab().save(str(folder / f"{name}-{scheme}-{scale}.png"))
            widget.close()
            widget.deleteLater()


if __name__ == "__main__":
    main()

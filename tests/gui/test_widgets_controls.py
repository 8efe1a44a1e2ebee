"""Dial, lists, messages and empty states, through setters and signals."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QModelIndex, QPoint, Qt
from PySide6.QtGui import (
    QAccessible,
    QColor,
    QGuiApplication,
    QPalette,
    QStandardItem,
    QStandardItemModel,
)
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QLabel,
    QListWidget,
    QPlainTextEdit,
    QPushButton,
    QStyleOptionViewItem,
    QTableView,
    QToolButton,
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
from desktop_scope.gui.widgets.heat_map import HeatMap
from desktop_scope.gui.widgets.line_plot import LinePlot
from desktop_scope.gui.widgets.message_strip import MessageStrip
from desktop_scope.gui.widgets.painting import number, percent
from desktop_scope.gui.widgets.pin_bar import PinBar
from desktop_scope.gui.widgets.row_list import Row, RowList
from desktop_scope.gui.widgets.strength_bar import FRACTION_ROLE, StrengthBarDelegate
from desktop_scope.gui.widgets.tables import DIM_ROLE, Greying
from desktop_scope.gui.widgets.token_view import TokenView
from desktop_scope.gui.widgets.turn_slider import TurnSlider

LEFT = Qt.MouseButton.LeftButton


def shown(qtbot, widget, width=420, height=200):
    qtbot.addWidget(widget)
    widget.resize(width, height)
    with qtbot.waitExposed(widget):
        widget.show()
    return widget


def button(parent: QWidget, text: str) -> QToolButton | QPushButton:
    found = [
        one
        for kind in (QToolButton, QPushButton)
        for one in parent.findChildren(kind)
        if one.text() == text and one.isVisible()
    ]
    return found[0]


@pytest.fixture
def dial(qtbot, qapp):
    theme.apply(qapp, "light")
    return shown(qtbot, Dial("dogs and pets · L17/3988"), 760, 40)


def test_sliding_and_typing_agree(dial):
    seen = []
    dial.value_changed.connect(seen.append)
    slider = dial.findChild(TurnSlider)
    at = QPoint(round(slider.x_of(1.5)), slider.height() // 2)
    QTest.mouseClick(slider, LEFT, pos=at)
    assert seen == [pytest.approx(1.5, abs=0.05)]
    assert dial.value() == seen[-1]
    spin = dial.findChild(QDoubleSpinBox)
    assert spin.lineEdit().width() > 40  # Qt 6.11 can leave it a single pixel
    assert spin.text() == f"×{seen[-1]:.2f}"
    spin.setFocus()
    spin.selectAll()
    QTest.keyClicks(spin, "-2.25")
    QTest.keyClick(spin, Qt.Key.Key_Return)
    assert seen[-1] == dial.value() == -2.25
    assert slider.value() == -45


def test_nothing_has_a_detent(dial):
    dial.set_value(1)
    slider = dial.findChild(TurnSlider)
    QTest.mouseClick(slider, LEFT, pos=QPoint(round(slider.x_of(0.06)), 14))
    assert dial.value() == 0
    dial.set_value(1)
    QTest.mouseDClick(slider, LEFT, pos=QPoint(20, 14))
    assert dial.value() == 0


def test_keys_turn_the_dial(dial):
    slider = dial.findChild(TurnSlider)
    slider.setFocus()
    QTest.keyClick(slider, Qt.Key.Key_Right)
    assert dial.value() == pytest.approx(0.1)
    QTest.keyClick(slider, Qt.Key.Key_PageUp)
    assert dial.value() == pytest.approx(0.6)
    QTest.keyClick(slider, Qt.Key.Key_Home)
    assert dial.value() == -3


def test_setting_a_dial_is_silent(dial, qtbot):
    with (
        qtbot.assertNotEmitted(dial.value_changed),
        qtbot.assertNotEmitted(dial.on_changed),
        qtbot.assertNotEmitted(dial.mode_changed),
        qtbot.assertNotEmitted(dial.unfolded),
    ):
        dial.set_value(2)
        dial.set_on(False)
        dial.set_mode(Mode.ABLATE)
        dial.set_unit(Unit.PUSH, 4.0, 0.25)
        dial.set_unfolded(True)
    assert (dial.value(), dial.is_on(), dial.mode()) == (2, False, Mode.ABLATE)


def test_a_dial_switches_off_and_goes(dial, qtbot):
    slider = dial.findChild(TurnSlider)
    what = dial.findChild(QComboBox)
    with qtbot.waitSignal(dial.mode_changed) as seen:
        what.setCurrentText("Switch off")
        what.activated.emit(what.currentIndex())
    assert seen.args == [Mode.ABLATE]
    dial.set_mode(Mode.ABLATE)
    assert not slider.isEnabled()
    dial.set_mode(Mode.SCALE)
    assert slider.isEnabled()
    with qtbot.waitSignal(dial.removed):
        button(dial, "✕").click()
    with qtbot.waitSignal(dial.label_clicked):
        button(dial, "dogs and pets · L17/3988").click()


def test_a_strength_is_shown_in_the_unit_chosen(dial):
    """A maximum of 40 where 160 usually flow: push 0.25."""
    seen = []
    dial.value_changed.connect(seen.append)
    dial.set_value(1.4)
    dial.set_unit(Unit.MAX, 1.0, 0.25)
    spin, texts = dial.findChild(QDoubleSpinBox), dial.findChildren(QLabel)
    assert spin.text() == "×1.40"
    assert [label.text() for label in texts] == ["push 0.35"]
    dial.set_unit(Unit.PUSH, 4.0, 0.25)
    assert spin.text() == "push 0.35"
    assert [label.text() for label in texts] == ["×1.40"]
    spin.setValue(0.5)
    assert seen == [2.0]
    dial.set_unit(Unit.ABSOLUTE, 1 / 40, 0.25)
    assert spin.text() == "80.0"
    dial.set_mode(Mode.SCALE)  # a factor has no unit
    assert spin.text() == "×2.00"
    assert [label.text() for label in texts] == [""]


def test_a_unit_that_is_not_known_falls_back_to_multiples(dial):
    dial.set_value(1.0)
    dial.set_unit(Unit.PUSH, float("nan"), float("nan"))
    assert dial.findChild(QDoubleSpinBox).text() == "×1.00"


def test_a_long_name_is_cut_but_told(dial):
    name = "formal language in letters and complaints to a public office · L22/512"
    dial.set_label(name)
    dial.resize(600, 40)
    texts = [one.text() for one in dial.findChildren(QPushButton)]
    assert name not in texts
    assert dial.label() == name
    assert dial.findChild(QPushButton).toolTip() == name


def examples() -> list[Example]:
    texts = tuple(f" word{i}" for i in range(30))
    found = []
    for band, peak, value in (("mid", 3, 9.0), ("top", 25, 20.0), ("top", 2, 18.0)):
        values = np.zeros(30, np.float32)
        values[peak] = value
        found.append(Example(texts, values, peak, value, band))
    return found


def test_examples_come_in_sections(qtbot):
    view = shown(qtbot, ExampleList())
    view.set_examples(examples(), 20)
    model = view.model()
    rows = [
        model.index(i).data(Qt.ItemDataRole.AccessibleTextRole) for i in range(model.rowCount())
    ]
    assert rows[0] == "Strongest"
    assert rows[1].startswith("“word25”: activation 20.0, 100 % of the maximum")
    assert rows[3].startswith("Mid-range")
    assert len(rows) == 5


@pytest.mark.parametrize("width", [220, 420, 900])
def test_the_peak_is_in_sight_however_narrow(qtbot, width):
    view = shown(qtbot, ExampleList(), width)
    view.set_examples(examples(), 20)
    rect = view.visualRect(view.model().index(1))
    image = view.viewport().grab(rect).toImage()
    fill = theme.tokens().fill_strength
    seen = [
        image.pixelColor(x, 7) == fill or image.pixelColor(x, 8) == fill
        for x in range(image.width())
    ]
    assert sum(seen) > 20


def test_the_height_of_a_row_is_known_before_it_is_laid_out(qtbot):
    view = shown(qtbot, ExampleList(), height=600)
    view.set_examples(examples(), 20)
    for row in range(view.model().rowCount()):
        rect, snippet = view.visualRect(view.model().index(row)), view.snippet(row)
        assert rect.height() == view.row_height(row)
        assert snippet is None or snippet.height + 8 == rect.height()


def test_clicking_an_example_hands_it_over(qtbot):
    view = shown(qtbot, ExampleList())
    given = examples()
    view.set_examples(given, 20)
    seen = []
    view.example_clicked.connect(seen.append)
    for row in (0, 1):
        at = view.visualRect(view.model().index(row)).center()
        QTest.mouseClick(view.viewport(), LEFT, pos=at)
    assert seen == [given[1]]


def test_rows_with_bars(qtbot):
    view = shown(qtbot, BarList("Next token", clickable=True))
    view.set_rows([(" dog", 0.4), ("\n", 0.1)], 1.0, grey=True, write=percent)
    spoken = view.model().index(1).data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken == "⏎, 10 %"
    seen = []
    view.row_clicked.connect(seen.append)
    QTest.mouseClick(view.viewport(), LEFT, pos=view.visualRect(view.model().index(1)).center())
    assert seen == [1]
    view.set_rows([])
    view.grab()


def test_promoted_and_suppressed(qtbot):
    view = shown(qtbot, PromotesList(clickable=True))
    view.set_rows([(" dog", 2.0)], [(" tax", -1.0), (" law", -0.5)])
    assert view.promotes.model().rowCount() == 1
    seen = []
    view.suppressed_clicked.connect(seen.append)
    inside = view.suppresses
    at = inside.visualRect(inside.model().index(1)).center()
    QTest.mouseClick(inside.viewport(), LEFT, pos=at)
    assert seen == [1]
    view.set_stale(True)
    assert inside.is_stale()


def test_bars_in_table_cells(qtbot):
    model = QStandardItemModel(2, 1)
    for row, fraction in enumerate((0.9, 0.3)):
        item = QStandardItem(f"{fraction:.1f}")
        item.setData(fraction, FRACTION_ROLE)
        model.setItem(row, item)
    view = QTableView()
    model.setParent(view)
    view.setModel(model)
    view.setColumnWidth(0, 200)
    view.setItemDelegate(StrengthBarDelegate(view))
    shown(qtbot, view)
    image = view.viewport().grab().toImage()
    lengths = []
    for row in range(2):
        y = view.visualRect(model.index(row, 0)).center().y()
        line = [image.pixelColor(x, y) for x in range(200)]
        lengths.append(sum(c.green() > c.red() + 20 for c in line))
    assert lengths[0] > 2 * lengths[1] > 20


def test_messages_stack_up_to_three(qtbot):
    strip = shown(qtbot, MessageStrip())
    strip.clear()
    assert not strip.isVisible()
    for n in range(5):
        strip.show_message(f"Message {n}.", "Do this.")
    assert [one.message for one in strip.messages()] == ["Message 2.", "Message 3.", "Message 4."]
    strip.show_message("Message 3.", "Do this.")
    assert [one.message for one in strip.messages()] == ["Message 2.", "Message 4.", "Message 3."]


def test_a_message_can_be_copied_opened_and_dismissed(qtbot):
    strip = shown(qtbot, MessageStrip())
    strip.show_message("It does not fit.", "Choose another.", "Traceback: line 1")
    (message,) = strip.messages()
    button(message, "Copy").click()
    assert (
        QGuiApplication.clipboard().text()
        == "It does not fit. Choose another.\n\nTraceback: line 1"
    )
    details = message.findChild(QPlainTextEdit)
    assert not details.isVisible()
    button(message, "Details").click()
    assert details.isVisible()
    with qtbot.waitSignal(strip.emptied):
        button(message, "✕").click()
    assert not strip.isVisible()
    assert strip.messages() == []


def test_an_empty_state_teaches_and_acts(qtbot):
    view = shown(qtbot, EmptyState("Click a token.", "Try an example"))
    with qtbot.waitSignal(view.acted):
        button(view, "Try an example").click()
    view.set_text("Nothing to do.")
    assert not view.findChild(QPushButton).isVisible()


def test_every_focusable_widget_has_a_name(qtbot):
    strip = MessageStrip()
    made = [
        TokenView(),
        HeatMap(),
        LinePlot(),
        Dial("dogs · L17/3988"),
        ExampleList(),
        BarList("Next token"),
        PromotesList(),
        EmptyState("Click.", "Try"),
        strip,
    ]
    for widget in made:
        shown(qtbot, widget)
    strip.show_message("Broken.", "Mend it.", "Why")
    for top in made:
        for widget in [top, *top.findChildren(QWidget)]:
            if widget.isVisible() and widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
                interface = QAccessible.queryAccessibleInterface(widget)
                name = interface.text(QAccessible.Text.Name)
                assert name, f"{type(widget).__name__} in {type(top).__name__} has no name"


@pytest.mark.parametrize("kind", [ExampleList, BarList, TokenView])
def test_tab_leaves_a_list(qtbot, kind):
    outside = QWidget()
    inside = kind(parent=outside)
    other = QPushButton("next", outside)
    other.move(0, 150)
    shown(qtbot, outside)
    outside.activateWindow()
    inside.setFocus()
    QTest.keyClick(inside, Qt.Key.Key_Tab)
    assert outside.focusWidget() is other


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.00"), (1.239, "1.24"), (12.39, "12.4"), (1239.4, "1,239"), (-0.5, "−0.50"),
     (float("nan"), "–")],
)  # fmt: skip
def test_numbers_are_short(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (0.0009, "0.09 %"), (0.00001, "< 0.01 %"), (0.031, "3.1 %"), (0.42, "42 %"),
     (1, "100 %")],
)  # fmt: skip
def test_shares_are_short(share, text):
    assert percent(share) == text


def test_index_roles_outside_the_rows_are_nothing(qtbot):
    for view in (TokenView(), ExampleList(), BarList()):
        qtbot.addWidget(view)
        assert view.model().data(QModelIndex(), Qt.ItemDataRole.DisplayRole) is None


def test_models_keep_qts_rules(qtbot, qtmodeltester):
    tokens, rows, found = TokenView(), BarList(), ExampleList()
    for view in (tokens, rows, found):
        qtbot.addWidget(view)
    tokens.set_tokens(["a", " b"])
    tokens.append_tokens([" c"])
    rows.set_rows([("a", 1.0)])
    found.set_examples(examples(), 20)
    for view in (tokens, rows, found):
        qtmodeltester.check(view.model(), force_py=True)


def test_what_is_doubtful_is_grey_wherever_it_is_named(dial, qtbot):
    muted, text = theme.tokens().muted, theme.tokens().text
    bar = shown(qtbot, PinBar())
    bar.set_pins([("dogs", QColor("red"), True), ("cats", QColor("red"), False)])
    for doubtful, colour in ((True, muted), (False, text)):
        dial.set_label("dogs", doubtful)
        name = next(b for b in dial.findChildren(QPushButton) if "dogs" in b.text())
        assert name.palette().color(QPalette.ColorRole.ButtonText) == colour
    greys = [
        b.palette().color(QPalette.ColorRole.ButtonText) for b in bar.findChildren(QToolButton)
    ]
    assert greys == [muted, text]


def test_grey_rows_stay_grey_when_they_are_selected_and_when_the_theme_changes(qtbot, qapp):
    rows = shown(qtbot, QListWidget())
    rows.addItems(["dogs", "cats"])
    rows.item(0).setData(DIM_ROLE, True)
    greying = Greying(rows)
    rows.setItemDelegate(greying)
    for scheme in ("dark", "light"):
        theme.apply(qapp, scheme)
        for row, grey in ((0, True), (1, False)):
            option = QStyleOptionViewItem()
            option.palette = rows.palette()
            greying.initStyleOption(option, rows.model().index(row, 0))
            for role in (QPalette.ColorRole.Text, QPalette.ColorRole.HighlightedText):
                assert (option.palette.color(role) == theme.tokens().muted) == grey


def test_a_row_is_drawn_with_what_is_said_about_it(qtbot):
    bare = shown(qtbot, RowList("bare", lambda item: Row(item)))
    told = shown(qtbot, RowList("told", lambda item: Row(item, about="and more about it")))
    for rows in (bare, told):
        rows.set_items(["a row"])
    rect = told.visualRect(told.model().index(0, 0))
    below = rect.adjusted(0, rect.height() // 2 + 2, 0, 0)
    assert bare.viewport().grab(below).toImage() != told.viewport().grab(below).toImage()

"""Heat map, line plot, histogram and legend, through setters, signals and pixels."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QAccessible, QHelpEvent, QImage, QWheelEvent
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QToolTip

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.heat_cells import Scale
from desktop_scope.gui.widgets.heat_map import HeatMap
from desktop_scope.gui.widgets.histogram import Histogram
from desktop_scope.gui.widgets.line_plot import LinePlot
from desktop_scope.gui.widgets.strength_legend import StrengthLegend

LEFT = Qt.MouseButton.LeftButton
OFFSCREEN_CANNOT_RAISE = pytest.mark.qt_log_ignore("This plugin does not support")


def shown(qtbot, widget, width=500, height=240):
    qtbot.addWidget(widget)
    widget.resize(width, height)
    with qtbot.waitExposed(widget):
        widget.show()
    return widget


@pytest.fixture
def heat(qtbot, qapp):
    theme.apply(qapp, "light")
    heat = shown(qtbot, HeatMap())
    values = np.zeros((6, 8))
    values[4, 3] = 10
    values[2, 3] = 5
    heat.set_data(values, 10, None, None, [f"w{i}" for i in range(8)])
    return heat


def colour(widget, layer, token):
    return widget.grab().toImage().pixelColor(widget.cell_rect(layer, token).center().toPoint())


def test_a_click_hits_the_cell_under_the_pointer(heat):
    clicked, moved = [], []
    heat.cell_clicked.connect(lambda *cell: clicked.append(cell))
    heat.current_changed.connect(lambda *cell: moved.append(cell))
    for cell in ((0, 0), (5, 7), (3, 2)):
        QTest.mouseClick(heat, LEFT, pos=heat.cell_rect(*cell).center().toPoint())
    assert clicked == moved == [(0, 0), (5, 7), (3, 2)]
    assert heat.current() == (3, 2)


def test_the_last_layer_is_on_top(heat):
    assert heat.cell_rect(5, 0).top() < heat.cell_rect(0, 0).top()


def test_every_cell_is_found_under_its_own_centre(heat):
    for layer in range(6):
        for token in range(8):
            assert heat.cell_at(heat.cell_rect(layer, token).center().toPoint()) == (layer, token)
    assert heat.cell_at(QPoint(1, 1)) == (-1, -1)


def test_stronger_is_greener(heat):
    none, half, full = (colour(heat, layer, 3) for layer in (0, 2, 4))
    assert none.red() > half.red() > full.red()
    assert full.green() > full.red()


def test_the_pixel_of_a_crowded_token_shows_the_strongest(qtbot, heat):
    values = np.zeros((4, 2000))
    values[1, 777] = 10
    heat.set_data(values, 10)
    place = heat.cell_rect(1, 777).center().toPoint()
    image = heat.grab().toImage()
    near = [image.pixelColor(place.x() + dx, place.y()) for dx in (-1, 0, 1)]
    assert any(color.green() > color.red() + 40 for color in near)


def test_weak_matches_are_drawn_fainter(heat):
    full = colour(heat, 4, 3)
    heat.set_row_alpha(np.array([1, 1, 1, 1, 0.3, 1]))
    assert colour(heat, 4, 3).red() > full.red()
    heat.set_row_notes(["", "", "", "", "0.30", ""])
    assert "0.30" in heat.tooltip_text(4, 3)
    assert heat.gutters()[1] > 20


def test_masked_columns_are_hatched(heat):
    values = np.zeros((6, 8))
    heat.set_data(values, 10, np.arange(8) == 5)
    image = heat.grab().toImage()

    def colors(token):
        rect = heat.cell_rect(3, token).toRect().adjusted(2, 2, -2, -2)
        return {
            image.pixelColor(x, y).name()
            for x in range(rect.left(), rect.right())
            for y in range(rect.top(), rect.bottom())
        }

    assert len(colors(4)) == 1
    assert len(colors(5)) > 1
    assert "not encoded" in heat.tooltip_text(3, 5)


def test_signed_values_use_orange_and_blue(heat):
    heat.set_data(np.array([[-1.0, 1.0]]), 1, scale=Scale.SIGNED)
    low, high = colour(heat, 0, 0), colour(heat, 0, 1)
    assert low.red() > low.blue()
    assert high.blue() > high.red()


def test_arrows_move_through_cells(heat):
    heat.setFocus()
    seen = []
    heat.current_changed.connect(lambda *cell: seen.append(cell))
    keys = Qt.Key
    for key in (keys.Key_Right, keys.Key_Right, keys.Key_Down, keys.Key_Left, keys.Key_Up):
        QTest.keyClick(heat, key)
    assert seen == [(5, 0), (5, 1), (4, 1), (4, 0), (5, 0)]
    QTest.keyClick(heat, keys.Key_Up)
    assert heat.current() == (5, 0)
    QTest.keyClick(heat, keys.Key_End)
    QTest.keyClick(heat, keys.Key_PageDown)
    assert heat.current() == (0, 7)


def test_enter_and_double_click_open(heat):
    seen = []
    heat.cell_activated.connect(lambda *cell: seen.append(cell))
    heat.set_current(2, 3)
    QTest.keyClick(heat, Qt.Key.Key_Return)
    QTest.mouseDClick(heat, LEFT, pos=heat.cell_rect(1, 1).center().toPoint())
    assert seen == [(2, 3), (1, 1)]


def test_the_program_choosing_is_silent(heat, qtbot):
    with qtbot.assertNotEmitted(heat.current_changed):
        heat.set_current(2, 3)
        heat.set_current(-1, 3)
        heat.set_current(99, 99)
    assert heat.current() == (-1, -1)


def test_a_screen_reader_hears_the_cell(heat):
    heat.set_current(4, 3)
    interface = QAccessible.queryAccessibleInterface(heat)
    assert interface.text(QAccessible.Text.Name) == "Layers by tokens"
    spoken = interface.text(QAccessible.Text.Description)
    assert spoken == "layer 4, position 3 “w3”, activation 10.0"


def test_tooltips_can_be_provided(heat):
    heat.set_tooltip_provider(lambda layer, token: f"{layer}:{token}")
    assert heat.tooltip_text(2, 1) == "2:1"


def test_hovering_is_told_once(heat):
    seen = []
    heat.cell_hovered.connect(lambda *cell: seen.append(cell))
    for _ in range(2):
        QTest.mouseMove(heat, heat.cell_rect(2, 2).center().toPoint())
    QTest.mouseMove(heat, QPoint(1, 1))
    assert seen == [(2, 2), (-1, -1)]


@pytest.mark.parametrize("shape", [(1, 1), (48, 512), (12, 2000), (0, 0), (3, 0)])
@pytest.mark.parametrize("size", [(160, 80), (700, 300)])
def test_any_shape_is_drawn(heat, shape, size):
    heat.resize(*size)
    values = np.random.default_rng(0).random(shape)
    heat.set_data(values, 1, None, None, ["word"] * shape[1])
    heat.set_current(0, 0)
    assert not heat.grab().isNull()


def test_stale_content_fades(heat):
    strong = colour(heat, 4, 3)
    heat.set_stale(True)
    assert heat.is_stale()
    assert colour(heat, 4, 3).red() > strong.red()


@pytest.fixture
def lines(qtbot, heat):
    plot = LinePlot()
    plot.move(0, 400)  # below the heat map, so that the pointer meets it
    shown(qtbot, plot, 500, 110)
    plot.set_gutters(*heat.gutters())
    values = np.array([0, 1, 4, 2, 0, 0, 0, np.nan])
    plot.set_lines([("dogs", values, theme.pinned_color(1))], [f"w{i}" for i in range(8)])
    return plot


def over(heat, token, y=50):
    """Where a line plot below the heat map shows a token."""
    return QPoint(int(heat.cell_rect(0, token).center().x()), y)


def inked(plot, x, color):
    """Heights at which a column of pixels has a colour."""
    image = plot.grab().toImage()
    column = [image.pixelColor(x, y) for y in range(image.height())]
    return [y for y, c in enumerate(column) if np.abs(theme.rgb(c) - theme.rgb(color)).sum() < 60]


def brightness(widget):
    image = widget.grab().toImage()
    return np.mean([image.pixelColor(x, 3).lightness() for x in range(image.width())])


@pytest.mark.parametrize("n", [1, 8, 60])
@pytest.mark.parametrize("width", [500, 333])
def test_lines_stand_under_the_cells_of_their_tokens(lines, heat, n, width):
    heat.resize(width, 240)
    lines.resize(width, 110)
    heat.set_data(np.zeros((6, n)), 1, None, None, [" w"] * n)
    heat.set_row_notes(["0.83"] * 6)
    lines.set_gutters(*heat.gutters())
    color = theme.pinned_color(1)
    for token in {0, n // 3, n - 1}:
        values = np.zeros(n)
        values[token] = 1
        lines.set_lines([("dogs", values, color)])
        lines.set_current(token)  # whose dot marks the peak
        assert lines.token_at(over(heat, token)) == token
        assert min(inked(lines, over(heat, token).x(), color)) < 20
        others = {0, n // 3, n - 1} - {token}
        assert all(min(inked(lines, over(heat, t).x(), color)) > 80 for t in others)


def test_outside_the_cells_there_is_no_token(lines, heat):
    left, right = heat.gutters()
    assert lines.token_at(QPoint(left - 2, 50)) == -1
    assert lines.token_at(QPoint(lines.width() - right + 2, 50)) == -1
    lines.set_lines([])
    assert lines.token_at(QPoint(100, 50)) == -1
    assert lines.n_tokens() == 0


def test_clicks_and_arrows_choose_tokens(lines, heat):
    seen = []
    lines.token_clicked.connect(seen.append)
    QTest.mouseClick(lines.viewport(), LEFT, pos=over(heat, 2))
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Left, Qt.Key.Key_Left, Qt.Key.Key_Up):
        QTest.keyClick(lines, key)
    assert seen == [2, 3, 2, 1]
    lines.set_current(7)
    QTest.keyClick(lines, Qt.Key.Key_Right)
    assert seen == [2, 3, 2, 1]


@OFFSCREEN_CANNOT_RAISE
def test_lines_are_read_out(lines, heat, qtbot):
    assert lines.read_out(2) == "“w2”, position 2\ndogs: 4.00"
    assert lines.read_out(7) == "“w7”, position 7\ndogs: –"
    lines.set_current(2)
    interface = QAccessible.queryAccessibleInterface(lines)
    assert interface.text(QAccessible.Text.Name) == "Pinned features over the tokens"
    assert interface.text(QAccessible.Text.Description) == lines.read_out(2)
    seen = []
    lines.token_hovered.connect(seen.append)
    QTest.mouseMove(lines.viewport(), over(heat, 3))
    QTest.mouseMove(lines.viewport(), over(heat, 3, 60))
    where = over(heat, 3)
    place = lines.viewport().mapToGlobal(where)
    QApplication.sendEvent(lines.viewport(), QHelpEvent(QEvent.Type.ToolTip, where, place))
    assert QToolTip.text() == lines.read_out(3)
    QToolTip.hideText()
    qtbot.waitUntil(lambda: not QToolTip.isVisible())
    QTest.mouseMove(lines.viewport(), QPoint(1, 1))
    assert seen == [3, -1]


def test_lines_follow_the_theme(qapp, lines):
    light = brightness(lines)
    theme.apply(qapp, "dark")
    assert brightness(lines) < 50 < light
    theme.apply(qapp, "light")
    assert brightness(lines) == light


def test_stale_lines_fade(lines, heat):
    strong = inked(lines, over(heat, 2).x(), theme.pinned_color(1))
    lines.set_stale(True)
    assert strong
    assert not inked(lines, over(heat, 2).x(), theme.pinned_color(1))
    lines.set_stale(False)
    assert inked(lines, over(heat, 2).x(), theme.pinned_color(1)) == strong


def test_the_wheel_enlarges_heights_and_nothing_else(lines, heat):
    def wheel(steps):
        where = QPointF(over(heat, 1))
        event = QWheelEvent(
            where, lines.viewport().mapToGlobal(where), QPoint(), QPoint(0, 120 * steps),
            Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(lines.viewport(), event)

    at_first = inked(lines, over(heat, 1).x(), theme.pinned_color(1))
    wheel(2)
    assert inked(lines, over(heat, 1).x(), theme.pinned_color(1)) != at_first
    assert [lines.token_at(over(heat, token)) for token in range(8)] == list(range(8))
    wheel(-50)
    assert inked(lines, over(heat, 1).x(), theme.pinned_color(1)) == at_first


def test_the_lines_are_saved(lines, tmp_path):
    lines.menu.save(tmp_path / "lines.png", "png")
    assert QImage(str(tmp_path / "lines.png")).width() == 3 * lines.width()
    lines.menu.save(tmp_path / "lines.svg", "svg")
    assert QSvgRenderer(str(tmp_path / "lines.svg")).isValid()
    assert lines.table()["token"] == tuple(f"w{i}" for i in range(8))
    assert lines.table()["dogs"][:7].tolist() == [0, 1, 4, 2, 0, 0, 0]


@pytest.mark.parametrize("n", [1, 2, 3000])
def test_any_number_of_tokens_is_drawn(lines, n):
    values = [np.zeros(n), np.full(n, np.nan), np.linspace(0, 5, n)]
    lines.set_lines([("dogs", v, theme.pinned_color(i)) for i, v in enumerate(values)], [], 2.0)
    lines.set_current(n - 1)
    lines.set_hovered(0)
    assert not lines.grab().isNull()


def test_histogram_reads_out_its_bins(qtbot):
    view = shown(qtbot, Histogram(), 240, 88)
    view.set_counts([100, 50, 0, 2], np.array([1.0, 2, 4, 8, 16]))
    assert [view.bin_at(QPoint(x, 40)) for x in (5, 65, 125, 235, 400)] == [0, 1, 2, 3, -1]
    assert "1.00 to 2.00: 100 tokens (66 %" in view.read_out(0)
    image = view.grab().toImage()
    ground = image.pixelColor(150, 10)

    def height(x):
        return sum(image.pixelColor(x, y) != ground for y in range(64))

    assert height(30) > height(90) > height(150)
    view.set_marker(5.0)
    assert view.grab().toImage() != image
    view.set_counts([], np.zeros(0))
    view.grab()


def test_histogram_wants_edges(qtbot):
    view = Histogram()
    qtbot.addWidget(view)
    with pytest.raises(ValueError, match="edges"):
        view.set_counts([1, 2], np.array([1.0, 2.0]))


def test_legend_says_its_numbers(qtbot):
    legend = shown(qtbot, StrengthLegend(), 200, 30)
    legend.set_range(25.9)
    assert legend.accessibleName() == "Colour scale from 0 to 25.9"
    legend.set_range(1.5, signed=True)
    assert "−1.50" in legend.accessibleName()

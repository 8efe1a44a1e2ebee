"""What every plot can be taken along as: a table, a picture, a drawing, numbers."""

from __future__ import annotations

import csv
import errno
import io
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QContextMenuEvent, QEnterEvent, QGuiApplication, QImage
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication, QTableView, QWidget

from desktop_scope.gui import theme
from desktop_scope.gui.widgets import exporting
from desktop_scope.gui.widgets.bar_list import BarList
from desktop_scope.gui.widgets.bias_chart import Bar, BiasChart
from desktop_scope.gui.widgets.curves import Curve, Curves
from desktop_scope.gui.widgets.heat_map import HeatMap
from desktop_scope.gui.widgets.histogram import Histogram
from desktop_scope.gui.widgets.plot_menu import PlotMenu, news
from desktop_scope.gui.widgets.scatter import Scatter
from desktop_scope.gui.widgets.sum_bars import SumBars, SumRow
from desktop_scope.gui.widgets.table_window import TableWindow


def heat_map() -> HeatMap:
    plot = HeatMap()
    values = np.arange(6, dtype=np.float32).reshape(2, 3) / 2
    plot.set_data(values, 3, np.array([True, False, False]), None, [" a", ',"', "\n"])
    return plot


def histogram() -> Histogram:
    plot = Histogram()
    plot.set_counts([5, 3], np.array([0.0, 1.5, 3.0]))
    return plot


def curves() -> Curves:
    plot = Curves("Effect")
    plot.set_curves([1, 2], [Curve("KL", ((0.1, 0.0, 0.2), (0.4, 0.3, 0.5)))])
    return plot


def scatter() -> Scatter:
    plot = Scatter("estimated", "measured")
    plot.set_points([1, -2], [1.5, -1], ["dogs", "cats"])
    return plot


def bars() -> BiasChart:
    plot = BiasChart("Scores")
    plot.set_bars(["nurses", Bar("he", 1.0, 0.5), Bar("she", -1.0)])
    return plot


def words() -> BarList:
    plot = BarList("Promotes")
    plot.set_rows([(" dog", 2.0), (" cat", 1.0)])
    return plot


def sums() -> SumBars:
    plot = SumBars("layer", "Sums by layer")
    plot.set_rows([SumRow("3", 0.5, 0.25, 0.9), SumRow("4", -0.5, 0.5)])
    return plot


# What is drawn, and its table.
PLOTS = {
    heat_map: (
        "layer,position,token,value\n"
        '0,0, a,\n0,1,",""",0.5\n0,2,"\n",1\n1,0, a,\n1,1,",""",2\n1,2,"\n",2.5\n'
    ),
    histogram: "from,to,tokens\n0,1.5,5\n1.5,3,3\n",
    curves: 'strength,KL,"KL, low","KL, high"\n1,0.1,0,0.2\n2,0.4,0.3,0.5\n',
    scatter: "estimated,measured,what\n1,1.5,dogs\n-2,-1,cats\n",
    bars: "under,title,value,after\nnurses,he,1,0.5\nnurses,she,-1,\n",
    words: "word,value\n dog,2\n cat,1\n",
    sums: (
        "layer,features (nats),unexplained share,correlation with measured\n"
        "3,0.5,0.25,0.9\n4,-0.5,0.5,\n"
    ),
}


@pytest.fixture
def told(qapp):
    seen = []

    def note(*what):
        seen.append(what)

    news.told.connect(note)
    yield seen
    news.told.disconnect(note)


@pytest.mark.parametrize("make", PLOTS, ids=lambda make: make.__name__)
def test_a_plot_is_saved_as_picture_drawing_and_numbers(make, qtbot, qapp, tmp_path, told):
    theme.apply(qapp, "light")
    plot = make()
    qtbot.addWidget(plot)
    plot.resize(300, 160)
    for ending in ("png", "svg", "csv"):
        path = tmp_path / f"plot.{ending}"
        plot.menu.ask_path = lambda ending, path=path: str(path)
        plot.menu.save_as(ending)
        assert told.pop() == (f"Saved as {path}.", "", False)
    assert (tmp_path / "plot.csv").read_text() == PLOTS[make]
    picture = QImage(str(tmp_path / "plot.png"))
    assert (picture.width(), picture.height()) == (900, 480)
    drawing = QSvgRenderer(str(tmp_path / "plot.svg"))
    assert drawing.isValid()
    assert drawing.viewBox().size() == plot.size()
    # Something is drawn, and at the sharpness of the picture rather than of the screen.
    pixels = np.frombuffer(picture.constBits(), np.uint32).reshape(480, 900)
    coarse = np.repeat(np.repeat(pixels[::3, ::3], 3, 0), 3, 1)
    assert len(np.unique(pixels)) > 5
    assert (coarse != pixels).any()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_nothing_is_written_without_a_place(qtbot, told):
    plot = words()
    qtbot.addWidget(plot)
    plot.menu.ask_path = lambda ending: ""
    plot.menu.save_as("png")
    assert told == []


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EACCES, "you may not write"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_what_cannot_be_saved_leaves_what_was_there(
    number, says, qtbot, told, tmp_path, monkeypatch
):
    plot = words()
    qtbot.addWidget(plot)
    path = tmp_path / "words.csv"
    path.write_text("precious")

    def fail(self, content):
        raise OSError(number, "Input/output error")

    monkeypatch.setattr(Path, "write_bytes", fail)
    plot.menu.save(path, "csv")
    ((text, hint, wrong),) = told
    assert says in text
    assert "words.csv" in text
    assert hint
    assert wrong
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_no_file(qtbot, told, tmp_path):
    plot = words()
    qtbot.addWidget(plot)
    plot.menu.save(tmp_path, "csv")
    assert told[0][2]
    assert tmp_path.is_dir()


def test_the_table_sorts_by_numbers_and_copies(qtbot):
    table = TableWindow("Words", {"word": ["a", "b", "c"], "value": [10.0, None, 9.0]})
    qtbot.addWidget(table)
    view = table.findChild(QTableView)
    model = view.model()

    def column(n):
        return [model.data(model.index(row, n)) for row in range(model.rowCount())]

    view.sortByColumn(1, Qt.SortOrder.AscendingOrder)
    assert column(0) == ["c", "a", "b"]
    view.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    assert column(1) == ["10", "9", ""]
    view.selectRow(1)
    table.copy()
    assert QGuiApplication.clipboard().text() == "word\tvalue\nc\t9\n"
    view.clearSelection()
    table.copy()
    assert QGuiApplication.clipboard().text().count("\n") == 4


def test_the_table_opens_beside_the_window(qtbot, told, tmp_path):
    plot = words()
    qtbot.addWidget(plot)
    plot.menu.show_table()
    table = plot.window().findChild(TableWindow)
    assert table.isVisible()
    assert table.windowTitle() == "Promotes"
    path = tmp_path / "words.csv"
    plot.menu.ask_path = lambda ending: str(path)
    table.save_wanted.emit()
    assert path.read_text() == PLOTS[words]
    table.close()


def test_numbers_and_pictures_are_copied(qtbot):
    plot = histogram()
    qtbot.addWidget(plot)
    plot.resize(200, 80)
    plot.menu.copy_table()
    rows = list(csv.reader(io.StringIO(QGuiApplication.clipboard().text()), delimiter="\t"))
    assert rows[1] == ["0", "1.5", "5"]
    plot.menu.copy_picture()
    assert QGuiApplication.clipboard().image().width() == 3 * plot.width()


@pytest.mark.qt_log_ignore("This plugin does not support")  # raise()
def test_the_menu_is_found_with_pointer_and_keyboard(qtbot):
    plot = histogram()
    qtbot.addWidget(plot)
    with qtbot.waitExposed(plot):
        plot.show()
    QApplication.sendEvent(plot, QEvent(QEvent.Type.Leave))  # wherever the pointer was
    assert not plot.menu.button.isVisible()
    QApplication.sendEvent(plot, QEnterEvent(QPointF(5, 5), QPointF(5, 5), QPointF(5, 5)))
    assert plot.menu.button.isVisible()
    assert plot.rect().contains(plot.menu.button.geometry())
    key = QContextMenuEvent(QContextMenuEvent.Reason.Keyboard, QPoint(5, 5), QPoint(5, 5))
    QApplication.sendEvent(plot, key)
    qtbot.waitUntil(plot.menu.menu.isVisible)
    titles = [action.text() for action in plot.menu.menu.actions() if action.text()]
    plot.menu.menu.close()
    assert titles == [
        "Show as a &table", "&Copy the picture", "Copy the &numbers",
        "Save as PNG …", "Save as SVG …", "Save as CSV …",
    ]  # fmt: skip


def test_an_empty_plot_gives_an_empty_table(qtbot):
    plot = QWidget()
    qtbot.addWidget(plot)
    menu = PlotMenu(plot, "Nothing", dict)
    menu.show_table()
    plot.findChild(TableWindow).close()
    assert exporting.written({}) == "\n"

"""One menu for all plots: read it as a table, copy it, save it as a picture, a drawing, numbers.

A plot has it with ``PlotMenu(plot, "Name", plot.table)``: as its context menu, and behind a small
button in its corner. What came of saving is told by ``news``, to which the window listens.
"""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QEvent, QObject, QPoint, QSize, Qt, Signal, Slot
from PySide6.QtGui import QAction, QGuiApplication, QPainter
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QMenu, QToolButton, QWidget

from desktop_scope.errors import ScopeError
from desktop_scope.gui.widgets import exporting
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.exporting import Columns, Paint
from desktop_scope.gui.widgets.table_window import TableWindow

_SEEN_BY = (QEvent.Type.Enter, QEvent.Type.FocusIn)
_LEFT_BY = (QEvent.Type.Leave, QEvent.Type.FocusOut)


class _News(QObject):
    """What came of saving plots.

    Signals:
        told: What happened, what to do about it, and whether something went wrong.
    """

    told = Signal(str, str, bool)


news = _News()


def headed(heading: QLabel, menu: PlotMenu) -> QHBoxLayout:
    """A heading with the button of the plot below it at its right."""
    row = QHBoxLayout()
    row.addWidget(heading, 1)
    row.addWidget(menu.button)
    menu.button.setProperty("corner", "true")
    return row


class PlotMenu(QObject):
    """The menu of one plot.

    Args:
        plot: Whose context menu it becomes.
        name: Of the table and the files, such as ``Layers by tokens``.
        table: What the plot shows, by columns.
        paint: Draws it sharply at any number of pixels; needed only by plots that keep pictures
            of themselves.
        corner: Whether the button lies in the plot's corner while the pointer is over the plot;
            otherwise ``button`` is to be put somewhere.
        more: Entries of the plot's own, above the others.

    Attributes:
        menu: The entries.
        button: Opens it.
    """

    def __init__(
        self,
        plot: QWidget,
        name: str,
        table: Callable[[], Columns],
        paint: Paint | None = None,
        corner: bool = True,
        more: Sequence[QAction] = (),
    ) -> None:
        super().__init__(plot)
        self._plot, self._name, self._table = plot, name, table
        self._paint = paint or self._render
        self.menu = QMenu(plot)
        self.menu.addActions(more)
        if more:
            self.menu.addSeparator()
        self._add("Show as a &table", self.show_table)
        self._add("&Copy the picture", self.copy_picture)
        self._add("Copy the &numbers", self.copy_table)
        self.menu.addSeparator()
        for ending in ("png", "svg", "csv"):
            self._add(f"Save as {ending.upper()} …", lambda ending=ending: self.save_as(ending))
        self.button = tool_button("⋯", "Table, copy, save …", name=f"{name}: table, copy, save")
        self.button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.button.setProperty("arrow", "none")
        self.button.setMenu(self.menu)
        self._corner = corner
        if corner:
            self.button.setParent(plot)
            # With the keyboard, the menu key on the plot does it.
            self.button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            self.button.setProperty("corner", "true")
            self.button.hide()
            self.menu.aboutToHide.connect(self.button.hide)
            plot.installEventFilter(self)
        plot.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        plot.customContextMenuRequested.connect(self._open)

    def _add(self, title: str, run: Callable[[], None]) -> None:
        self.menu.addAction(title).triggered.connect(lambda _=False: run())

    # ---- what the entries do

    def show_table(self) -> None:
        """What the plot shows, in a window of its own."""
        window = TableWindow(self._name, self._table(), self._plot.window())
        window.save_wanted.connect(lambda: self.save_as("csv"))
        window.show()

    def copy_picture(self) -> None:
        """Put the plot on the clipboard, for slides."""
        QGuiApplication.clipboard().setImage(exporting.picture(self._plot.size(), self._paint))

    def copy_table(self) -> None:
        """Put the numbers on the clipboard, for a spreadsheet."""
        QGuiApplication.clipboard().setText(exporting.written(self._table(), "\t"))

    def save_as(self, ending: str) -> None:
        """Let the user save it in one of the forms: png, svg, csv."""
        path = self.ask_path(ending)
        if path:
            self.save(Path(path), ending)

    def ask_path(self, ending: str) -> str:
        """Let the user say where; empty if nowhere."""
        stem = re.sub(r"\W+", "-", self._name.lower()).strip("-")
        kinds = f"{ending.upper()} (*.{ending})"
        return QFileDialog.getSaveFileName(self._plot, "Save", f"{stem}.{ending}", kinds)[0]

    def save(self, path: Path, ending: str) -> None:
        """Write a file, and say what came of it."""
        try:
            exporting.save(path, self._content(ending))
        except ScopeError as error:
            news.told.emit(error.message, error.hint, True)
        else:
            news.told.emit(f"Saved as {path}.", "", False)

    def _content(self, ending: str) -> bytes:
        if ending == "csv":
            return exporting.written(self._table()).encode()
        if ending == "png":
            return exporting.as_png(self._plot.size(), self._paint)
        return exporting.as_svg(self._plot.size(), self._paint, self._name)

    def _render(self, painter: QPainter, ratio: float) -> None:
        shown = self.button.isVisible()
        self.button.setVisible(shown and not self._corner)
        self._plot.render(painter, QPoint())
        self.button.setVisible(shown)

    # ---- where it is found

    @Slot(QPoint)
    def _open(self, at: QPoint) -> None:
        self.menu.popup(self._plot.mapToGlobal(at))

    def eventFilter(self, plot: QObject, event: QEvent) -> bool:
        kind = event.type()
        if kind in _SEEN_BY:
            self._place()
            self.button.show()
        elif kind in _LEFT_BY and not self._is_looked_at():
            self.button.hide()
        elif kind == QEvent.Type.Resize:
            self._place()
        return False

    def _is_looked_at(self) -> bool:
        return self._plot.underMouse() or self._plot.hasFocus() or self.menu.isVisible()

    def _place(self) -> None:
        size: QSize = self.button.sizeHint()
        self.button.setGeometry(
            max(self._plot.width() - size.width() - 2, 0), 2, size.width(), size.height()
        )
        self.button.raise_()

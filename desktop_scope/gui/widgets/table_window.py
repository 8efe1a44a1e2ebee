"""What a plot shows, as a table in a window of its own: sortable, and copied with Ctrl+C."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QPersistentModelIndex,
    Qt,
    Signal,
    Slot,
)
from PySide6.QtGui import QFontMetrics, QGuiApplication, QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QTableView, QVBoxLayout, QWidget

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.exporting import Columns, cell_text, written
from desktop_scope.gui.widgets.painting import muted

Index = QModelIndex | QPersistentModelIndex
_MEASURED_ROWS = 200  # by which the widths of the columns are set
_WIDEST = 320


class _Table(QAbstractTableModel):
    def __init__(self, columns: Columns) -> None:
        super().__init__()
        self._columns = columns
        self._names = list(columns)
        self._values = list(columns.values())
        self._order: NDArray[np.intp] = np.arange(len(self._values[0]) if self._values else 0)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._order)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._names)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role == Qt.ItemDataRole.TextAlignmentRole and self._is_number(index.column()):
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if role not in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return None
        return cell_text(self._values[index.column()][self._order[index.row()]])

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return self._names[section]
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """By numbers where they are numbers; what is not known comes last."""
        self.layoutAboutToBeChanged.emit()
        n = len(self._order)
        if not 0 <= column < len(self._names):
            self._order = np.arange(n)
        else:
            values = self._values[column]
            down = order == Qt.SortOrder.DescendingOrder
            if self._is_number(column):
                keys = np.array([np.nan if v is None else v for v in values], np.float64)
                self._order = np.argsort(-keys if down else keys, kind="stable")
            else:
                rows = sorted(range(n), key=lambda row: cell_text(values[row]), reverse=down)
                self._order = np.array(rows, np.intp)
        self.layoutChanged.emit()

    def _is_number(self, column: int) -> bool:
        known = next((v for v in self._values[column] if v is not None), "")
        return isinstance(known, (int, float, np.integer, np.floating))

    def picked(self, rows: list[int]) -> Columns:
        """Some rows, as they stand."""
        where = self._order[rows]
        return {name: [values[row] for row in where] for name, values in self._columns.items()}


class TableWindow(QWidget):
    """The values behind a plot as they were when it was opened.

    Signals:
        save_wanted: The user wants the whole table as a file.
    """

    save_wanted = Signal()

    def __init__(self, title: str, columns: Columns, owner: QWidget | None = None) -> None:
        super().__init__(owner, Qt.WindowType.Window)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setAutoFillBackground(True)
        self.setWindowTitle(title)
        self._table = _Table(columns)
        self._table.setParent(self)
        self._view = QTableView()
        self._view.setAccessibleName(title)
        self._view.setModel(self._table)
        self._view.setSortingEnabled(True)
        self._view.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self._view.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        self._view.setEditTriggers(QTableView.EditTrigger.NoEditTriggers)
        self._view.setTabKeyNavigation(False)
        self._view.setShowGrid(False)
        self._view.verticalHeader().hide()
        self._view.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 6)
        self._view.horizontalHeader().setStretchLastSection(True)
        self._set_widths(columns)
        about = muted(QLabel(f"{self._table.rowCount():,} rows, as they are now"))
        copy = QPushButton("Copy")
        copy.setToolTip("The chosen rows, or all of them, for a spreadsheet")
        copy.clicked.connect(self.copy)
        save = QPushButton("Save as CSV …")
        save.clicked.connect(self.save_wanted)
        foot = QHBoxLayout()
        foot.addWidget(about, 1)
        foot.addWidget(copy)
        foot.addWidget(save)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.addWidget(self._view, 1)
        column.addLayout(foot)
        QShortcut(QKeySequence.StandardKey.Copy, self).activated.connect(self.copy)
        QShortcut(QKeySequence(Qt.Key.Key_Escape), self).activated.connect(self.close)
        header = self._view.horizontalHeader()
        self.resize(min(max(header.length() + 40, 360), 900), 480)

    def _set_widths(self, columns: Columns) -> None:
        """By the first rows: looking at all of a large table takes seconds."""
        measure = QFontMetrics(theme.ui_font())
        for n, (name, values) in enumerate(columns.items()):
            texts = [name + "  ", *map(cell_text, values[:_MEASURED_ROWS])]
            widest = max(measure.horizontalAdvance(text) for text in texts)
            self._view.setColumnWidth(n, min(widest + 24, _WIDEST))

    @Slot()
    def copy(self) -> None:
        """Put the chosen rows on the clipboard, or all where none is chosen."""
        rows = sorted({index.row() for index in self._view.selectionModel().selectedRows()})
        chosen = self._table.picked(rows or list(range(self._table.rowCount())))
        QGuiApplication.clipboard().setText(written(chosen, "\t"))

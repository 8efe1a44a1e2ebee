"""What all tables and lists of rows have in common."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from desktop_scope.gui import theme

Index = QModelIndex | QPersistentModelIndex

LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


DIM_ROLE = Qt.ItemDataRole.UserRole + 40  # whether a row's words are grey


class Greying(QStyledItemDelegate):
    """Leaves grey what is grey, in rows that are selected, too, and when the theme changes."""

    def initStyleOption(self, option: QStyleOptionViewItem, index: Index) -> None:
        super().initStyleOption(option, index)
        grey = index.data(Qt.ItemDataRole.ForegroundRole)
        grey = theme.tokens().muted if index.data(DIM_ROLE) else grey
        if grey is not None:
            for role in (QPalette.ColorRole.Text, QPalette.ColorRole.HighlightedText):
                option.palette.setBrush(role, grey)


def make_plain(table: QTableView, name: str) -> None:
    """No grid, no row numbers, smooth scrolling, not to be edited.

    Args:
        name: For screen readers.
    """
    table.setAccessibleName(name)
    table.setItemDelegate(Greying(table))
    table.setShowGrid(False)
    table.setTabKeyNavigation(False)
    table.setWordWrap(False)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    table.verticalHeader().hide()
    table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)


def make_list(table: QTableView, name: str, painter: QStyledItemDelegate) -> None:
    """The same, without a head: rows alone, that draw themselves."""
    make_plain(table, name)
    table.setItemDelegate(painter)
    table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.horizontalHeader().hide()
    table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)


class RowsModel(QAbstractTableModel):
    """Rows under titles. What a cell says is up to those who derive from it.

    Attributes:
        titles: Of the columns.
        help: What each means.
        align: How each is aligned.
    """

    titles: tuple[str, ...] = ()
    help: tuple[str, ...] = ()
    align: tuple[int, ...] = ()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.rows: Sequence[Any] = ()

    def text(self, row: Any, column: int) -> str:
        """What a cell says."""
        raise NotImplementedError

    def cell(self, row: Any, column: int, role: int) -> Any:
        """Whatever else there is to know of a cell."""
        return None

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.titles)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        found: dict[int, Sequence[Any]] = {
            Qt.ItemDataRole.DisplayRole: self.titles,
            Qt.ItemDataRole.ToolTipRole: self.help,
            Qt.ItemDataRole.TextAlignmentRole: self.align,
        }
        return found[role][section] if role in found else None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self.text(row, column)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            title = self.headerData(column, Qt.Orientation.Horizontal)
            return f"{title} {self.text(row, column)}"
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return self.align[column]
        return self.cell(row, column, role)

    def replace(self, rows: Sequence[Any]) -> None:
        """Show these."""
        self.beginResetModel()
        self.rows = rows
        self.endResetModel()


def set_columns(
    table: QTableView, row_height: int, stretched: int, widths: Sequence[tuple[int, int]]
) -> None:
    """Rows of fixed height and columns of fixed widths, but for the one that takes what is left."""
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.setTextElideMode(Qt.TextElideMode.ElideRight)
    table.verticalHeader().setDefaultSectionSize(row_height)
    header = table.horizontalHeader()
    header.setHighlightSections(False)
    header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
    header.setSectionResizeMode(stretched, QHeaderView.ResizeMode.Stretch)
    for column, width in widths:
        table.setColumnWidth(column, width)

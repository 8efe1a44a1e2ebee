"""Features at tokens as rows: what each contributes to the difference, predicted and measured."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QPersistentModelIndex,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QFontMetrics, QPainter, QPalette
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from desktop_scope.engine.types import FeatureId
from desktop_scope.gui import theme
from desktop_scope.gui.widgets.painting import Stale, number
from desktop_scope.gui.widgets.strength_bar import FRACTION_ROLE, draw_bar

Index = QModelIndex | QPersistentModelIndex

LAYER, TOKEN, LABEL, EFFECT, MEASURED = range(5)
_TITLES = ("Layer", "Token", "Feature", "Estimated", "Switched off")
_HELP = (
    "After which layer of the model it was read",
    "At which token it fires",
    "What it seems to stand for",
    "Its estimated contribution, in nats of log-probability: to the right for the answer,\n"
    "to the left for what stands instead",
    "By how much the difference really fell when this one was off, in nats",
)
_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
_ALIGN = (_RIGHT, _LEFT, _LEFT, _RIGHT, _RIGHT)
_ROW_HEIGHT = 24


@dataclass(frozen=True)
class CauseRow:
    """One feature at one token.

    Attributes:
        measured: None where it was not switched off.
    """

    feature: FeatureId
    token: int
    layer: str
    token_text: str
    label: str
    help: str
    effect: float
    measured: float | None = None


class _Rows(QAbstractTableModel):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.rows: tuple[CauseRow, ...] = ()
        self.top = 1.0

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(_TITLES)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        found = {
            Qt.ItemDataRole.DisplayRole: _TITLES,
            Qt.ItemDataRole.ToolTipRole: _HELP,
            Qt.ItemDataRole.TextAlignmentRole: _ALIGN,
        }.get(Qt.ItemDataRole(role))
        return None if found is None else found[section]

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(row, column)
        if role == FRACTION_ROLE and column in (EFFECT, MEASURED):
            value = row.effect if column == EFFECT else row.measured
            return None if value is None else value / self.top
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.help
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{_TITLES[column]} {self._text(row, column)}"
        if role == Qt.ItemDataRole.ForegroundRole:
            return theme.tokens().muted if column in (LAYER, TOKEN) else None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _ALIGN[column]
        return None

    @staticmethod
    def _text(row: CauseRow, column: int) -> str:
        if column == EFFECT:
            return signed(row.effect)
        if column == MEASURED:
            return "" if row.measured is None else signed(row.measured)
        return (row.layer, row.token_text, row.label)[column]

    def replace(self, rows: Sequence[CauseRow]) -> None:
        self.beginResetModel()
        self.rows = tuple(rows)
        values = [v for row in rows for v in (row.effect, row.measured) if v is not None]
        self.top = max(map(abs, values), default=1.0) or 1.0
        self.endResetModel()


def signed(value: float) -> str:
    """A number with its sign: +1.24, −0.30."""
    return f"+{number(value)}" if value > 0 else number(value)


class _SignedBar(QStyledItemDelegate):
    """A bar from the middle of the cell, and its number at the right."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        rect = QRectF(option.rect)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, option.palette.color(QPalette.ColorRole.Highlight))
        font = theme.figures(option.font)
        numbers = QFontMetrics(font).horizontalAdvance("+00.00") + 8
        draw_signed(painter, rect.adjusted(8, 0, -numbers - 4, 0), index.data(FRACTION_ROLE))
        painter.setFont(font)
        painter.setPen(theme.tokens().text)
        text = str(index.data(Qt.ItemDataRole.DisplayRole) or "")
        painter.drawText(rect.adjusted(0, 0, -8, 0), _RIGHT, text)

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(120, option.fontMetrics.height() + 8)


def draw_signed(painter: QPainter, room: QRectF, fraction: float | None) -> None:
    """A bar from the middle: blue to the right, orange to the left."""
    middle = room.center().x()
    painter.fillRect(QRectF(middle, room.center().y() - 6, 1, 12), theme.tokens().line)
    if not fraction:
        return
    half = QRectF(middle + 1, room.top(), room.right() - middle - 1, room.height())
    if fraction < 0:  # grown to the left: from the middle less its own width
        width = max(2.0, half.width() * min(-fraction, 1))
        half = QRectF(middle - width, room.top(), half.width(), room.height())
    draw_bar(painter, half, fraction, signed=True)


class CauseTable(Stale, QTableView):
    """A list of features at tokens.

    Signals:
        cause_chosen: (feature, token) the user moved to.
    """

    cause_chosen = Signal(object, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows = _Rows(self)
        self._by_program = False
        self.setModel(self._rows)
        self.setAccessibleName("What makes the difference")
        for column in (EFFECT, MEASURED):
            self.setItemDelegateForColumn(column, _SignedBar(self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(LABEL, QHeaderView.ResizeMode.Stretch)
        for column, width in ((LAYER, 48), (TOKEN, 84), (EFFECT, 132), (MEASURED, 132)):
            self.setColumnWidth(column, width)

    def set_rows(self, rows: Sequence[CauseRow]) -> None:
        """Show these; a selection stays where its features are still listed."""
        if tuple(rows) == self._rows.rows:
            return
        chosen = {(row.feature, row.token) for row in self.chosen()}
        self._by_program = True
        self._rows.replace(rows)
        self.setColumnHidden(MEASURED, all(row.measured is None for row in rows))
        flags = self.selectionModel().SelectionFlag
        for n, row in enumerate(rows):
            if (row.feature, row.token) in chosen:
                self.selectionModel().select(self._rows.index(n, LABEL), flags.Select | flags.Rows)
        self._by_program = False

    def chosen(self) -> list[CauseRow]:
        """The selected rows."""
        return [self._rows.rows[i.row()] for i in self.selectionModel().selectedRows()]

    def currentChanged(self, current: Index, previous: Index) -> None:
        super().currentChanged(current, previous)
        if not self._by_program and current.isValid() and current.row() != previous.row():
            row = self._rows.rows[current.row()]
            self.cause_chosen.emit(row.feature, row.token)

"""Features at tokens as rows: what each contributes to the difference, predicted and measured."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QPainter, QPalette
from PySide6.QtWidgets import (
    QAbstractItemView,
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
from desktop_scope.gui.widgets.tables import LEFT, RIGHT, Index, RowsModel, make_plain, set_columns

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
_ALIGN = (RIGHT, LEFT, LEFT, RIGHT, RIGHT)
_ROW_HEIGHT = 24


@dataclass(frozen=True)
class CauseRow:
    """One feature at one token.

    Attributes:
        measured: None where it was not switched off.
        doubtful: The label is to be read in grey.
    """

    feature: FeatureId
    token: int
    layer: str
    token_text: str
    label: str
    help: str
    effect: float
    measured: float | None = None
    doubtful: bool = False


class _Rows(RowsModel):
    titles, help, align = _TITLES, _HELP, _ALIGN
    rows: tuple[CauseRow, ...]
    top = 1.0

    def cell(self, row: CauseRow, column: int, role: int) -> Any:
        if role == FRACTION_ROLE and column in (EFFECT, MEASURED):
            value = row.effect if column == EFFECT else row.measured
            return None if value is None else value / self.top
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.help
        if role == Qt.ItemDataRole.ForegroundRole:
            dim = column in (LAYER, TOKEN) or (column == LABEL and row.doubtful)
            return theme.tokens().muted if dim else None
        return None

    def text(self, row: CauseRow, column: int) -> str:
        if column == EFFECT:
            return signed(row.effect)
        if column == MEASURED:
            return "" if row.measured is None else signed(row.measured)
        return (row.layer, row.token_text, row.label)[column]

    def replace(self, rows: Sequence[CauseRow]) -> None:
        values = [v for row in rows for v in (row.effect, row.measured) if v is not None]
        self.top = max(map(abs, values), default=1.0) or 1.0
        super().replace(tuple(rows))


def signed(value: float) -> str:
    """A number with its sign: +1.24, −0.30."""
    return f"+{number(value)}" if value > 0 else number(value)


class SignedBar(QStyledItemDelegate):
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
        painter.drawText(rect.adjusted(0, 0, -8, 0), RIGHT, text)

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
        make_plain(self, "What makes the difference")
        widths = ((LAYER, 48), (TOKEN, 84), (EFFECT, 132), (MEASURED, 132))
        set_columns(self, _ROW_HEIGHT, LABEL, widths)
        for column in (EFFECT, MEASURED):
            self.setItemDelegateForColumn(column, SignedBar(self))
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)

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

    def choose(self, feature: FeatureId) -> None:
        """Select a feature's rows and bring the first into view; none, where it has none."""
        flags = self.selectionModel().SelectionFlag
        self._by_program = True
        self.selectionModel().clear()
        places = [n for n, row in enumerate(self._rows.rows) if row.feature == feature]
        for n in places:
            self.selectionModel().select(self._rows.index(n, LABEL), flags.Select | flags.Rows)
        if places:
            self.scrollTo(self._rows.index(places[0], LABEL))
        self._by_program = False

    def chosen(self) -> list[CauseRow]:
        """The selected rows."""
        return [self._rows.rows[i.row()] for i in self.selectionModel().selectedRows()]

    def currentChanged(self, current: Index, previous: Index) -> None:
        super().currentChanged(current, previous)
        if not self._by_program and current.isValid() and current.row() != previous.row():
            row = self._rows.rows[current.row()]
            self.cause_chosen.emit(row.feature, row.token)

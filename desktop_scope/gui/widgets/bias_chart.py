"""Rows with a bar to either side of zero, and what became of it. Any number of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PySide6.QtCore import QAbstractListModel, QModelIndex, QRectF, Qt, Slot
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPen
from PySide6.QtWidgets import (
    QAbstractItemView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
)

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.exporting import Columns
from desktop_scope.gui.widgets.painting import Stale, number
from desktop_scope.gui.widgets.plot_menu import PlotMenu
from desktop_scope.gui.widgets.strength_bar import draw_bar
from desktop_scope.gui.widgets.tables import Index, make_list

BAR_ROLE = int(Qt.ItemDataRole.UserRole) + 42
_TITLE_SHARE = 0.34
_SIDE = 8


@dataclass(frozen=True)
class Bar:
    """One row.

    Attributes:
        after: What became of the value; None where nothing was done.
        about: On hover.
    """

    title: str
    value: float
    after: float | None = None
    about: str = ""

    def spoken(self) -> str:
        """In words."""
        after = "" if self.after is None else f" → {number(self.after)}"
        return f"{self.title}: {number(self.value)}{after}"


class _Rows(QAbstractListModel):
    def __init__(self, view: BiasChart) -> None:
        super().__init__(view)
        self.rows: tuple[str | Bar, ...] = ()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not 0 <= index.row() < len(self.rows):
            return None
        row = self.rows[index.row()]
        if role == BAR_ROLE:
            return row
        words = row if isinstance(row, str) else row.spoken()
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return words
        if role == Qt.ItemDataRole.ToolTipRole and not isinstance(row, str):
            return f"{words}\n{row.about}" if row.about else words
        return None

    def replace(self, rows: Sequence[str | Bar]) -> None:
        self.beginResetModel()
        self.rows = tuple(rows)
        self.endResetModel()


class _Painter(QStyledItemDelegate):
    def __init__(self, view: BiasChart) -> None:
        super().__init__(view)
        self._view = view

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row, t, view = index.data(BAR_ROLE), theme.tokens(), self._view
        rect = QRectF(option.rect).adjusted(_SIDE, 0, -_SIDE, 0)
        align = Qt.AlignmentFlag.AlignVCenter
        painter.save()
        painter.setOpacity(view.content_opacity())
        small = theme.small(theme.ui_font())
        if isinstance(row, str):
            painter.setFont(small)
            painter.setPen(t.muted)
            painter.drawText(rect, align | Qt.AlignmentFlag.AlignLeft, row)
            painter.restore()
            return
        words, numbers = rect.width() * view.title_share, view.number_width()
        painter.setFont(theme.ui_font())
        painter.setPen(t.text)
        short = QFontMetrics(painter.font()).elidedText(
            row.title, Qt.TextElideMode.ElideMiddle, int(words - _SIDE)
        )
        painter.drawText(rect, align | Qt.AlignmentFlag.AlignLeft, short)
        room = rect.adjusted(words, 0, -numbers - _SIDE, 0)
        if view.signed:
            _draw_bars(painter, room, row, view.scale())
        else:
            draw_bar(painter, room, row.value / view.scale())
        painter.setFont(theme.figures(small))
        painter.setPen(t.muted)
        figures = number(row.value)
        if row.after is not None:
            figures += f" → {number(row.after)}"
        painter.drawText(rect, align | Qt.AlignmentFlag.AlignRight, figures)
        painter.restore()


def _draw_bars(painter: QPainter, room: QRectF, row: Bar, scale: float) -> None:
    """The value as a bar; with what became of it, the value is only its outline."""
    middle, half = room.center().x(), room.width() / 2
    painter.setPen(QPen(theme.tokens().line, 1))
    painter.drawLine(int(middle), int(room.top()), int(middle), int(room.bottom()))

    def bar(value: float, height: float) -> QRectF:
        length = max(abs(value) / scale, 0.004) * half
        left = middle if value >= 0 else middle - length
        return QRectF(left, room.center().y() - height / 2, length, height)

    def shade(value: float) -> QColor:
        strength = np.copysign(0.35 + 0.65 * min(abs(value) / scale, 1), value)
        return QColor(*theme.diverging_rgba(np.array([strength]), behind_text=False)[0].tolist())

    shown = row.value if row.after is None else row.after
    painter.fillRect(bar(shown, 8), shade(shown))
    if row.after is not None:
        painter.setPen(QPen(theme.tokens().faint, 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(bar(row.value, 12))


class BiasChart(Stale, QTableView):
    """Bars around zero: orange at the left, blue at the right, under headings.

    Args:
        name: For screen readers.
        signed: Otherwise bars of strength, from the left.
        title_share: Of the width, for the titles.
    """

    def __init__(self, name: str, signed: bool = True, title_share: float = _TITLE_SHARE) -> None:
        super().__init__()
        self.signed, self.title_share = signed, title_share
        self._rows = _Rows(self)
        self._scale, self._has_after = 1.0, False
        self.setModel(self._rows)
        make_list(self, name, _Painter(self))
        self.menu = PlotMenu(self, name, self.table)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self._set_height()
        theme.changed.connect(self._set_height)

    def set_bars(self, rows: Sequence[str | Bar]) -> None:
        """Show these; a str is a heading. All share one scale."""
        bars = [row for row in rows if isinstance(row, Bar)]
        sizes = [abs(v) for bar in bars for v in (bar.value, bar.after) if v is not None]
        self._scale = max(sizes, default=1.0) or 1.0
        self._has_after = any(bar.after is not None for bar in bars)
        top = self.verticalScrollBar().value()
        self._rows.replace(rows)
        self.verticalScrollBar().setValue(top)

    def table(self) -> Columns:
        """The bars, each with the heading above it."""
        heading, headings = "", []
        for row in self._rows.rows:
            if isinstance(row, str):
                heading = row
            else:
                headings.append(heading)
        bars = self.bars()
        return {
            "under": headings,
            "title": [bar.title for bar in bars],
            "value": [bar.value for bar in bars],
            "after": [bar.after for bar in bars],
        }

    def bars(self) -> list[Bar]:
        """What is shown."""
        return [row for row in self._rows.rows if isinstance(row, Bar)]

    def scale(self) -> float:
        """The value whose bar fills its half."""
        return self._scale

    def number_width(self) -> int:
        """Room for the numbers at the right."""
        font: QFont = theme.figures(theme.small(theme.ui_font()))
        widest = "−00.00 → −00.00" if self._has_after else "−00.00"
        return QFontMetrics(font).horizontalAdvance(widest)

    @Slot()
    def _set_height(self) -> None:
        self.verticalHeader().setDefaultSectionSize(QFontMetrics(theme.ui_font()).height() + 4)

"""A list of two-line rows: what it is, and a few words about it. Any number of rows."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QRect,
    Qt,
    Signal,
    Slot,
)
from PySide6.QtGui import QColor, QFont, QFontMetrics, QKeyEvent, QMouseEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.tables import Index, make_list

_SIDE, _BOX, _GAP = 10, 13, 8
ROW_ROLE = int(Qt.ItemDataRole.UserRole) + 41


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        about: Below the title.
        sign: At the right of the title, in its colour.
        trouble: Why it cannot be used; takes the place of ``about``.
        checked: None has no box.
        action: What a button at the right does; empty for no button.
    """

    title: str
    about: str = ""
    sign: str = ""
    sign_color: QColor | None = None
    trouble: str = ""
    checked: bool | None = None
    strong: bool = False
    action: str = ""

    def spoken(self) -> str:
        """For screen readers."""
        box = {True: "chosen", False: "not chosen", None: ""}[self.checked]
        return ", ".join(filter(None, (self.title, self.sign, self.trouble or self.about, box)))


class _Rows(QAbstractListModel):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.items: Sequence[Any] = ()
        self.describe: Callable[[Any], Row] = lambda item: Row(str(item))

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.items)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not 0 <= index.row() < len(self.items):
            return None
        # Made when it is drawn: of ten thousand rows a dozen are seen.
        row = self.describe(self.items[index.row()])
        if role == Qt.ItemDataRole.DisplayRole:
            return row.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return "\n".join(filter(None, (row.title, row.trouble or row.about)))
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return row.spoken()
        return row if role == ROW_ROLE else None

    def replace(self, items: Sequence[Any]) -> None:
        self.beginResetModel()
        self.items = items
        self.endResetModel()


class _Painter(QStyledItemDelegate):
    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row: Row = index.data(ROW_ROLE)
        t, rect = theme.tokens(), option.rect
        painter.save()
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, t.selection)
        elif option.state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, t.raised)
        font, small = theme.ui_font(), theme.small(theme.ui_font())
        if row.strong:
            font = theme.strong(font)
        left, right = rect.left() + _SIDE, rect.right() - _SIDE
        if row.checked is not None:
            _draw_box(painter, QRect(left, rect.center().y() - _BOX // 2, _BOX, _BOX), row.checked)
            left += _BOX + _GAP
        if row.action and not row.trouble:
            button = _button(rect, row.action)
            _draw_button(painter, button, row.action, small)
            right = button.left() - _GAP
        height = QFontMetrics(font).height()
        line = QRect(left, rect.top() + 4, right - left, height)
        line = _draw_sign(painter, line, row, small)
        title = t.muted if row.trouble else t.text
        _draw_text(painter, line, row.title, font, title, Qt.TextElideMode.ElideMiddle)
        below = QRect(left, line.bottom() + 2, right - left, height)
        color = t.danger if row.trouble else t.muted
        _draw_text(painter, below, row.trouble or row.about, small, color)
        painter.restore()


def _row_height() -> int:
    small = QFontMetrics(theme.small(theme.ui_font()))
    return QFontMetrics(theme.ui_font()).height() + small.height() + 10


def _draw_box(painter: QPainter, box: QRect, checked: bool) -> None:
    t = theme.tokens()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(t.accent if checked else t.faint)
    painter.setBrush(t.accent if checked else Qt.BrushStyle.NoBrush)
    painter.drawRoundedRect(box, 3, 3)
    if checked:
        painter.setPen(t.surface)
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, "✓")


def _button(row: QRect, text: str) -> QRect:
    """Where a row's button is."""
    measure = QFontMetrics(theme.small(theme.ui_font()))
    width, height = measure.horizontalAdvance(text) + 20, measure.height() + 8
    top = row.center().y() - height // 2
    return QRect(row.right() - _SIDE - width, top, width, height)


def _draw_button(painter: QPainter, rect: QRect, text: str, font: QFont) -> None:
    t = theme.tokens()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(t.faint)
    painter.setBrush(t.surface)
    painter.drawRoundedRect(rect, theme.RADIUS, theme.RADIUS)
    painter.setPen(t.text)
    painter.setFont(font)
    painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, text)


def _draw_sign(painter: QPainter, line: QRect, row: Row, font: QFont) -> QRect:
    """Draw the sign at the right; returns the room that is left."""
    if not row.sign:
        return line
    width = QFontMetrics(font).horizontalAdvance(row.sign)
    right = QRect(line.right() - width, line.top(), width + 1, line.height())
    _draw_text(painter, right, row.sign, font, row.sign_color or theme.tokens().muted)
    return line.adjusted(0, 0, -width - _GAP, 0)


def _draw_text(
    painter: QPainter,
    room: QRect,
    text: str,
    font: QFont,
    color: QColor,
    elide: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
) -> None:
    painter.setFont(font)
    painter.setPen(color)
    short = QFontMetrics(font).elidedText(text, elide, room.width())
    painter.drawText(room, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, short)


class RowList(QTableView):
    """Rows to choose from; those with a box can be chosen several at once.

    Signals:
        chosen: The user moved to this item.
        taken: The user pressed its button, double-clicked it, or pressed Enter.
        toggled: The user clicked its box or pressed Space on it.
    """

    chosen = Signal(object)
    taken = Signal(object)
    toggled = Signal(object)

    def __init__(self, name: str, describe: Callable[[Any], Row]) -> None:
        super().__init__()
        self._rows = _Rows(self)
        self._rows.describe = describe
        self._by_program = False
        self.setModel(self._rows)
        # A list view would lay all rows out, at 1 ms for a thousand; a table those that are seen.
        make_list(self, name, _Painter(self))
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self._set_height()
        theme.changed.connect(self._set_height)
        self.setMouseTracking(True)
        self.activated.connect(self._activated)

    def set_items(self, items: Sequence[Any], current: object = None) -> None:
        """Show these; what the user stood on stays current if it is still there.

        Args:
            items: Anything that ``describe`` can tell about.
            current: What to stand on instead.
        """
        if items is self._rows.items and current is None:
            self.refresh()
            return
        wanted = current if current is not None else self.current()
        place, top = self.currentIndex().row(), self.verticalScrollBar().value()
        self._by_program = True
        self._rows.replace(items)
        # Mostly it is where it was before.
        if wanted is not None and not (0 <= place < len(items) and items[place] == wanted):
            place = next((n for n, item in enumerate(items) if item == wanted), -1)
        place = -1 if wanted is None else place
        if place >= 0:
            self.setCurrentIndex(self._rows.index(place, 0))
        self.verticalScrollBar().setValue(top)
        self._by_program = False

    def refresh(self) -> None:
        """The same items, about which something else is to be said."""
        self.viewport().update()

    def items(self) -> Sequence[Any]:
        """What is listed."""
        return self._rows.items

    def row(self, place: int) -> Row:
        """What is shown at a place."""
        row: Row = self._rows.index(place, 0).data(ROW_ROLE)
        return row

    def current(self) -> Any:
        """What the user stands on; None if nowhere."""
        place = self.currentIndex().row()
        return self._rows.items[place] if 0 <= place < len(self._rows.items) else None

    def box_at(self, place: int) -> QRect:
        """Where a click chooses a row, in the viewport."""
        rect = self.visualRect(self._rows.index(place, 0))
        return QRect(rect.left(), rect.top(), _SIDE + _BOX + _GAP // 2, rect.height())

    def button_at(self, place: int) -> QRect:
        """Where a row's button is, in the viewport; nowhere if it has none."""
        row = self.row(place)
        if not row.action or row.trouble:
            return QRect()
        return _button(self.visualRect(self._rows.index(place, 0)), row.action)

    def currentChanged(self, current: Index, previous: Index) -> None:
        super().currentChanged(current, previous)
        if not self._by_program and current.isValid():
            self.chosen.emit(self._rows.items[current.row()])

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        point = event.position().toPoint()
        place = self.indexAt(point).row()
        has_box = place >= 0 and self.row(place).checked is not None
        if has_box and self.box_at(place).contains(point):
            self.toggled.emit(self._rows.items[place])
        elif place >= 0 and self.button_at(place).contains(point):
            self.taken.emit(self._rows.items[place])

    def keyPressEvent(self, event: QKeyEvent) -> None:
        place = self.currentIndex().row()
        if event.key() == Qt.Key.Key_Space and place >= 0 and self.row(place).checked is not None:
            self.toggled.emit(self._rows.items[place])
            return
        super().keyPressEvent(event)

    @Slot()
    def _set_height(self) -> None:
        self.verticalHeader().setDefaultSectionSize(_row_height())

    @Slot(QModelIndex)
    def _activated(self, index: QModelIndex) -> None:
        self.taken.emit(self._rows.items[index.row()])

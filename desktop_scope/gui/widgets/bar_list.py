"""Short lists of words with a bar each: likely next tokens, promoted and suppressed tokens."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QRectF,
    QSize,
    Qt,
    Signal,
    Slot,
)
from PySide6.QtGui import QFontMetrics, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLabel,
    QListView,
    QSizePolicy,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.exporting import Columns
from desktop_scope.gui.widgets.painting import Stale, muted, number
from desktop_scope.gui.widgets.plot_menu import PlotMenu, headed
from desktop_scope.gui.widgets.strength_bar import draw_bar
from desktop_scope.gui.widgets.token_layout import shown

Index = QModelIndex | QPersistentModelIndex


class _Rows(QAbstractListModel):
    def __init__(self, view: BarList) -> None:
        super().__init__(view)
        self.rows: tuple[tuple[str, float], ...] = ()
        self.dim: Collection[int] = ()
        self.top = 1.0
        self.write: Callable[[float], str] = number

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not 0 <= index.row() < len(self.rows):
            return None
        text, value = self.rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return text
        if role in (Qt.ItemDataRole.AccessibleTextRole, Qt.ItemDataRole.ToolTipRole):
            return f"{text.strip() or shown(text).text}, {self.write(value)}"
        return None

    def replace(
        self,
        rows: Sequence[tuple[str, float]],
        top: float,
        write: Callable[[float], str],
        dim: Collection[int],
    ) -> None:
        self.beginResetModel()
        self.rows, self.top, self.write, self.dim = tuple(rows), top, write, dim
        self.endResetModel()


class _Painter(QStyledItemDelegate):
    """Word at the left, bar, number at the right."""

    def __init__(self, view: BarList) -> None:
        super().__init__(view)
        self._view = view

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(80, option.fontMetrics.height() + 6)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        t, view = theme.tokens(), self._view
        model = view.rows()
        text, value = model.rows[index.row()]
        one = shown(text)
        rect = QRectF(option.rect)
        painter.save()
        lit = QStyle.StateFlag.State_MouseOver | QStyle.StateFlag.State_HasFocus
        if view.is_clickable() and option.state & lit:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(t.raised)
            painter.drawRoundedRect(rect, theme.RADIUS, theme.RADIUS)
        painter.setOpacity(view.content_opacity())
        words, numbers = view.columns()
        painter.setFont(option.font)
        painter.setPen(t.muted if one.kind or index.row() in model.dim else t.text)
        plain = QFontMetrics(option.font).elidedText(
            one.text, Qt.TextElideMode.ElideRight, int(words - 4)
        )
        align = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(rect.adjusted(4, 0, 0, 0), align | Qt.AlignmentFlag.AlignLeft, plain)
        room = rect.adjusted(words + 8, 0, -numbers - 12, 0)
        draw_bar(painter, room, value / model.top, view.is_signed(), color=view.bar_color())
        painter.setFont(theme.figures(option.font))
        painter.setPen(t.muted)
        painter.drawText(
            rect.adjusted(0, 0, -4, 0), align | Qt.AlignmentFlag.AlignRight, model.write(value)
        )
        painter.restore()


class BarList(Stale, QListView):
    """Rows of (word, value).

    Signals:
        row_clicked: The user clicked a row or pressed Enter on it; only where clickable.
    """

    row_clicked = Signal(int)

    def __init__(
        self, name: str = "", parent: QWidget | None = None, clickable: bool = False
    ) -> None:
        super().__init__(parent)
        self._rows = _Rows(self)
        self._signed = False
        self._grey = False
        self._clickable = clickable
        self.setModel(self._rows)
        self.setItemDelegate(_Painter(self))
        self.setAccessibleName(name or self.tr("Words and their values"))
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setUniformItemSizes(True)
        self.setMouseTracking(True)
        self.setFrameShape(QListView.Shape.NoFrame)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setTabKeyNavigation(False)
        if clickable:
            self.viewport().setCursor(Qt.CursorShape.PointingHandCursor)
        # Its corner holds a number.
        self.menu = PlotMenu(self, self.accessibleName(), self.table, corner=False)
        self.clicked.connect(self._clicked)
        self.activated.connect(self._clicked)

    def set_rows(
        self,
        rows: Sequence[tuple[str, float]],
        maximum: float | None = None,
        signed: bool = False,
        grey: bool = False,
        write: Callable[[float], str] = number,
        dim: Collection[int] = (),
    ) -> None:
        """Show rows.

        Args:
            rows: (word, value), in the order of showing.
            maximum: The value of a full bar; the largest one by default.
            signed: Orange below 0, blue above.
            grey: Grey bars, for values that are not a feature's strength.
            write: How a value is written, such as ``painting.percent``.
            dim: Rows whose words are grey.
        """
        top = maximum or max((abs(value) for _, value in rows), default=1.0) or 1.0
        self._signed, self._grey = signed, grey
        self._rows.replace(rows, top, write, dim)
        self.updateGeometry()

    def table(self) -> Columns:
        """Words and values."""
        words, values = zip(*self._rows.rows, strict=True) if self._rows.rows else ((), ())
        return {"word": words, "value": values}

    def rows(self) -> _Rows:
        """The rows' model."""
        return self._rows

    def is_clickable(self) -> bool:
        """Whether rows can be clicked."""
        return self._clickable

    def is_signed(self) -> bool:
        """Whether bars are orange and blue."""
        return self._signed

    def bar_color(self) -> Any:
        """One colour for all bars, or None for the colour of their value."""
        return theme.tokens().faint if self._grey else None

    def columns(self) -> tuple[int, int]:
        """Room for words and for numbers."""
        measure = QFontMetrics(theme.figures(self.font()))
        rows = self._rows.rows
        words = max((measure.horizontalAdvance(shown(text).text) for text, _ in rows), default=0)
        write = self._rows.write
        numbers = max((measure.horizontalAdvance(write(value)) for _, value in rows), default=0)
        return min(words + 8, int(self.viewport().width() * 0.5)), numbers

    def sizeHint(self) -> QSize:
        row = QFontMetrics(self.font()).height() + 6
        return QSize(200, max(1, len(self._rows.rows)) * row)

    def minimumSizeHint(self) -> QSize:
        return QSize(100, min(self.sizeHint().height(), 60))

    @Slot(QModelIndex)
    def _clicked(self, index: QModelIndex) -> None:
        if self._clickable:
            self.row_clicked.emit(index.row())


class PromotesList(QWidget):
    """Two columns: the tokens a feature promotes, and those it suppresses.

    Signals:
        promoted_clicked: The user clicked a row of the left column.
        suppressed_clicked: The user clicked a row of the right column.
    """

    promoted_clicked = Signal(int)
    suppressed_clicked = Signal(int)

    def __init__(self, parent: QWidget | None = None, clickable: bool = False) -> None:
        super().__init__(parent)
        self.promotes = BarList(self.tr("Promotes"), clickable=clickable)
        self.suppresses = BarList(self.tr("Suppresses"), clickable=clickable)
        columns = QHBoxLayout(self)
        columns.setContentsMargins(0, 0, 0, 0)
        columns.setSpacing(16)
        for title, help_, rows in (
            (
                self.tr("Promotes"),
                self.tr("Words the feature makes likelier, read off its direction directly."),
                self.promotes,
            ),
            (
                self.tr("Suppresses"),
                self.tr("Words the feature makes less likely, read off its direction directly."),
                self.suppresses,
            ),
        ):
            heading = muted(QLabel(title))
            heading.setToolTip(help_)
            column = QVBoxLayout()
            column.setSpacing(4)
            column.addLayout(headed(heading, rows.menu))
            column.addWidget(rows, 1)
            columns.addLayout(column, 1)
        self.promotes.row_clicked.connect(self._promoted)
        self.suppresses.row_clicked.connect(self._suppressed)

    def set_rows(
        self,
        promotes: Sequence[tuple[str, float]],
        suppresses: Sequence[tuple[str, float]],
    ) -> None:
        """Show (word, change of its logit), strongest first in both columns."""
        values = [abs(value) for _, value in (*promotes, *suppresses)]
        top = max(values, default=1.0)
        self.promotes.set_rows(promotes, top, signed=True)
        self.suppresses.set_rows(suppresses, top, signed=True)

    def set_stale(self, stale: bool) -> None:
        """Dim both columns while something newer is on its way."""
        self.promotes.set_stale(stale)
        self.suppresses.set_stale(stale)

    @Slot(int)
    def _promoted(self, row: int) -> None:
        self.promoted_clicked.emit(row)

    @Slot(int)
    def _suppressed(self, row: int) -> None:
        self.suppressed_clicked.emit(row)

"""A small tree whose branches open in place, with two measured columns beside it."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.exporting import Columns
from desktop_scope.gui.widgets.painting import Stale, number, percent
from desktop_scope.gui.widgets.plot_menu import PlotMenu
from desktop_scope.gui.widgets.strength_bar import draw_bar

_STEP, _TWIG, _BAR = 14, 14, 44
_HEADS = ("first in", "cosine", "parent fires too")


@dataclass(frozen=True)
class TreeRow:
    """One node.

    Attributes:
        depth: How far it is from the root.
        dim: Its name is not to be trusted.
        chosen: It is what the tree is about.
        share: Of its own occasions, those shared with its parent; nan if unknown.
        n: So many occasions were looked at.
        cosine: With its parent; nan for a root.
        is_open: None where there is nothing to open.
        about: On hover.
    """

    depth: int
    text: str
    dim: bool
    chosen: bool
    size: str
    share: float
    n: int
    cosine: float
    is_open: bool | None
    about: str

    @property
    def shown_share(self) -> str:
        """As written at its right; empty for a root."""
        if math.isnan(self.cosine) and math.isnan(self.share):
            return ""
        return percent(self.share)


class TreeRows(Stale, QWidget):
    """Rows of a tree, one below another, joined by lines.

    Signals:
        row_chosen: The user clicked a row, or pressed Enter on it.
        row_toggled: The user opened or closed a row.
    """

    row_chosen = Signal(int)
    row_toggled = Signal(int)

    def __init__(self, name: str) -> None:
        super().__init__()
        self._rows: tuple[TreeRow, ...] = ()
        self._current = self._hovered = -1
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.menu = PlotMenu(self, name, self.table, corner=False)

    def set_rows(self, rows: Sequence[TreeRow]) -> None:
        """Show these."""
        rows = tuple(rows)
        if rows == self._rows:
            return
        self._rows = rows
        self._current = next((n for n, row in enumerate(rows) if row.chosen), -1)
        self.setAccessibleDescription("; ".join(map(_spoken, rows)))
        self.updateGeometry()
        self.update()

    def rows(self) -> tuple[TreeRow, ...]:
        """What is shown."""
        return self._rows

    def table(self) -> Columns:
        """The rows."""
        rows = self._rows
        return {
            "depth": [row.depth for row in rows],
            "feature": [row.text for row in rows],
            "first in": [row.size for row in rows],
            "cosine with parent": [row.cosine for row in rows],
            "share with parent firing": [row.share for row in rows],
            "tokens": [row.n for row in rows],
        }

    def sizeHint(self) -> QSize:
        return QSize(280, (len(self._rows) + 1) * self._height() + 2)

    def minimumSizeHint(self) -> QSize:
        return QSize(200, self.sizeHint().height())

    # ---- drawing

    def _height(self) -> int:
        return QFontMetrics(theme.ui_font()).height() + 7

    def row_rect(self, row: int) -> QRectF:
        """Where a row is."""
        height = self._height()
        return QRectF(0, (row + 1) * height, self.width(), height)

    def twig_rect(self, row: int) -> QRectF:
        """Where a row is opened and closed."""
        rect = self.row_rect(row)
        return QRectF(4 + self._rows[row].depth * _STEP, rect.top(), _TWIG, rect.height())

    def _columns(self) -> tuple[float, float, float]:
        """Where the three columns of numbers end, at their right."""
        measure = QFontMetrics(theme.figures(theme.small(theme.ui_font())))
        share = self.width() - 6.0
        cosine = share - max(measure.horizontalAdvance(_HEADS[2]), _BAR + 44) - 12
        size = cosine - measure.horizontalAdvance(_HEADS[1]) - 12
        return size, cosine, share

    def paintEvent(self, event: QPaintEvent) -> None:
        # Left open by an exception, a painter would crash Qt: hence "with".
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setOpacity(self.content_opacity())
            self._draw_heads(painter)
            for n, row in enumerate(self._rows):
                self._draw_lines(painter, n)
                self._draw_row(painter, n, row)

    def _draw_heads(self, painter: QPainter) -> None:
        painter.setFont(theme.small(theme.ui_font()))
        painter.setPen(theme.tokens().muted)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for end, text in zip(self._columns(), _HEADS, strict=True):
            painter.drawText(QRectF(0, 0, end, self._height()), right, text)

    def _draw_lines(self, painter: QPainter, n: int) -> None:
        """From the row above to this one, and past it where there are more of its kind."""
        row, rect = self._rows[n], self.row_rect(n)
        painter.setPen(QPen(theme.tokens().faint, 1))
        for level in range(1, row.depth + 1):
            x = 4 + (level - 1) * _STEP + _TWIG / 2
            more = self._goes_on(n, level)
            if level == row.depth:
                middle = rect.center().y()
                bottom = rect.bottom() if more else middle
                painter.drawLine(QPointF(x, rect.top()), QPointF(x, bottom))
                painter.drawLine(QPointF(x, middle), QPointF(x + _STEP / 2 + 1, middle))
            elif more:
                painter.drawLine(QPointF(x, rect.top()), QPointF(x, rect.bottom()))

    def _goes_on(self, n: int, level: int) -> bool:
        later = (row.depth for row in self._rows[n + 1 :])
        return next((depth == level for depth in later if depth <= level), False)

    def _draw_row(self, painter: QPainter, n: int, row: TreeRow) -> None:
        t, rect = theme.tokens(), self.row_rect(n)
        at_size, at_cosine, at_share = self._columns()
        left = self.twig_rect(n).right() + 2
        small = theme.figures(theme.small(theme.ui_font()))
        size_width = max(
            QFontMetrics(small).horizontalAdvance(text) for text in (_HEADS[0], row.size)
        )
        words = QRectF(left, rect.top(), at_size - size_width - 8 - left, rect.height())
        if row.chosen or n == self._hovered:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(t.selection if row.chosen else t.raised)
            painter.drawRoundedRect(rect.adjusted(left - 4, 1, 0, -1), theme.RADIUS, theme.RADIUS)
        if self.hasFocus() and n == self._current:
            painter.setPen(QPen(t.accent, 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(
                rect.adjusted(left - 3.5, 1.5, -0.5, -1.5), theme.RADIUS, theme.RADIUS
            )
        if row.is_open is not None:
            self._draw_twig(painter, n, row.is_open)
        font = theme.strong(theme.ui_font()) if row.chosen else theme.ui_font()
        painter.setFont(font)
        painter.setPen(t.muted if row.dim else t.text)
        text = QFontMetrics(font).elidedText(
            row.text, Qt.TextElideMode.ElideRight, max(int(words.width()), 0)
        )
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(words, middle | Qt.AlignmentFlag.AlignLeft, text)
        painter.setFont(small)
        painter.setPen(t.muted)
        right = middle | Qt.AlignmentFlag.AlignRight
        cosine = "" if math.isnan(row.cosine) else number(row.cosine)
        for end, text in ((at_size, row.size), (at_cosine, cosine), (at_share, row.shown_share)):
            painter.drawText(QRectF(0, rect.top(), end, rect.height()), right, text)
        room = QRectF(at_share - _BAR - 42, rect.top(), _BAR, rect.height())
        draw_bar(painter, room, row.share, height=6, color=t.faint)

    def _draw_twig(self, painter: QPainter, n: int, is_open: bool) -> None:
        """A triangle: pointing down where it is open."""
        center = self.twig_rect(n).center()
        ends = ((-4, -2), (4, -2), (0, 3)) if is_open else ((-2, -4), (-2, 4), (3, 0))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.tokens().muted)
        painter.drawPolygon(QPolygonF([center + QPointF(x, y) for x, y in ends]))

    # ---- what a person does

    def row_at(self, y: float) -> int:
        """The row at a height; −1 where there is none."""
        n = math.floor(y / self._height()) - 1
        return n if 0 <= n < len(self._rows) else -1

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._hovered = self.row_at(event.position().y())
        over = self._hovered >= 0
        self.setCursor(Qt.CursorShape.PointingHandCursor if over else Qt.CursorShape.ArrowCursor)
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._hovered = -1
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        n = self.row_at(event.position().y())
        if n < 0 or event.button() != Qt.MouseButton.LeftButton:
            return
        twig = self._rows[n].is_open is not None and event.position().x() < (
            self.twig_rect(n).right() + 1
        )
        (self.row_toggled if twig else self.row_chosen).emit(n)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, n = event.key(), self._current
        if key in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            step = 1 if key == Qt.Key.Key_Down else -1
            self._current = min(max(n + step, 0), len(self._rows) - 1)
            self.update()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and 0 <= n < len(self._rows):
            self.row_chosen.emit(n)
        elif key in (Qt.Key.Key_Left, Qt.Key.Key_Right) and 0 <= n < len(self._rows):
            if self._rows[n].is_open is (key == Qt.Key.Key_Left):
                self.row_toggled.emit(n)
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent):
            n = self.row_at(event.y())
            QToolTip.showText(event.globalPos(), self._rows[n].about if n >= 0 else "", self)
            return True
        return super().event(event)


def _spoken(row: TreeRow) -> str:
    return ", ".join(filter(None, (row.text, f"first in {row.size}", row.shown_share)))

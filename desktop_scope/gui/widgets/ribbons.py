"""What flows into something and out of it, as ribbons: the wider the more."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.exporting import Columns
from desktop_scope.gui.widgets.painting import Stale
from desktop_scope.gui.widgets.plot_menu import PlotMenu

_SIDE = 8.0
_BAR = 6.0  # width of the ends of ribbons
_LABELS = 0.33  # of the width, on each side; in a narrow view up to _NARROW
_NARROW, _READABLE = 0.39, 300.0
_THIN = 1.5  # of the thinnest ribbon
_LEAST_ROW = 15.0
_GAP = 3.0


@dataclass(frozen=True)
class Ribbon:
    """One of them.

    Attributes:
        text: What it comes from or goes to.
        share: Of all on its side; how wide it is.
        value: For people.
        negative: It takes away.
        help: On hover.
        grey: It is no feature but a remainder, and cannot be chosen.
        dim: Its text says little.
    """

    text: str
    share: float
    value: str
    help: str
    grey: bool = False
    dim: bool = False
    negative: bool = False


class RibbonView(Stale, QWidget):
    """What flows in at the left, what flows out at the right.

    Signals:
        ribbon_chosen: (side, place) of a ribbon that is no remainder; side 0 is the left one.
    """

    ribbon_chosen = Signal(int, int)

    def __init__(self, name: str) -> None:
        super().__init__()
        self._sides: tuple[tuple[Ribbon, ...], tuple[Ribbon, ...]] = ((), ())
        self._heads = self._empty = ("", "")
        self._middle = ""
        self._current: tuple[int, int] | None = None
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        # Its corner holds words.
        self.menu = PlotMenu(self, name, self.table, corner=False)

    def set_ribbons(
        self,
        middle: str,
        heads: tuple[str, str],
        left: Sequence[Ribbon],
        right: Sequence[Ribbon],
        empty: tuple[str, str] = ("", ""),
    ) -> None:
        """Show what flows.

        Args:
            middle: What it flows through.
            heads: What stands over each side.
            empty: What is said of a side without ribbons.
        """
        self._sides, self._middle = (tuple(left), tuple(right)), middle
        self._heads, self._empty, self._current = heads, empty, None
        self.setAccessibleDescription(f"{len(left)} flow into {middle}, {len(right)} out of it")
        self.update()

    def table(self) -> Columns:
        """The ribbons."""
        rows = [(head, r) for head, side in zip(self._heads, self._sides, strict=True)
                for r in side]  # fmt: skip
        return {
            "side": [head for head, _ in rows],
            "what": [ribbon.text for _, ribbon in rows],
            "value": [ribbon.value for _, ribbon in rows],
            "share": [ribbon.share for _, ribbon in rows],
        }

    def sizeHint(self) -> QSize:
        return QSize(560, 260)

    def minimumSizeHint(self) -> QSize:
        return QSize(300, 140)

    # ---- where things lie

    def _labels(self) -> float:
        """How wide the words are, at each side."""
        return max(_LABELS * self.width(), min(_NARROW * self.width(), _READABLE))

    def _head(self) -> float:
        return QFontMetrics(theme.small(self.font())).height() + 8.0

    def _rows(self, side: int) -> list[QRectF]:
        """Where the ribbons' outer ends are: as high as they are wide, if there is room."""
        ribbons = self._sides[side]
        if not ribbons:
            return []
        room = self.height() - self._head() - _SIDE - _GAP * len(ribbons)
        shares = np.abs([ribbon.share for ribbon in ribbons])
        low, high = 0.0, max(room, 1.0) / max(float(shares.sum()), 1e-9)
        least = min(_LEAST_ROW, room / len(ribbons))
        for _ in range(30):  # the widest scale at which all fit
            scale = (low + high) / 2
            fits = np.maximum(shares * scale, least).sum() <= room
            low, high = (scale, high) if fits else (low, scale)
        heights = np.maximum(shares * low, least)
        top, left = self._head(), self._labels()
        x = left - _BAR if side == 0 else self.width() - left
        found = []
        for height, share in zip(heights.tolist(), (shares * low).tolist(), strict=True):
            width = max(share, _THIN)
            found.append(QRectF(x, top + (height - width) / 2, _BAR, width))
            top += height + _GAP
        return found

    def _ends(self, side: int) -> list[QRectF]:
        """Where they meet the middle, one below another without gaps."""
        rows = self._rows(side)
        whole = sum(row.height() for row in rows)
        room = self.height() - self._head() - _SIDE
        top = self._head() + max((room - whole) / 2, 0)
        x = self.width() / 2 - (_BAR if side == 0 else 0)
        found = []
        for row in rows:
            found.append(QRectF(x, top, _BAR, row.height()))
            top += row.height()
        return found

    def _label(self, side: int, row: QRectF) -> QRectF:
        height = max(row.height(), _LEAST_ROW)
        top = row.center().y() - height / 2
        width = self._labels() - _BAR - _SIDE - 6
        left = _SIDE if side == 0 else self.width() - _SIDE - width
        return QRectF(left, top, width, height)

    def ribbon_at(self, point: QPointF) -> tuple[int, int] | None:
        """The side and place of the ribbon at a point."""
        for side in (0, 1):
            for place, (row, end) in enumerate(
                zip(self._rows(side), self._ends(side), strict=True)
            ):
                at_label = self._label(side, row).united(row).contains(point)
                if at_label or _band(row, end).contains(point):
                    return side, place
        return None

    # ---- drawing

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setFont(theme.small(self.font()))
            self._paint_heads(painter)
            painter.setOpacity(self.content_opacity())
            for side in (0, 1):
                self._paint_side(painter, side)
            if self.hasFocus():
                painter.setPen(QPen(theme.tokens().faint, 1))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5))

    def _paint_heads(self, painter: QPainter) -> None:
        t, measure, width = theme.tokens(), painter.fontMetrics(), self._labels()
        top, height = 2.0, self._head()
        left, right = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight
        painter.setPen(t.muted)
        painter.drawText(QRectF(_SIDE, top, width, height), left, self._heads[0])
        box = QRectF(self.width() - width - _SIDE, top, width, height)
        painter.drawText(box, right, self._heads[1])
        painter.setPen(t.text)
        box = QRectF(width + _SIDE, top, self.width() - 2 * (width + _SIDE), height)
        words = measure.elidedText(self._middle, Qt.TextElideMode.ElideRight, int(box.width()))
        painter.drawText(box, Qt.AlignmentFlag.AlignHCenter, words)

    def _paint_side(self, painter: QPainter, side: int) -> None:
        t, ribbons = theme.tokens(), self._sides[side]
        if not ribbons:
            width = self._labels()
            box = QRectF(_SIDE if side == 0 else self.width() - width, self._head(), width - _SIDE,
                         self.height() - self._head())  # fmt: skip
            painter.setPen(t.muted)
            flags = Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(box, int(flags), self._empty[side])
            return
        rows, ends = self._rows(side), self._ends(side)
        signs = np.array([-1.0 if ribbon.negative else 1.0 for ribbon in ribbons])
        tints = theme.diverging_rgba(signs, behind_text=False)
        for place, (ribbon, row, end) in enumerate(zip(ribbons, rows, ends, strict=True)):
            ink = QColor(t.faint) if ribbon.grey else QColor(*tints[place].tolist())
            chosen = self._current == (side, place)
            painter.setPen(Qt.PenStyle.NoPen)
            faint = QColor(ink)
            faint.setAlpha(200 if chosen else 70 if ribbon.grey else 120)
            painter.setBrush(faint)
            painter.drawPath(_band(row, end))
            painter.setBrush(ink)
            painter.drawRect(row)
            self._paint_label(painter, side, row, ribbon, chosen)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(t.accent)
        painter.drawRect(QRectF(self.width() / 2 - 1, ends[0].top(), 2,
                                ends[-1].bottom() - ends[0].top()))  # fmt: skip

    def _paint_label(
        self, painter: QPainter, side: int, row: QRectF, ribbon: Ribbon, chosen: bool
    ) -> None:
        t, box = theme.tokens(), self._label(side, row)
        if chosen:
            painter.fillRect(box.adjusted(-4, 0, 4, 0), t.selection)
        font = theme.figures(theme.small(self.font()))
        painter.setFont(font)
        width = QFontMetrics(font).horizontalAdvance(ribbon.value) + 8
        room = box.adjusted(0, 0, -width, 0) if side == 0 else box.adjusted(width, 0, 0, 0)
        align = Qt.AlignmentFlag.AlignRight if side == 0 else Qt.AlignmentFlag.AlignLeft
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.setPen(t.text)
        painter.drawText(box, int(align | middle), ribbon.value)
        painter.setPen(t.muted if ribbon.grey or ribbon.dim else t.text)
        words = painter.fontMetrics().elidedText(
            ribbon.text, Qt.TextElideMode.ElideRight, int(room.width())
        )
        painter.drawText(room, int(align | middle), words)

    # ---- acts of the user

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._point_to(self.ribbon_at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        if not self.hasFocus():
            self._point_to(None)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._choose(self.ribbon_at(event.position()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        side, place = self._current or (0, -1)
        if event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            side, place = int(event.key() == Qt.Key.Key_Right), max(place, 0)
        elif event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            place += 1 if event.key() == Qt.Key.Key_Down else -1
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._choose(self._current)
            return
        else:
            super().keyPressEvent(event)
            return
        last = len(self._sides[side]) - 1
        self._point_to((side, min(max(place, 0), last)) if last >= 0 else None)

    def _point_to(self, ribbon: tuple[int, int] | None) -> None:
        if ribbon != self._current:
            self._current = ribbon
            self.update()

    def _choose(self, ribbon: tuple[int, int] | None) -> None:
        if ribbon is not None and not self._sides[ribbon[0]][ribbon[1]].grey:
            self.ribbon_chosen.emit(*ribbon)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent):
            ribbon = self.ribbon_at(QPointF(event.pos()))
            if ribbon is not None:
                text = self._sides[ribbon[0]][ribbon[1]].help
                QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)


def _band(one: QRectF, other: QRectF) -> QPainterPath:
    """The ribbon between two ends."""
    left, right = sorted((one, other), key=lambda end: end.left())
    x0, x1 = left.right(), right.left()
    bend = (x0 + x1) / 2
    path = QPainterPath(QPointF(x0, left.top()))
    path.cubicTo(bend, left.top(), bend, right.top(), x1, right.top())
    path.lineTo(x1, right.bottom())
    path.cubicTo(bend, right.bottom(), bend, left.bottom(), x0, left.bottom())
    path.closeSubpath()
    return path

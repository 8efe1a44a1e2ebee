"""Sums as rows: what features contribute, signed, and beside it what is left unexplained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QHelpEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QScrollArea, QToolTip, QWidget

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.cause_table import draw_signed, signed
from desktop_scope.gui.widgets.exporting import Columns
from desktop_scope.gui.widgets.painting import percent
from desktop_scope.gui.widgets.plot_menu import PlotMenu
from desktop_scope.gui.widgets.strength_bar import draw_bar

_NUMBERS = "+00.00"
_DOUBTFUL = "✗"


@dataclass(frozen=True)
class SumRow:
    """One layer, or one token.

    Attributes:
        unexplained: Share that is no feature's.
        pearson: Of what was estimated and measured here; None where too little was measured.
        doubtful: What was measured does not bear out what was estimated.
    """

    name: str
    effect: float
    unexplained: float
    pearson: float | None = None
    doubtful: bool = False


class _Bars(QWidget):
    clicked = Signal(int)

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what = what
        self.rows: tuple[SumRow, ...] = ()
        self.setMouseTracking(True)

    def height_of(self) -> int:
        return QFontMetrics(self.font()).height() + 4

    def sizeHint(self) -> QSize:
        return QSize(240, self.height_of() * (len(self.rows) + 1))

    def paintEvent(self, event: QPaintEvent) -> None:
        t, painter = theme.tokens(), QPainter(self)
        font = theme.figures(theme.small(self.font()))
        measure, step = QFontMetrics(font), self.height_of()
        painter.setFont(font)
        top = max((abs(row.effect) for row in self.rows), default=1.0) or 1.0
        names = min(max((measure.horizontalAdvance(r.name) for r in self.rows), default=0) + 4, 90)
        numbers = measure.horizontalAdvance(_NUMBERS)
        left = names + 20
        room = max(self.width() - left - numbers - 20, 40)
        split = left + room * 0.62
        align = Qt.AlignmentFlag.AlignVCenter
        painter.setPen(t.muted)
        for x, wide, text in (
            (0, left, self._what),
            (left, split - left + numbers, "features"),
            (split + numbers + 12, self.width(), "unexplained"),
        ):
            painter.drawText(QRectF(x + 4, 0, wide, step), align, text)
        for n, row in enumerate(self.rows):
            y = step * (n + 1)
            if y + step < event.rect().top() or y > event.rect().bottom():
                continue
            painter.setPen(t.muted)
            name = measure.elidedText(row.name, Qt.TextElideMode.ElideRight, names)
            right = align | Qt.AlignmentFlag.AlignRight
            painter.drawText(QRectF(0, y, names + 4, step), right, name)
            if row.doubtful:
                painter.setPen(t.danger)
                painter.drawText(QRectF(names + 6, y, 12, step), align, _DOUBTFUL)
            draw_signed(painter, QRectF(left, y, split - left, step), row.effect / top)
            painter.setPen(t.text)
            painter.drawText(QRectF(split, y, numbers + 4, step), right, signed(row.effect))
            grey = QRectF(split + numbers + 16, y, self.width() - split - numbers - 24, step)
            painter.fillRect(QRectF(grey.x(), grey.center().y() - 4, grey.width(), 8), t.raised)
            draw_bar(painter, grey, row.unexplained, color=t.faint)

    def row_at(self, y: float) -> int:
        return int(y // self.height_of()) - 1

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        n = self.row_at(event.position().y())
        if 0 <= n < len(self.rows):
            self.clicked.emit(n)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent):
            n = self.row_at(event.y())
            if 0 <= n < len(self.rows):
                QToolTip.showText(event.globalPos(), self.words(n), self)
            return True
        return super().event(event)

    def words(self, n: int) -> str:
        row = self.rows[n]
        said = (
            f"{self._what} {row.name}: features contribute {signed(row.effect)} nats; "
            f"{percent(row.unexplained)} of what it does is no feature's"
        )
        if row.pearson is not None:
            said += f"\nestimated and measured agree with a correlation of {row.pearson:.2f}"
        return said + ("\n✗ the picture is unreliable here" if row.doubtful else "")


class SumBars(QScrollArea):
    """A column of sums.

    Signals:
        row_clicked: The number of a row.
    """

    row_clicked = Signal(int)

    def __init__(self, what: str, name: str) -> None:
        super().__init__(widgetResizable=True)
        self._what = what
        self._bars = _Bars(what)
        self._bars.clicked.connect(self.row_clicked.emit)
        self.setAccessibleName(name)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidget(self._bars)
        self.menu = PlotMenu(self, name, self.table)

    def table(self) -> Columns:
        """The rows."""
        rows = self._bars.rows
        return {
            self._what: [row.name for row in rows],
            "features (nats)": [row.effect for row in rows],
            "unexplained share": [row.unexplained for row in rows],
            "correlation with measured": [row.pearson for row in rows],
        }

    def set_rows(self, rows: Sequence[SumRow]) -> None:
        """Show these."""
        if tuple(rows) == self._bars.rows:
            return
        self._bars.rows = tuple(rows)
        self._bars.setMinimumHeight(self._bars.sizeHint().height())
        self._bars.setAccessibleDescription("; ".join(map(self._bars.words, range(len(rows)))))
        self._bars.update()

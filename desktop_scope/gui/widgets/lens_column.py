"""What each layer would say next: one word per row, beside the heat map's rows."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QHelpEvent, QPainter, QPaintEvent, QPixmap, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from desktop_scope.engine.types import LensRow
from desktop_scope.gui import theme
from desktop_scope.gui.widgets.exporting import Columns
from desktop_scope.gui.widgets.painting import Stale, percent
from desktop_scope.gui.widgets.plot_menu import PlotMenu
from desktop_scope.gui.widgets.token_layout import shown

_WIDTH = 118
_NUMBERS = 44
_LINE = 11  # pixels between two words, at least
_SURE = 0.2


class LensColumn(Stale, QWidget):
    """The logit lens at the selected token.

    Args:
        first_row: Where the row of layer 0 lies, in this widget's vertical coordinates; the other
            layers are stacked on it.
        area: Where all rows in sight lie.
    """

    def __init__(
        self,
        first_row: Callable[[], QRectF],
        area: Callable[[], QRectF],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._first_row, self._area = first_row, area
        self._rows: tuple[LensRow, ...] = ()
        self._picture: QPixmap | None = None
        self._key: object = None
        self.setFixedWidth(_WIDTH)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self.setMouseTracking(True)
        # Its corner holds a number.
        self.menu = PlotMenu(self, "Logit lens", self.table, self._paint, corner=False)
        self.setAccessibleName(self.tr("Logit lens"))

    def sizeHint(self) -> QSize:
        return QSize(_WIDTH, 280)

    def set_rows(self, rows: Sequence[LensRow]) -> None:
        """Show the likeliest word of every layer, first layer first."""
        self._rows = tuple(rows)
        self._picture = None
        if rows:
            self.setAccessibleDescription(self.read_out(len(rows) - 1))
        self.update()

    def table(self) -> Columns:
        """The words of all layers, likeliest first."""
        every = [
            (row.layer, rank, word, p)
            for row in self._rows
            for rank, (word, p) in enumerate(zip(row.texts, row.probs, strict=True), start=1)
        ]
        layers, ranks, words, probs = zip(*every, strict=True) if every else ((), (), (), ())
        return {"layer": layers, "rank": ranks, "word": words, "probability": probs}

    def read_out(self, layer: int) -> str:
        """One layer in words."""
        row = self._rows[layer]
        head = self.tr("Read after layer {0}, the model would say").format(layer)
        words = (
            f"{shown(text).text}  {percent(p)}"
            for text, p in zip(row.texts, row.probs, strict=True)
        )
        return "\n".join([head, *words])

    def layer_at(self, y: float) -> int:
        """The layer whose row is at a height, or −1."""
        first = self._first_row()
        if not self._area().top() <= y <= self._area().bottom():
            return -1
        layer = int((first.bottom() - y) // max(first.height(), 1e-6))
        return layer if 0 <= layer < len(self._rows) else -1

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._rows:
            return
        key = (
            self._first_row().getRect(),
            self._area().getRect(),
            self.devicePixelRatioF(),
            theme.tokens(),
        )
        if self._picture is None or key != self._key:
            self._picture, self._key = self._draw(), key
        with QPainter(self) as painter:
            painter.setOpacity(self.content_opacity())
            painter.drawPixmap(0, 0, self._picture)

    def _draw(self) -> QPixmap:
        """All rows as one picture: they change far less often than they are painted."""
        ratio = self.devicePixelRatioF()
        picture = QPixmap(self.size() * ratio)
        picture.setDevicePixelRatio(ratio)
        picture.fill(Qt.GlobalColor.transparent)
        with QPainter(picture) as painter:
            self._paint(painter, ratio)
        return picture

    def _paint(self, painter: QPainter, ratio: float) -> None:
        t, first = theme.tokens(), self._first_row()
        step = max(1, -(-_LINE // max(int(first.height()), 1)))  # low rows share a line
        font = theme.small(theme.ui_font())
        font.setPixelSize(min(font.pixelSize(), max(int(first.height() * step) - 1, 8)))
        measure = QFontMetrics(font)
        elide, height = Qt.TextElideMode.ElideRight, measure.height()
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.setFont(font)
        tops = [first.center().y() - r.layer * first.height() - height / 2 for r in self._rows]
        low, high = max(self._area().top() - 4, 0), self._area().bottom() - height + 4
        both = zip(self._rows, tops, strict=True)
        whole = [(row, top) for row, top in both if low <= top <= high]
        for row, top in whole[::-step]:
            sure = row.probs[0]
            painter.setPen(t.text if sure >= _SURE else t.muted)
            room = QRectF(4, top, _WIDTH - _NUMBERS, height)
            word = measure.elidedText(shown(row.texts[0]).text, elide, int(room.width()))
            painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, word)
            painter.setPen(t.muted)
            painter.drawText(
                QRectF(_WIDTH - _NUMBERS, top, _NUMBERS - 4, height), right, percent(sure)
            )

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._picture = None
        super().resizeEvent(event)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            layer = self.layer_at(event.pos().y())
            QToolTip.showText(event.globalPos(), self.read_out(layer) if layer >= 0 else "", self)
            return True
        return super().event(event)

"""What each layer would say next: one word per row, beside the heat map's rows."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import QFontMetrics, QHelpEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from desktop_scope.engine.types import LensRow
from desktop_scope.gui import theme
from desktop_scope.gui.widgets.painting import Stale, percent
from desktop_scope.gui.widgets.token_layout import shown

_WIDTH = 118
_SMALLEST = 11  # pixels between two words


class LensColumn(Stale, QWidget):
    """The logit lens at the selected token.

    Args:
        rect_of: Where the row of a layer lies, in this widget's vertical coordinates.
    """

    def __init__(self, rect_of: Callable[[int], QRectF], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rect_of = rect_of
        self._rows: tuple[LensRow, ...] = ()
        self.setFixedWidth(_WIDTH)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self.setMouseTracking(True)
        self.setAccessibleName(self.tr("Logit lens"))
        self.setAccessibleDescription(
            self.tr("What each layer would say next, read through the final norm and unembedding")
        )

    def sizeHint(self) -> QSize:
        return QSize(_WIDTH, 280)

    def set_rows(self, rows: Sequence[LensRow]) -> None:
        """Show the likeliest word of every layer, first layer first."""
        self._rows = tuple(rows)
        self.update()

    def read_out(self, layer: int) -> str:
        """One layer in words."""
        row = self._rows[layer]
        lines = [
            f"{shown(text).text or text!r}  {percent(p)}"
            for text, p in zip(row.texts, row.probs, strict=True)
        ]
        return (
            self.tr("Logit lens after layer {0}: read now, the model would say").format(layer)
            + "\n"
            + "\n".join(lines)
        )

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._rows:
            return
        t = theme.tokens()
        heights = self._rect_of(0).height()
        step = max(1, -(-_SMALLEST // max(int(heights), 1)))  # rows too low share a line
        font = theme.ui_font(
            round(min(theme.small(theme.ui_font()).pixelSize(), max(heights * step - 1, _SMALLEST)))
        )
        measure = QFontMetrics(font)
        with QPainter(self) as painter:
            painter.setOpacity(self.content_opacity())
            painter.setFont(font)
            for row in self._rows[len(self._rows) - 1 :: -step]:
                rect = self._rect_of(row.layer)
                sure = row.probs[0]
                painter.setPen(t.text if sure >= 0.2 else t.muted)
                room = QRectF(
                    4, rect.center().y() - measure.height() / 2, _WIDTH - 44, measure.height()
                )
                word = measure.elidedText(
                    shown(row.texts[0]).text, Qt.TextElideMode.ElideRight, int(room.width())
                )
                painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, word)
                painter.setPen(t.muted)
                painter.drawText(
                    QRectF(_WIDTH - 44, room.top(), 40, room.height()),
                    Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight,
                    percent(sure),
                )

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            y = event.pos().y()
            over = [
                r.layer
                for r in self._rows
                if self._rect_of(r.layer).top() <= y < self._rect_of(r.layer).bottom()
            ]
            QToolTip.showText(event.globalPos(), self.read_out(over[0]) if over else "", self)
            return True
        return super().event(event)

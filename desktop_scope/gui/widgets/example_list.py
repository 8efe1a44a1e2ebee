"""Stretches of text in which a feature fires, strongest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRectF,
    QSize,
    Qt,
    Signal,
    Slot,
)
from PySide6.QtGui import QFontMetrics, QImage, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from desktop_scope.evidence.types import Example
from desktop_scope.gui import theme
from desktop_scope.gui.widgets.painting import Pixels, Stale, image_of, number
from desktop_scope.gui.widgets.token_layout import TokenLayout
from desktop_scope.gui.widgets.token_paint import LineMetrics, StrengthLayer, TextLayer

Index = QModelIndex | QPersistentModelIndex
SIDE = 8
PEAK_AT = 0.6  # the peak lies within this share of a one-line row


class _Rows(QAbstractListModel):
    """Section titles and examples."""

    def __init__(self, view: ExampleList) -> None:
        super().__init__(view)
        self._view = view
        self.rows: tuple[str | Example, ...] = ()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not 0 <= index.row() < len(self.rows):
            return None
        row = self.rows[index.row()]
        if isinstance(row, str):
            spoken = (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole)
            return row if role in spoken else None
        if role == Qt.ItemDataRole.DisplayRole:
            return "".join(row.texts)
        if role in (Qt.ItemDataRole.AccessibleTextRole, Qt.ItemDataRole.ToolTipRole):
            return self._view.spoken(row)
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        if index.isValid() and isinstance(self.rows[index.row()], str):
            return Qt.ItemFlag.ItemIsEnabled
        return super().flags(index)

    def replace(self, rows: Sequence[str | Example]) -> None:
        self.beginResetModel()
        self.rows = tuple(rows)
        self.endResetModel()


class _Snippet:
    """One example on one line, as much of it as fits into a width, and its picture."""

    def __init__(self, example: Example, list_: ExampleList, width: int) -> None:
        texts = [text.replace("\n", "⏎") for text in example.texts]
        layout = TokenLayout(list_.font())
        self._strength = np.asarray(example.values) / list_.maximum()
        layout.set_width(1 << 20)
        layout.set_texts(texts)
        first, past = _window(layout, example.peak, width)
        before = ["…"] if first else []
        after = ["…"] if past < len(texts) else []
        texts = before + texts[first:past] + after
        filler = [np.zeros(len(before)), self._strength[first:past], np.zeros(len(after))]
        self._strength = np.concatenate(filler)
        layout.set_texts(texts)
        layout.set_width(int((layout.lefts + layout.widths).max(initial=1)))
        self._metrics = LineMetrics(layout, 0)
        self._masked = np.zeros(len(texts), bool)
        self._picture: tuple[object, QImage, Pixels] | None = None
        self.height = self._metrics.height

    def picture(self, width: int, ratio: float) -> QImage:
        """The coloured tokens."""
        key = (theme.tokens(), width, ratio)
        if self._picture is None or self._picture[0] != key:
            pixels = StrengthLayer().pixels(
                self._metrics, width, self.height, ratio, 0, 0, self._strength, False, ()
            )
            image = image_of(pixels)
            with QPainter(image) as painter:
                TextLayer().draw(painter, self._metrics, self._masked, ratio, 0, 0, self.height)
            image.setDevicePixelRatio(ratio)
            self._picture = (key, image, pixels)
        return self._picture[1]


def _window(layout: TokenLayout, peak: int, width: int) -> tuple[int, int]:
    """The tokens of a one-line row: the peak in sight, and as much after it as fits."""
    ends = layout.lefts + layout.widths
    dots = 2 * layout.text_height
    if int(ends[-1]) <= width:
        return 0, len(layout)
    first = int(np.searchsorted(layout.lefts, int(ends[peak]) - PEAK_AT * width + dots))
    first = min(first, peak) if ends[peak] > PEAK_AT * width else 0
    past = int(np.searchsorted(ends, int(layout.lefts[first]) + width - dots, side="right"))
    return first, max(past, peak + 1)


class _Painter(QStyledItemDelegate):
    def __init__(self, view: ExampleList) -> None:
        super().__init__(view)
        self._view = view

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(40, self._view.row_height(index.row()))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        t, view = theme.tokens(), self._view
        row, rect = view.row(index.row()), option.rect
        align = Qt.AlignmentFlag.AlignVCenter
        painter.save()
        painter.setOpacity(view.content_opacity())
        snippet = view.snippet(index.row())
        if snippet is None or isinstance(row, str):
            painter.setFont(theme.small(view.font()))
            painter.setPen(t.muted)
            painter.drawText(rect.adjusted(SIDE, 4, 0, 0), align | Qt.AlignmentFlag.AlignLeft, row)
            painter.restore()
            return
        picture = snippet.picture(view.text_width(), view.devicePixelRatioF())
        painter.drawImage(QPoint(SIDE, rect.top() + 4), picture)
        painter.setFont(theme.figures(theme.small(view.font())))
        painter.setPen(t.muted)
        value = QRectF(rect.adjusted(0, 4, -SIDE, 0))
        value.setHeight(QFontMetrics(view.font()).height() + 2)
        painter.drawText(value, align | Qt.AlignmentFlag.AlignRight, number(row.value))
        state = option.state
        if state & (QStyle.StateFlag.State_MouseOver | QStyle.StateFlag.State_HasFocus):
            # A bar at the edge: a lit row would shift the meaning of the greens on it.
            painter.fillRect(rect.left(), rect.top() + 4, 2, rect.height() - 8, t.accent)
        painter.restore()


class ExampleList(Stale, QListView):
    """Examples in sections, with the same green as everywhere.

    Signals:
        example_clicked: The user clicked an example; carries the Example.
        example_activated: The user double-clicked it or pressed Enter; carries the Example.
    """

    example_clicked = Signal(object)
    example_activated = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._maximum = 1.0
        self._snippets: dict[int, _Snippet] = {}
        self._key: object = None
        self._rows = _Rows(self)
        self.setModel(self._rows)
        self.setItemDelegate(_Painter(self))
        self.setAccessibleName(self.tr("Examples"))
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setFrameShape(QListView.Shape.NoFrame)
        self.setTabKeyNavigation(False)
        self.setMouseTracking(True)
        self.clicked.connect(self._clicked)
        self.activated.connect(self._activated)

    def set_examples(self, examples: Sequence[Example], maximum: float) -> None:
        """Show examples, in the order given within each section.

        Args:
            examples: Of both bands.
            maximum: The feature's maximum, full green.
        """
        self._maximum = max(float(maximum), 1e-9)
        self._snippets.clear()
        rows: list[str | Example] = []
        for band, title in (
            ("top", self.tr("Strongest")),
            ("mid", self.tr("Mid-range: weaker, drawn at random, often more telling")),
        ):
            chosen = [example for example in examples if example.band == band]
            rows += [title, *chosen] if chosen else []
        self._rows.replace(rows)

    def maximum(self) -> float:
        """The activation that is full green."""
        return self._maximum

    def row(self, row: int) -> str | Example:
        """A section's title or an example."""
        return self._rows.rows[row]

    def row_height(self, row: int) -> int:
        """Pixels; nothing needs to be laid out for it, as every example is one line."""
        if isinstance(self._rows.rows[row], str):
            return QFontMetrics(self.font()).height() + 12
        return LineMetrics(TokenLayout(self.font()), 0).box + 8

    def text_width(self) -> int:
        """Room for the tokens of a row."""
        numbers = QFontMetrics(theme.small(self.font())).horizontalAdvance("00.00") + SIDE
        return max(40, self.viewport().width() - 2 * SIDE - numbers)

    def snippet(self, row: int) -> _Snippet | None:
        """A row's tokens, laid out for the present width; None for a section's title."""
        key = (self.text_width(), self.font())
        if key != self._key:
            self._snippets.clear()
            self._key = key
        example = self._rows.rows[row]
        if isinstance(example, str):
            return None
        if row not in self._snippets:
            self._snippets[row] = _Snippet(example, self, self.text_width())
        return self._snippets[row]

    def spoken(self, example: Example) -> str:
        """An example in words."""
        return self.tr(
            "“{0}”: activation {1}, {2} % of the maximum\n{3}\nDouble-click: what else fires on it"
        ).format(
            example.texts[example.peak].strip(),
            number(example.value),
            round(example.value / self._maximum * 100),
            "".join(example.texts).strip(),
        )

    @Slot(QModelIndex)
    def _clicked(self, index: QModelIndex) -> None:
        if isinstance(example := self.row(index.row()), Example):
            self.example_clicked.emit(example)

    @Slot(QModelIndex)
    def _activated(self, index: QModelIndex) -> None:
        if isinstance(example := self.row(index.row()), Example):
            self.example_activated.emit(example)

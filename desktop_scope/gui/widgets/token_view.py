"""The text as tokens, each coloured by how strongly a feature fires on it."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    Qt,
    Signal,
    Slot,
)
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QRegion,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractItemView, QListView, QWidget

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.painting import Stale, image_of, number
from desktop_scope.gui.widgets.token_layout import TokenLayout
from desktop_scope.gui.widgets.token_paint import LineMetrics, StrengthLayer, TextLayer

Index = QModelIndex | QPersistentModelIndex
MARGIN = 8


class _TokenModel(QAbstractListModel):
    """Tokens as list items, for the keyboard, tooltips and screen readers."""

    def __init__(self, view: TokenView) -> None:
        super().__init__(view)
        self._view = view
        self.count = 0

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else self.count

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        token = index.row()
        if not 0 <= token < self.count:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._view.token_text(token)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return self._view.accessible_text(token)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._view.tooltip_text(token)
        return None

    def reset(self, count: int) -> None:
        self.beginResetModel()
        self.count = count
        self.endResetModel()

    def grow(self, count: int) -> None:
        self.beginInsertRows(QModelIndex(), self.count, count - 1)
        self.count = count
        self.endInsertRows()


class TokenView(Stale, QListView):
    """Tokens in lines, painted in two layers: strength below, cached text above.

    Signals:
        token_clicked: The user clicked a token.
        token_activated: The user double-clicked a token or pressed Enter on it.
        token_hovered: The pointer is over a token; −1 when it left.
        current_changed: The user moved to a token; ``set_current`` does not emit it.
        font_px_changed: The user changed the type size with Ctrl and the wheel.
        phrase_chosen: The user dragged over tokens: the first and the last of them.
    """

    token_clicked = Signal(int)
    token_activated = Signal(int)
    token_hovered = Signal(int)
    current_changed = Signal(int)
    phrase_chosen = Signal(int, int)
    font_px_changed = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layout = TokenLayout(theme.ui_font())
        self._metrics = LineMetrics(self._layout, 0)
        self._strength = StrengthLayer()
        self._text = TextLayer()
        self._masked = np.zeros(0, bool)
        self._values = np.zeros(0, np.float32)
        self._maximum = 1.0
        self._signed = False
        self._pinned: tuple[tuple[str, NDArray[np.floating], QColor], ...] = ()
        self._own_font = ("", 0)  # that of the interface
        self._details: Sequence[str] = ()
        self._logprobs: NDArray[np.floating] = np.zeros(0)
        self._hovered = -1
        self._anchor = -1  # the token on which the button was pressed
        self._phrase: tuple[int, int] | None = None
        self._by_program = False
        self._entering = False
        self._tokens = _TokenModel(self)
        self.setModel(self._tokens)
        self.setAccessibleName(self.tr("Tokens"))
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTabKeyNavigation(False)
        self.setMouseTracking(True)
        self.clicked.connect(self._clicked)
        self.activated.connect(self._activated)

    # -- content --------------------------------------------------------------------------------

    def set_tokens(
        self,
        texts: Sequence[str],
        masked: NDArray[np.bool_] | None = None,
        answer_start: int | None = None,
    ) -> None:
        """Show these tokens.

        Args:
            texts: One readable text per token.
            masked: Tokens that were not encoded; drawn hatched.
            answer_start: First token of the answer, below a divider; None when all is prompt.
        """
        current = self.current()
        n = len(texts)
        texts, start = list(texts), n if answer_start is None else answer_start
        masked = _fit(masked, n, False).astype(bool)
        same = self._layout.holds(texts, start) and np.array_equal(masked, self._masked)
        self._masked = masked
        self._values = np.zeros(n, np.float32)
        self._logprobs = np.zeros(0)
        self._details = ()
        if same:  # a finished answer is traced: what streamed in stands as it is
            self.viewport().update()
            return
        self._layout.set_texts(texts, start)
        self._hovered = -1
        self._phrase = None
        self._text.forget()
        self._by_program = True
        self._tokens.reset(n)
        self._by_program = False
        self._settle()
        if 0 <= current < n:
            self.set_current(current)

    def append_tokens(self, texts: Sequence[str]) -> None:
        """Add streamed tokens; what stands stays in place, and the end stays in sight."""
        if not texts:
            return
        bar = self.verticalScrollBar()
        at_end = bar.value() >= bar.maximum() - 4
        n_before, divider = len(self._layout), self._metrics.divider_line
        moved = self._layout.append(list(texts))
        n = len(self._layout)
        self._masked = _fit(self._masked, n, False)
        self._values = _fit(self._values, n, 0)
        self._pinned = tuple((name, _fit(v, n, 0), color) for name, v, color in self._pinned)
        self._tokens.grow(n)
        self._settle()
        if moved < n_before or divider != self._metrics.divider_line:
            self._text.forget(max(0, int(self._layout.lines[moved]) - 1))
        if at_end:
            bar.setValue(bar.maximum())

    def set_values(
        self, values: NDArray[np.floating] | None, maximum: float = 1.0, signed: bool = False
    ) -> None:
        """Colour the tokens.

        Args:
            values: Activation per token in residual units; None for no colour.
            maximum: What counts as full strength.
            signed: Values below 0 mean something: orange to blue instead of green.
        """
        self._values = _fit(values, len(self._layout), 0).astype(np.float32)
        self._maximum = max(float(maximum), 1e-9)
        self._signed = signed
        self.viewport().update()

    def set_pinned(self, pinned: Sequence[tuple[str, NDArray[np.floating], QColor]]) -> None:
        """Underline pinned features: (name, strength 0…1 per token, colour)."""
        before = len(self._pinned)
        n = len(self._layout)
        self._pinned = tuple(
            (name, _fit(values, n, 0), QColor(color)) for name, values, color in pinned
        )
        if len(self._pinned) != before:
            self._text.forget()
            self._settle()
        self.viewport().update()

    def set_details(
        self, details: Sequence[str] = (), logprobs: NDArray[np.floating] | None = None
    ) -> None:
        """Give tooltips more to say: a line per token, and log-probabilities in nats."""
        self._details = details
        self._logprobs = np.zeros(0) if logprobs is None else logprobs

    def set_current(self, token: int) -> None:
        """Choose a token; −1 for none. Emits nothing."""
        if token == self.current():
            return
        self._by_program = True
        if 0 <= token < len(self._layout):
            self.setCurrentIndex(self._tokens.index(token))
        else:
            self.setCurrentIndex(QModelIndex())
            self.clearSelection()
        self._by_program = False
        self.viewport().update()

    def set_hovered(self, token: int) -> None:
        """Outline a token that the pointer is over elsewhere, such as in the heat map."""
        if token != self._hovered:
            self._hovered = token
            self.viewport().update()

    def set_token_font(self, family: str = "", px: int = 0) -> None:
        """Set the tokens' face; an empty family means the interface face, 0 its size."""
        font = theme.ui_font(px or None)
        if family:
            font.setFamily(family)
        self._own_font = (family, px)
        self._layout.set_font(font)
        self._text.forget()
        self._settle()

    # -- questions ------------------------------------------------------------------------------

    def current(self) -> int:
        """The chosen token, or −1."""
        return self.currentIndex().row()

    def count(self) -> int:
        """How many tokens are shown."""
        return len(self._layout)

    def token_text(self, token: int) -> str:
        """A token's text as the tokenizer gives it."""
        return self._layout.text(token)

    def token_rect(self, token: int) -> QRect:
        """A token's box in viewport coordinates."""
        if not 0 <= token < len(self._layout):
            return QRect()
        rect = self._metrics.token_rect(token)
        return rect.translated(MARGIN, MARGIN - self.verticalOffset())

    def token_at(self, point: QPoint) -> int:
        """The token under a point of the viewport, or −1."""
        return self._metrics.token_at(
            point.x() - MARGIN, point.y() - MARGIN + self.verticalOffset()
        )

    def content_height(self) -> int:
        """How tall the whole text is at the present width."""
        return self._metrics.height + 2 * MARGIN

    def accessible_text(self, token: int) -> str:
        """What a screen reader says for a token."""
        if self._masked[token]:
            return self.tr("{0}, position {1}, not encoded").format(self._spoken(token), token)
        return self.tr("{0}, position {1}, activation {2}").format(
            self._spoken(token), token, f"{self._values[token]:.2f}"
        )

    def tooltip_text(self, token: int) -> str:
        """What hovering over a token says."""
        lines = [self.tr("“{0}”  ·  position {1}").format(self._spoken(token), token)]
        if self._masked[token]:
            lines.append(self.tr("not encoded: too unlike the text the features were made for"))
        elif self._signed:
            lines.append(self.tr("value {0}").format(number(float(self._values[token]))))
        else:
            value = float(self._values[token])
            lines.append(
                self.tr("activation {0} of {1}").format(number(value), number(self._maximum))
            )
        lines += [
            f"{name}: {round(float(values[token]) * 100)} %"
            for name, values, _ in self._pinned
            if values[token] > 0
        ]
        if token < len(self._logprobs) and np.isfinite(self._logprobs[token]):
            logprob = float(self._logprobs[token])
            lines.append(
                self.tr("log-probability {0} nats, {1} % likely here").format(
                    number(logprob), f"{np.exp(logprob) * 100:.2g}"
                )
            )
        if token < len(self._details) and self._details[token]:
            lines.append(self._details[token])
        return "\n".join(lines)

    def _spoken(self, token: int) -> str:
        text = self._layout.text(token)
        return text.strip() or self._layout.shown(token).text

    # -- geometry: what QListView asks ----------------------------------------------------------

    def visualRect(self, index: Index) -> QRect:
        return self.token_rect(index.row())

    def indexAt(self, point: QPoint) -> QModelIndex:
        token = self.token_at(point)
        return self._tokens.index(token) if token >= 0 else QModelIndex()

    def scrollTo(
        self,
        index: Index,
        hint: QAbstractItemView.ScrollHint = QAbstractItemView.ScrollHint.EnsureVisible,
    ) -> None:
        rect = self.token_rect(index.row())
        if rect.isEmpty():
            return
        bar, height = self.verticalScrollBar(), self.viewport().height()
        if hint == QAbstractItemView.ScrollHint.PositionAtCenter:
            bar.setValue(bar.value() + rect.center().y() - height // 2)
        elif rect.top() < MARGIN or hint == QAbstractItemView.ScrollHint.PositionAtTop:
            bar.setValue(bar.value() + rect.top() - MARGIN)
        elif rect.bottom() > height - MARGIN:
            bar.setValue(bar.value() + rect.bottom() - height + MARGIN)

    def moveCursor(
        self, action: QAbstractItemView.CursorAction, modifiers: Qt.KeyboardModifier
    ) -> QModelIndex:
        n, token = len(self._layout), self.current()
        if not n or self._entering:
            return QModelIndex()
        if token < 0:
            return self._tokens.index(0)
        move = QAbstractItemView.CursorAction
        page = max(1, self.viewport().height() // self._metrics.pitch - 1)
        lines = {move.MoveUp: -1, move.MoveDown: 1, move.MovePageUp: -page, move.MovePageDown: page}
        steps = {move.MoveLeft: -1, move.MovePrevious: -1, move.MoveRight: 1, move.MoveNext: 1}
        if action in steps:
            token = min(max(token + steps[action], 0), n - 1)
        elif action in lines:
            token = self._metrics.token_lines_away(token, lines[action])
        else:
            token = 0 if action == move.MoveHome else n - 1
        return self._tokens.index(token)

    def setSelection(self, rect: QRect, command: Any) -> None:
        index = self.indexAt(rect.topLeft())
        if index.isValid():
            self.selectionModel().select(index, command)

    def visualRegionForSelection(self, selection: Any) -> QRegion:
        region = QRegion()
        for index in selection.indexes():
            region += self.token_rect(index.row()).adjusted(-2, -2, 2, 2)
        return region

    def horizontalOffset(self) -> int:
        return 0

    def verticalOffset(self) -> int:
        return self.verticalScrollBar().value()

    def isIndexHidden(self, index: Index) -> bool:
        return False

    def doItemsLayout(self) -> None:
        # QListView would ask the delegate for 2,000 sizes; the places are known already.
        self.updateGeometries()

    def updateGeometries(self) -> None:
        bar = self.verticalScrollBar()
        bar.setRange(0, max(0, self.content_height() - self.viewport().height()))
        bar.setPageStep(self.viewport().height())
        bar.setSingleStep(self._metrics.pitch)

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        self.viewport().update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        if self._layout.set_width(self.viewport().width() - 2 * MARGIN):
            self._text.forget()
        self._settle()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and not self._own_font[1]:
            self.set_token_font(*self._own_font)

    def _settle(self) -> None:
        """Take in that lines have moved."""
        self._metrics = LineMetrics(self._layout, len(self._pinned))
        self._strength.forget()
        self.updateGeometries()
        self.viewport().update()

    # -- acts of the user -----------------------------------------------------------------------

    def currentChanged(self, current: Index, previous: Index) -> None:
        super().currentChanged(current, previous)
        self.viewport().update()
        if current.isValid() and not self._by_program:
            self.current_changed.emit(current.row())

    def set_phrase(self, phrase: tuple[int, int] | None) -> None:
        """Underline these tokens, from the first to the last."""
        if phrase != self._phrase:
            self._phrase = phrase
            self.viewport().update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        self._anchor = self.token_at(event.position().toPoint())
        self.set_phrase(None)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        phrase, self._anchor = self._phrase, -1
        if phrase is not None:
            self.phrase_chosen.emit(*phrase)

    def _drag(self, token: int) -> None:
        """The phrase reaches from where the button was pressed to here."""
        if token < 0 or self._anchor < 0 or (token == self._anchor and self._phrase is None):
            return
        self.set_phrase((min(token, self._anchor), max(token, self._anchor)))

    @Slot(QModelIndex)
    def _clicked(self, index: QModelIndex) -> None:
        self.token_clicked.emit(index.row())

    @Slot(QModelIndex)
    def _activated(self, index: QModelIndex) -> None:
        self.token_activated.emit(index.row())

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._entering = True  # Qt would choose the first token, and nobody asked for it
        super().focusInEvent(event)
        self._entering = False

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        token = self.token_at(event.position().toPoint())
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._drag(token)
        else:
            super().mouseMoveEvent(event)
        self._hover(token)

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._hover(-1)

    def _hover(self, token: int) -> None:
        if token != self._hovered:
            self.set_hovered(token)
            self.token_hovered.emit(token)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            step = 1 if event.angleDelta().y() > 0 else -1
            px = min(max(self._layout.font.pixelSize() + step, 9), 40)
            self.set_token_font(self._own_font[0], px)
            self.font_px_changed.emit(px)
            event.accept()
        else:
            super().wheelEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Space:
            event.ignore()  # play and stop belong to the window
        elif event.text().isprintable() and event.text() and not event.modifiers():
            event.ignore()  # letters are the window's shortcuts, not a search in the list
        else:
            super().keyPressEvent(event)

    # -- painting -------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        # Left open by an exception, a painter would crash Qt: hence "with".
        canvas = self._canvas()
        with QPainter(self.viewport()) as painter:
            if self.is_stale():
                painter.fillRect(self.viewport().rect(), theme.tokens().surface)
                painter.setOpacity(self.content_opacity())
            painter.drawImage(QPoint(0, 0), canvas)

    def _canvas(self) -> QImage:
        """Everything in sight as one image, so that the window is touched only once."""
        view, t = self.viewport(), theme.tokens()
        ratio = view.devicePixelRatioF()
        scroll = self.verticalOffset() - MARGIN
        self._pixels = self._strength.pixels(
            self._metrics,
            view.width(),
            view.height(),
            ratio,
            scroll,
            MARGIN,
            self._values / self._maximum,
            self._signed,
            self._pinned,
        )
        canvas = image_of(self._pixels)
        with QPainter(canvas) as painter:
            self._text.draw(
                painter, self._metrics, self._masked, ratio, scroll, MARGIN, view.height()
            )
            painter.scale(ratio, ratio)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            for token in range(*self._underlined()):
                rect = self.token_rect(token)
                painter.fillRect(rect.left(), rect.bottom() - 1, rect.width(), 2, t.accent)
            for token, color, width in (
                (self._hovered, t.faint, 1.0),
                (self.current(), t.accent, 1.5 if self.hasFocus() else 1.0),
            ):
                self._metrics.ring(painter, self.token_rect(token), color, width)
        canvas.setDevicePixelRatio(ratio)
        return canvas

    def _underlined(self) -> tuple[int, int]:
        first, last = self._phrase or (0, -1)
        return first, min(last + 1, len(self._layout))


def _fit(values: Any, n: int, filler: float) -> NDArray[Any]:
    """An array of length n: shortened, or filled up while tokens stream in."""
    if values is None:
        return np.full(n, filler)
    values = np.asarray(values)
    if len(values) >= n:
        return values[:n]
    return np.concatenate([values, np.full(n - len(values), filler, values.dtype)])

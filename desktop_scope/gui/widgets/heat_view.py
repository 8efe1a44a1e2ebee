"""Cells in rows and columns that can be walked, enlarged and moved; how they look is up to others.

The wheel enlarges; dragging moves what is enlarged, and else chooses; arrows go from cell to cell.
"""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QHelpEvent, QKeyEvent, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QToolTip, QWidget

from desktop_scope.gui.widgets.heat_frame import Frame

_NOTCH = 1.25  # zoom of one step of the wheel
_CLICK = 4  # pixels that a click may move
_SETTLED_MS = 90  # after the last movement, until all is drawn


class HeatView(QWidget):
    """Knows which cell is chosen, which one the pointer is over, and which are in sight.

    Signals:
        cell_clicked: The user clicked a cell: layer, token.
        cell_activated: The user double-clicked a cell or pressed Enter on it.
        cell_hovered: The pointer is over a cell; −1, −1 when it left.
        current_changed: The user moved to a cell by click or key; ``set_current`` is silent.
        view_changed: Another part of the map is in sight.
    """

    cell_clicked = Signal(int, int)
    cell_activated = Signal(int, int)
    cell_hovered = Signal(int, int)
    current_changed = Signal(int, int)
    view_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._frame = Frame(0, 0)
        self._current = (-1, -1)
        self._hovered = (-1, -1)
        self._grabbed: QPointF | None = None
        self._dragged = False
        self._settling = QTimer(self, singleShot=True, interval=_SETTLED_MS)
        self._settling.timeout.connect(self._settled)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)

    def whole(self) -> Frame:
        """The frame that shows all cells."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Draw anew: what is in sight has changed."""
        raise NotImplementedError

    def describe(self) -> None:
        """Tell screen readers of the chosen cell."""
        raise NotImplementedError

    def tooltip_text(self, layer: int, token: int) -> str:
        """What hovering over a cell says."""
        raise NotImplementedError

    # -- questions and settings

    def set_current(self, layer: int, token: int) -> None:
        """Choose a cell; −1 stands for no layer or no token. Emits nothing."""
        n_layers, n_tokens = self._frame.n_layers, self._frame.n_tokens
        cell = (layer if -1 <= layer < n_layers else -1, token if -1 <= token < n_tokens else -1)
        if cell != self._current:
            self._current = cell
            self.describe()
            self._look(self._frame.showing(*cell))
            self.update()

    def set_hovered(self, layer: int, token: int) -> None:
        """Outline a cell that the pointer is over elsewhere; −1 for none."""
        if (layer, token) != self._hovered:
            self._hovered = (layer, token)
            self.update()

    def current(self) -> tuple[int, int]:
        """The chosen layer and token, −1 for none."""
        return self._current

    def span(self) -> tuple[float, float]:
        """The tokens between the left and the right border, as places on the token axis."""
        column, frame = self._frame.cell[0], self._frame
        first = frame.moved[0] / frame.ratio / column
        return first, first + frame.width / column

    def cell_at(self, point: QPoint) -> tuple[int, int]:
        """Layer and token under a point, or (−1, −1)."""
        return self._frame.cell_at(QPointF(point) + QPointF(0.5, 0.5))

    def cell_rect(self, layer: int, token: int) -> QRectF:
        """A cell's place; a whole row or column where token or layer is −1."""
        return self._frame.cell_rect(layer, token)

    # -- what is in sight -----------------------------------------------------------------------

    def zoom(self, factor: float, about: QPointF | None = None) -> None:
        """Enlarge about a point, by default the chosen cell, else the middle."""
        if about is None:
            about = self._frame.cell_rect(*self._current).center()
        self._move(self._frame.zoomed(factor, about))

    def fit(self) -> None:
        """Show all of it."""
        self._look(self.whole())

    def is_whole(self) -> bool:
        """Whether all is in sight."""
        return self._frame.is_whole

    def _move(self, frame: Frame) -> None:
        """While it moves, only what is drawn fast enough is drawn."""
        if frame != self._frame:
            self._settling.start()
            self._look(frame)

    def _look(self, frame: Frame) -> None:
        if frame != self._frame:
            self._frame = frame
            self.redraw()
            self.view_changed.emit()

    @Slot()
    def _settled(self) -> None:
        self.redraw()

    # -- acts of the user -----------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        self._grabbed, self._dragged = event.position(), False
        cell = self.cell_at(event.position().toPoint())
        if cell[1] >= 0 and self.is_whole():
            self._go(*cell)
            self.cell_clicked.emit(*cell)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Of an enlarged map, which may be dragged, a click counts when it ends."""
        cell = self.cell_at(event.position().toPoint())
        clicked = self._grabbed is not None and not self._dragged and not self.is_whole()
        self._grabbed = None
        if clicked and cell[1] >= 0:
            self._go(*cell)
            self.cell_clicked.emit(*cell)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        cell = self.cell_at(event.position().toPoint())
        if cell[1] >= 0:
            self.cell_activated.emit(*cell)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        cell = self.cell_at(event.position().toPoint())
        if self._grabbed is not None and event.buttons() & Qt.MouseButton.LeftButton:
            step = event.position() - self._grabbed
            if self.is_whole() and cell[1] >= 0:
                self._go(*cell)
            elif self._dragged or step.manhattanLength() > _CLICK:
                self._dragged, self._grabbed = True, event.position()
                self._move(self._frame.panned(step.x(), step.y()))
        self._hover(cell)

    def wheelEvent(self, event: QWheelEvent) -> None:
        turned = event.angleDelta()
        if event.modifiers() & Qt.KeyboardModifier.ShiftModifier or turned.x():
            step = turned.x() or turned.y()
            self._move(self._frame.panned(step / 2, 0))
        else:
            self._move(self._frame.zoomed(_NOTCH ** (turned.y() / 120), event.position()))
        self._hover(self.cell_at(event.position().toPoint()))
        event.accept()

    def leaveEvent(self, event: QEvent) -> None:
        self._hover((-1, -1))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        n_layers, n_tokens = self._frame.n_layers, self._frame.n_tokens
        layer, token = self._current
        steps = {
            Qt.Key.Key_Up: (1, 0),
            Qt.Key.Key_Down: (-1, 0),
            Qt.Key.Key_Left: (0, -1),
            Qt.Key.Key_Right: (0, 1),
            Qt.Key.Key_Home: (0, -n_tokens),
            Qt.Key.Key_End: (0, n_tokens),
            Qt.Key.Key_PageUp: (n_layers, 0),
            Qt.Key.Key_PageDown: (-n_layers, 0),
        }
        if not n_layers or not n_tokens:
            event.ignore()
        elif event.key() in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self.zoom(_NOTCH)
        elif event.key() == Qt.Key.Key_Minus:
            self.zoom(1 / _NOTCH)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and min(layer, token) >= 0:
            self.cell_activated.emit(layer, token)
        elif event.key() in steps:
            up, right = steps[Qt.Key(event.key())]
            self._go(
                min(max(layer + up, 0), n_layers - 1) if layer >= 0 else n_layers - 1,
                min(max(token + right, 0), n_tokens - 1) if token >= 0 else 0,
            )
        else:
            event.ignore()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            cell = self.cell_at(event.pos())
            if cell[1] >= 0:
                QToolTip.showText(event.globalPos(), self.tooltip_text(*cell), self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)

    def _go(self, layer: int, token: int) -> None:
        if (layer, token) != self._current:
            self.set_current(layer, token)
            self.current_changed.emit(layer, token)

    def _hover(self, cell: tuple[int, int]) -> None:
        if cell != self._hovered:
            self.set_hovered(*cell)
            self.cell_hovered.emit(*cell)

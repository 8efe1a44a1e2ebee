"""Two curves over the same strengths, one above the other: what it brings, and what it costs."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.exporting import Columns
from desktop_scope.gui.widgets.painting import Stale, number
from desktop_scope.gui.widgets.plot_menu import PlotMenu

_GUTTER, _GAP, _DOT = 44.0, 22.0, 3.5


@dataclass(frozen=True)
class Curve:
    """One curve.

    Attributes:
        values: (middle, low, high) at each strength.
        limit: A dashed line; None for none.
    """

    title: str
    values: tuple[tuple[float, float, float], ...]
    limit: float | None = None

    def span(self) -> tuple[float, float]:
        """The lowest and the highest that is drawn; 0 is always in sight."""
        ends = [0.0, *(v for _, low, high in self.values for v in (low, high))]
        low, high = min(ends), max(ends)
        if self.limit is not None:
            high = max(high, min(self.limit * 1.2, 4 * high + 0.1))
        return low, high if high > low else low + 1.0


class Curves(Stale, QWidget):
    """Curves with bands of uncertainty; a point can be looked at, and taken.

    Signals:
        current_changed: The user looks at the point of this number.
        taken: The user wants the strength of this point.
    """

    current_changed = Signal(int)
    taken = Signal(int)

    def __init__(self, name: str) -> None:
        super().__init__()
        self._at: tuple[float, ...] = ()
        self._curves: tuple[Curve, ...] = ()
        self._safe: tuple[float, float] | None = None
        self._marked: float | None = None
        self._current = -1
        self.setAccessibleName(name)
        self.menu = PlotMenu(self, name, self.table)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        return QSize(420, 220)

    def minimumSizeHint(self) -> QSize:
        return QSize(200, 120)

    def set_curves(
        self,
        at: Sequence[float],
        curves: Sequence[Curve],
        safe: tuple[float, float] | None = None,
        marked: float | None = None,
    ) -> None:
        """Show curves.

        Args:
            at: The strengths, ascending.
            safe: The range within which answers stay sound, shaded.
            marked: The strength that is set now.
        """
        self._at, self._curves = tuple(at), tuple(curves)
        self._safe, self._marked = safe, marked
        self._current = min(self._current, len(self._at) - 1)
        self.update()

    def table(self) -> Columns:
        """The points of all curves."""
        columns: dict[str, Sequence[float]] = {"strength": self._at}
        for curve in self._curves:
            middle, low, high = zip(*curve.values, strict=True) if curve.values else ((), (), ())
            columns |= {
                curve.title: middle,
                f"{curve.title}, low": low,
                f"{curve.title}, high": high,
            }
        return columns

    def current(self) -> int:
        """The point that is looked at; −1 for none."""
        return self._current

    def set_current(self, point: int) -> None:
        """Look at a point. Emits nothing."""
        self._current = point if point < len(self._at) else -1
        self.update()

    def x_of(self, strength: float) -> float:
        """Where a strength lies."""
        low, high = (self._at[0], self._at[-1]) if self._at else (0.0, 1.0)
        share = (strength - low) / (high - low) if high > low else 0.5
        return _GUTTER + share * (self.width() - _GUTTER - 12)

    def _rect(self, n: int) -> QRectF:
        axis = self.fontMetrics().height() + 4
        each = (self.height() - axis - _GAP * len(self._curves)) / max(len(self._curves), 1)
        top = n * (each + _GAP) + _GAP - 4
        return QRectF(_GUTTER, top, max(self.width() - _GUTTER - 12, 1), max(each, 8))

    # ---- drawing

    def paintEvent(self, event: QPaintEvent) -> None:
        # Left open by an exception, a painter would crash Qt: hence "with".
        with QPainter(self) as painter:
            painter.setOpacity(self.content_opacity())
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            for n, curve in enumerate(self._curves):
                self._draw_curve(painter, self._rect(n), curve)
            if self._at:
                self._draw_axis(painter)
            if self.hasFocus():
                painter.setPen(QPen(theme.tokens().faint, 1))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5))

    def _draw_curve(self, painter: QPainter, rect: QRectF, curve: Curve) -> None:
        t = theme.tokens()
        low, high = curve.span()

        def y_of(value: float) -> float:
            return rect.bottom() - (min(max(value, low), high) - low) / (high - low) * rect.height()

        if self._safe is not None:
            left, right = (min(max(self.x_of(e), rect.left()), rect.right()) for e in self._safe)
            painter.fillRect(QRectF(left, rect.top(), right - left, rect.height()), t.raised)
        small = theme.figures(theme.small(theme.ui_font()))
        painter.setFont(small)
        painter.setPen(t.muted)
        painter.drawText(QPointF(rect.left(), rect.top() - 5), curve.title)
        room = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for value in dict.fromkeys((low, 0.0, high)):
            if value == 0 or abs(y_of(value) - y_of(0)) > 12:
                painter.setPen(t.muted)
                box = QRectF(0, y_of(value) - 8, _GUTTER - 6, 16)
                painter.drawText(box, room, number(value))
        painter.setPen(QPen(t.line, 1))
        painter.drawLine(QPointF(rect.left(), y_of(0)), QPointF(rect.right(), y_of(0)))
        if curve.limit is not None and curve.limit <= high:
            painter.setPen(QPen(t.faint, 1, Qt.PenStyle.DashLine))
            painter.drawLine(
                QPointF(rect.left(), y_of(curve.limit)), QPointF(rect.right(), y_of(curve.limit))
            )
        self._draw_points(painter, rect, curve, y_of)

    def _draw_points(self, painter: QPainter, rect: QRectF, curve: Curve, y_of) -> None:  # type: ignore[no-untyped-def]
        t = theme.tokens()
        xs = [self.x_of(strength) for strength in self._at]
        band = QPolygonF(
            [QPointF(x, y_of(high)) for x, (_, _, high) in zip(xs, curve.values, strict=True)]
            + [
                QPointF(x, y_of(low))
                for x, (_, low, _) in reversed(list(zip(xs, curve.values, strict=True)))
            ]
        )
        ink = QColor(t.text)
        ink.setAlpha(36)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(ink)
        painter.drawPolygon(band)
        points = [QPointF(x, y_of(v[0])) for x, v in zip(xs, curve.values, strict=True)]
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(t.text, 1.5))
        painter.drawPolyline(QPolygonF(points))
        painter.setBrush(t.text)
        for n, point in enumerate(points):
            radius = _DOT + 2 if n == self._current else _DOT
            painter.setPen(QPen(t.surface, 1))
            painter.drawEllipse(point, radius, radius)
        if self._marked is not None and self._at[0] <= self._marked <= self._at[-1]:
            painter.setPen(QPen(t.accent, 1, Qt.PenStyle.DotLine))
            x = self.x_of(self._marked)
            painter.drawLine(QPointF(x, rect.top()), QPointF(x, rect.bottom()))

    def _draw_axis(self, painter: QPainter) -> None:
        painter.setPen(theme.tokens().muted)
        last = -1e9
        for strength in self._at:
            text, x = f"×{number(strength)}", self.x_of(strength)
            width = painter.fontMetrics().horizontalAdvance(text)
            left = min(max(x - width / 2, 0), self.width() - width)
            if left > last + 8:
                painter.drawText(QPointF(left, self.height() - 4), text)
                last = left + width

    # ---- what a person does

    def _near(self, x: float) -> int:
        if not self._at:
            return -1
        return min(range(len(self._at)), key=lambda n: abs(self.x_of(self._at[n]) - x))

    def _look_at(self, point: int) -> None:
        if point != self._current and 0 <= point < len(self._at):
            self._current = point
            self.update()
            self.current_changed.emit(point)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._look_at(self._near(event.position().x()))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self._at:
            self._look_at(self._near(event.position().x()))
            self.taken.emit(self._current)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            step = 1 if event.key() == Qt.Key.Key_Right else -1
            self._look_at(min(max(self._current + step, 0), len(self._at) - 1))
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._current >= 0:
            self.taken.emit(self._current)
        else:
            super().keyPressEvent(event)

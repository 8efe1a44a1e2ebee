"""Small charts side by side over the same places: one line for each series, named at its end."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFont, QFontMetrics, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from desktop_scope.gui import theme
from desktop_scope.gui.widgets.exporting import Columns
from desktop_scope.gui.widgets.painting import Stale, percent
from desktop_scope.gui.widgets.plot_menu import PlotMenu

_GUTTER, _GAP, _DOT = 48.0, 28.0, 4.0
# Told apart without colour.
_STYLES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine)


@dataclass(frozen=True)
class Series:
    """One line.

    Attributes:
        values: At each place; nan where nothing is known.
    """

    name: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Chart:
    """One chart: shares over the places.

    Attributes:
        ideal: Where the best value would be, as a dashed line.
    """

    title: str
    series: tuple[Series, ...]
    ideal: float

    def span(self) -> tuple[float, float]:
        """The lowest and the highest that is drawn."""
        known = [v for series in self.series for v in series.values if math.isfinite(v)]
        low, high = min([*known, self.ideal], default=0), max([*known, self.ideal], default=1)
        room = 0.08 * (high - low) or 0.1
        return (low if low == 0 else low - room), high + room


class LossChart(Stale, QWidget):
    """Charts; a place can be looked at, and taken.

    Signals:
        taken: The user clicked the place of this number, or pressed Enter on it.
    """

    taken = Signal(int)

    def __init__(self, name: str) -> None:
        super().__init__()
        self._places: tuple[str, ...] = ()
        self._charts: tuple[Chart, ...] = ()
        self._what = ""
        self._marked = self._current = -1
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.menu = PlotMenu(self, name, self.table, corner=False)

    def set_charts(
        self, what: str, places: Sequence[str], charts: Sequence[Chart], marked: int
    ) -> None:
        """Show charts.

        Args:
            what: The places are, such as ``layer``.
            places: Their names.
            marked: The place that is looked at elsewhere, too; −1 for none.
        """
        shown = (what, tuple(places), tuple(charts), marked)
        if shown == (self._what, self._places, self._charts, self._marked):
            return
        self._what, self._places, self._charts, self._marked = shown
        self._current = min(self._current, len(self._places) - 1)
        self.setAccessibleDescription("; ".join(map(self.words, range(len(self._places)))))
        self.update()

    def words(self, place: int) -> str:
        """All that is shown at one place."""
        lines = [f"{self._what} {self._places[place]}"]
        for chart in self._charts:
            for series in chart.series:
                value = series.values[place]
                name = f"{series.name} features: " if series.name else ""
                if math.isfinite(value):
                    lines.append(f"{name}{chart.title} {percent(value)}")
        return "\n".join(lines)

    def table(self) -> Columns:
        """What is drawn."""
        columns: dict[str, Sequence[object]] = {self._what: self._places}
        for chart in self._charts:
            for series in chart.series:
                title = f"{chart.title} ({series.name})" if series.name else chart.title
                columns[title] = series.values
        return columns

    def sizeHint(self) -> QSize:
        return QSize(480, 200)

    def minimumSizeHint(self) -> QSize:
        return QSize(240, 110)

    # ---- where things are

    def rect_of(self, chart: int) -> QRectF:
        """Where one chart's lines are."""
        line = QFontMetrics(self._small()).height()
        width = (self.width() - 8) / max(len(self._charts), 1)
        names = self._names_width()
        left = chart * width + _GUTTER
        return QRectF(left, line + 10, width - _GUTTER - names - 10, self.height() - 2 * line - 20)

    def x_of(self, chart: int, place: int) -> float:
        """Where a place is."""
        rect, n = self.rect_of(chart), len(self._places)
        return rect.left() + rect.width() * ((place + 0.5) / n if n < 10 else place / (n - 1))

    def _names_width(self) -> int:
        measure = QFontMetrics(self._small())
        names = [series.name for chart in self._charts for series in chart.series]
        return max((measure.horizontalAdvance(name) for name in names), default=0)

    @staticmethod
    def _small() -> QFont:
        return theme.figures(theme.small(theme.ui_font()))

    # ---- drawing

    def paintEvent(self, event: QPaintEvent) -> None:
        # Left open by an exception, a painter would crash Qt: hence "with".
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setOpacity(self.content_opacity())
            for n, chart in enumerate(self._charts):
                self._draw_chart(painter, n, chart)
            if self.hasFocus():
                painter.setPen(QPen(theme.tokens().faint, 1))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5))

    def _draw_chart(self, painter: QPainter, n: int, chart: Chart) -> None:
        t, rect = theme.tokens(), self.rect_of(n)
        low, high = chart.span()

        def y_of(value: float) -> float:
            return rect.bottom() - (value - low) / (high - low) * rect.height()

        for place, color in ((self._marked, t.selection), (self._current, t.raised)):
            if 0 <= place < len(self._places):
                half = max(rect.width() / max(len(self._places), 1) / 2 - 2, 3)
                x = self.x_of(n, place)
                painter.fillRect(QRectF(x - half, rect.top(), 2 * half, rect.height()), color)
        painter.setFont(self._small())
        painter.setPen(t.muted)
        painter.drawText(QPointF(rect.left() - _GUTTER + 4, rect.top() - 8), chart.title)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for value in _ticks(low, high):
            y = y_of(value)
            painter.setPen(QPen(t.line, 1))
            painter.drawLine(QPointF(rect.left(), y), QPointF(rect.right(), y))
            painter.setPen(t.muted)
            painter.drawText(
                QRectF(rect.left() - _GUTTER, y - 9, _GUTTER - 6, 18), right, percent(value)
            )
        painter.setPen(QPen(t.faint, 1, Qt.PenStyle.DashLine))
        painter.drawLine(
            QPointF(rect.left(), y_of(chart.ideal)), QPointF(rect.right(), y_of(chart.ideal))
        )
        self._draw_places(painter, n, rect)
        for k, series in enumerate(chart.series):
            style = _STYLES[(len(chart.series) - 1 - k) % 3]
            self._draw_series(painter, n, series, style, y_of)
        self._draw_names(painter, chart, rect, y_of)

    def _draw_names(
        self, painter: QPainter, chart: Chart, rect: QRectF, y_of: Callable[[float], float]
    ) -> None:
        """Of the lines, at their ends and in their order, none on top of another."""
        ends = []
        for series in chart.series:
            known = [value for value in series.values if math.isfinite(value)]
            ends += [(y_of(known[-1]), series.name)] if known else []
        height, lowest = painter.fontMetrics().height(), -math.inf
        painter.setPen(theme.tokens().text)
        for end, name in sorted(ends):
            lowest = max(end, lowest + height)
            painter.drawText(QPointF(rect.right() + 6, lowest + height / 3), name)

    def _draw_places(self, painter: QPainter, n: int, rect: QRectF) -> None:
        """Their names, as many as there is room for."""
        painter.setPen(theme.tokens().muted)
        measure, last = painter.fontMetrics(), -math.inf
        for place, name in enumerate(self._places):
            width = measure.horizontalAdvance(name)
            left = self.x_of(n, place) - width / 2
            if left > last + 8:
                painter.drawText(QPointF(left, rect.bottom() + measure.height() + 2), name)
                last = left + width

    def _draw_series(
        self,
        painter: QPainter,
        n: int,
        series: Series,
        style: Qt.PenStyle,
        y_of: Callable[[float], float],
    ) -> None:
        t = theme.tokens()
        points = [
            QPointF(self.x_of(n, place), y_of(value))
            for place, value in enumerate(series.values)
            if math.isfinite(value)
        ]
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(t.text, 1.5, style))
        painter.drawPolyline(points)
        painter.setBrush(t.text)
        painter.setPen(QPen(t.surface, 1))
        radius = _DOT if len(self._places) < 10 else _DOT / 2
        for point in points:
            painter.drawEllipse(point, radius, radius)

    # ---- what a person does

    def place_at(self, x: float) -> int:
        """The place nearest to a pixel; −1 where there are none."""
        if not self._places or not self._charts:
            return -1
        chart = min(int(x / max(self.width() / len(self._charts), 1)), len(self._charts) - 1)
        return min(range(len(self._places)), key=lambda place: abs(self.x_of(chart, place) - x))

    def _look_at(self, place: int) -> None:
        if place != self._current:
            self._current = place
            self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        place = self.place_at(event.position().x())
        self._look_at(place)
        if place >= 0:
            QToolTip.showText(event.globalPosition().toPoint(), self.words(place), self)

    def leaveEvent(self, event: QEvent) -> None:
        self._look_at(-1)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        place = self.place_at(event.position().x())
        if event.button() == Qt.MouseButton.LeftButton and place >= 0:
            self.taken.emit(place)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        if key in (Qt.Key.Key_Left, Qt.Key.Key_Right) and self._places:
            step = 1 if key == Qt.Key.Key_Right else -1
            self._look_at(min(max(self._current + step, 0), len(self._places) - 1))
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._current >= 0:
            self.taken.emit(self._current)
        else:
            super().keyPressEvent(event)


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round shares."""
    step = next(
        (step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0) if (high - low) / step <= 5),
        2.0 ** math.ceil(math.log2(max(high - low, 1.0) / 4)),
    )
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]

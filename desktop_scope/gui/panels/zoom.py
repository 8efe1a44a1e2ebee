"""What each size of the dictionaries loses of this text: at one layer, or at all of them."""

from __future__ import annotations

import math
from typing import Any

from PySide6.QtCore import QModelIndex, Qt, Slot
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QStackedLayout,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.engine.sizes import SiteLosses, SizeLoss
from desktop_scope.gui import theme, zoom_actions, zoom_words
from desktop_scope.gui.panels.base import Panel
from desktop_scope.gui.state import AppState
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.empty_state import EmptyState
from desktop_scope.gui.widgets.loss_chart import LossChart
from desktop_scope.gui.widgets.painting import muted, number, percent
from desktop_scope.gui.widgets.tables import RIGHT, RowsModel, make_plain, set_columns

_COLUMNS = ("Layer", "Features", "Active", "FVU", "CE", "CE recovered", "over zero")
_HELP = (
    "After which layer of the model",
    "How many features the dictionary has. Click a row to look at that size",
    "Mean number of active features on a token (L0)",
    "Fraction of variance unexplained, over the tokens of this text",
    "Loss of the model with the reconstruction in the stream’s place, nats per token",
    "Share of the loss that the text’s mean costs in its place, won back",
    "The same, measured against nothing (zero) in its place: the figure that is often published",
)


class _Rows(RowsModel):
    titles, help = _COLUMNS, _HELP
    align = (RIGHT,) * len(_COLUMNS)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.places: dict[int, str] = {}
        self.chosen: int | None = None

    def text(self, row: tuple[SiteLosses, SizeLoss], column: int) -> str:
        site, loss = row
        return (
            self.places[loss.slot],
            f"{loss.size:,}",
            number(loss.l0),
            percent(loss.fvu),
            number(loss.ce),
            percent(site.recovered(loss)),
            percent(site.recovered(loss, zero=True)),
        )[column]

    def cell(self, row: tuple[SiteLosses, SizeLoss], column: int, role: int) -> Any:
        if role == Qt.ItemDataRole.ToolTipRole:
            return _HELP[column]
        if role == Qt.ItemDataRole.FontRole:
            font = theme.figures(theme.ui_font())
            return theme.strong(font) if row[1].size == self.chosen else font
        if role == Qt.ItemDataRole.ForegroundRole and column == 0:
            return theme.tokens().muted
        return None


class ZoomPanel(Panel):
    """Sizes against what they lose, as charts and as a table."""

    id = "zoom"
    title = "Zoom"
    column = "left"
    height = 54
    behind = "layers"
    draws_on = frozenset({"zoom", "trace", "selection", "saes", "jobs", "opened"})

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._heading = muted(QLabel())
        self._heading.setToolTip(zoom_words.ABOUT)
        self._everywhere = tool_button(
            "All layers", "Measure every layer, in the background", checkable=True
        )
        self._everywhere.clicked.connect(self._toggled)
        self._chart = LossChart("What each size loses")
        self._chart.taken.connect(self._taken)
        self._caution = muted(QLabel(wordWrap=True))
        self._rows = _Rows(self)
        self._table = QTableView()
        make_plain(self._table, "What each size loses")
        self._table.setModel(self._rows)
        set_columns(self._table, 24, 0, [(n, 84 if n < 5 else 104) for n in range(1, 7)])
        self._table.clicked.connect(self._row_clicked)
        self._table.activated.connect(self._row_clicked)
        self._empty = EmptyState()
        self._empty.acted.connect(self.want_library)
        self._lay_out()

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.addWidget(self._heading, 1)
        top.addWidget(self._everywhere)
        top.addWidget(self._chart.menu.button)
        self._chart.menu.button.setProperty("corner", "true")
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(4)
        column.addLayout(top)
        column.addWidget(self._chart, 3)
        column.addWidget(self._table, 2)
        column.addWidget(self._caution)
        self._stack = QStackedLayout(self)
        self._stack.setContentsMargins(0, 0, 0, 0)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(body)

    def focus_first(self) -> None:
        """Walk along the chart."""
        self._chart.setFocus()

    def seen(self, visible: bool) -> None:
        """Only for whoever looks the losses are measured."""
        self.store.act(zoom_actions.look, visible)

    def render(self, state: AppState, fields: frozenset[str]) -> None:
        """Draw."""
        feature, sites = state.selection.feature, state.zoom.of_text(state.trace)
        site = None if feature is None else state.zoom.of_site(feature.sae)
        stale = bool(state.zoom.losses) and (not sites or site is None)
        sites = sites or state.zoom.losses  # of the text before, dimmed, until there is more
        self._stack.setCurrentIndex(1 if sites and feature is not None else 0)
        if not sites or feature is None:
            self._empty.set_text(*_sentence(state))
            return
        self._everywhere.setChecked(state.zoom.everywhere)
        self._chart.set_stale(stale)
        shown = site or sites[-1]
        self._heading.setText(_title(state, shown))
        self._draw_chart(state, sites, shown)
        self._draw_table(state, sites, shown)
        text = shown.trouble or zoom_words.caution(state.saes, shown)
        self._caution.setText(text)
        self._caution.setVisible(bool(text))

    def _draw_chart(self, state: AppState, sites: tuple[SiteLosses, ...], site: SiteLosses) -> None:
        if state.zoom.everywhere:
            places, charts = zoom_words.by_layer(state, sites)
            measured = zoom_words.in_order(sites)
            marked = measured.index(site) if site in measured else -1
            self._chart.set_charts("layer", places, charts, marked)
            return
        places, charts = zoom_words.by_size(site)
        sizes = [loss.size for loss in site.sizes]
        at = len(sizes) - 1 if state.zoom.size is None else -1
        if state.zoom.size in sizes:
            at = sizes.index(state.zoom.size)
        self._chart.set_charts("features", places, charts, at)

    def _draw_table(self, state: AppState, sites: tuple[SiteLosses, ...], site: SiteLosses) -> None:
        listed = zoom_words.in_order(sites) if state.zoom.everywhere else [site]
        rows = tuple((one, loss) for one in listed for loss in one.sizes)
        largest = max((loss.size for _, loss in rows), default=0)
        self._rows.places = {n: info.place for n, info in enumerate(state.saes)}
        chosen = state.zoom.size or largest
        if rows != self._rows.rows or chosen != self._rows.chosen:
            self._rows.chosen = chosen
            self._rows.replace(rows)

    @Slot(bool)
    def _toggled(self, everywhere: bool) -> None:
        self.store.act(zoom_actions.measure_everywhere, everywhere)

    @Slot(int)
    def _taken(self, place: int) -> None:
        """Of one layer the places are sizes."""
        if not self.store.state.zoom.everywhere:
            self.store.act(zoom_actions.set_size, self._rows.rows[place][1].size)

    @Slot(QModelIndex)
    def _row_clicked(self, index: QModelIndex) -> None:
        self.store.act(zoom_actions.set_size, self._rows.rows[index.row()][1].size)


def _title(state: AppState, site: SiteLosses) -> str:
    place = state.saes[site.slots[0]].place if site.slots[0] < len(state.saes) else "?"
    where = "all layers" if state.zoom.everywhere else f"layer {place}"
    tokens = f"{site.n_tokens} tokens"
    ce = f", the model’s own loss {number(site.ce)} nats" if math.isfinite(site.ce) else ""
    return f"What each size loses of this text · {where} · {tokens}{ce}"


def _sentence(state: AppState) -> tuple[str, str]:
    """What to say, and what a button says."""
    if state.opened is not None and not state.saes:
        return (
            "Open an autoencoder: what it loses of your text is measured here.",
            "Open the library",
        )
    if state.trace is None or state.opened is None:
        return "Type a prompt: what each size of the dictionaries loses of it appears here.", ""
    feature = state.selection.feature
    if feature is None:
        return "Choose a feature: what the sizes at its layer lose of this text appears here.", ""
    if state.zoom.looked_at:
        return "Measuring what each size loses of this text …", ""
    return "What each size loses of this text appears here.", ""

"""Where a concept appears, grows and fades: layers × tokens, and pinned features as lines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QRectF, Slot
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.engine.types import LensRow, Trace
from desktop_scope.gui import actions, theme
from desktop_scope.gui.naming import title, with_number
from desktop_scope.gui.panels.base import Panel
from desktop_scope.gui.state import AppState, shown_tokens
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.empty_state import EmptyState
from desktop_scope.gui.widgets.heat_map import HeatMap
from desktop_scope.gui.widgets.lens_column import LensColumn
from desktop_scope.gui.widgets.painting import dimmed, muted, number, percent
from desktop_scope.gui.widgets.pin_bar import PinBar

if TYPE_CHECKING:
    from desktop_scope.gui.widgets.line_plot import LinePlot

_HEADINGS = {
    "cosine": "Each row is the feature of that layer whose decoder row points most nearly the\n"
    "same way; the number at its end is their cosine. Faint rows have no good match.\n"
    "Double-click a cell to open that layer's feature.",
    "correlation": "Each row is the feature of that layer that fires most alike; the number at its "
    "end is the\ncorrelation of their activations. Faint rows have no good match.\n"
    "Double-click a cell to open that layer's feature.",
}
_POOR_MATCH, _GOOD_MATCH = 0.2, 0.6  # likeness at which a row is faintest and fully drawn
_FAINTEST = 0.35


class LayersPanel(Panel):
    """The selected feature and its best match in every other layer, over the tokens."""

    id = "layers"
    title = "Layers"
    column = "left"
    height = 54
    draws_on = frozenset(
        {"path", "trace", "lens", "selection", "pins", "show_template", "jobs", "saes", "opened"}
    )

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._shown = np.zeros(0, np.intp)
        self._state: AppState | None = None
        self._heading = muted(QLabel())
        self._heading.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._lens_heading = muted(QLabel())
        self._lens_heading.setToolTip(
            "The logit lens: each layer's stream at the selected token, read through the model's\n"
            "final norm and unembedding. What it would say next if it stopped there."
        )
        self._map = HeatMap()
        self._map.current_changed.connect(self._moved)
        self._map.cell_activated.connect(self._opened)
        self._map.set_tooltip_provider(self._tooltip)
        self._lens = LensColumn(self._first_row)
        self._pins = PinBar()
        self._pins.chosen.connect(self._pin_chosen)
        self._lines: LinePlot | None = None  # made with the first pin
        self._more = tool_button("Open an autoencoder …", "Show what goes with this model")
        self._more.clicked.connect(self.want_library)
        heads = QHBoxLayout()
        heads.addWidget(self._heading, 1)
        heads.addWidget(self._more)
        heads.addWidget(self._map.menu.button)
        heads.addWidget(self._lens_heading)
        heads.addWidget(self._lens.menu.button)
        self._grid = grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(0)
        grid.addWidget(self._map, 0, 0)
        grid.addWidget(self._lens, 0, 1)
        grid.addWidget(self._pins, 1, 0, 1, 2)
        grid.setRowStretch(0, 1)
        filled = QWidget()
        column = QVBoxLayout(filled)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(4)
        column.addLayout(heads)
        column.addLayout(grid, 1)
        self._empty = EmptyState(
            "The path of the selected feature through the layers appears here."
        )
        self._stack = QStackedLayout(self)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(filled)

    def focus_first(self) -> None:
        """Walk the cells with the arrow keys."""
        self._map.setFocus()

    def render(self, state: AppState, fields: frozenset[str]) -> None:
        """Draw."""
        self._state = state
        trace, path = state.trace, state.path
        ready = trace is not None and (path is not None or _is_bare(state))
        self._stack.setCurrentIndex(1 if ready else 0)
        if not ready:
            return
        self._more.setVisible(path is None)
        if fields & {"path", "trace", "show_template", "saes", "opened"}:
            self._draw_map(state)
        if fields & {"pins", "trace", "show_template"}:
            self._draw_lines(state, fields)
        if fields & {"selection", "path", "trace", "show_template", "pins"}:
            where = self._position(state.selection.token)
            self._map.set_current(-1 if path is None else path.own, where)
            if self._lines is not None:
                self._lines.set_current(where)
        if fields & {"lens", "selection", "trace", "path"}:
            self._draw_lens(state)
        self._map.set_stale(state.busy("follow", "trace"))
        if self._lines is not None:
            self._lines.set_stale(state.busy("trace"))
        self._lens.set_stale(state.busy("lens"))

    def _draw_map(self, state: AppState) -> None:
        trace, path = state.trace, state.path
        assert trace is not None
        self._shown = shown_tokens(trace, state.show_template)
        if path is None:
            self._draw_bare(trace)
            return
        if path.values.shape[1] != trace.n_tokens:
            return  # of the text before; the one of this text is on its way
        how, likeness = path.likeness
        certain = np.clip((likeness - _POOR_MATCH) / (_GOOD_MATCH - _POOR_MATCH), 0, 1)
        self._map.set_data(
            path.values[:, self._shown],
            maximum=1.0,
            masked=trace.masked[self._shown],
            texts=[trace.texts[i] for i in self._shown],
            row_labels=[member.name.rpartition("/")[0] for member in path.family],
        )
        self._map.set_row_alpha(_FAINTEST + (1 - _FAINTEST) * certain)
        self._map.set_row_notes([f"{value:.2f}" for value in likeness])
        self._heading.setToolTip(_HEADINGS[how])
        if self._lines is not None:
            self._lines.set_gutters(*self._map.gutters())
        own = path.family[path.own]
        also = ", and its best match in every layer" if len(path.family) > 1 else ""
        dimmed(self._heading, own.label.doubtful)
        self._heading.setText(f"{title(own.label, own.name)}{also}")

    def _draw_bare(self, trace: Trace) -> None:
        """Without an SAE: a row for each layer, for what it would say next."""
        n_layers = len(trace.residual_norm)
        self._map.set_data(
            np.zeros((n_layers, len(self._shown)), np.float32),
            texts=[trace.texts[i] for i in self._shown],
        )
        self._map.set_row_notes([])
        self._heading.setText("No autoencoder is open: what each layer would say needs none")

    def _draw_lines(self, state: AppState, fields: frozenset[str]) -> None:
        trace = state.trace
        assert trace is not None
        lines = [
            (
                with_number(pin.label, state.name_of(pin.feature)),
                trace.acts[pin.feature.sae].of(pin.feature.index)[self._shown] / pin.max_active,
                theme.pinned_color(slot),
            )
            for slot, pin in enumerate(state.pins)
        ]
        self._pins.setVisible(bool(lines))
        if "pins" in fields:
            doubtful = [pin.label.doubtful for pin in state.pins]
            self._pins.set_pins(
                [(name, color, dim) for (name, _, color), dim in zip(lines, doubtful, strict=True)]
            )
        if lines and self._lines is None:
            self._lines = self._make_plot()
        if self._lines is not None:
            self._lines.setVisible(bool(lines))
            self._lines.set_gutters(*self._map.gutters())
            self._lines.set_lines(lines, [trace.texts[i] for i in self._shown])

    def _make_plot(self) -> LinePlot:
        # Imported here, for it imports pyqtgraph; a worker has done so when the path was followed.
        from desktop_scope.gui.widgets.line_plot import LinePlot

        plot = LinePlot()
        plot.setFixedHeight(96)
        plot.token_clicked.connect(self._token_clicked)
        self._grid.addWidget(plot, 2, 0)
        return plot

    def _draw_lens(self, state: AppState) -> None:
        trace, token = state.trace, state.selection.token
        assert trace is not None
        self._lens.set_rows(_beside(state))
        if token is not None and token < trace.n_tokens:
            word = trace.texts[token].strip() or "⏎"
            self._lens_heading.setText(f"after “{word}” it would say")

    def _position(self, token: int | None) -> int:
        where = np.flatnonzero(self._shown == token)
        return int(where[0]) if len(where) else -1

    def _first_row(self) -> QRectF:
        return self._map.cell_rect(0, 0)

    def _tooltip(self, layer: int, position: int) -> str:
        state = self._state
        if state is None or state.trace is None:
            return ""
        if state.path is None:
            return f"layer {layer}, “{state.trace.texts[int(self._shown[position])].strip()}”"
        member = state.path.family[layer]
        token = int(self._shown[position])
        value = float(state.path.values[layer, token])
        word = state.trace.texts[token].strip()
        how, likeness = state.path.likeness
        return (
            f"layer {member.name.rpartition('/')[0]}, “{word}”: {percent(value)} of its maximum\n"
            f"{with_number(member.label, member.name)}  ({how} {number(float(likeness[layer]))})"
        )

    @Slot(int, int)
    def _moved(self, layer: int, position: int) -> None:
        if 0 <= position < len(self._shown):
            self.store.act(actions.select, token=int(self._shown[position]))

    @Slot(int, int)
    def _opened(self, layer: int, position: int) -> None:
        path = self.store.state.path
        if path is not None and 0 <= position < len(self._shown):
            token = int(self._shown[position])
            self.store.act(actions.select, token=token, feature=path.family[layer].feature)

    @Slot(int)
    def _pin_chosen(self, slot: int) -> None:
        self.store.act(actions.select, feature=self.store.state.pins[slot].feature)

    @Slot(int)
    def _token_clicked(self, position: int) -> None:
        self._moved(-1, position)


def _is_bare(state: AppState) -> bool:
    """Whether no SAE is open, and none is on its way."""
    return state.opened is not None and not state.saes


def _beside(state: AppState) -> tuple[LensRow, ...]:
    """The lens of the layer of every row of the map; by the place of the row."""
    path, lens = state.path, state.lens
    if path is None or not lens:
        return lens
    layers = [state.saes[member.feature.sae].layer for member in path.family]
    return tuple(replace(lens[layer], layer=row) for row, layer in enumerate(layers))

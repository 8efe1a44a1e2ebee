"""From input to output: layers × tokens, coloured by what one chooses; pinned features as lines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Slot
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.engine.types import FeatureId, LensRow, Trace
from desktop_scope.gui import actions, grid_actions, theme
from desktop_scope.gui.grid.controls import GridControls
from desktop_scope.gui.grid.picture import OF_FAMILY, Picture, picture
from desktop_scope.gui.grid.words import heading, in_cell, read_out, strongest
from desktop_scope.gui.naming import with_number
from desktop_scope.gui.panels.base import Panel
from desktop_scope.gui.state import AppState, shown_tokens
from desktop_scope.gui.states.grid import BY_LENS, Quantity
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.empty_state import EmptyState
from desktop_scope.gui.widgets.heat_map import HeatMap
from desktop_scope.gui.widgets.lens_column import LensColumn
from desktop_scope.gui.widgets.painting import dimmed, muted
from desktop_scope.gui.widgets.pin_bar import PinBar

if TYPE_CHECKING:
    from desktop_scope.gui.widgets.line_plot import LinePlot

_HELP = (
    "Click a cell to select its token, layer and feature; double-click it for the strongest\n"
    "feature there."
)
_ROWS_HELP = {
    "cosine": "\nEach row is the feature of that layer whose decoder row points most nearly the\n"
    "same way; the number at its end is their cosine. Faint rows have no good match.",
    "correlation": "\nEach row is the feature of that layer that fires most alike; the number at\n"
    "its end is the correlation of their activations. Faint rows have no good match.",
}
_POOR_MATCH, _GOOD_MATCH = 0.2, 0.6  # likeness at which a row is faintest and fully drawn
_FAINTEST = 0.35
_CELLS = frozenset(
    {"grid", "path", "trace", "show_template", "saes", "opened", "zoom", "selection", "model"}
)


class LayersPanel(Panel):
    """All layers over the tokens; the selected feature and its best match in every other layer."""

    id = "layers"
    title = "Layers"
    column = "left"
    height = 54
    draws_on = _CELLS | {"lens", "pins", "jobs"}

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._shown = np.zeros(0, np.intp)
        self._state: AppState | None = None
        self._picture: Picture | None = None
        self._drawn: object = None  # what the cells were drawn from
        self._heading = muted(QLabel())
        self._heading.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._lens_heading = muted(QLabel())
        self._map = HeatMap()
        self._map.current_changed.connect(self._moved)
        self._map.cell_activated.connect(self._opened)
        self._map.set_tooltip_provider(self._read_out)
        self._map.set_words(self._in_cell)
        rect = self._map.cell_rect
        self._lens = LensColumn(lambda: rect(0, 0), lambda: rect(-1, -1))
        self._lines: LinePlot | None = None  # made with the first pin
        self._controls = GridControls(store, self._map)
        self._map.view_changed.connect(self._follow_view)
        self._pins = PinBar()
        self._pins.chosen.connect(self._pin_chosen)
        self._more = tool_button("Open an autoencoder …", "Show what goes with this model")
        self._more.clicked.connect(self.want_library)
        self._lay_out()

    def _lay_out(self) -> None:
        heads = QHBoxLayout()
        heads.addWidget(self._heading, 1)
        heads.addWidget(self._more)
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
        column.setSpacing(2)
        column.addWidget(self._controls)
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
        trace = state.trace
        bare = state.opened is not None and not state.saes
        ready = trace is not None and (state.path is not None or bare)
        self._stack.setCurrentIndex(1 if ready else 0)
        if not ready or trace is None:
            return
        self._more.setVisible(bare)
        if fields & _CELLS:
            self._draw_map(state, trace)
        if fields & {"pins", "trace", "show_template"}:
            self._draw_lines(state, trace, fields)
        if fields & (_CELLS | {"pins"}):
            self._mark(state)
        if fields & {"lens", "selection", "trace", "path", "grid"}:
            self._draw_lens(state, trace)
        self._map.set_stale(state.busy(*_BUSY.get(state.grid.quantity, ("trace",))))
        if self._lines is not None:
            self._lines.set_stale(state.busy("trace"))
        self._lens.set_stale(state.busy("lens"))

    def _draw_map(self, state: AppState, trace: Trace) -> None:
        """The cells, if what they show has changed."""
        grid = state.grid
        drawn = (
            *(trace, state.path, state.show_template, state.zoom, state.opened, state.saes),
            *(grid.quantity, grid.lens_ready, grid.lens, grid.word, grid.against),
            *(grid.cells, grid.errors, grid.read, grid.fit, grid.other, grid.other_path),
        )
        if self._drawn is not None and all(
            new is old for new, old in zip(drawn, self._drawn, strict=True)
        ):
            return
        found = picture(state)
        if found is None:
            return  # the path of the text before; the one of this text is on its way
        self._drawn = drawn
        self._shown = shown_tokens(trace, state.show_template)
        texts = [trace.texts[i] for i in self._shown]
        self._picture = found
        has_saes = bool(found.rows) and found.rows[0].slot is not None
        of_saes = has_saes and grid.quantity not in BY_LENS and grid.quantity != Quantity.LENGTH
        self._map.set_data(
            found.values[:, self._shown],
            masked=trace.masked[self._shown] if of_saes else None,
            texts=texts,
            row_labels=[row.name for row in found.rows],
            scale=found.scale,
            shade=found.shade[:, self._shown],
        )
        self._draw_matches(state, found)
        if self._lines is not None:
            self._lines.set_gutters(*self._map.gutters())
        dim = False
        if grid.quantity in OF_FAMILY and state.path is not None:
            dim = state.path.family[state.path.own].label.doubtful
        dimmed(self._heading, dim)
        self._heading.setText(heading(state, found))
        self._controls.draw(state, found)

    def _draw_matches(self, state: AppState, found: Picture) -> None:
        """How well each row's feature matches; faint where it does not."""
        if found.rows[0].feature is None or state.path is None:
            self._map.set_row_alpha(None)
            self._map.set_row_notes([])
            self._heading.setToolTip(_HELP)
            return
        how, likeness = state.path.likeness
        certain = np.clip((likeness - _POOR_MATCH) / (_GOOD_MATCH - _POOR_MATCH), 0, 1)
        self._map.set_row_alpha(_FAINTEST + (1 - _FAINTEST) * np.nan_to_num(certain))
        self._map.set_row_notes([f"{value:.2f}" for value in likeness])
        self._heading.setToolTip(_HELP + _ROWS_HELP[how])

    def _mark(self, state: AppState) -> None:
        where = self._position(state.selection.token)
        row = -1 if self._picture is None else self._picture.row_of(state)
        self._map.set_current(row, where)
        if self._lines is not None:
            self._lines.set_current(where)

    def _draw_lines(self, state: AppState, trace: Trace, fields: frozenset[str]) -> None:
        shown = shown_tokens(trace, state.show_template)  # the map may still be of another text
        lines = [
            (
                with_number(pin.label, state.name_of(pin.feature)),
                trace.acts[pin.feature.sae].of(pin.feature.index)[shown] / pin.max_active,
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
            self._lines.set_lines(lines, [trace.texts[i] for i in shown])
            self._follow_view()

    def _make_plot(self) -> LinePlot:
        # Imported here, for it imports pyqtgraph; a worker has done so when the path was followed.
        from desktop_scope.gui.widgets.line_plot import LinePlot

        plot = LinePlot()
        plot.setFixedHeight(96)
        plot.token_clicked.connect(self._token_clicked)
        self._grid.addWidget(plot, 2, 0)
        return plot

    def _draw_lens(self, state: AppState, trace: Trace) -> None:
        token = state.selection.token
        self._lens.set_rows(self._beside(state))
        if token is not None and token < trace.n_tokens:
            word = trace.texts[token].strip() or "⏎"
            self._lens_heading.setText(f"after “{word}” it would say")
        kind = state.grid.lens if state.grid.lens_ready else "logit lens"
        self._lens_heading.setToolTip(
            f"Each layer’s stream at the selected token, read through the {kind}:\n"
            "what the model would say next if it stopped there."
        )

    def _beside(self, state: AppState) -> tuple[LensRow, ...]:
        """The lens of the layer of every row of the map; by the place of the row."""
        if self._picture is None or not state.lens:
            return state.lens
        layers = [row.layer for row in self._picture.rows]
        return tuple(replace(state.lens[layer], layer=row) for row, layer in enumerate(layers))

    def _position(self, token: int | None) -> int:
        where = np.flatnonzero(self._shown == token)
        return int(where[0]) if len(where) else -1

    def _in_cell(self, row: int, position: int) -> str:
        if self._state is None or self._picture is None:
            return ""
        return in_cell(self._state, self._picture, row, int(self._shown[position]))

    def _read_out(self, row: int, position: int) -> str:
        if self._state is None or self._picture is None:
            return ""
        return read_out(self._state, self._picture, row, int(self._shown[position]))

    @Slot()
    def _follow_view(self) -> None:
        """The lens and the lines show what the map shows."""
        self._lens.update()
        if self._lines is not None:
            self._lines.set_span(*self._map.span())

    @Slot(int, int)
    def _moved(self, row: int, position: int) -> None:
        if self._picture is None or not 0 <= position < len(self._shown):
            return
        here, token = self._picture.rows[row], int(self._shown[position])
        feature = here.feature or strongest(self.store.state, here, token)
        self._choose(token, here.layer, feature, stay=here.feature is not None)

    @Slot(int, int)
    def _opened(self, row: int, position: int) -> None:
        """The strongest feature of the cell; its row's, where none fires."""
        if self._picture is None or not 0 <= position < len(self._shown):
            return
        here, token = self._picture.rows[row], int(self._shown[position])
        feature = strongest(self.store.state, here, token) or here.feature
        self._choose(token, here.layer, feature, stay=False)

    def _choose(self, token: int, layer: int, feature: FeatureId | None, stay: bool) -> None:
        self.store.act(grid_actions.choose, token, layer, feature, stay)

    @Slot(int)
    def _pin_chosen(self, slot: int) -> None:
        self.store.act(actions.select, feature=self.store.state.pins[slot].feature)

    @Slot(int)
    def _token_clicked(self, position: int) -> None:
        if 0 <= position < len(self._shown):
            self.store.act(actions.select, token=int(self._shown[position]))


# By quantity, what is under way while the cells are old; the lens adds its rows as it goes.
_BUSY = {
    Quantity.STRENGTH: ("follow", "trace"),
    Quantity.CHANGE: ("follow", "trace", "other", "follow other"),
    Quantity.MISSED: ("trace", "errors"),
}

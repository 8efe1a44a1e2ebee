"""The map: all features as points, similar ones near each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from desktop_scope.engine.types import FeatureId
from desktop_scope.evidence.mapping.types import FeatureMap
from desktop_scope.evidence.types import Named
from desktop_scope.experiments.compare_types import Comparison
from desktop_scope.gui import actions, discovery_actions, theme
from desktop_scope.gui.naming import with_number
from desktop_scope.gui.panels.base import Panel
from desktop_scope.gui.state import AppState
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.buttons import tool_button
from desktop_scope.gui.widgets.empty_state import EmptyState
from desktop_scope.gui.widgets.exporting import Columns
from desktop_scope.gui.widgets.painting import Pixels, muted, number
from desktop_scope.gui.widgets.plot_menu import PlotMenu
from desktop_scope.gui.widgets.point_map import PointMap
from desktop_scope.gui.widgets.tables import DIM_ROLE, Greying
from desktop_scope.wording import counted

_CLOSE_UP = 24.0  # the zoom of “Find”
_DIFFERENCE = "difference"
_SEEN = 0.05  # of a feature's maximum: a smaller difference is not drawn
_COLORS = (
    ("layer", "by layer", "Blue: the first layers, ochre: the last"),
    ("score", "by label score", "Ochre: predicts well where it fires; grey: not measured"),
    (_DIFFERENCE, "by difference", "Of what was compared last: blue is stronger on the second\n"
     "side, orange on the first; grey: no difference to speak of"),
    ("text", "listed only", "All grey, but for the features that are listed"),
)  # fmt: skip
_ABOUT = (
    "Every point is a feature; those whose directions are alike lie together (t-SNE of the\n"
    "decoder rows: what is near is alike, what is far says little). Green: listed among the\n"
    "features, so what fires on your text or what you searched for. Words: what stands out in\n"
    "the labels around there. Drag to move, wheel to zoom, click to choose; arrows go from\n"
    "point to point."
)


class MapPanel(Panel):
    """A plane of features to wander over."""

    id = "map"
    title = "Map"
    column = "right"
    height = 46
    behind = "features"
    draws_on = frozenset(
        {"map", "selection", "pins", "ranking", "compare", "opened", "saes", "jobs"}
    )

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._map: FeatureMap | None = None
        self._points = PointMap()
        self._points.setToolTip("")
        self._menu = PlotMenu(self._points, "Map of features", self._table, self._points.paint)
        self._points.point_hovered.connect(self._hovered)
        self._points.point_chosen.connect(self._chosen)
        self._color = QComboBox()
        self._color.setAccessibleName("Colour the points")
        for name, text, help_ in _COLORS:
            self._color.addItem(text, name)
            self._color.setItemData(self._color.count() - 1, help_, Qt.ItemDataRole.ToolTipRole)
        self._color.activated.connect(self._recolor)
        self._find = tool_button("Find", "Bring the selected feature into the middle, close up")
        self._find.clicked.connect(self._look_at_chosen)
        self._whole = tool_button("Whole", "The whole map (Home)")
        self._whole.clicked.connect(self._points.show_whole)
        self._about = muted(QLabel())
        self._about.setToolTip(_ABOUT)
        self._nearest = muted(QLabel("Nearest on the map"))
        self._nearest.setToolTip("In front of each: how alike its direction is (cosine, at most 1)")
        self._nearby = QListWidget()
        self._nearby.setAccessibleName("Nearest features on the map")
        self._nearby.setItemDelegate(Greying(self._nearby))
        self._nearby.setTextElideMode(Qt.TextElideMode.ElideRight)
        self._nearby.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._nearby.setTabKeyNavigation(False)
        self._nearby.itemClicked.connect(self._go_to)
        self._nearby.itemActivated.connect(self._go_to)
        self._empty = EmptyState()
        self._empty.acted.connect(self._act)
        theme.changed.connect(self._recolor)
        self._lay_out()

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(4)
        top.addWidget(self._color)
        top.addStretch(1)
        top.addWidget(self._about)
        top.addStretch(1)
        top.addWidget(self._find)
        top.addWidget(self._whole)
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(4)
        column.addLayout(top)
        beside = QVBoxLayout()
        beside.setSpacing(4)
        beside.addWidget(self._nearest)
        beside.addWidget(self._nearby, 1)
        middle = QHBoxLayout()
        middle.setSpacing(8)
        middle.addWidget(self._points, 3)
        middle.addLayout(beside, 2)
        column.addLayout(middle, 1)
        self._stack = QStackedLayout(self)
        self._stack.setContentsMargins(0, 0, 0, 0)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(body)

    def focus_first(self) -> None:
        """Wander with the arrows at once."""
        self._points.setFocus()

    def seen(self, visible: bool) -> None:
        """Only now is the map of any use."""
        if visible and not self.store.state.map.wanted:
            self.store.act(discovery_actions.look_at_map)

    def render(self, state: AppState, fields: frozenset[str]) -> None:
        """Draw."""
        fresh = state.map.map is not self._map
        if fresh:
            self._take(state.map.map)
        self._stack.setCurrentIndex(0 if self._map is None else 1)
        if self._map is None:
            self._empty.set_text(*_sentence(state))
            return
        if fresh or fields & {"ranking", "compare"}:
            self._light(state)
        if fresh or fields & {"selection", "pins"}:
            self._mark(state)
        if "map" in fields:
            self._name(state)

    def _take(self, found: FeatureMap | None) -> None:
        self._map = found
        if found is None:
            return
        self._points.set_points(found.points, self._colors_of(found), found.regions)
        n, every = len(found.points), found.n_features
        self._about.setText(counted(n, "feature") if n == every else f"{n:,} of {every:,} features")

    def _colors_of(self, found: FeatureMap) -> Pixels:
        by = self._color.currentData()
        if by == "layer":
            values = found.sae / max(int(found.sae.max(initial=0)), 1)
        elif by == "score":
            values = ((found.scores - 0.5) / 0.5).astype(np.float64)
        else:
            values = np.full(len(found.sae), np.nan)
        return _pixels(theme.order_rgb(values))

    @Slot()
    def _recolor(self) -> None:
        if self._map is not None:
            self._points.set_colors(self._colors_of(self._map))
            self._light(self.store.state)

    def _light(self, state: AppState) -> None:
        """Draw the features that are listed in green: what fires here, or what was searched for."""
        if self._map is not None and self._color.currentData() == _DIFFERENCE:
            self._points.set_lit(*_differing(self._map, state.compare.found))
            return
        if self._map is None or state.ranking is None:
            return
        rows = [(self._map.place(row.feature), row.strength) for row in state.ranking.rows]
        found = sorted((strength, place) for place, strength in rows if place >= 0)
        strength = np.array([strength for strength, _ in found])  # the strongest are drawn last
        colors = theme.opaque(theme.strength_rgba(0.3 + 0.7 * strength, False))
        self._points.set_lit(np.array([place for _, place in found], np.int64), colors)

    def _mark(self, state: AppState) -> None:
        chosen = self._point(state.selection.feature)
        rings = [
            (point, theme.pinned_color(slot))
            for slot, pin in enumerate(state.pins)
            if (point := self._point(pin.feature)) >= 0
        ]
        self._points.set_chosen(chosen, rings)
        self._find.setEnabled(chosen >= 0)

    def _name(self, state: AppState) -> None:
        look = state.map
        if look.hovered_name is not None and look.hovered_name.feature == look.hovered:
            self._points.say(self._point(look.hovered), _line(look.hovered_name))
        lines = [f"{number(near.cosine)}  {_line(near)}" for near in look.nearby]
        if lines != [self._nearby.item(row).text() for row in range(self._nearby.count())]:
            self._nearby.clear()
            self._nearby.addItems(lines)
            for row, line in enumerate(lines):
                self._nearby.item(row).setToolTip(line)
                self._nearby.item(row).setData(DIM_ROLE, look.nearby[row].label.doubtful)

    def _table(self) -> Columns:
        found = self._map
        if found is None:
            return {}
        features = map(FeatureId, found.sae.tolist(), found.index.tolist())
        return {
            "feature": [self.store.state.name_of(feature) for feature in features],
            "x": found.points[:, 0],
            "y": found.points[:, 1],
            "score of its label": found.scores,
        }

    def _point(self, feature: FeatureId | None) -> int:
        return -1 if feature is None or self._map is None else self._map.place(feature)

    @Slot(int)
    def _hovered(self, point: int) -> None:
        feature = self._map.feature(point) if self._map is not None and point >= 0 else None
        self.store.act(discovery_actions.hover, feature)

    @Slot(int)
    def _chosen(self, point: int) -> None:
        if self._map is not None:
            self.store.act(actions.select, feature=self._map.feature(point))

    @Slot(QListWidgetItem)
    def _go_to(self, item: QListWidgetItem) -> None:
        near = self.store.state.map.nearby[self._nearby.row(item)]
        self.store.act(actions.select, feature=near.feature)

    @Slot()
    def _look_at_chosen(self) -> None:
        if self._points.chosen() >= 0:
            self._points.look_at(self._points.chosen(), max(self._points.zoom, _CLOSE_UP))

    @Slot()
    def _act(self) -> None:
        state = self.store.state
        if state.opened is not None and not state.saes:
            self.want_library()
        else:
            self.store.act(discovery_actions.draw_map, not state.map.drawing)


def _differing(
    drawn: FeatureMap, found: Comparison | None
) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """The points of features that differ, the largest difference drawn last, and their colours."""
    if found is None:
        return np.zeros(0, np.int64), np.zeros(0, np.uint32)
    seen = np.flatnonzero(np.abs(found.share) >= _SEEN)
    seen = seen[np.argsort(np.abs(found.share[seen]), kind="stable")]
    pairs = zip(found.sae[seen].tolist(), found.index[seen].tolist(), strict=True)
    places = np.array([drawn.place(FeatureId(*pair)) for pair in pairs], np.int64)
    share, there = found.share[seen], places >= 0
    strong = np.sign(share) * (0.3 + 0.7 * np.abs(share).clip(0, 1))
    return places[there], theme.opaque(theme.diverging_rgba(strong, False))[there]


def _pixels(rgb: NDArray[np.uint8]) -> Pixels:
    red, green, blue = (rgb[..., part].astype(np.uint32) for part in range(3))
    return np.uint32(0xFF000000) | red << 16 | green << 8 | blue


def _line(named: Named) -> str:
    return with_number(named.label, named.name)


def _sentence(state: AppState) -> tuple[str, str]:
    """What to say, and what a button says."""
    look = state.map
    if state.opened is not None and not state.saes:
        return "Open an autoencoder: its features are laid out here as a map.", "Open the library"
    if state.opened is None or not look.looked:
        return "The map of all features will be here, similar ones near each other.", ""
    if not look.drawing:
        start = "Go on drawing" if look.progress else "Draw the map"
        return (
            "No map of these autoencoders has been drawn yet. It takes some minutes, whenever the "
            "model has nothing else to do, and is kept.",
            start,
        )
    if look.progress is None:
        return "Drawing the map …", "Stop"
    share = 100 * look.progress.done // look.progress.total
    return f"Drawing the map: {share} % done. You can go on working.", "Stop"

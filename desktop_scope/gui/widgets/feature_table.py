"""Features as rows: label, layer, strength, how often they fire."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QModelIndex, Qt, Signal, Slot
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QAbstractItemView, QTableView, QWidget

from desktop_scope.engine.types import FeatureId
from desktop_scope.evidence.types import FeatureRow, Measure, Source
from desktop_scope.gui import theme
from desktop_scope.gui.naming import scored, title
from desktop_scope.gui.widgets.painting import Stale, number, percent
from desktop_scope.gui.widgets.strength_bar import FRACTION_ROLE, StrengthBarDelegate
from desktop_scope.gui.widgets.tables import LEFT, RIGHT, Index, RowsModel, make_plain, set_columns

LAYER, LABEL, STRENGTH, DENSITY = range(4)
_TITLES = ("Layer", "Feature", "Strength", "Fires on")
_HELP = (
    "After which layer of the model it was read",
    "What it seems to stand for: bold was written by a person; grey says little about where\n"
    "the feature fires, or was not tried yet",
    "How strongly it fires, as a share of the strongest activation seen in the evidence",
    "The share of all tokens on which it fires (density)",
)
_ALIGN = (RIGHT, LEFT, LEFT, RIGHT)
_ROW_HEIGHT = 26
_BY_A_PERSON = (Source.CURATED, Source.OWN)


class _Rows(RowsModel):
    titles, help, align = _TITLES, _HELP, _ALIGN
    rows: tuple[FeatureRow, ...]

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.pinned: frozenset[FeatureId] = frozenset()
        self.measure: Measure | None = None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if self.measure and section == STRENGTH and orientation == Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return self.measure.title
            if role == Qt.ItemDataRole.ToolTipRole:
                return self.measure.help
        return super().headerData(section, orientation, role)

    def cell(self, row: FeatureRow, column: int, role: int) -> Any:
        if role == FRACTION_ROLE and column == STRENGTH:
            return row.found.share if self.measure and row.found else row.strength
        if role == Qt.ItemDataRole.ToolTipRole:
            return _tooltip(row)
        if role == Qt.ItemDataRole.FontRole and column == LABEL:
            return self._font(row)
        if role == Qt.ItemDataRole.ForegroundRole:
            dim = column in (LAYER, DENSITY) or (column == LABEL and row.label.doubtful)
            return theme.tokens().muted if dim else None
        return None

    def text(self, row: FeatureRow, column: int) -> str:
        if column == LAYER:
            return row.name.rpartition("/")[0]
        if column == LABEL:
            star = "★ " if row.feature in self.pinned else ""
            return star + title(row.label, row.name)
        if column == STRENGTH and self.measure and row.found:
            return row.found.text
        if column == STRENGTH:
            return number(row.strength) if row.strength else "–"
        return percent(row.density)

    @staticmethod
    def _font(row: FeatureRow) -> QFont | None:
        return theme.strong(theme.ui_font()) if row.label.source in _BY_A_PERSON else None

    def set_pinned(self, pinned: frozenset[FeatureId]) -> None:
        self.pinned = pinned
        if self.rows:
            last = self.index(len(self.rows) - 1, LABEL)
            self.dataChanged.emit(self.index(0, LABEL), last)


def _tooltip(row: FeatureRow) -> str:
    found = [row.found.detail] if row.found and row.found.detail else []
    if row.label.source is Source.NONE:
        lines = [f"feature {row.name} · no label yet · activation {number(row.value)}"]
    else:
        lines = [
            row.label.text,
            f"feature {row.name} · {row.label.source} label, {scored(row.label)}",
            f"activation {number(row.value)} of at most {number(row.max_active)} · "
            f"fires on {percent(row.density)} of tokens",
        ]
    return "\n".join([*lines, *found])


class FeatureTable(Stale, QTableView):
    """A list of features.

    Signals:
        feature_chosen: The user moved to a feature.
        feature_activated: The user double-clicked one or pressed Enter on it.
    """

    feature_chosen = Signal(object)
    feature_activated = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows = _Rows(self)
        self._by_program = False
        self.setModel(self._rows)
        make_plain(self, "Features")
        set_columns(self, _ROW_HEIGHT, LABEL, ((LAYER, 52), (STRENGTH, 130), (DENSITY, 72)))
        self.setItemDelegateForColumn(STRENGTH, StrengthBarDelegate(self))
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.activated.connect(self._activated)

    def set_rows(
        self,
        rows: Sequence[FeatureRow],
        chosen: FeatureId | None,
        measure: Measure | None = None,
    ) -> None:
        """Show these features; with a measure, it takes the place of how strongly they fire."""
        self._by_program = True
        self._rows.measure = measure
        self._rows.replace(tuple(rows))
        self._by_program = False
        self.set_chosen(chosen)

    def set_chosen(self, chosen: FeatureId | None) -> None:
        """Mark the selected feature where it is listed. Emits nothing."""
        self._by_program = True
        features = [row.feature for row in self._rows.rows]
        if chosen in features:
            self.setCurrentIndex(self._rows.index(features.index(chosen), LABEL))
        else:
            self.setCurrentIndex(QModelIndex())
            self.clearSelection()
            self.scrollToTop()
        self._by_program = False

    def set_pinned(self, pinned: frozenset[FeatureId]) -> None:
        """Mark the pinned features with a star."""
        self._rows.set_pinned(pinned)

    def row(self, index: int) -> FeatureRow:
        """One of the rows shown."""
        return self._rows.rows[index]

    def currentChanged(self, current: Index, previous: Index) -> None:
        super().currentChanged(current, previous)
        if not self._by_program and current.isValid() and current.row() != previous.row():
            self.feature_chosen.emit(self._rows.rows[current.row()])

    @Slot(QModelIndex)
    def _activated(self, index: QModelIndex) -> None:
        self.feature_activated.emit(self._rows.rows[index.row()])

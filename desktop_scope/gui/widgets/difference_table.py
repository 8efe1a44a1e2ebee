"""Features that differ between two sides as rows."""

# ruff: noqa: D102 - Qt's overrides are documented by Qt

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QAbstractItemView, QTableView

from desktop_scope.experiments.compare_types import Difference
from desktop_scope.gui import theme
from desktop_scope.gui.widgets.cause_table import SignedBar
from desktop_scope.gui.widgets.painting import Stale, number
from desktop_scope.gui.widgets.strength_bar import FRACTION_ROLE
from desktop_scope.gui.widgets.tables import LEFT, RIGHT, Index, RowsModel, make_plain, set_columns

LAYER, LABEL, TOKEN, FIRST, SECOND, SHARE = range(6)
_ROW_HEIGHT = 24


@dataclass(frozen=True)
class DifferenceRow:
    """One feature, and what it is called."""

    difference: Difference
    layer: str
    label: str
    dim: bool
    token: str
    help: str


class _Rows(RowsModel):
    titles = ("Layer", "Feature", "On", "First", "Second", "Difference")
    help = (
        "After which layer of the model it was read",
        "What it seems to stand for; grey says little about where the feature fires",
        "The token at which the two sides differ most",
        "How strongly it fires on the first side there",
        "How strongly it fires on the second side there",
        "Second minus first, in percent of the strongest activation that the feature is known\n"
        "for. The list is in this order, the largest first, whatever its sign: to the right it\n"
        "is stronger on the second side, to the left on the first.",
    )
    align = (RIGHT, LEFT, LEFT, RIGHT, RIGHT, RIGHT)
    rows: tuple[DifferenceRow, ...]

    def cell(self, row: DifferenceRow, column: int, role: int) -> Any:
        if role == FRACTION_ROLE and column == SHARE:
            return row.difference.share
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.help
        if role == Qt.ItemDataRole.ForegroundRole:
            dim = column in (LAYER, TOKEN) or (column == LABEL and row.dim)
            return theme.tokens().muted if dim else None
        return None

    def text(self, row: DifferenceRow, column: int) -> str:
        found = row.difference
        return (
            row.layer,
            row.label,
            row.token,
            number(found.a),
            number(found.b),
            f"{100 * found.share:+.0f} %".replace("-", "−"),
        )[column]


class DifferenceTable(Stale, QTableView):
    """A list of features that differ.

    Signals:
        difference_chosen: The user moved to this one.
    """

    difference_chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._rows = _Rows(self)
        self._by_program = False
        self.setModel(self._rows)
        make_plain(self, "Features that differ most")
        widths = ((LAYER, 54), (TOKEN, 78), (FIRST, 56), (SECOND, 68), (SHARE, 124))
        set_columns(self, _ROW_HEIGHT, LABEL, widths)
        self.setItemDelegateForColumn(SHARE, SignedBar(self))
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)

    def set_rows(self, rows: Sequence[DifferenceRow]) -> None:
        """Show these."""
        if tuple(rows) == self._rows.rows:
            return
        self._by_program = True
        self._rows.replace(tuple(rows))
        self._by_program = False

    def currentChanged(self, current: Index, previous: Index) -> None:
        super().currentChanged(current, previous)
        if not self._by_program and current.isValid() and current.row() != previous.row():
            self.difference_chosen.emit(self._rows.rows[current.row()].difference)

"""The features that a feature goes together with: at the same time, alike, across the layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from desktop_scope.engine.types import FeatureId
from desktop_scope.evidence.types import Card, CoFiring, Neighbour
from desktop_scope.gui.naming import with_number
from desktop_scope.gui.widgets.bar_list import BarList
from desktop_scope.gui.widgets.painting import muted, number, percent
from desktop_scope.gui.widgets.plot_menu import headed

_FAR = 0.2  # a best match that is no nearer than this is none
_COFIRING = (
    "Features that fire on the same tokens: of the tokens on which either fires,\n"
    "the share on which both do (Jaccard), measured on {0:,} tokens."
)
_SIMILAR = (
    "Features of this layer and the ones beside it whose decoder rows point the same way\n"
    "(cosine, at most 1)."
)
_FAMILY = (
    "The same in other layers: the best match in each, {0}.\n"
    "Matches that are hardly better than chance are left out."
)


class Relations(QWidget):
    """Three short lists; those without content are not there.

    Signals:
        feature_chosen: The user clicked a feature.
    """

    feature_chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._features: dict[BarList, list[FeatureId]] = {}
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(8)
        self._cofiring = self._add("Fires together with")
        self._similar = self._add("Similar features")
        self._family = self._add("The family across the layers")

    def _add(self, name: str) -> tuple[QLabel, BarList]:
        heading, rows = muted(QLabel(name)), BarList(name, clickable=True)
        rows.row_clicked.connect(self._clicked)
        self._column.addLayout(headed(heading, rows.menu))
        self._column.addWidget(rows)
        return heading, rows

    def set_card(self, card: Card) -> None:
        """Show the relations of a card's feature."""
        together = [_as_row(c, c.jaccard) for c in card.cofiring]
        heading, rows = self._cofiring
        heading.setToolTip(_COFIRING.format(card.cofiring_tokens))
        self._fill(heading, rows, together, maximum=None, write=percent)

        heading, rows = self._similar
        heading.setToolTip(_SIMILAR)
        self._fill(heading, rows, [_as_row(n, n.cosine) for n in card.neighbours])

        heading, rows = self._family
        measured = any(
            math.isfinite(n.correlation) for n in card.family if n.feature != card.feature
        )
        how = "by the correlation of their activations" if measured else "by cosine"
        heading.setToolTip(_FAMILY.format(how))
        relatives = [
            _as_row(n, n.correlation if measured else n.cosine)
            for n in card.family
            if n.feature != card.feature
        ]
        self._fill(heading, rows, [row for row in relatives if row.value >= _FAR])

    def _fill(
        self,
        heading: QLabel,
        rows: BarList,
        content: list[_Row],
        maximum: float | None = 1.0,
        write: Callable[[float], str] = number,
    ) -> None:
        self._features[rows] = [row.feature for row in content]
        rows.set_rows(
            [(row.text, row.value) for row in content],
            maximum=maximum,
            grey=True,
            write=write,
            dim=[n for n, row in enumerate(content) if row.doubtful],
        )
        for widget in (heading, rows.menu.button, rows):
            widget.setVisible(bool(content))
        rows.setFixedHeight(rows.sizeHint().height() + 2)

    def set_stale(self, stale: bool) -> None:
        """Dim the lists while something newer is on its way."""
        for rows in self._features:
            rows.set_stale(stale)

    @Slot(int)
    def _clicked(self, row: int) -> None:
        self.feature_chosen.emit(self._features[self.sender()][row])


class _Row(NamedTuple):
    feature: FeatureId
    text: str
    value: float
    doubtful: bool


def _as_row(member: Neighbour | CoFiring, value: float) -> _Row:
    name = with_number(member.label, member.name)
    return _Row(member.feature, name, value, member.label.doubtful)

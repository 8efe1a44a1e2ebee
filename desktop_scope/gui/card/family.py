"""A feature's family by size, on its card: what it comes from and what it splits into."""

from __future__ import annotations

import math
from collections.abc import Iterator

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from desktop_scope.engine.sizes import is_shown, sizes
from desktop_scope.engine.types import FeatureId
from desktop_scope.evidence.kinship.types import Basis, Family, Kin
from desktop_scope.gui import actions, zoom_actions
from desktop_scope.gui.naming import with_number
from desktop_scope.gui.state import AppState
from desktop_scope.gui.store import Store
from desktop_scope.gui.widgets.painting import muted, number, percent
from desktop_scope.gui.widgets.plot_menu import headed
from desktop_scope.gui.widgets.tree_rows import TreeRow, TreeRows

_ABOUT = (
    "What it comes from in a coarser dictionary, and what it splits into in finer ones.\n"
    "Parent fires too: of the tokens on which a feature fires, the share on which its parent\n"
    "does; the parent is the coarser feature for which that is high, and rare otherwise.\n"
    "Cosine: of both decoder rows. In nested (Matryoshka) SAEs it is often near 0: a finer\n"
    "feature adds what its parent leaves out."
)
_BASES = {
    Basis.SAMPLE: "on a sample of {:,} tokens of the pack’s text",
    Basis.EXAMPLES: "on the tokens of its own examples",
}


class FamilyBox(QWidget):
    """The tree; not there where there is one size only."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self._features: list[FeatureId] = []
        self._tree = TreeRows("Family by size")
        self._tree.row_chosen.connect(self._chosen)
        self._tree.row_toggled.connect(self._toggled)
        heading = muted(QLabel("Family by size"))
        heading.setToolTip(_ABOUT)
        self._left_out = muted(QLabel(wordWrap=True))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(headed(heading, self._tree.menu))
        column.addWidget(self._tree)
        column.addWidget(self._left_out)

    def draw(self, state: AppState, feature: FeatureId) -> None:
        """Draw the family of a card's feature."""
        family = state.zoom.family
        fits = family is not None and family.feature == feature and len(family.sizes) > 1
        self.setVisible(bool(fits))
        if not fits or family is None:
            return
        rows = list(_rows(family))
        self._features = [kin.feature for _, kin, _ in rows]
        self._tree.set_rows([_as_row(family, *row) for row in rows])
        self._tree.set_stale(state.busy("family"))
        text = _remark(state, family)
        self._left_out.setText(text)
        self._left_out.setVisible(bool(text))

    @Slot(int)
    def _chosen(self, row: int) -> None:
        self._store.act(actions.select, feature=self._features[row])

    @Slot(int)
    def _toggled(self, row: int) -> None:
        self._store.act(zoom_actions.toggle_branch, self._features[row])


def _rows(family: Family) -> Iterator[tuple[int, Kin, bool | None]]:
    """From the root down, each with its depth, and whether it is open."""
    for depth, kin in enumerate(family.line[:-1]):
        yield depth, kin, None
    yield from _with_branch(family, family.line[-1], len(family.line) - 1, top=True)


def _with_branch(
    family: Family, kin: Kin, depth: int, top: bool = False
) -> Iterator[tuple[int, Kin, bool | None]]:
    branch = family.branches.get(kin.feature)
    is_open = None if top or not kin.n_children else branch is not None
    yield depth, kin, is_open
    for child in branch.kin if branch is not None else ():
        yield from _with_branch(family, child, depth + 1)


def _as_row(family: Family, depth: int, kin: Kin, is_open: bool | None) -> TreeRow:
    return TreeRow(
        depth=depth,
        text=with_number(kin.label, kin.name),
        dim=kin.label.doubtful,
        chosen=kin.feature == family.feature,
        size=f"{kin.size:,}",
        share=kin.share,
        n=kin.n_tokens,
        cosine=kin.cosine,
        is_open=is_open,
        about=_about(family, kin),
    )


def _about(family: Family, kin: Kin) -> str:
    """On hover: all of it in words."""
    lines = [with_number(kin.label, kin.name), f"First in the dictionary of {kin.size:,} features"]
    if not math.isnan(kin.share):
        on = _BASES[kin.basis].format(family.n_tokens)
        lines.append(
            f"On {percent(kin.share)} of the {kin.n_tokens:,} tokens on which it fires, its "
            f"parent fires too: {number(kin.lift)} times as often as anywhere ({on})"
        )
    elif not math.isnan(kin.cosine):
        lines.append("Only its direction says so: where both fire has not been measured yet")
    if not math.isnan(kin.cosine):
        lines.append(f"Cosine of the decoder rows: {number(kin.cosine)}")
    if kin.n_children > 0:
        lines.append(f"Splits into {kin.n_children}")
    return "\n".join(lines)


def _remark(state: AppState, family: Family) -> str:
    """What the tree leaves out."""
    if state.busy("kin"):
        return "Reading examples, to see what fires together …"
    if family.line[0].size > family.sizes[0]:
        return "Nothing is known of what it comes from: no coarser feature is alike."
    branch = family.branches.get(family.feature)
    if branch is None or not branch.n:
        finest = family.line[-1].size == family.sizes[-1]
        return "" if finest else "Nothing was seen to split off from it."
    left = branch.n - len(branch.kin)
    return f"and {left:,} more" if left else ""


def zoom_note(state: AppState, feature: FeatureId) -> str:
    """What a card says when its feature stands for another one, or is not looked at."""
    zoom, shown = state.zoom, state.shown
    size = zoom.size or max(sizes(state.saes), default=0)
    meant = zoom.meant(feature)
    if meant != feature:
        return (
            f"Stands for {state.name_of(meant)}, which the dictionary of {size:,} "
            "features does not have: its nearest ancestor there. Zoom in to return."
        )
    if is_shown(shown, feature):
        return ""
    family = zoom.family if zoom.family is not None and zoom.family.feature == feature else None
    ancestor = None if family is None else family.ancestor(shown)
    known = "No ancestor of it is known there." if ancestor is None else (
        f"Its nearest ancestor there is {state.name_of(ancestor)}."
    )  # fmt: skip
    return f"Not in the dictionary of {size:,} features that is looked at. {known}"

"""What the grid of layers and tokens shows, as far as the window knows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from desktop_scope.engine.lenses import LensFit, LensGrid, LensKind
from desktop_scope.engine.types import FeatureId, Trace
from desktop_scope.evidence.cells import Cells, Errors
from desktop_scope.evidence.types import FeaturePath


class Quantity(StrEnum):
    """What the cells are coloured by."""

    STRENGTH = "strength"  # of the selected feature, and of its like in the other layers
    ACTIVE = "active"  # how many features fire
    MISSED = "missed"  # what the features leave unexplained
    LENGTH = "length"  # of the residual stream
    SURE = "sure"  # the likeliest word, read off the layer, and its probability
    OPEN = "open"  # how much is left open there: entropy
    WORD = "word"  # how likely a word is there, that somebody typed
    CHANGE = "change"  # of the strength, against another prompt


BY_LENS = frozenset({Quantity.SURE, Quantity.OPEN, Quantity.WORD})


@dataclass(frozen=True)
class GridState:
    """What is looked at, and what came back.

    Attributes:
        lens: Which reads the layers as words.
        word: Whose rank is looked at.
        against: The other prompt.
        anchor: Whose family is shown while others of it are selected.
        layer: The one that was chosen, where it has no feature that could say so.
        read: As far as the lens has read, perhaps of an older text.
        fit: Of the tuned lens; None before it was asked for.
        other: What the other prompt lit up.
        other_path: The family there.
    """

    quantity: Quantity = Quantity.STRENGTH
    lens: LensKind = LensKind.LOGIT
    word: str = ""
    against: str = ""
    anchor: FeatureId | None = None
    layer: int | None = None
    cells: Cells | None = None
    errors: Errors | None = None
    read: LensGrid | None = None
    fit: LensFit | None = None
    other: Trace | None = None
    other_path: FeaturePath | None = None

    @property
    def lens_ready(self) -> bool:
        """Whether the lens that is wanted can be used."""
        return self.lens is LensKind.LOGIT or (self.fit is not None and self.fit.ready)

    def read_of(self, trace: Trace | None) -> LensGrid | None:
        """What the lens that is wanted has read of a text, for the word that is wanted."""
        read = self.read
        if read is None or read.trace is not trace or read.kind is not self.lens:
            return None
        return read if self.quantity is not Quantity.WORD or read.word == self.word else None

    def adrift(self) -> GridState:
        """Without what only a cell of the grid has chosen."""
        return replace(self, anchor=None, layer=None)

    def halted(self) -> GridState:
        """Without what takes long."""
        return self if self.lens_ready else replace(self, lens=LensKind.LOGIT)

"""What stands out in every SAE at every token of a text. Shapes: S SAEs, T tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from desktop_scope.engine.requests import Request
from desktop_scope.engine.types import Bools, FeatureActs, FeatureId, Floats, Ints, Trace, lock

if TYPE_CHECKING:
    from desktop_scope.evidence.catalogue import Catalogue


@dataclass(frozen=True)
class ReadCells(Request):
    """The strongest feature of every SAE at every token.

    Attributes:
        shown: Of each SAE only the first so many features; empty for all.
        max_density: Features that fire on a larger share of tokens say little, and are left out.
    """

    kind = "cells"
    replaces = frozenset({"cells"})

    trace: Trace
    revision: int = 0  # of what is known about the features
    shown: tuple[int, ...] = ()
    max_density: float = 1.0


@dataclass(frozen=True)
class ReadErrors(Request):
    """How much of every token the features of every SAE leave unexplained."""

    kind = "errors"
    replaces = frozenset({"errors"})

    trace: Trace
    shown: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Cells:
    """The strongest features, by their strength as a share of each one's own maximum.

    Attributes:
        index: Of the feature, −1 where none fires.
        labels: What those features are called.
    """

    trace: Trace
    index: Ints  # [S, T]
    strength: Floats  # [S, T]
    labels: Mapping[FeatureId, str]

    def __post_init__(self) -> None:
        lock(self)

    def at(self, slot: int, token: int) -> FeatureId | None:
        """The strongest feature of a cell, if any fires there."""
        index = int(self.index[slot, token])
        return FeatureId(slot, index) if index >= 0 else None


@dataclass(frozen=True, eq=False)
class Errors:
    """What the SAEs miss: see ``engine.unexplained``."""

    trace: Trace
    shown: tuple[int, ...]
    share: Floats  # [S, T]

    def __post_init__(self) -> None:
        lock(self)


def read_cells(catalogue: Catalogue, request: ReadCells) -> Cells:
    """The strongest features of a text."""
    trace = request.trace
    shape = (len(trace.acts), trace.n_tokens)
    index, strength = np.full(shape, -1, np.int32), np.zeros(shape, np.float32)
    labels: dict[FeatureId, str] = {}
    for slot, (acts, known) in enumerate(zip(trace.acts, catalogue.evidence, strict=True)):
        telling = ~(known.density > request.max_density)  # also where that is not known
        if request.shown:
            telling[request.shown[slot] :] = False
        index[slot], strength[slot] = strongest(acts, catalogue.maxima(slot, trace), telling)
        texts = known.label_texts()
        for i in np.unique(index[slot]).tolist() if texts else ():
            if i >= 0:
                labels[FeatureId(slot, i)] = texts[i]
    return Cells(trace, index, strength, labels)


def strongest(acts: FeatureActs, full: Floats, telling: Bools) -> tuple[Ints, Floats]:
    """The strongest feature of each token, −1 for none, and its share of full strength."""
    share = np.where(telling[acts.indices], acts.values / full[acts.indices], 0.0)
    index = np.full(len(acts.indptr) - 1, -1, np.int32)
    best = np.zeros(len(index), np.float32)
    # By token, then by share: the last of each token is its strongest.
    rows = acts.rows()
    order = np.lexsort((share, rows))
    ends = acts.indptr[1:][np.diff(acts.indptr) > 0] - 1
    last = order[ends]
    fires = share[last] > 0
    index[rows[last][fires]] = acts.indices[last][fires]
    best[rows[last][fires]] = share[last][fires]
    return index, best

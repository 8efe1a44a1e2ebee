"""Reads a feature's examples, to see which coarser features fire where it does.

Of each example only the window that is shown is encoded; what stands before it is read, not
counted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from desktop_scope.engine.engine import Engine
from desktop_scope.engine.sizes import Rung, birth, ladder
from desktop_scope.engine.types import FeatureActs, FeatureId
from desktop_scope.engine.worker import Job
from desktop_scope.evidence.building.reading import batches, read
from desktop_scope.evidence.rows import Row

_SLICE_S = 1.2


@dataclass
class Firings:
    """Where one feature fires, and what else does there.

    Attributes:
        rung: The next coarser dictionary.
        fires: Tokens on which the feature fired.
        together: On so many of them each feature of the rung did, too, [M].
        left: Batches of examples that have not been read yet.
    """

    feature: FeatureId
    rung: Rung
    left: list[list[Row]]
    fires: int = 0
    together: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


def begin(engine: Engine, feature: FeatureId, stretches: tuple[Row, ...]) -> Firings:
    """Nothing has been read yet; the feature is not of the coarsest dictionary."""
    rungs = ladder(engine.infos, feature.sae)
    size = rungs[birth(rungs, feature)].size
    rung = [rung for rung in rungs if rung.size < size][-1]
    nothing = np.zeros(rung.size, np.int64)
    return Firings(feature, rung, batches(stretches), together=nothing)


def advance(engine: Engine, firings: Firings, job: Job, seconds: float = _SLICE_S) -> bool:
    """Read on for a while; whether all has been read.

    Raises:
        Cancelled: The job was; what was read by then counts.
    """
    slots = list(dict.fromkeys((firings.feature.sae, firings.rung.slot)))
    saes = [engine.saes[slot] for slot in slots]
    end = time.monotonic() + seconds
    while firings.left and time.monotonic() < end:
        one = read(engine, firings.left[0], job, saes)
        own, coarse = one.acts[0], one.acts[-1].first(firings.rung.size)
        fires = own.of(firings.feature.index) > 0
        firings.fires += int(fires.sum())
        firings.together += _on(coarse, fires, firings.rung.size)
        firings.left.pop(0)
    return not firings.left


def _on(acts: FeatureActs, tokens: NDArray[np.bool_], n: int) -> NDArray[np.int64]:
    """On how many of some tokens each of n features fires."""
    return np.bincount(acts.indices[tokens[acts.rows()]], minlength=n).astype(np.int64)

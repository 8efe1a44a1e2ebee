"""On what labels are judged: places in held-out text where each feature fires, and where not.

The text is cut into stretches of 32 tokens. *For* a label speak the strongest tokens of stretches
in which its feature fires, spread evenly over its range of strengths (Delphi takes ten quantiles,
which comes to the same) from a fifth of its maximum on: what is weaker is mostly noise, and counts
neither for nor against. *Against* it are tokens of stretches in which the feature is silent: half
of them where a near neighbour fires (hard), half of them anywhere.

Shapes: N features of one SAE, P places in the court's text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from desktop_scope.engine.types import Floats

STRETCH = 32  # tokens
N_FOR = 20
N_AGAINST = 20  # the first half of them hard
LEAST = 0.2  # of a feature's maximum
NOWHERE = -1
N_NEIGHBOURS = 8

_HALF = N_AGAINST // 2
_TRIED = np.arange(12)  # places of each neighbour
_POOL = 200  # places anywhere

Places = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Docket:
    """The cases of one SAE's features.

    Attributes:
        fires: Places where each feature fires, weakest first, [N, N_FOR]; NOWHERE for none.
        silent: Places where it does not, hard ones first, [N, N_AGAINST].
    """

    fires: Places
    silent: Places


@dataclass(frozen=True, eq=False)
class Peaks:
    """The strongest token of every stretch in which a feature fires, by feature and place."""

    feature: Places  # [E] ascending
    place: Places  # [E] ascending within a feature
    value: Floats  # [E]

    def stretch(self) -> Places:
        """Which stretch each lies in, [E]."""
        return self.place // STRETCH


def strongest(feature: Places, place: Places, value: Floats) -> Peaks:
    """Of all activations, the strongest of each feature in each stretch.

    Args:
        feature: Of every activation, in any order.
        place: The token, counted through the court's text.
        value: How strong.
    """
    order = np.lexsort((-value, place // STRETCH, feature))
    feature, place, value = feature[order], place[order], value[order]
    stretch = place // STRETCH
    first = np.ones(len(order), bool)
    first[1:] = (feature[1:] != feature[:-1]) | (stretch[1:] != stretch[:-1])
    return Peaks(feature[first], place[first], value[first])


def make_docket(
    peaks: Peaks,
    counted: NDArray[np.bool_],
    neighbours: Places,
    maximum: Floats,
    known: Mapping[int, NDArray[np.int64]] = MappingProxyType({}),
    seed: int = 0,
) -> Docket:
    """Choose the cases of every feature.

    Args:
        peaks: Of all the text.
        counted: Which places count: not the first tokens, not outliers, not padding, [P].
        neighbours: The nearest features of each, [N, K].
        maximum: Of each feature; where it is nan, every activation counts, [N].
        known: By feature, stretches that its labeller has seen; they are left out.
    """
    n_features = len(neighbours)
    starts = np.searchsorted(peaks.feature, np.arange(n_features + 1))
    stretch, least = peaks.stretch(), LEAST * np.nan_to_num(maximum)
    rng = np.random.default_rng(seed)
    pool = rng.permutation(np.flatnonzero(counted).astype(np.int32))
    begin = rng.integers(max(len(pool) - _POOL, 1), size=n_features)
    shuffled = peaks.place[np.lexsort((rng.random(len(stretch)), peaks.feature))]
    fires = np.full((n_features, N_FOR), NOWHERE, np.int32)
    silent = np.full((n_features, N_AGAINST), NOWHERE, np.int32)
    taken = np.zeros(-(-len(counted) // STRETCH), bool)
    for feature in range(n_features):
        own = slice(starts[feature], starts[feature + 1])
        taken[stretch[own]] = True
        place, value = peaks.place[own], peaks.value[own]
        strong = value >= least[feature]
        seen = known.get(feature)
        if seen is not None:
            strong &= ~np.isin(stretch[own], seen)
            taken[seen] = True
        place = place[strong][np.argsort(value[strong], kind="stable")]
        if len(place) > N_FOR:
            place = place[np.linspace(0, len(place) - 1, N_FOR).round().astype(int)]
        fires[feature, : len(place)] = place
        near = starts[neighbours[feature]] + _TRIED[:, None]
        near = near[near < starts[neighbours[feature] + 1]]  # the first of every neighbour first
        for half, some in enumerate(
            (shuffled[near], pool[begin[feature] : begin[feature] + _POOL])
        ):
            some = some[~taken[some // STRETCH]][:_HALF]
            silent[feature, half * _HALF : half * _HALF + len(some)] = some
        taken[stretch[own]] = False
        if seen is not None:
            taken[seen] = False
    return Docket(fires, silent)

"""The map and what leads to it: frozen values and requests."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from desktop_scope.engine.requests import Request
from desktop_scope.engine.types import FeatureId, Floats, Ints


@dataclass(frozen=True)
class Region:
    """A part of the map and the word that stands out in its labels.

    Attributes:
        level: The map is cut into 2^level parts each way.
        x, y: Where most of the features with that word are, 0…1.
        weight: How much it stands out, among the regions of its level.
    """

    level: int
    x: float
    y: float
    word: str
    weight: float


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """Features on a plane, ordered by SAE and number.

    Attributes:
        points: [N, 2] places, 0…1.
        sae: [N] the SAE of each.
        index: [N] its number there.
        scores: [N] how well its label predicts it; nan where that was not measured.
        regions: Names of its parts.
        n_features: That the open SAEs have in all; more than N where some were left out.
    """

    points: Floats
    sae: Ints
    index: Ints
    scores: Floats
    regions: tuple[Region, ...]
    n_features: int

    def place(self, feature: FeatureId) -> int:
        """The point of a feature; −1 where it is not on the map."""
        begin, end = np.searchsorted(self.sae, [feature.sae, feature.sae + 1])
        at = int(begin + np.searchsorted(self.index[begin:end], feature.index))
        return at if at < end and self.index[at] == feature.index else -1

    def feature(self, point: int) -> FeatureId:
        """Which feature a point is."""
        return FeatureId(int(self.sae[point]), int(self.index[point]))


@lru_cache(64)
def nearest(plane: FeatureMap, feature: FeatureId, n: int) -> tuple[FeatureId, ...]:
    """The n features nearest to one on a map, nearest first; none where it is not on it."""
    point = plane.place(feature)
    n = min(n, len(plane.points) - 1)
    if point < 0 or n < 1:
        return ()
    apart = plane.points - plane.points[point]
    squared = (apart * apart).sum(axis=1)
    squared[point] = np.inf
    some = np.argpartition(squared, n - 1)[:n]
    return tuple(map(plane.feature, some[np.argsort(squared[some], kind="stable")].tolist()))


@dataclass(frozen=True, eq=False)
class Drawing:
    """A map that is being drawn.

    Attributes:
        done, total: Steps.
        points: [N, 2] where they are so far, 0…1; None at first.
    """

    done: int
    total: int
    points: Floats | None


@dataclass(frozen=True)
class OpenMap(Request):
    """The map of the open SAEs, if it was drawn before: else how one begins to draw it."""

    kind = "map"
    replaces = frozenset({"map"})

    drawn: int = 0  # how often one was finished
    revision: int = 0  # of what is known about the features


@dataclass(frozen=True)
class DrawMap(Request):
    """Draw on at the map for a second or two."""

    kind = "draw"
    replaces = frozenset({"draw"})
    worker = "engine"
    patient = True

    done: int


@dataclass(frozen=True)
class NameHovered(Request):
    """What the feature under the pointer is called."""

    kind = "hover"
    replaces = frozenset({"hover"})

    feature: FeatureId


@dataclass(frozen=True)
class NameNearby(Request):
    """What the features around one are called, and how alike they are."""

    kind = "nearby"
    replaces = frozenset({"nearby"})

    feature: FeatureId
    around: tuple[FeatureId, ...]
    revision: int = 0  # of what is known about the features

"""What is known of the features of one SAE as levers: shipped with a pack, or measured here.

See ``engine.levers`` for the measures. What is measured here is kept in the cache after every
slice, so that a layer which was left half done goes on from there.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from desktop_scope import paths
from desktop_scope.engine.levers import PUSHES, LeverScores
from desktop_scope.evidence.shipped import read_layer
from desktop_scope.evidence.types import Lever
from desktop_scope.library.parts import part_of

SHIPPED = "levers.safetensors"
SHIPPED_FORMAT = "desktop-scope-levers/1"
_NAMES = tuple(field.name for field in fields(LeverScores))
_STRONG = 0.8  # the push by which features are ranked: the smaller one moves little early on


class LeverBook:
    """The lever scores of one SAE, as far as they are known.

    Args:
        scores: Of all its features.
        path: Where to keep what is learnt; None where nothing will be.
    """

    def __init__(self, scores: LeverScores, path: Path | None = None) -> None:
        self.scores = scores
        self._path = path
        self._rank = PUSHES.index(_STRONG)

    @classmethod
    def shipped(cls, pack: Path, layer: int, n_features: int) -> LeverBook | None:
        """What a pack ships of one layer; None if it ships none.

        Raises:
            ScopeError: What it ships is damaged.
        """
        shapes = [(n_features, len(PUSHES))] * len(_NAMES)
        found = read_layer(pack / SHIPPED, SHIPPED_FORMAT, layer, _NAMES, shapes)
        if found is None:
            return None
        return cls(LeverScores(*(array.astype(np.float32) for array in found[0])))

    @classmethod
    def kept(cls, key: str, n_features: int) -> LeverBook:
        """What was measured here about the SAE of this key, if anything."""
        path = paths.cache_dir() / "levers" / f"{key}.safetensors"
        shape = (n_features, len(PUSHES))
        arrays = [np.full(shape, np.nan, np.float32) for _ in _NAMES]
        try:
            file = safe_open(path, framework="numpy")
            found = [file.get_tensor(name) for name in _NAMES]
            if all(a.shape == shape and a.dtype == np.float32 for a in found):
                arrays = found
        except (SafetensorError, OSError):
            pass  # not there, or cut short: it is measured again
        return cls(LeverScores(*arrays), path)

    def missing(self) -> NDArray[np.int64]:
        """The features that have not been measured."""
        return np.flatnonzero(np.isnan(self.scores.promoted_logratio[:, self._rank]))

    def learn(self, index: NDArray[np.int64], scores: LeverScores) -> None:
        """Take in scores of some features, and keep them."""
        arrays: dict[str, NDArray[Any]] = {}
        for name in _NAMES:
            arrays[name] = getattr(self.scores, name).copy()
            arrays[name][index] = getattr(scores, name)
        self.scores = LeverScores(**arrays)
        if self._path is not None:
            part = part_of(self._path)
            save_file(arrays, part)
            part.replace(self._path)

    def merit(self) -> NDArray[np.float32]:
        """What features are ranked by, [N]: promoted_logratio at the stronger push; nan unknown."""
        return self.scores.promoted_logratio[:, self._rank]

    def of(self, index: int) -> Lever | None:
        """One feature; None if it has not been measured."""
        merit = self.merit()
        if np.isnan(merit[index]):
            return None
        known = merit[~np.isnan(merit)]
        score, ratio, kl = (float(getattr(self.scores, name)[index, self._rank]) for name in _NAMES)
        below = float((known < merit[index]).mean())
        return Lever(_STRONG, score, ratio, kl, below, len(known), len(merit))

"""Means with 95 % bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from desktop_scope.experiments.types import Interval

_DRAWS = 2000
_TAILS = (2.5, 97.5)


def interval(
    values: Sequence[float] | np.ndarray, weights: Sequence[float] | np.ndarray | None = None
) -> Interval:
    """Of sums over weights (tokens), or of a plain mean; values are drawn whole, with replacement.

    One value alone has no spread to speak of: its interval is the value.
    """
    of = np.asarray(values, np.float64)
    over = np.ones(len(of)) if weights is None else np.asarray(weights, np.float64)
    drawn = np.random.default_rng(0).integers(0, len(of), (_DRAWS, len(of)))
    means = of[drawn].sum(1) / np.maximum(over[drawn].sum(1), 1e-12)
    low, high = np.percentile(means, _TAILS)
    return Interval(float(of.sum() / max(over.sum(), 1e-12)), float(low), float(high))

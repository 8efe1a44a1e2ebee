"""Which features fire on some tokens more than they usually do.

A feature that reaches strength v somewhere on m tokens is as surprising as such stretches are rare:
m times the share S(v) of the corpus's tokens on which it is as strong, at most, however the tokens
of a stretch hang together. S is the feature's density times the share of its activations from v
up, read off its histogram.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from desktop_scope.engine.types import Bools, FeatureActs, Floats, Ints
from desktop_scope.evidence.known import SaeEvidence
from desktop_scope.evidence.store import BIN_EDGES, N_BINS

_READ = 200  # histograms per SAE: of the features that a rough estimate puts first
_LEAST_SHARE = 1e-7  # of tokens


def surprises(
    acts: FeatureActs, chosen: Bools, known: SaeEvidence, passing: Bools, density: Floats
) -> tuple[Ints, Floats, Ints]:
    """The features of one SAE that fire on the chosen tokens.

    Args:
        acts: Of T tokens.
        chosen: Which of them, [T].
        known: What is known about the SAE.
        passing: Features that are looked at, [N].
        density: Share of tokens on which each feature fires, [N].

    Returns:
        Features [n]; log of one in how many such stretches has them as strong [n]; on how many of
        the tokens they fire [n]. Those that are too common to surprise are left out.
    """
    rows = acts.rows()
    keep = chosen[rows] & passing[acts.indices] & (acts.values > 0)
    index, place, count = np.unique(acts.indices[keep], return_inverse=True, return_counts=True)
    peak = np.zeros(len(index), np.float32)
    np.maximum.at(peak, place, acts.values[keep])
    share = density[index].clip(min=_LEAST_SHARE).astype(np.float64)
    # Activations fall off about exponentially: that tells which are worth an exact look.
    tail = np.exp(-np.nan_to_num(peak / known.mean_active[index]).astype(np.float64))
    best = np.argsort(share * tail, kind="stable")[:_READ]
    histograms = [known.histogram(int(n)) for n in index[best]]
    counted = np.array([bool(histogram.any()) for histogram in histograms], bool)
    if counted.any():
        exact = best[counted]
        seen = np.stack([h for h in histograms if h.any()])
        tail[exact] = tails(seen, peak[exact])
    stretches = chosen.sum() * (share * tail).clip(min=_LEAST_SHARE)
    rare = best[stretches[best] < 1]
    surprise = -np.log(stretches[rare])
    return index[rare].astype(np.int32), surprise.astype(np.float32), count[rare].astype(np.int32)


def tails(histograms: Ints, values: Floats) -> NDArray[np.float64]:
    """Share of a feature's activations that are at least as strong, [n]; histograms [n, N_BINS].

    Within a bin activations are taken as spread evenly over the logarithm. What is stronger than
    any that was seen counts as half an activation.
    """
    place = 2 * (np.log2(values.clip(min=1e-12)) - np.log2(BIN_EDGES[0]))
    bins = np.floor(place).astype(np.int64).clip(0, N_BINS - 1)
    rest = 1 - (place - bins).clip(0, 1)
    from_here = np.cumsum(histograms[:, ::-1], axis=1)[:, ::-1]
    row = np.arange(len(values))
    beyond = from_here[row, bins] - histograms[row, bins] * (1 - rest)
    total = from_here[:, 0].clip(min=1)
    return np.maximum(beyond, 0.5) / total

"""Which features fire on some tokens more than they usually do.

A feature that reaches strength v on a token is as surprising as the share S(v) of the corpus's
tokens is small on which it is as strong: its density times the share of its activations from v up,
read off its histogram. Of several tokens the surprise is the mean of log(1 / S), so that a feature
which is silent on a token (S = 1) loses by it. exp(surprise) says: one token in so many.
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
        Features [n], their surprise (nats per token) [n], on how many of the tokens they fire [n].
    """
    rows = acts.rows()
    keep = chosen[rows] & passing[acts.indices] & (acts.values > 0)
    index, place = np.unique(acts.indices[keep], return_inverse=True)
    values, count = acts.values[keep], np.bincount(place, minlength=len(index))
    if not len(index):
        return index.astype(np.int32), np.zeros(0, np.float32), count.astype(np.int32)
    share = density[index].clip(min=_LEAST_SHARE)
    mean = known.mean_active[index]
    rough = -np.log(share)[place] + np.nan_to_num(values / mean[place])
    score = np.bincount(place, rough, len(index))
    best = np.argsort(-score, kind="stable")[:_READ]
    histograms = np.stack([known.histogram(int(index[n])) for n in best])
    counted = histograms.sum(1) > 0
    exact = np.flatnonzero(np.isin(place, best[counted]))
    number = np.zeros(len(index), np.int64)
    number[best] = np.arange(len(best))
    at = place[exact]
    tail = tails(histograms[number[at]], values[exact])
    better = np.bincount(at, -np.log((share[at] * tail).clip(min=_LEAST_SHARE)), len(index))
    score[best[counted]] = better[best[counted]]
    each = (score / max(int(chosen.sum()), 1)).astype(np.float32)
    return index[best].astype(np.int32), each[best], count[best].astype(np.int32)


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

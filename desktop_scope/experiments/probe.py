"""Logistic regression, in a few lines of numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from desktop_scope.engine.types import Bools, Floats, lock

_STEPS = 50
_ENOUGH = 1e-8
_RIDGE = 0.01  # per text, on standardised activations: fewer texts than numbers need one


@dataclass(frozen=True, eq=False)
class LinearProbe:
    """Tells two kinds of texts apart by their mean activations.

    Attributes:
        weight: [d] of the activations as they are; above 0 counts for the label.
    """

    weight: Floats
    bias: float

    def __post_init__(self) -> None:
        lock(self)

    def logits(self, x: Floats) -> Floats:
        """[n, d] → [n]."""
        found: Floats = (x @ self.weight + self.bias).astype(np.float32)
        return found

    def says(self, x: Floats) -> Bools:
        """Which texts it gives the label to, [n]."""
        found: Bools = self.logits(x) > 0
        return found


def fit(x: Floats, label: Bools) -> LinearProbe:
    """The probe of least log-loss plus ridge, by Newton's method.

    Args:
        x: [n, d].
        label: [n].
    """
    mean, scale = x.mean(0), x.std(0) + 1e-6
    z = ((x - mean) / scale).astype(np.float64)
    # With fewer texts than numbers the solution lies in the space that the texts span.
    basis = np.linalg.svd(z, full_matrices=False)[2].T
    z = np.hstack([z @ basis, np.ones((len(z), 1))])
    ridge = np.full(z.shape[1], _RIDGE * len(z))
    ridge[-1] = 1e-6
    w = np.zeros(z.shape[1])
    for _ in range(_STEPS):
        p = _sigmoid(z @ w)
        gradient = z.T @ (p - label) + ridge * w
        curvature = (z.T * (p * (1 - p))) @ z + np.diag(ridge)
        step = np.linalg.solve(curvature, gradient)
        w -= step
        if np.abs(step).max() < _ENOUGH:
            break
    weight = (basis @ w[:-1]) / scale
    return LinearProbe(weight.astype(np.float32), float(w[-1] - weight @ mean))


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(x, -500, 500)))
    return found

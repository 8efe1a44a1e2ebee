"""t-SNE (van der Maaten & Hinton 2008) on given neighbours, with forces by interpolation.

Every point is pulled by its neighbours, in proportion to the square of their cosine, and pushed
away by all others. The pushes are summed on a grid with FFTs (FIt-SNE, Linderman et al. 2019):
charges are spread on the nodes of a regular grid by Lagrange polynomials, convolved with the
kernel, and read back. Learning rate n / 12 and the schedule as Kobak & Berens (2019) advise.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from desktop_scope.engine.types import Floats, Ints

EARLY, EARLY_STEPS = 12.0, 125
LATE_STEPS = 375
_NODES = 3  # of a box, in each direction
_FEWEST_BOXES, _MOST_BOXES = 50, 200
_LONGEST_STEP = 5.0

Points = NDArray[np.float64]


class Layout:
    """Points on their way to their places.

    Args:
        neighbours: [N, k] of every point.
        nearness: [N, k] how near they are.
        start: [N, 2] a rough order, such as principal components.
    """

    N_STEPS = EARLY_STEPS + LATE_STEPS

    def __init__(self, neighbours: Ints, nearness: Floats, start: Floats) -> None:
        n = len(neighbours)
        self._pulls = _Pulls(neighbours, nearness)
        scale = max(float(start[:, 0].std()), 1e-12)
        self.points: Points = start.astype(np.float64) / scale * 1e-2
        self._speed = np.zeros_like(self.points)
        self._gain = np.ones_like(self.points)
        self._rate = max(n / EARLY, 50.0)
        self.step = 0

    @property
    def done(self) -> bool:
        """Whether it has settled."""
        return self.step >= self.N_STEPS

    def advance(self) -> None:
        """One step of gradient descent with momentum and gains."""
        early = self.step < EARLY_STEPS
        pull = (EARLY if early else 1.0) * self._pulls.on(self.points)
        gradient = 4 * (pull - pushes(self.points))
        same = np.sign(gradient) == np.sign(self._speed)
        self._gain = np.where(same, self._gain * 0.8, self._gain + 0.2).clip(min=0.01)
        momentum = 0.5 if early else 0.8
        self._speed = momentum * self._speed - self._rate * self._gain * gradient
        length = np.abs(self._speed).max(axis=1, keepdims=True)
        self._speed *= np.minimum(1.0, _LONGEST_STEP / np.maximum(length, 1e-12))
        self.points = self.points + self._speed
        self.points -= self.points.mean(axis=0)
        self.step += 1


class _Pulls:
    """Symmetric affinities: the mean of what two points are to each other."""

    def __init__(self, neighbours: Ints, nearness: Floats) -> None:
        n, k = neighbours.shape
        one = np.repeat(np.arange(n, dtype=np.int64), k)
        other = neighbours.reshape(-1).astype(np.int64)
        weight = np.maximum(nearness.reshape(-1).astype(np.float64), 0.0) ** 2 + 1e-9
        pairs, place = np.unique(
            np.concatenate([one * n + other, other * n + one]), return_inverse=True
        )
        summed = np.bincount(place, np.concatenate([weight, weight]))
        self._one, self._other = np.divmod(pairs, n)
        self._weight = summed / summed.sum()
        self._n = n

    def on(self, points: Points) -> Points:
        """Σ_j p_ij (y_i − y_j) / (1 + |y_i − y_j|²), [N, 2]."""
        apart = points[self._one] - points[self._other]
        force = self._weight / (1 + (apart * apart).sum(axis=1))
        return np.stack([np.bincount(self._one, force * a, self._n) for a in apart.T], axis=1)


def pushes(points: Points) -> Points:
    """Σ_j q_ij (y_i − y_j) / (1 + |y_i − y_j|²) with q normalised over all pairs, [N, 2]."""
    low, span = points.min(), float(np.ptp(points)) or 1.0
    n_boxes = int(np.clip(np.ceil(span), _FEWEST_BOXES, _MOST_BOXES))
    size = n_boxes * _NODES
    gap = span * (1 + 1e-9) / size
    node, share = _spread(points, low, gap, n_boxes)
    flat = (node[:, 0, :, None] * size + node[:, 1, None, :]).reshape(-1)
    both = (share[:, 0, :, None] * share[:, 1, None, :]).reshape(len(points), -1)
    square = (points * points).sum(axis=1)
    charges = (np.ones(len(points)), points[:, 0], points[:, 1], square)
    grids = [
        np.bincount(flat, (both * charge[:, None]).reshape(-1), size * size) for charge in charges
    ]
    fields = _convolved(np.stack(grids).reshape(4, size, size), gap)
    at = fields.reshape(4, -1)[:, flat].reshape(4, len(points), -1)
    one, x, y, squares = (at * both).sum(axis=2)
    total = ((1 + square) * one - 2 * (points[:, 0] * x + points[:, 1] * y) + squares).sum()
    return (points * one[:, None] - np.stack([x, y], axis=1)) / (total - len(points))


def _spread(
    points: Points, low: float, gap: float, n_boxes: int
) -> tuple[NDArray[np.int64], Points]:
    """For x and y the nodes around every point and their Lagrange weights, [N, 2, nodes]."""
    place = (points - low) / (gap * _NODES)  # in boxes
    box = np.minimum(place.astype(np.int64), n_boxes - 1)
    within = (place - box)[..., None]
    nodes = (np.arange(_NODES) + 0.5) / _NODES
    share = np.ones((*points.shape, _NODES))
    for i in range(_NODES):
        for j in range(_NODES):
            if i != j:
                share[..., i] *= (within[..., 0] - nodes[j]) / (nodes[i] - nodes[j])
    return box[..., None] * _NODES + np.arange(_NODES), share


def _convolved(grids: Points, gap: float) -> Points:
    """Every grid convolved with (1 + distance²)⁻²."""
    size = grids.shape[-1]
    steps = np.minimum(np.arange(2 * size), 2 * size - np.arange(2 * size)) * gap
    kernel = (1 + steps[:, None] ** 2 + steps[None, :] ** 2) ** -2.0
    spectrum = torch.fft.rfft2(torch.from_numpy(kernel))
    padded = torch.fft.rfft2(torch.from_numpy(grids), s=(2 * size, 2 * size))
    whole = torch.fft.irfft2(padded * spectrum, s=(2 * size, 2 * size))
    return whole[:, :size, :size].numpy().copy()

"""Steering and ablation as edits of what the SAEs write.

Every edit keeps the SAE's error: ``y' = y + (f' − f) · W_dec[i]``, or plainly adds a vector, where
y is the activation at the hook that the SAE writes. Edits of one hook are applied in the order
given. Adding applies at every position, ablation at every position that the SAE encodes (not the
first ones, not outliers). A transcoder's f is read where it reads, earlier in the same pass.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.engine.hooks import Edit
from desktop_scope.engine.sae import Sae, sae_of
from desktop_scope.engine.types import FeatureId, Intervention, Mode
from desktop_scope.errors import ScopeError


def _feature_of(item: Intervention) -> FeatureId:
    """The feature of an intervention that adds or ablates it everywhere: others come later."""
    plain = Intervention(item.feature, item.amount, item.mode)
    if item.feature is None or item != plain or item.mode not in (Mode.ADD, Mode.ABLATE):
        raise ScopeError(
            "This version can only add and switch off features, at all tokens.",
            "Use add or ablate.",
        )
    return item.feature


class _Change:
    """One intervention on one SAE, for one run of the model after another.

    Attributes:
        f: What the feature was where its SAE read, in the pass under way; for transcoders.
    """

    def __init__(self, item: Intervention, sae: Sae) -> None:
        weights = sae.weights
        self.sae = sae
        self.feature = _feature_of(item).index
        self.mode = item.mode
        self.f = torch.zeros(())
        row = sae.decoder_row(self.feature).view(len(weights.writes), -1)
        if item.mode is Mode.ADD:
            row = row * item.amount
        self.reads_elsewhere = item.mode is Mode.ABLATE and weights.reads != weights.writes
        self.rows = {
            point: row[n].to(sae.device)
            for n, point in enumerate(weights.writes)
            # What comes before it is read has been computed by then, and is left as it was.
            if row[n].any() and not (self.reads_elsewhere and point < weights.reads[0])
        }
        if item.mode is Mode.ABLATE and len(weights.reads) > 1:
            raise ScopeError(
                f"A feature of {weights.name} cannot be switched off: it reads several layers, "
                "and would have to be known before the last of them is computed.",
                "Turn it down instead, with a negative strength.",
            )

    def activation(self, x: torch.Tensor, start: int) -> torch.Tensor:
        """f where the SAE encodes, else 0: [..., pos, d_in] → [..., pos]."""
        f = self.sae.activation(x, self.feature)
        f = torch.where(x.float().norm(dim=-1) > self.sae.outlier_norm, 0.0, f)
        f[..., : max(self.sae.weights.skip_positions - start, 0)] = 0.0
        return f


class Steering:
    """Interventions made ready for one model.

    Attributes:
        start: Position of the first token of the next forward pass; the decode loop moves it on.
    """

    def __init__(self, interventions: Sequence[Intervention], saes: Sequence[Sae]) -> None:
        self.start = 0
        self._changes = [_Change(item, sae_of(saes, _feature_of(item))) for item in interventions]

    def edits(self) -> dict[HookPoint, Edit]:
        """By hook, what is done there."""
        reads = {c.sae.weights.reads[0] for c in self._changes if c.reads_elsewhere}
        writes = {point for c in self._changes for point in c.rows}
        return {point: self._edit_of(point) for point in sorted(reads | writes)}

    def _edit_of(self, point: HookPoint) -> Edit:
        readers = [
            c for c in self._changes if c.reads_elsewhere and c.sae.weights.reads[0] == point
        ]
        writers = [(c, c.rows[point]) for c in self._changes if point in c.rows]

        def edit(y: torch.Tensor) -> torch.Tensor | None:
            x = y.float()
            for change, row in writers:
                if change.mode is Mode.ADD:
                    x = x + row
                elif change.reads_elsewhere:
                    x = x - change.f[..., None] * row
                else:
                    x = x - change.activation(x, self.start)[..., None] * row
            for change in readers:
                change.f = change.activation(x, self.start)
            return x.to(y.dtype) if writers else None

        return edit

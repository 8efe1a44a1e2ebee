"""Steering and ablation as edits of the residual stream.

Every edit keeps the SAE's error: ``x' = x + (f' − f) · W_dec[i]``, or plainly adds a vector.
Edits of one layer are applied in the order given. Adding applies at every position, ablation at
every position that the SAE encodes (not position 0, not outliers).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from desktop_scope.engine.hooks import Edit
from desktop_scope.engine.sae import Sae, sae_of
from desktop_scope.engine.types import Intervention, Mode


class Steering:
    """Interventions made ready for one device.

    Attributes:
        start: Position of the first token of the next forward pass; the decode loop moves it on.
    """

    def __init__(
        self,
        interventions: Sequence[Intervention],
        saes: Sequence[Sae],
        outlier_norms: Sequence[float],
        device: torch.device,
    ) -> None:
        self.start = 0
        self._outlier_norms = outlier_norms
        self._by_layer: dict[int, list[tuple[Intervention, Sae, torch.Tensor]]] = {}
        for item in interventions:
            sae = sae_of(saes, item.feature)
            direction = sae.decoder_row(item.feature.index).to(device)
            self._by_layer.setdefault(sae.layer, []).append((item, sae, direction))

    def edits(self) -> dict[int, Edit]:
        """By block, the edit of its resid_post."""
        return {layer: self._edit_of(layer) for layer in self._by_layer}

    def _edit_of(self, layer: int) -> Edit:
        items = self._by_layer[layer]
        limit = self._outlier_norms[layer]

        def edit(hidden: torch.Tensor) -> torch.Tensor:
            x = hidden.float()
            for item, sae, direction in items:
                if item.mode is Mode.ADD:
                    x = x + item.amount * direction
                else:
                    f = sae.activation(x, item.feature.index)
                    f = torch.where(x.norm(dim=-1) > limit, 0.0, f)
                    if self.start == 0:
                        f[:, 0] = 0.0
                    x = x - f[..., None] * direction
            return x.to(hidden.dtype)

        return edit

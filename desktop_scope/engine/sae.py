"""A sparse autoencoder on one hook of the model: encode, decode, and its decoder's geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import nn

from desktop_scope.engine.packed import PackedLinear
from desktop_scope.engine.types import Bools, FeatureActs, FeatureId, Floats
from desktop_scope.errors import ScopeError

_ROWS_AT_ONCE = 512  # bounds the dense [tokens, d_sae] block, whatever the prompt's length


@dataclass(frozen=True, eq=False)
class SaeWeights:
    """An SAE as read from disk: rows are features; int8 rows carry one scale each.

    Attributes:
        W_enc: [d_sae, d_in] int8 or float.
        W_enc_scale: [d_sae] float32, or None when W_enc is float.
        W_dec: [d_sae, d_in] int8 or float.
        W_dec_scale: [d_sae] float32, or None when W_dec is float.
        b_enc: [d_sae] float32.
        b_dec: [d_in] float32.
        threshold: [d_sae] float32; a feature is active strictly above it.
        prefixes: Nested widths (Matryoshka), ascending; the last is d_sae.
    """

    hook_name: str
    layer: int
    architecture: str
    W_enc: torch.Tensor
    W_enc_scale: torch.Tensor | None
    W_dec: torch.Tensor
    W_dec_scale: torch.Tensor | None
    b_enc: torch.Tensor
    b_dec: torch.Tensor
    threshold: torch.Tensor
    prefixes: tuple[int, ...]


def _floats(rows: torch.Tensor, scale: torch.Tensor | None) -> torch.Tensor:
    """Rows in float32, scaled."""
    rows = rows.float()
    return rows if scale is None else rows * scale[:, None]


class Sae:
    """A JumpReLU SAE ready to run: ``f = pre · (pre > threshold)``, ``pre = x W_encᵀ + b_enc``.

    The encoder is unpacked to float32 on the model's device; the decoder stays as on disk and is
    unpacked by the row.

    Args:
        weights: As read from disk.
        device: Where the model's residual stream is.
        packed: Keep the encoder in oneDNN's layout.
    """

    def __init__(self, weights: SaeWeights, device: torch.device, packed: bool) -> None:
        self.layer = weights.layer
        self.hook_name = weights.hook_name
        self.prefixes = weights.prefixes
        self.d_sae, self.d_in = weights.W_enc.shape
        self._weights = weights
        self._threshold = weights.threshold.to(device)
        self._b_enc = weights.b_enc.to(device)
        # Added to the whole dense block, the bias would take a quarter of the time of encoding; so
        # it is taken off the threshold, and added only where a feature is active.
        self._edge = self._threshold - self._b_enc
        encoder = _floats(weights.W_enc, weights.W_enc_scale).to(device)
        self._encoder: nn.Module
        if packed:
            self._encoder = PackedLinear(encoder)
        else:
            self._encoder = nn.Linear(self.d_in, self.d_sae, bias=False, device="meta")
            self._encoder.weight = nn.Parameter(encoder, requires_grad=False)

    def encode(self, x: torch.Tensor, masked: Bools) -> FeatureActs:
        """Encode one text.

        Args:
            x: [T, d_in] residual stream.
            masked: [T] tokens that are not encoded.
        """
        kept = np.flatnonzero(~masked)
        x = x[torch.from_numpy(kept).to(x.device)] if len(kept) < len(masked) else x
        blocks = [self._sparse(block.float()) for block in torch.split(x, _ROWS_AT_ONCE)]
        counts = np.zeros(len(masked), np.int32)
        counts[kept] = np.concatenate([count for count, _, _ in blocks])
        return FeatureActs(
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
            np.concatenate([index for _, index, _ in blocks]),
            np.concatenate([value for _, _, value in blocks]),
        )

    def _sparse(self, x: torch.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Active features of [n, d_in]: how many per row, which, how strongly."""
        dots = self._encoder(x)
        flat = _above(dots, self._edge)
        count = torch.bincount(flat // self.d_sae, minlength=len(x))
        index = flat % self.d_sae
        value = dots.view(-1)[flat] + self._b_enc[index]
        return count.cpu().numpy(), index.to(torch.int32).cpu().numpy(), value.cpu().numpy()

    def activation(self, x: torch.Tensor, index: int) -> torch.Tensor:
        """One feature alone on [..., d_in]: float32 [...]."""
        w = self._weights
        scale = None if w.W_enc_scale is None else w.W_enc_scale[index : index + 1]
        row = _floats(w.W_enc[index : index + 1], scale)[0].to(x.device)
        pre = x.float() @ row + w.b_enc[index].to(x.device)
        return torch.where(pre > self._threshold[index], pre, 0.0)

    def decoder_row(self, index: int) -> torch.Tensor:
        """The direction that a feature writes, [d_in] float32 on the CPU."""
        w = self._weights
        scale = None if w.W_dec_scale is None else w.W_dec_scale[index : index + 1]
        return _floats(w.W_dec[index : index + 1], scale)[0]

    def decoder_dots(self, direction: torch.Tensor) -> torch.Tensor:
        """Every decoder row · a direction [d_in]: float32 [d_sae] on the CPU."""
        w = self._weights
        dots = w.W_dec.float() @ direction
        return dots if w.W_dec_scale is None else dots * w.W_dec_scale

    def cosines(self, direction: torch.Tensor) -> Floats:
        """Cosine of every decoder row with a direction [d_in]: [d_sae]."""
        cosines = self.decoder_dots(direction) / (self._decoder_norms * direction.norm())
        return cosines.numpy()  # type: ignore[no-any-return]

    def decoder_spread(self, covariance: torch.Tensor) -> torch.Tensor:
        """Standard deviation √(d·C·d) of every decoder row d under C [d_in, d_in]: [d_sae]."""
        rows = _floats(self._weights.W_dec, self._weights.W_dec_scale)
        return (rows @ covariance).mul(rows).sum(1).sqrt()

    @cached_property
    def _decoder_norms(self) -> torch.Tensor:
        w = self._weights
        norms: torch.Tensor = w.W_dec.float().norm(dim=1)
        return norms if w.W_dec_scale is None else norms * w.W_dec_scale


def _above(dots: torch.Tensor, edge: torch.Tensor) -> torch.Tensor:
    """Flat positions where a row exceeds the edge; numpy takes a third of torch's time for it."""
    if dots.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(dots.numpy() > edge.numpy()))
    return (dots > edge).view(-1).nonzero().squeeze(1)


def sae_of(saes: Sequence[Sae], feature: FeatureId) -> Sae:
    """The SAE that a feature belongs to.

    Raises:
        ScopeError: There is no such feature.
    """
    layer, index = feature
    if not (0 <= layer < len(saes) and 0 <= index < saes[layer].d_sae):
        raise ScopeError(
            f"There is no feature {feature}.",
            f"Layers go from 0 to {len(saes) - 1}, features to {saes[0].d_sae - 1}.",
        )
    return saes[layer]

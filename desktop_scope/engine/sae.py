"""A sparse autoencoder on hooks of the model: encode, decode, and its decoder's geometry.

The equations are those of ``sae_weights``.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.functional import embedding_bag

from desktop_scope.engine.hook_points import Site
from desktop_scope.engine.packed import PackedLinear
from desktop_scope.engine.sae_weights import Architecture, DecoderNorm, InputNorm, SaeWeights
from desktop_scope.engine.types import Bools, FeatureActs, FeatureId, Floats
from desktop_scope.errors import ScopeError
from desktop_scope.wording import counted

_ROWS_AT_ONCE = 512  # bounds the dense [tokens, d_sae] block, whatever the prompt's length
_EPS = 1e-5  # of layer_norm, outside the root as SAELens has it
_NOT_IN_STREAM = {Site.Z, Site.LN2_NORMALIZED, Site.MLP_IN}


def _floats(rows: torch.Tensor, scale: torch.Tensor | None) -> torch.Tensor:
    """Rows in float32, scaled; the same memory where nothing is to be done."""
    rows = rows.float()
    return rows if scale is None else rows * scale[:, None]


class Reading(NamedTuple):
    """One feature on some tokens, [batch, pos] each; 0 where the SAE does not encode.

    Attributes:
        unit: What one unit of f writes, in lengths of the decoder row: the input's scale.
    """

    f: torch.Tensor
    unit: torch.Tensor


class Sae:
    """An SAE or transcoder ready to run.

    The encoder is on the model's device, or stays where it was mapped and is brought
    there for every text (``streamed``). The decoder stays as on disk and is unpacked by the row.

    Args:
        weights: As read from disk.
        device: Where the activations are.
        packed: Keep the encoder in oneDNN's layout.
        streamed: The device is too small for the encoder.
        outlier_norm: Tokens whose activations are longer are not encoded.
        dtype: Of the encoder; float32 as they were trained, or half the memory in bfloat16.

    Raises:
        ScopeError: The weights hold NaN or infinity.
    """

    def __init__(
        self,
        weights: SaeWeights,
        device: torch.device,
        packed: bool = False,
        streamed: bool = False,
        outlier_norm: float = math.inf,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.weights = weights
        self._dtype = dtype
        self.device = device
        self.outlier_norm = outlier_norm
        self.d_sae, self.d_in = weights.W_enc.shape
        w, one = weights, torch.ones(())
        rescale = w.decoder_norm is DecoderNorm.RESCALE
        norms = self._decoder_norms if w.decoder_norm is not DecoderNorm.IGNORE else one
        scale = w.W_enc_scale
        if rescale:
            scale = norms if scale is None else scale * norms
        encoder = _floats(w.W_enc, scale)
        self._check_finite(encoder)
        # x is not centred on b_dec: that is moved into the bias, once.
        bias = -(encoder @ w.b_dec.float()) if w.subtract_b_dec else torch.zeros(self.d_sae)
        gate_bias = None
        if w.gate is not None:
            gate_bias, magnitude = w.gate.b_gate.float() + bias, w.gate.r_mag.float().exp()
            self._magnitude = magnitude.to(device)
            bias = bias * magnitude + w.gate.b_mag.float()
        elif w.b_enc is not None:
            bias = bias + w.b_enc.float() * (norms if rescale else one)
        threshold = torch.zeros(self.d_sae)
        if w.threshold is not None:
            select = w.decoder_norm is DecoderNorm.SELECT
            threshold = (w.threshold.float() / (norms if select else one)).clamp(min=0)
        # Added to the whole dense block, the bias would take a quarter of the time of encoding; so
        # it is taken off the threshold, and added only where a feature is active.
        self._bias = bias.to(device)
        self._threshold = threshold.to(device)
        self._edge = (threshold - bias if gate_bias is None else -gate_bias).to(device)
        select = w.k is not None and w.decoder_norm is DecoderNorm.SELECT
        self._selection = norms.to(device) if select else None
        self._scale = scale
        packed = packed and dtype == torch.float32
        self._encoder = None if streamed else self._linear(encoder, packed)

    @property
    def streamed(self) -> bool:
        """Whether the encoder is brought to the device for every text."""
        return self._encoder is None

    def _linear(self, encoder: torch.Tensor, packed: bool) -> nn.Module:
        if packed:
            return PackedLinear(encoder)
        linear = nn.Linear(self.d_in, self.d_sae, bias=False, device="meta")
        weight = encoder.to(self.device, self._dtype)
        linear.weight = nn.Parameter(weight, requires_grad=False)
        return linear

    def _check_finite(self, encoder: torch.Tensor) -> None:
        w = self.weights
        parts = (w.b_enc, w.b_dec, w.threshold, w.W_enc_scale, w.W_dec_scale, w.W_skip)
        for part in (encoder, *(w.gate or ()), *parts):
            # A sum is finite only when all of it is; it needs no memory.
            if part is not None and not part.sum(dtype=torch.float32).isfinite():
                raise ScopeError(
                    f"The SAE {w.name} holds NaN or infinity.",
                    "The file may be damaged: get it again.",
                )

    def placed(self, weights: SaeWeights) -> Sae:
        """The same SAE at other hooks, or with its input treated otherwise; nothing is copied."""
        if weights.subtract_b_dec != self.weights.subtract_b_dec:
            return Sae(weights, self.device, False, True, self.outlier_norm, self._dtype)
        other = copy.copy(self)
        other.weights = weights
        return other

    # ---- encoding

    def encode(self, x: torch.Tensor, masked: Bools) -> FeatureActs:
        """Encode one text.

        Args:
            x: [T, d_in] activations; those of several hooks one after another.
            masked: [T] tokens that are not encoded.
        """
        kept = np.flatnonzero(~masked)
        if not len(kept):
            none = np.zeros(0, np.int32)
            return FeatureActs(np.zeros(len(masked) + 1, np.int32), none, none.astype(np.float32))
        x = x[torch.from_numpy(kept).to(x.device)] if len(kept) < len(masked) else x
        blocks = [self._sparse(block) for block in torch.split(x, _ROWS_AT_ONCE)]
        counts = np.zeros(len(masked), np.int32)
        counts[kept] = np.concatenate([count for count, _, _ in blocks])
        return FeatureActs(
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
            np.concatenate([index for _, index, _ in blocks]),
            np.concatenate([value for _, _, value in blocks]),
        )

    def _sparse(self, x: torch.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Active features of [n, d_in]: how many per row, which, how strongly."""
        dots = self._dots(x)
        flat = self._active(dots)
        index = flat % self.d_sae
        value = self._values(dots.view(-1)[flat], index)
        count = torch.bincount(flat // self.d_sae, minlength=len(x))
        return count.cpu().numpy(), index.to(torch.int32).cpu().numpy(), value.cpu().numpy()

    def compact(
        self, x: torch.Tensor, keep: torch.Tensor, capacity: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """As ``encode``, but in shapes that do not depend on what fires: for recorded programs.

        Args:
            x: [n, d_in] activations.
            keep: [n] rows that are encoded.
            capacity: Of so many active features the values are given, row by row.

        Returns:
            How many features are active in each row, [n] int32; the first of them, [capacity]
            int32 and float32, where what comes after the last one means nothing.
        """
        dots = self._dots(x)
        active = (self._mask(dots) & keep[:, None]).view(-1)
        ends = active.cumsum(0, dtype=torch.int32)
        places = torch.arange(1, capacity + 1, dtype=torch.int32, device=x.device)
        flat = torch.searchsorted(ends, places).clamp_(max=len(active) - 1)
        index = flat % self.d_sae
        count = active.view(len(x), -1).sum(1, dtype=torch.int32)
        return count, index.to(torch.int32), self._values(dots.view(-1)[flat], index)

    def _dots(self, x: torch.Tensor) -> torch.Tensor:
        """[n, d_in] → x·W_encᵀ after the input's normalisation, [n, d_sae]."""
        return self._products(self._normalised(x)[0])

    def _products(self, x: torch.Tensor) -> torch.Tensor:
        """[n, d_in] as the encoder sees them → x·W_encᵀ, [n, d_sae]."""
        x = x.to(self._dtype)
        if self._encoder is None:
            scale = None if self._scale is None else self._scale.to(x.device)
            encoder = _floats(self.weights.W_enc.to(x.device), scale).to(self._dtype)
            return (x @ encoder.T).float()
        return self._encoder(x).float()  # type: ignore[no-any-return]

    def _values(self, dots: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """Activations of chosen features from their dot products."""
        if self.weights.gate is not None:
            return (dots * self._magnitude[index] + self._bias[index]).relu()
        return dots + self._bias[index]

    def _active(self, dots: torch.Tensor) -> torch.Tensor:
        """Flat positions of the active features of [n, d_sae], ascending."""
        plain = self.weights.k is None and self.weights.gate is None
        if plain and dots.device.type == "cpu":  # numpy takes a third of torch's time for it
            return torch.from_numpy(np.flatnonzero(dots.numpy() > self._edge.numpy()))
        return self._mask(dots).view(-1).nonzero().squeeze(1)

    def _mask(self, dots: torch.Tensor) -> torch.Tensor:
        """Which features are active, [n, d_sae]."""
        if self.weights.k is not None:
            return self._chosen(dots + self._bias)
        active = dots > self._edge
        if self.weights.gate is not None:
            active &= dots * self._magnitude + self._bias > 0
        return active

    def _chosen(self, h: torch.Tensor) -> torch.Tensor:
        """What a fixed number per row leaves of [n, d_sae]."""
        k, kind = self.weights.k, self.weights.architecture
        assert k is not None
        if self._selection is not None:
            h = h * self._selection
        rank = h.abs() if kind is Architecture.ABSTOPK else h.relu()
        if kind is Architecture.GROUPMAX:
            best, place = rank.view(len(h), k, self.d_sae // k).max(-1)
            place = place + torch.arange(k, device=h.device) * (self.d_sae // k)
        else:
            best, place = rank.topk(min(k, self.d_sae), sorted=False)
        return torch.zeros_like(h, dtype=torch.bool).scatter_(1, place, best > 0)

    def _normalised(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """[..., d_in] → what the encoder sees, and shift and scale that undo it, [..., d_in or 1].

        ``x = normalised · scale + shift``.
        """
        w, x = self.weights, x.float()
        if not w.centred and w.norm is InputNorm.NONE:
            return x, x.new_zeros(()), x.new_ones(())
        shift, scale = torch.zeros_like(x), x.new_ones(())
        if w.centred:
            parts = x.view(*x.shape[:-1], len(w.reads), self.d_in // len(w.reads))
            shift = (parts.mean(-1, keepdim=True) + torch.zeros_like(parts)).flatten(-2)
            x = x - shift
        if w.norm is InputNorm.LAYER_NORM:
            mean = x.mean(-1, keepdim=True)
            scale = (x - mean).std(-1, keepdim=True) + _EPS
            return (x - mean) / scale, shift + mean, scale - _EPS
        if w.norm is InputNorm.CONSTANT_NORM_RESCALE:
            scale = x.norm(dim=-1, keepdim=True) / math.sqrt(self.d_in)
        return x / scale, shift, scale

    def activation(self, x: torch.Tensor, index: int) -> torch.Tensor:
        """One feature alone on [..., d_in]: float32 [...]."""
        return self._alone(index)(x)[0]

    def reader(self, index: int) -> Callable[[torch.Tensor, torch.Tensor], Reading]:
        """Makes ready to read one feature where the SAE encodes, again and again.

        Returns:
            [batch, pos, d_in] and the positions [1 or batch, pos] → what is read there.
        """
        alone, skip, limit = self._alone(index), self.weights.skip_positions, self.outlier_norm

        def read(x: torch.Tensor, at: torch.Tensor) -> Reading:
            f, scale = alone(x)
            encoded = at >= skip
            if limit < math.inf:
                encoded = encoded & (x.float().norm(dim=-1) <= limit)
            return Reading(torch.where(encoded, f, 0.0), torch.where(encoded, scale, 0.0))

        return read

    def _alone(self, index: int) -> Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
        """[..., d_in] → one feature, and what undoes the normalisation of the input, [...] each."""
        if self.weights.k is not None:  # the others decide whether it is active

            def chosen(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
                dots = self._dots(x.reshape(-1, x.shape[-1]))
                values = dots[:, index] + self._bias[index]
                f = torch.where(self._mask(dots)[:, index], values, 0.0).view(x.shape[:-1])
                return f, _per_token(self._normalised(x)[2])

            return chosen
        one = torch.tensor(index, device=self.device)
        scale = None if self._scale is None else self._scale[index : index + 1]
        row = _floats(self.weights.W_enc[index : index + 1], scale)[0].to(self.device)
        edge = self._edge[index]

        def alone(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            normalised, _, unit = self._normalised(x)
            dots = normalised @ row.to(x.device)
            f = torch.where(dots > edge, self._values(dots, one), 0.0)
            return f, _per_token(unit)

        return alone

    # ---- what the threshold is held against

    def drive(self, x: torch.Tensor, index: int) -> torch.Tensor:
        """h of one feature on [..., d_in], float32 [...]: its activation, were it never silent."""
        row = self.encoder_row(index).to(x.device)
        return self._normalised(x)[0] @ row + self.offset(index)

    def drives(self, x: torch.Tensor) -> torch.Tensor:
        """h of every feature on [n, d_in]: [n, d_sae]."""
        return self._magnified(self._dots(x)) + self._bias

    def offset(self, index: int) -> float:
        """What h is where nothing is read."""
        return float(self._bias[index])

    def encoder_row(self, index: int) -> torch.Tensor:
        """What h grows by per unit of what the encoder sees, [d_in] float32, CPU."""
        scale = None if self._scale is None else self._scale[index : index + 1]
        row = _floats(self.weights.W_enc[index : index + 1], scale)[0]
        return row if self.weights.gate is None else row * self._magnitude[index].to(row.device)

    def encoder_dots(self, direction: torch.Tensor) -> torch.Tensor:
        """Every encoder row · a direction [d_in]: float32 [d_sae] on the CPU."""
        with torch.inference_mode():
            return self._magnified(self._products(direction[None].to(self.device)))[0].cpu()

    def _magnified(self, dots: torch.Tensor) -> torch.Tensor:
        return dots if self.weights.gate is None else dots * self._magnitude

    # ---- decoding

    def decode(self, acts: FeatureActs, x: torch.Tensor) -> torch.Tensor:
        """What the features of a text amount to.

        Args:
            acts: Features of T tokens.
            x: [T, d_in] the activations that were encoded: they carry the normalisation.

        Returns:
            The reconstruction of what is written, [T, d_out] float32 on x's device.
        """
        return self.active(acts, x) + self.silent(x)

    def active(self, acts: FeatureActs, x: torch.Tensor) -> torch.Tensor:
        """What the features alone write, [T, d_out]; arguments as for ``decode``."""
        index, place = np.unique(acts.indices, return_inverse=True)
        rows = self.decoder_rows(index).to(x.device)
        if not len(index):
            rows, place = torch.zeros(1, self.weights.d_out, device=x.device), place[:0]
        y = embedding_bag(
            torch.from_numpy(place.astype(np.int64)).to(x.device),
            rows,
            torch.from_numpy(acts.indptr[:-1].astype(np.int64)).to(x.device),
            mode="sum",
            per_sample_weights=torch.from_numpy(acts.values.copy()).to(x.device),
        )
        return y * self.scale(x)

    def scale(self, x: torch.Tensor) -> torch.Tensor:
        """What the input's normalisation multiplies the decoder's rows by: [T, 1] or []."""
        return self._normalised(x)[2]

    def silent(self, x: torch.Tensor) -> torch.Tensor:
        """What is written when no feature is active, [T, d_out] or [d_out]."""
        w = self.weights
        _, shift, scale = self._normalised(x)
        y = w.b_dec.float().to(x.device) * scale + shift
        return y if w.W_skip is None else y + x.float() @ w.W_skip.float().to(x.device)

    def decoder_rows(self, index: np.ndarray) -> torch.Tensor:
        """What some features write per unit of activation, but for ``scale``: [n, d_out], CPU.

        Of a SAE that rescales its activations, the stored rows are divided by their length.
        """
        w, at = self.weights, torch.from_numpy(np.asarray(index, np.int64))
        rows = _floats(w.W_dec[at], None if w.W_dec_scale is None else w.W_dec_scale[at])
        rescales = w.decoder_norm is DecoderNorm.RESCALE
        return rows / rows.norm(dim=1, keepdim=True) if rescales else rows

    def decoder_row(self, index: int) -> torch.Tensor:
        """The direction that a feature writes per unit of activation, [d_out] float32, CPU."""
        return self.decoder_rows(np.array([index]))[0]

    @property
    def in_stream(self) -> bool:
        """Whether its decoder rows are directions of the residual stream itself."""
        writes = self.weights.writes
        return len(writes) == 1 and writes[0].site not in _NOT_IN_STREAM

    def decoder_dots(self, direction: torch.Tensor) -> torch.Tensor:
        """Every decoder row · a direction [d_out]: float32 [d_sae] on the CPU."""
        w = self.weights
        dots = w.W_dec.float() @ direction
        return dots if w.W_dec_scale is None else dots * w.W_dec_scale

    def cosines(self, direction: torch.Tensor) -> Floats:
        """Cosine of every decoder row with a direction [d_out]: [d_sae]."""
        cosines = self.decoder_dots(direction) / (self._decoder_norms * direction.norm())
        return cosines.nan_to_num_().numpy()  # type: ignore[no-any-return]

    def decoder_spread(self, covariance: torch.Tensor) -> torch.Tensor:
        """Standard deviation √(d·C·d) of every decoder row d under C [d_out, d_out]: [d_sae]."""
        rows = _floats(self.weights.W_dec, self.weights.W_dec_scale)
        return (rows @ covariance).mul(rows).sum(1).sqrt()

    @cached_property
    def _decoder_norms(self) -> torch.Tensor:
        w = self.weights
        norms: torch.Tensor = w.W_dec.float().norm(dim=1)
        return norms if w.W_dec_scale is None else norms * w.W_dec_scale


def _per_token(scale: torch.Tensor) -> torch.Tensor:
    """[..., 1], or one for all tokens → [...]."""
    return scale.squeeze(-1) if scale.ndim else scale


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
    slot, index = feature
    if not 0 <= slot < len(saes):
        raise ScopeError(
            f"There is no SAE number {slot}: {counted(len(saes), 'SAE')} open.",
            "Open the one that this feature belongs to.",
        )
    if not 0 <= index < saes[slot].d_sae:
        raise ScopeError(
            f"There is no feature {index} in this SAE.",
            f"Its features go from 0 to {saes[slot].d_sae - 1}.",
        )
    return saes[slot]

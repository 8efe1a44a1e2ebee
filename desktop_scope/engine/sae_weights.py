"""An SAE as read from disk, in one canonical form for every public format.

Shapes: n features (d_sae), d_in and d_out the widths of what is read and written; where several
hooks are read or written (cross-layer), theirs one after another. The equations, with
x the activations, float32 throughout:

    x₀ = x;  x −= mean over d_model, if centred
    layer_norm: x = (x − mean) / (std + 1e-5), unbiased std;  constant_norm_rescale: x ·= √d / ‖x‖
    p = (x − b_dec) · W_encᵀ if subtract_b_dec else x · W_encᵀ
    h = p + b_enc
    relu: f = relu(h) · jumprelu: f = relu(h)·(h > threshold) · topk: the k largest of relu(h)
    abstopk: the k largest by |h| · groupmax: the largest of relu(h) in each of k equal groups
    gated: f = (p + b_gate > 0) · relu(p·exp(r_mag) + b_mag)
    y = f · W_dec + b_dec;  the norm undone (and the mean put back);  + x₀ · W_skip

``decoder_norm``: RESCALE multiplies h by ‖W_dec row‖ before the non-linearity and divides f by it
before decoding; SELECT only lets it decide (threshold, k) and reports f unscaled.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import torch

from desktop_scope.engine.hook_points import HookPoint


class Architecture(StrEnum):
    """The non-linearity between encoder and features."""

    RELU = "relu"
    JUMPRELU = "jumprelu"
    TOPK = "topk"
    ABSTOPK = "abstopk"
    GROUPMAX = "groupmax"
    GATED = "gated"


class InputNorm(StrEnum):
    """What is done to the activations before encoding, and undone after decoding."""

    NONE = "none"
    LAYER_NORM = "layer_norm"
    CONSTANT_NORM_RESCALE = "constant_norm_rescale"


class DecoderNorm(StrEnum):
    """What the length of the decoder rows does."""

    IGNORE = "ignore"
    SELECT = "select"
    RESCALE = "rescale"


class Gate(NamedTuple):
    """What a gated SAE has instead of b_enc, [d_sae] each."""

    b_gate: torch.Tensor
    b_mag: torch.Tensor
    r_mag: torch.Tensor


@dataclass(frozen=True, eq=False)
class SaeWeights:
    """One SAE or transcoder. Tensors may be views of a mapped file, in any float type or int8.

    Attributes:
        name: What people call it, such as the folder it lies in; unique among those of one file.
        format: The public format it was read from.
        reads: The hooks whose activations are encoded.
        writes: The hooks that are reconstructed; the same as ``reads`` for an autoencoder.
        W_enc: [d_sae, d_in].
        W_dec: [d_sae, d_out].
        b_dec: [d_out].
        b_enc: [d_sae]; None when gated.
        W_enc_scale: [d_sae], multiplies the rows of W_enc.
        W_dec_scale: [d_sae], multiplies the rows of W_dec.
        threshold: [d_sae]; jumprelu only.
        k: topk, abstopk and groupmax only.
        W_skip: [d_in, d_out]; multiplies the activations as they are.
        centred: Each hook's activations less their mean over d_model, which the reconstruction
            gets back (models whose writing weights were centred).
        prefixes: Nested widths (Matryoshka), ascending; the last is d_sae.
        group: SAEs of the same group add up in the hooks that they share (cross-layer
            transcoders); empty for one that stands alone.
        model: Hugging Face id of the model it was made for, where the file says.
        declared_l0: Mean number of active features, where the file or its name says.
        prepend_bos: Whether it was made with a first token; None when not said.
        skip_positions: So many first positions are not encoded.
    """

    name: str
    format: str
    architecture: Architecture
    reads: tuple[HookPoint, ...]
    writes: tuple[HookPoint, ...]
    W_enc: torch.Tensor
    W_dec: torch.Tensor
    b_dec: torch.Tensor
    b_enc: torch.Tensor | None = None
    W_enc_scale: torch.Tensor | None = None
    W_dec_scale: torch.Tensor | None = None
    threshold: torch.Tensor | None = None
    k: int | None = None
    gate: Gate | None = None
    W_skip: torch.Tensor | None = None
    norm: InputNorm = InputNorm.NONE
    centred: bool = False
    subtract_b_dec: bool = False
    decoder_norm: DecoderNorm = DecoderNorm.IGNORE
    prefixes: tuple[int, ...] = ()
    group: str = ""
    model: str | None = None
    declared_l0: float | None = None
    prepend_bos: bool | None = None
    skip_positions: int = 1

    @property
    def d_sae(self) -> int:
        """Number of features."""
        return self.W_enc.shape[0]

    @property
    def d_in(self) -> int:
        """Width of what is encoded."""
        return self.W_enc.shape[1]

    @property
    def d_out(self) -> int:
        """Width of what is reconstructed."""
        return self.W_dec.shape[1]

"""The equations of sae_weights in float64, written down a second time to check loaders against."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.engine.sae_weights import Architecture, DecoderNorm, InputNorm, SaeWeights


def forward(w: SaeWeights, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Features [T, d_sae] and reconstruction [T, d_out] of activations x [T, d_in]."""
    x0 = x = x.double()
    encoder, decoder = _scaled(w.W_enc, w.W_enc_scale), _scaled(w.W_dec, w.W_dec_scale)
    means = x.unflatten(-1, (len(w.reads), -1)).mean(-1)  # [T, hooks]
    if w.centred:
        x = x - means.repeat_interleave(w.d_in // len(w.reads), -1)
    if w.norm is InputNorm.LAYER_NORM:
        mean, std = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
        x = (x - mean) / (std + 1e-5)
    if w.norm is InputNorm.CONSTANT_NORM_RESCALE:
        factor = w.d_in**0.5 / x.norm(dim=-1, keepdim=True)
        x = x * factor
    p = (x - w.b_dec.double() if w.subtract_b_dec else x) @ encoder.T
    norms = decoder.norm(dim=-1) if w.decoder_norm is not DecoderNorm.IGNORE else 1
    f = _nonlinearity(w, p, norms)
    rescaled = w.decoder_norm is DecoderNorm.RESCALE
    y = (f / norms if rescaled else f) @ decoder + w.b_dec.double()
    if w.norm is InputNorm.LAYER_NORM:
        y = y * std + mean
    if w.norm is InputNorm.CONSTANT_NORM_RESCALE:
        y = y / factor
    if w.centred:
        y = y + means.repeat_interleave(w.d_out // len(w.writes), -1)
    return f, y if w.W_skip is None else y + x0 @ w.W_skip.double()


def forward_all(
    group: Sequence[SaeWeights], x: dict[HookPoint, torch.Tensor]
) -> dict[HookPoint, torch.Tensor]:
    """What SAEs of one group write together at each hook, [T, d]."""
    total: dict[HookPoint, torch.Tensor] = {}
    for w in group:
        _, y = forward(w, torch.cat([x[hook] for hook in w.reads], -1))
        for hook, part in zip(w.writes, y.chunk(len(w.writes), -1), strict=True):
            total[hook] = total.get(hook, torch.zeros(())) + part
    return total


def _scaled(rows: torch.Tensor, scale: torch.Tensor | None) -> torch.Tensor:
    return rows.double() * (1 if scale is None else scale.double()[:, None])


def _nonlinearity(w: SaeWeights, p: torch.Tensor, norms: torch.Tensor | int) -> torch.Tensor:
    if w.architecture is Architecture.GATED:
        magnitude = (p * w.gate.r_mag.double().exp() + w.gate.b_mag.double()).relu()
        return (p + w.gate.b_gate.double() > 0) * magnitude
    h = p + w.b_enc.double()
    if w.decoder_norm is DecoderNorm.RESCALE:
        h, norms = h * norms, 1
    deciding = h * norms  # SELECT
    match w.architecture:
        case Architecture.RELU:
            return h.relu()
        case Architecture.JUMPRELU:
            return h.relu() * (deciding > w.threshold.double())
        case Architecture.TOPK:
            return h.relu() * _largest(deciding.relu(), w.k)
        case Architecture.ABSTOPK:
            return h * _largest(deciding.abs(), w.k)
        case Architecture.GROUPMAX:
            groups = deciding.relu().unflatten(-1, (w.k, -1))
            return h.relu() * _largest(groups, 1).flatten(-2)
    raise AssertionError(w.architecture)


def _largest(values: torch.Tensor, k: int) -> torch.Tensor:
    """1 where one of the k largest of the last axis is, else 0."""
    return torch.zeros_like(values).scatter_(-1, values.topk(k, -1).indices, 1)

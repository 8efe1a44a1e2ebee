"""Every architecture computes what its equations say, in float64, written once more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from small_saes import weights
from torch import Tensor

from desktop_scope.engine.hook_points import HookPoint, Site
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.sae_weights import Architecture, DecoderNorm, InputNorm, SaeWeights
from desktop_scope.errors import ScopeError

CPU = torch.device("cpu")
POINT, OTHER = HookPoint(1, Site.RESID_POST), HookPoint(2, Site.RESID_POST)
OUT = (HookPoint(1, Site.MLP_OUT),)
CASES: dict[str, dict[str, Any]] = {
    "relu": {"architecture": Architecture.RELU},
    "relu, b_dec subtracted": {"architecture": Architecture.RELU, "subtract_b_dec": True},
    "jumprelu": {},
    "jumprelu, negative thresholds": {"threshold": torch.linspace(-0.5, 0.5, 40)},
    "jumprelu, selected by decoder norm": {"decoder_norm": DecoderNorm.SELECT},
    "jumprelu, rescaled": {"decoder_norm": DecoderNorm.RESCALE, "subtract_b_dec": True},
    "topk": {"architecture": Architecture.TOPK, "subtract_b_dec": True},
    "topk, selected by decoder norm": {
        "architecture": Architecture.TOPK,
        "decoder_norm": DecoderNorm.SELECT,
    },
    "topk, rescaled": {"architecture": Architecture.TOPK, "decoder_norm": DecoderNorm.RESCALE},
    "topk, k above the number of features": {"architecture": Architecture.TOPK, "k": 50},
    "abstopk": {"architecture": Architecture.ABSTOPK},
    "groupmax": {"architecture": Architecture.GROUPMAX, "k": 8},
    "gated": {"architecture": Architecture.GATED, "subtract_b_dec": True},
    "layer norm": {
        "architecture": Architecture.TOPK,
        "norm": InputNorm.LAYER_NORM,
        "subtract_b_dec": True,
    },
    "constant norm": {"norm": InputNorm.CONSTANT_NORM_RESCALE},
    "centred": {"architecture": Architecture.RELU, "centred": True, "subtract_b_dec": True},
    "centred and layer norm": {"centred": True, "norm": InputNorm.LAYER_NORM},
    "scaled rows": {
        "W_enc_scale": torch.linspace(0.5, 2, 40),
        "W_dec_scale": torch.linspace(0.2, 3, 40),
        "decoder_norm": DecoderNorm.SELECT,
    },
    "transcoder with skip": {
        "reads": (HookPoint(1, Site.MLP_IN),),
        "writes": OUT,
        "W_skip": torch.randn(12, 12, generator=torch.Generator().manual_seed(7)),
    },
    "transcoder of another width": {
        "reads": (HookPoint(1, Site.MLP_IN),),
        "writes": OUT,
        "d_out": 20,
    },
    "crosscoder": {"reads": (POINT, OTHER), "d_in": 24},
    "centred crosscoder": {"reads": (POINT, OTHER), "d_in": 24, "centred": True},
}


def expected(w: SaeWeights, x: Tensor) -> tuple[Tensor, Tensor]:
    """Features and reconstruction in float64, straight from the docstring of ``sae_weights``."""
    x = x.double()
    one = torch.ones(w.d_sae, dtype=torch.float64)
    W_enc = w.W_enc.double() * (one if w.W_enc_scale is None else w.W_enc_scale.double())[:, None]  # noqa: N806
    W_dec = w.W_dec.double() * (one if w.W_dec_scale is None else w.W_dec_scale.double())[:, None]  # noqa: N806
    length, b_dec, x0 = W_dec.norm(dim=1), w.b_dec.double(), x
    mean = torch.zeros_like(x)
    if w.centred:
        parts = x.view(len(x), len(w.reads), -1)
        mean = parts.mean(-1, keepdim=True).expand_as(parts).reshape(x.shape)
        x = x - mean
    mu, sd = torch.zeros(len(x), 1, dtype=torch.float64), torch.ones(len(x), 1, dtype=torch.float64)
    if w.norm is InputNorm.LAYER_NORM:
        mu = x.mean(-1, keepdim=True)
        sd = (x - mu).std(-1, keepdim=True)
        x = (x - mu) / (sd + 1e-5)
    if w.norm is InputNorm.CONSTANT_NORM_RESCALE:
        sd = x.norm(dim=-1, keepdim=True) / w.d_in**0.5
        x = x / sd
    p = (x - b_dec if w.subtract_b_dec else x) @ W_enc.T
    if w.gate is not None:
        f = (p + w.gate.b_gate > 0) * (p * w.gate.r_mag.double().exp() + w.gate.b_mag).relu()
    else:
        h = p + w.b_enc.double()
        h = h * length if w.decoder_norm is DecoderNorm.RESCALE else h
        judged = h * length if w.decoder_norm is DecoderNorm.SELECT else h
        match w.architecture:
            case Architecture.RELU:
                f = h.relu()
            case Architecture.JUMPRELU:
                f = h.relu() * (judged > w.threshold)
            case Architecture.TOPK | Architecture.ABSTOPK:
                absolute = w.architecture is Architecture.ABSTOPK
                rank = judged.abs() if absolute else judged.relu()
                least = rank.sort(dim=1, descending=True).values[:, min(w.k, w.d_sae) - 1, None]
                f = torch.where((rank >= least) & (rank > 0), h, 0.0)
            case Architecture.GROUPMAX:
                groups = judged.relu().view(len(x), w.k, -1)
                best = groups == groups.max(-1, keepdim=True).values
                f = torch.where(best.view_as(h), h.relu(), 0.0)
    y = (f / length if w.decoder_norm is DecoderNorm.RESCALE else f) @ W_dec + b_dec
    if w.norm is not InputNorm.NONE or w.centred:
        y = y * sd + mu + mean
    return f, y if w.W_skip is None else y + x0 @ w.W_skip.double()


def dense(acts, d_sae: int) -> np.ndarray:
    table = np.zeros((len(acts.indptr) - 1, d_sae))
    table[acts.rows(), acts.indices] = acts.values
    return table


@pytest.fixture(params=CASES)
def case(request) -> tuple[SaeWeights, Tensor]:
    w = weights(**CASES[request.param])
    return w, 2 * torch.randn(9, w.d_in, generator=torch.Generator().manual_seed(1)) + 0.3


@pytest.mark.parametrize("how", ["plain", "packed", "streamed"])
def test_features_and_reconstruction_equal_the_equations(case, how):
    w, x = case
    sae = Sae(w, CPU, packed=how == "packed", streamed=how == "streamed")
    acts = sae.encode(x, np.zeros(len(x), bool))
    f, y = expected(w, x)
    assert (f != 0).any()
    np.testing.assert_allclose(dense(acts, w.d_sae), f, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(sae.decode(acts, x), y, rtol=1e-5, atol=2e-5)
    for index in range(0, w.d_sae, 7):
        np.testing.assert_allclose(sae.activation(x[None], index)[0], f[:, index], atol=1e-5)


def test_decoding_nothing_gives_the_bias(case):
    w, x = case
    sae = Sae(w, CPU)
    nothing = sae.encode(x, np.ones(len(x), bool))
    silent = replace(w, b_enc=None, gate=None) if w.gate else w
    assert len(nothing.indices) == 0
    y = sae.decode(nothing, x)
    assert y.shape == (len(x), silent.d_out)
    if w.norm is InputNorm.NONE and not w.centred and w.W_skip is None:
        np.testing.assert_allclose(y, w.b_dec.expand_as(y))


def test_elsewhere_it_computes_what_one_made_for_there_does(case):
    w, x = case
    if len(w.reads) > 1 or w.d_in != w.d_out:
        return
    for change in (
        {"norm": InputNorm.LAYER_NORM},
        {"centred": not w.centred},
        {"subtract_b_dec": not w.subtract_b_dec},
    ):
        other = replace(w, **change)
        moved = Sae(w, CPU).placed(other)
        acts = moved.encode(x, np.zeros(len(x), bool))
        np.testing.assert_allclose(dense(acts, w.d_sae), expected(other, x)[0], atol=1e-5)


@pytest.mark.parametrize("part", ["W_enc", "b_enc", "b_dec", "threshold"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(part, value):
    w = weights()
    getattr(w, part).view(-1)[3] = value
    with pytest.raises(ScopeError, match="NaN or infinity") as caught:
        Sae(w, CPU)
    assert caught.value.hint

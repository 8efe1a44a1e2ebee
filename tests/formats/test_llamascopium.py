"""llamascopium: against what its ``encode`` and ``decode`` compute, written down again."""

from __future__ import annotations

import json
import math
from pathlib import Path

import canonical
import layouts_b
import pytest
import torch
from checking import activations, assert_computes, largest, raw, refused, seeded
from layouts_a import D
from layouts_b import (
    LAYERS,
    K,
    llamascopium_clt,
    llamascopium_crosscoder,
    llamascopium_sae,
)

from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.engine.sae_weights import InputNorm
from desktop_scope.formats import open_sae

ACTIVATIONS = ["relu", "jumprelu", "topk"]
NORMS = ["dataset-wise", "inference"]


class Their:
    """The parts of one folder, and the functions that the library's classes share."""

    def __init__(self, folder: Path) -> None:
        self.config = json.loads((folder / "config.json").read_text())
        self.t = raw(folder / "sae_weights.safetensors")

    def factor(self, hook: str) -> float:
        if self.config["norm_activation"] == "inference":
            return 1.0
        return math.sqrt(D) / float(self.t[f"dataset_average_activation_norm.{hook}"])

    def activated(self, h: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """The activation function, with the decoder's lengths taken in before and out after."""
        if not self.config["sparsity_include_decoder_norm"]:
            lengths = torch.ones_like(lengths)
        g = h * lengths
        match self.config["act_fn"]:
            case "relu":
                kept = g > 0
            case "jumprelu":
                kept = g > self.t["activation_function.log_jumprelu_threshold"].exp()
            case "topk" | "batchtopk":
                kept = largest(g.relu(), K) & (g > 0)
        return g * kept / lengths


def hooks(*names: str) -> tuple[HookPoint, ...]:
    return tuple(HookPoint.parse(name) for name in names)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("act_fn", ACTIVATIONS)
@pytest.mark.parametrize("by_length", [True, False])
@pytest.mark.parametrize("transcodes", [True, False])
def test_saes_and_transcoders(transcodes, by_length, act_fn, norm, tmp_path):
    folder = llamascopium_sae(
        tmp_path,
        seeded(),
        transcodes,
        act_fn=act_fn,
        norm_activation=norm,
        sparsity_include_decoder_norm=by_length,
    )
    their, x = Their(folder), activations()
    t = their.t
    read, written = their.config["hook_point_in"], their.config["hook_point_out"]
    h = their.factor(read) * x.double() @ t["W_E"] + t["b_E"]
    f = their.activated(h, t["W_D"].norm(dim=1))
    y = (f @ t["W_D"] + t["b_D"]) / their.factor(written)
    (weights,) = open_sae(folder)
    assert_computes(weights, x, f, y)
    assert (weights.reads, weights.writes) == (hooks(read), hooks(written))
    assert weights.declared_l0 == (K if act_fn == "topk" else None)
    assert weights.model == "Qwen/Qwen3-1.7B"


def test_an_sae_that_normalises_each_token(tmp_path):
    folder = llamascopium_sae(tmp_path, seeded(), norm_activation="token-wise")
    their, x = Their(folder), activations()
    t = their.t
    factor = math.sqrt(D) / x.double().norm(dim=-1, keepdim=True)
    f = their.activated(factor * x @ t["W_E"] + t["b_E"], t["W_D"].norm(dim=1))
    (weights,) = open_sae(folder)
    assert weights.norm is InputNorm.CONSTANT_NORM_RESCALE
    assert_computes(weights, x, f, (f @ t["W_D"] + t["b_D"]) / factor)


def test_without_a_decoder_bias_nothing_is_added(tmp_path):
    (weights,) = open_sae(llamascopium_sae(tmp_path, seeded(), use_decoder_bias=False))
    assert not weights.b_dec.any()
    assert weights.b_dec.shape == (D,)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("act_fn", ACTIVATIONS)
def test_the_heads_of_a_crosscoder_share_sums_and_decide_each(act_fn, norm, tmp_path):
    folder = llamascopium_crosscoder(tmp_path, seeded(), act_fn=act_fn, norm_activation=norm)
    their, x = Their(folder), activations(LAYERS * D)
    t, names = their.t, their.config["hook_points"]
    factors = torch.tensor([their.factor(name) for name in names], dtype=torch.float64)
    scaled = x.double().unflatten(-1, (LAYERS, D)) * factors[:, None]
    h = torch.einsum("thd,hdn->tn", scaled, t["W_E"]) + t["b_E"].sum(0)
    opened = open_sae(folder)
    assert len(opened) == LAYERS
    seen = []
    for head, weights in enumerate(opened):
        f = their.activated(h, t["W_D"][head].norm(dim=1))
        assert_computes(weights, x, f, (f @ t["W_D"][head] + t["b_D"][head]) / factors[head])
        assert (weights.reads, weights.writes) == (hooks(*names), hooks(names[head]))
        assert weights.W_enc.data_ptr() == opened[0].W_enc.data_ptr()
        seen.append(f > 0)
    assert act_fn == "relu" or not torch.equal(seen[0], seen[1])


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("act_fn", ACTIVATIONS)
@pytest.mark.parametrize("by_length", [True, False])
def test_layers_of_a_clt_write_to_themselves_and_those_after(by_length, act_fn, norm, tmp_path):
    folder = llamascopium_clt(
        tmp_path,
        seeded(),
        act_fn=act_fn,
        norm_activation=norm,
        sparsity_include_decoder_norm=by_length,
    )
    their = Their(folder)
    t, read, written = their.t, their.config["hook_points_in"], their.config["hook_points_out"]
    x = {hook: activations() + layer for layer, hook in enumerate(hooks(*read))}
    stacked = torch.stack(list(x.values()), -2).double()  # [T, layers, d]
    s_in, s_out = (torch.tensor([their.factor(h) for h in hs]).double() for hs in (read, written))
    lengths = torch.zeros(t["b_E"].shape).double()
    for into in range(LAYERS):
        lengths[: into + 1] += t[f"W_D.{into}"].norm(dim=-1) ** 2
    lengths = lengths.sqrt()
    h = torch.einsum("tld,ldn->tln", stacked * s_in[:, None], t["W_E"]) + t["b_E"]
    f = their.activated(h, lengths)

    opened = open_sae(folder)
    assert {weights.group for weights in opened} == {str(folder)}
    total = canonical.forward_all(opened, x)
    for layer, (weights, hook) in enumerate(zip(opened, hooks(*written), strict=True)):
        y = torch.einsum("tln,lnd->td", f[:, : layer + 1], t[f"W_D.{layer}"]) + t[f"b_D.{layer}"]
        torch.testing.assert_close(total[hook], y / s_out[layer], rtol=1e-5, atol=1e-5)
        assert weights.reads == hooks(read[layer])
        assert weights.writes == hooks(*written[layer:])
        # Top-k across several factors: in units of what is written (see the loader).
        across = act_fn == "topk" and by_length and norm == "dataset-wise"
        found, _ = canonical.forward(weights, x[weights.reads[0]])
        unit = lengths[layer] if across else 1
        torch.testing.assert_close(found, f[:, layer] * unit, rtol=1e-5, atol=1e-5)


def test_a_feature_of_a_clt_that_writes_nothing_does_no_harm(tmp_path):
    folder = llamascopium_clt(tmp_path, seeded())
    path = folder / "sae_weights.safetensors"
    tensors = {name: tensor.float() for name, tensor in raw(path).items()}
    for layer in range(LAYERS):
        tensors[f"W_D.{layer}"][:, 3] = 0
    layouts_b.save(tensors, path)
    for weights in open_sae(folder):
        f, y = canonical.forward(weights, activations())
        assert f.isfinite().all()
        assert y.isfinite().all()


def test_the_model_is_also_told_by_a_file_beside(tmp_path):
    folder = llamascopium_sae(tmp_path, seeded())
    layouts_b.write_json(folder / "lm_config.json", {"model_name": "EleutherAI/pythia-160m"})
    assert open_sae(folder)[0].model == "EleutherAI/pythia-160m"


@pytest.mark.parametrize("sae_type", ["lorsa", "molt"])
def test_other_types_are_refused_by_name(sae_type, tmp_path):
    folder = layouts_b.lorsa(tmp_path, seeded())
    layouts_b.write_json(folder / "config.json", layouts_b.LLAMASCOPIUM | {"sae_type": sae_type})
    refused(folder, sae_type)


@pytest.mark.parametrize(
    ("build", "change", "said"),
    [
        (llamascopium_sae, {"use_glu_encoder": True}, "GLU"),
        (llamascopium_sae, {"norm_activation": "batch-wise"}, "batch-wise"),
        (llamascopium_sae, {"transcodes": True, "norm_activation": "token-wise"}, "each token"),
        (llamascopium_crosscoder, {"norm_activation": "token-wise"}, "each token"),
        (llamascopium_clt, {"norm_activation": "token-wise"}, "each token"),
        (llamascopium_clt, {"act_fn": "layertopk"}, "layertopk"),
        (llamascopium_clt, {"act_fn": "batchlayertopk"}, "batchlayertopk"),
        (llamascopium_clt, {"hook_points_in": ["blocks.0.hook_resid_mid"]}, "hooks"),
        (llamascopium_crosscoder, {"hook_points": "blocks.0.hook_resid_mid"}, "list of hooks"),
        (llamascopium_sae, {"d_model": D + 1}, "expected"),
        (llamascopium_sae, {"top_k": 1000}, "top_k"),
    ],
)
def test_what_is_not_known_is_refused(build, change, said, tmp_path):
    refused(build(tmp_path, seeded(), **change), said)

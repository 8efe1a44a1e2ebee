"""OpenAI's SAEs of GPT-2: against what their own code computes, written down again."""

from __future__ import annotations

import pytest
from checking import activations, assert_computes, largest, raw, refused, seeded
from layouts_b import K, openai_gpt2

from desktop_scope.engine.hook_points import HookPoint, Site
from desktop_scope.formats import open_sae

X = activations() * 4 + 1.5


def test_top_k_comes_with_normalised_activations(tmp_path):
    path = openai_gpt2(tmp_path, seeded())
    t, x = raw(path), X.double()
    mean = x.mean(-1, keepdim=True)
    std = (x - mean).std(-1, keepdim=True)
    h = ((x - mean) / (std + 1e-5) - t["pre_bias"]) @ t["encoder.weight"].T + t["latent_bias"]
    f = (h * largest(h, K)).relu()
    y = (f @ t["decoder.weight"].T + t["pre_bias"]) * std + mean
    (weights,) = open_sae(path)
    assert_computes(weights, X, f, y)
    assert (weights.k, weights.declared_l0, weights.prepend_bos) == (K, K, False)
    assert weights.model == "openai-community/gpt2"


@pytest.mark.parametrize("activation", ["ReLU", None])
def test_relu_comes_without(activation, tmp_path):
    path = openai_gpt2(tmp_path, seeded(), "resid_delta_mlp", activation)
    t = raw(path)
    f = ((X.double() - t["pre_bias"]) @ t["encoder.weight"].T + t["latent_bias"]).relu()
    (weights,) = open_sae(path)
    assert_computes(weights, X, f, f @ t["decoder.weight"].T + t["pre_bias"])


@pytest.mark.parametrize(
    ("location", "site"),
    [
        ("resid_delta_attn_v5_32k", Site.ATTN_OUT),
        ("resid_delta_mlp_v5_128k", Site.MLP_OUT),
        ("resid_post_attn_v5_128k", Site.RESID_MID),
        ("resid_post_mlp_v5_32k", Site.RESID_POST),
        ("resid_delta_mlp_v4", Site.MLP_OUT),
    ],
)
def test_the_folder_says_where_it_belongs(location, site, tmp_path):
    (weights,) = open_sae(openai_gpt2(tmp_path, seeded(), location))
    assert weights.reads == weights.writes == (HookPoint(8, site),)
    assert weights.name == f"{location}/8"


def test_those_of_neurons_are_refused_and_the_others_named(tmp_path):
    refused(openai_gpt2(tmp_path, seeded(), "mlp_post_act", None), "does not read")


@pytest.mark.parametrize(("activation", "postact_fn"), [("Tanh", "ReLU"), ("TopK", "Identity")])
def test_other_activation_functions_are_refused(activation, postact_fn, tmp_path):
    path = openai_gpt2(tmp_path, seeded(), activation=activation, postact_fn=postact_fn)
    refused(path, activation)

"""Goodfire: against its equations and SAELens."""

from __future__ import annotations

import lens
import pytest
from checking import activations, assert_computes, largest, raw, refused, seeded
from layouts_a import D, N
from layouts_b import K, goodfire, goodfire_topk, linear, save_state

from desktop_scope.engine.hook_points import resid_post
from desktop_scope.formats import open_sae

X = activations()


@pytest.mark.parametrize(
    ("large", "layer", "model"),
    [
        (False, 19, "meta-llama/Llama-3.1-8B-Instruct"),
        (True, 50, "meta-llama/Llama-3.3-70B-Instruct"),
    ],
)
def test_those_of_llama(large, layer, model, tmp_path):
    path = goodfire(tmp_path, seeded(), large)
    t = raw(path)
    f = (X.double() @ t["encoder_linear.weight"].T + t["encoder_linear.bias"]).relu()
    (weights,) = open_sae(path)
    y = f @ t["decoder_linear.weight"].T + t["decoder_linear.bias"]
    assert_computes(weights, X, f, y)
    assert weights.reads == weights.writes == (resid_post(layer),)
    assert weights.model == model


@pytest.mark.parametrize("rows_first", [True, False])
@pytest.mark.parametrize("biases", [True, False])
def test_that_of_gpt_oss_either_way_up_and_with_or_without_biases(biases, rows_first, tmp_path):
    path = goodfire_topk(tmp_path, seeded(), biases, rows_first)
    t = raw(path)
    f = (X.double() @ t["encoder_linear.weight"].T + t.get("encoder_linear.bias", 0)).relu()
    f = f * largest(f, K)
    decoder = t["decoder.weight"] if rows_first else t["decoder.weight"].T
    (weights,) = open_sae(path)
    assert_computes(weights, X, f, f @ decoder + t.get("decoder.bias", 0))
    assert weights.reads == (resid_post(15),)
    assert weights.model == "openai/gpt-oss-20b"
    assert weights.declared_l0 == K


def test_the_biases_of_llama_may_not_be_lacking(tmp_path):
    path = goodfire(tmp_path, seeded())
    state = raw(path)
    del state["decoder_linear.bias"]
    save_state(state, path)
    refused(path, "lacks decoder_linear.bias")


def test_another_file_of_such_a_name_is_refused(tmp_path):
    path = save_state(linear(seeded()), tmp_path / "Llama-3.1-8B-Instruct-SAE-l19.pth")
    refused(path, "lacks")


@pytest.mark.reference
@pytest.mark.parametrize("large", [True, False])
def test_saelens_agrees(large, tmp_path, monkeypatch):
    path = goodfire(tmp_path, seeded(), large)
    repo = f"Goodfire/{path.stem}"
    sae = lens.converted(monkeypatch, "goodfire", tmp_path, repo, path.name, d_in=D, d_sae=N)
    assert_computes(open_sae(path)[0], X, *lens.outputs(sae, X))

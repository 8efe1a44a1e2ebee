"""Kissane's and Krzyzanowski's SAEs of attention: against their equation and SAELens."""

from __future__ import annotations

import lens
import pytest
from checking import activations, assert_computes, raw, refused, seeded
from layouts_a import D, N, write_json
from layouts_b import kissane

from desktop_scope.engine.hook_points import HookPoint, Site
from desktop_scope.formats import open_sae

X = activations()


def test_they_read_the_heads_outputs_side_by_side(tmp_path):
    path = kissane(tmp_path, seeded())
    t = raw(path)
    f = ((X.double() - t["b_dec"]) @ t["W_enc"] + t["b_enc"]).relu()
    (weights,) = open_sae(path)
    assert_computes(weights, X, f, f @ t["W_dec"] + t["b_dec"])
    assert weights.reads == weights.writes == (HookPoint(5, Site.Z),)
    assert weights.model == "openai-community/gpt2"
    assert weights.prepend_bos


def test_a_configuration_of_other_sizes_is_refused(tmp_path):
    path = kissane(tmp_path, seeded())
    config = {"act_size": D, "dict_size": N + 1, "act_name": "blocks.5.attn.hook_z"}
    write_json(path.with_name(f"{path.stem}_cfg.json"), config)
    refused(path, "expected")


def test_without_its_configuration_it_is_no_sae_that_we_know(tmp_path):
    path = kissane(tmp_path, seeded())
    path.with_name(f"{path.stem}_cfg.json").unlink()
    refused(path, "not an SAE that we can read")


@pytest.mark.reference
def test_saelens_agrees(tmp_path, monkeypatch):
    path = kissane(tmp_path, seeded())
    repo = f"ckkissane/{path.parent.name}"
    sae = lens.converted(monkeypatch, "connor_rob_hook_z", tmp_path, repo, path.name)
    heads = X.unflatten(-1, (2, D // 2))  # SAELens takes them one by one
    f, y = lens.outputs(sae, heads)
    assert_computes(open_sae(path)[0], X, f, y.flatten(-2))

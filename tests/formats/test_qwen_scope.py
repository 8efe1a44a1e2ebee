"""Qwen-Scope: against its equations and SAELens."""

from __future__ import annotations

import lens
import pytest
from checking import activations, assert_computes, largest, raw, refused, seeded
from layouts_a import D, N, write_json
from layouts_b import K, qwen_scope

from desktop_scope.engine.hook_points import resid_post
from desktop_scope.formats import open_sae

X = activations()


@pytest.mark.parametrize("config", [True, False])
def test_top_k_of_a_layers_output(config, tmp_path):
    path = qwen_scope(tmp_path, seeded(), config)
    t = raw(path)
    f = (X.double() @ t["W_enc"].T + t["b_enc"]).relu()
    f = f * largest(f, K)
    (weights,) = open_sae(path)
    assert_computes(weights, X, f, f @ t["W_dec"].T + t["b_dec"])
    assert weights.reads == weights.writes == (resid_post(7),)
    assert (weights.model, weights.declared_l0) == ("Qwen/Qwen3-1.7B-Base", K)


def test_without_configuration_or_name_k_is_asked_for(tmp_path):
    path = qwen_scope(tmp_path, seeded(), config=False)
    path = path.parent.rename(tmp_path / "plain") / path.name
    refused(path, "lacks “k”")


def test_more_active_features_than_there_are_are_refused(tmp_path):
    path = qwen_scope(tmp_path, seeded())
    write_json(path.parent / "config.json", {"k": N + 1})
    refused(path, f"{N + 1} should be active")


@pytest.mark.reference
def test_saelens_agrees(tmp_path, monkeypatch):
    path = qwen_scope(tmp_path, seeded())
    repo = f"Qwen/{path.parent.name}"
    sae = lens.converted(monkeypatch, "qwen_scope", tmp_path, repo, path.name, d_in=D, d_sae=N)
    assert_computes(open_sae(path)[0], X, *lens.outputs(sae, X))

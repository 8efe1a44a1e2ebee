"""Llama-Scope-R1-Distill: against its equations and SAELens."""

from __future__ import annotations

import math

import lens
import pytest
import torch
from checking import activations, assert_computes, raw, refused, seeded
from layouts_a import D
from layouts_b import llama_scope_r1
from safetensors.torch import load_file, save_file

from desktop_scope.engine.hook_points import resid_post
from desktop_scope.formats import open_sae


@pytest.mark.parametrize("by_length", [True, False])
def test_thresholds_are_of_features_times_what_they_write(by_length, tmp_path):
    folder = llama_scope_r1(tmp_path, seeded(), sparsity_include_decoder_norm=by_length)
    t = raw(folder / "sae_weights.safetensors")
    s = math.sqrt(D) / 7.5
    x = activations() * 3
    h = s * x.double() @ t["encoder.weight"].T + t["encoder.bias"]
    lengths = t["decoder.weight"].norm(dim=0) if by_length else 1
    f = h * (h * lengths > t["log_jumprelu_threshold"].exp())
    y = (f @ t["decoder.weight"].T + t["decoder.bias"]) / s
    (weights,) = open_sae(folder)
    assert_computes(weights, x, f, y)
    assert weights.reads == weights.writes == (resid_post(15),)
    assert weights.model == "deepseek-ai/DeepSeek-R1-Distill-Llama-8B"


@pytest.mark.parametrize("norm", [None, 0.0, -1.0, torch.nan])
def test_a_norm_that_is_lacking_or_senseless_is_refused(norm, tmp_path):
    folder = llama_scope_r1(tmp_path, seeded())
    path = folder / "sae_weights.safetensors"
    name = "dataset_average_activation_norm.blocks.15.hook_resid_post"
    tensors = load_file(path)
    del tensors[name]
    save_file(tensors if norm is None else tensors | {name: torch.tensor(norm)}, path)
    refused(folder, "lacks" if norm is None else "mean length")


@pytest.mark.reference
def test_saelens_agrees_where_decoder_rows_are_of_length_one(tmp_path, monkeypatch):
    folder = llama_scope_r1(tmp_path, seeded(), unit_rows=True)
    place = f"{folder.parent.name}/{folder.name}"
    sae = lens.converted(
        monkeypatch, "llama_scope_r1_distill", tmp_path, "fnlp/Llama-Scope-R1-Distill", place
    )
    sae.fold_activation_norm_scaling_factor(math.sqrt(D) / 7.5)
    x = activations() * 3
    f, y = lens.outputs(sae, x)
    assert_computes(open_sae(folder)[0], x, f, y)

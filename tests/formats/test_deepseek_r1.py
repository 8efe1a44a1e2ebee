"""The SAE of DeepSeek R1: against its equation and SAELens."""

from __future__ import annotations

import lens
import pytest
import torch
from checking import activations, assert_computes, raw, refused, seeded
from layouts_a import D, N
from layouts_b import deepseek_r1, save_state

from desktop_scope.engine.hook_points import resid_post
from desktop_scope.formats import open_sae

X = activations()


def test_it_is_a_plain_relu(tmp_path):
    path = deepseek_r1(tmp_path, seeded())
    t = raw(path)
    f = (X.double() @ t["encoder.weight"].T + t["encoder.bias"]).relu()
    (weights,) = open_sae(path)
    assert_computes(weights, X, f, f @ t["decoder.weight"].T + t["decoder.bias"])
    assert weights.W_dec.dtype == torch.bfloat16
    assert weights.reads == weights.writes == (resid_post(19),)
    assert weights.model == "deepseek-ai/DeepSeek-R1-Distill-Llama-8B"


@pytest.mark.parametrize("state", [{}, [torch.zeros(3)], {7: torch.zeros(3)}, "weights"], ids=str)
def test_a_file_without_these_tensors_is_refused(state, tmp_path):
    path = deepseek_r1(tmp_path, seeded())
    save_state(state, path)
    refused(path, "lacks|no tensors")


@pytest.mark.reference
def test_saelens_agrees(tmp_path, monkeypatch):
    path = deepseek_r1(tmp_path, seeded())
    repo = f"qresearch/{path.stem}"
    sae = lens.converted(monkeypatch, "deepseek_r1", tmp_path, repo, path.name, d_in=D, d_sae=N)
    assert_computes(open_sae(path)[0], X, *lens.outputs(sae, X))

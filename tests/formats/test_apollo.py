"""Apollo's end-to-end SAEs: against what their own code computes, written down again."""

from __future__ import annotations

import torch
from checking import activations, assert_computes, raw, refused, seeded
from layouts_b import apollo, save_state

from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.formats import open_sae

X = activations() + 2


def test_decoder_rows_count_as_of_length_one_and_means_are_left_out(tmp_path):
    path = apollo(tmp_path, seeded())
    t = {
        name.removeprefix("blocks-6-hook_resid_pre."): tensor for name, tensor in raw(path).items()
    }
    mean = X.double().mean(-1, keepdim=True)
    f = ((X.double() - mean) @ t["encoder.0.weight"].T + t["encoder.0.bias"]).relu()
    decoder = torch.nn.functional.normalize(t["decoder.weight"], dim=0)
    (weights,) = open_sae(path)
    assert_computes(weights, X, f, f @ decoder.T + t["decoder.bias"] + mean)
    assert weights.reads == weights.writes == (HookPoint.parse("blocks.6.hook_resid_pre"),)
    assert weights.model == "openai-community/gpt2"


def test_one_file_may_hold_several(tmp_path):
    hooks = ("blocks.2.hook_resid_pre", "blocks.10.hook_resid_pre")
    opened = open_sae(apollo(tmp_path, seeded(), hooks))
    assert [weights.reads[0].name for weights in opened] == list(hooks)
    assert len({weights.name for weights in opened}) == len(hooks)


def test_a_file_without_saes_is_refused(tmp_path):
    path = apollo(tmp_path, seeded())
    refused(save_state({"weight": torch.zeros(2)}, path), "no SAE")

"""Llama Scope: against its authors' loader of November 2024, written down again, and SAELens."""

from __future__ import annotations

import json
import math
from pathlib import Path

import lens
import pytest
import torch
from checking import activations, assert_computes, raw, refused, seeded
from layouts_a import D, N
from layouts_b import LLAMA_SCOPE_HOOKS, llama_scope

from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.engine.sae_weights import DecoderNorm
from desktop_scope.formats import open_sae


def authors(folder: Path, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features, reconstruction and ‖D_i‖·s_in/s_out of the authors' loader.

    It folds the norms into the weights, then the decoder's lengths into the encoder; its features
    are times those lengths.
    """
    config = json.loads((folder / "hyperparams.json").read_text())
    t = raw(folder / "checkpoints/final.safetensors")
    norms = config["dataset_average_activation_norm"]
    s_in, s_out = (math.sqrt(config["d_model"]) / norms[end] for end in ("in", "out"))
    encoder, b_enc = t["encoder.weight"], t["encoder.bias"] / s_in
    decoder, b_dec = t["decoder.weight"] * s_in / s_out, t["decoder.bias"] / s_out
    lengths = decoder.norm(dim=0) if config["sparsity_include_decoder_norm"] else torch.ones(N)
    decoder = decoder / lengths
    h = x.double() @ (encoder * lengths[:, None]).T + b_enc * lengths
    f = h * (h > config["jump_relu_threshold"])
    return f, f @ decoder.T + b_dec, lengths / s_in


@pytest.mark.parametrize("by_length", [True, False])
@pytest.mark.parametrize("kind", LLAMA_SCOPE_HOOKS)
def test_it_computes_what_the_authors_do(kind, by_length, tmp_path):
    folder = llama_scope(
        tmp_path, seeded(), kind, dtype=torch.float32, sparsity_include_decoder_norm=by_length
    )
    (weights,) = open_sae(folder)
    x = activations() * 3
    f, y, unit = authors(folder, x)
    assert_computes(weights, x, f / unit, y)
    expected = DecoderNorm.SELECT if by_length else DecoderNorm.IGNORE
    assert weights.decoder_norm is expected


@pytest.mark.parametrize("kind", LLAMA_SCOPE_HOOKS)
def test_the_hooks_are_those_of_the_configuration(kind, tmp_path):
    (weights,) = open_sae(llama_scope(tmp_path, seeded(), kind))
    reads, writes = LLAMA_SCOPE_HOOKS[kind]
    assert weights.reads == (HookPoint.parse(reads.format(15)),)
    assert weights.writes == (HookPoint.parse(writes.format(15)),)
    assert weights.model == "meta-llama/Llama-3.1-8B"
    assert weights.W_enc.dtype == torch.bfloat16


def test_the_file_itself_can_be_chosen(tmp_path):
    folder = llama_scope(tmp_path, seeded())
    (weights,) = open_sae(folder / "checkpoints" / "final.safetensors")
    assert weights.name == folder.name


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"act_fn": "topk"}, "act_fn"),
        ({"norm_activation": "token-wise"}, "norm_activation"),
        ({"use_glu_encoder": True}, "use_glu_encoder"),
        ({"apply_decoder_bias_to_pre_encoder": True}, "apply_decoder_bias_to_pre_encoder"),
        ({"dataset_average_activation_norm": {"in": 0.0, "out": 1.0}}, "mean length"),
        ({"dataset_average_activation_norm": {"in": 2.0}}, "out"),
        ({"d_sae": N + 1}, "expected"),
    ],
)
def test_what_would_change_the_equations_is_refused(change, said, tmp_path):
    refused(llama_scope(tmp_path, seeded(), **change), said)


@pytest.mark.reference
@pytest.mark.parametrize("kind", ["R", "A", "M"])
def test_saelens_agrees_where_decoder_rows_are_of_length_one(kind, tmp_path, monkeypatch):
    folder = llama_scope(tmp_path, seeded(), kind, unit_rows=True, dtype=torch.float32)
    repo = f"fnlp/{folder.parent.name}"
    sae = lens.converted(monkeypatch, "llama_scope", tmp_path, repo, folder.name)
    sae.fold_activation_norm_scaling_factor(math.sqrt(D) / 7.5)
    x = activations() * 3
    f, y = lens.outputs(sae, x)
    assert_computes(open_sae(folder)[0], x, f, y)

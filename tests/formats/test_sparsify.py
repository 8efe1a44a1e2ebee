"""EleutherAI's sparsify: hooks from folder names, against plain equations and the library."""

from __future__ import annotations

from pathlib import Path

import canonical
import layouts_a
import lens
import numpy as np
import pytest
import torch
from layouts_a import SPARSIFIED, D, N
from safetensors.torch import load_file

from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.errors import ScopeError
from desktop_scope.formats import open_sae


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(8)


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(9, D, generator=torch.Generator().manual_seed(9))


def encoded(folder: Path, x: torch.Tensor, subtract: bool) -> torch.Tensor:
    t = {key: value.double() for key, value in load_file(folder / "sae.safetensors").items()}
    x = x.double() - t["b_dec"] if subtract else x.double()
    return (x @ t["encoder.weight"].T + t["encoder.bias"]).relu()


def largest(h: torch.Tensor, k: int) -> torch.Tensor:
    return h * (h >= h.topk(k).values[..., -1:])


def decoded(folder: Path, x: torch.Tensor, f: torch.Tensor) -> torch.Tensor:
    t = {key: value.double() for key, value in load_file(folder / "sae.safetensors").items()}
    y = f @ t["W_dec"] + t["b_dec"]
    return y + x.double() @ t["W_skip"].T if "W_skip" in t else y


def assert_computes(folder: Path, x: torch.Tensor, f: torch.Tensor) -> None:
    (weights,) = open_sae(folder)
    found_f, found_y = canonical.forward(weights, x)
    torch.testing.assert_close(found_f, f)
    torch.testing.assert_close(found_y, decoded(folder, x, f))


@pytest.mark.parametrize(
    ("hook", "site"),
    [
        ("layers.10", "blocks.10.hook_resid_post"),
        ("layers.5.mlp", "blocks.5.mlp.hook_out"),
        ("layers.0.attention", "blocks.0.attn.hook_out"),
        ("h.3.attn", "blocks.3.attn.hook_out"),
        ("embed_tokens", "hook_embed"),
        ("layers.2.mlp/seed1", "blocks.2.mlp.hook_out"),
    ],
)
def test_the_folder_is_named_after_a_module_whose_output_is_read(hook, site, tmp_path, rng):
    (weights,) = open_sae(layouts_a.sparsify(tmp_path, rng, hook))
    assert weights.reads == weights.writes == (HookPoint.parse(site),)


def test_an_sae_subtracts_the_decoder_bias_and_keeps_the_k_largest(tmp_path, rng, x):
    folder = layouts_a.sparsify(tmp_path, rng)
    assert_computes(folder, x, largest(encoded(folder, x, subtract=True), 6))
    assert open_sae(folder)[0].declared_l0 == 6


def test_groupmax_keeps_the_largest_of_each_group(tmp_path, rng, x):
    folder = layouts_a.sparsify(tmp_path, rng, activation="groupmax")
    groups = encoded(folder, x, subtract=True).unflatten(-1, (6, N // 6))
    assert_computes(folder, x, largest(groups, 1).flatten(-2))


def test_signed_ones_keep_the_largest_of_either_sign(tmp_path, rng, x):
    folder = layouts_a.sparsify(tmp_path, rng, signed=True)
    f, _ = canonical.forward(open_sae(folder)[0], x)
    assert ((f != 0).sum(-1) == 6).all()
    assert (f < 0).any()


@pytest.mark.parametrize("skip", [False, True])
def test_a_transcoder_reads_the_module_s_input_as_it_is(skip, tmp_path, rng, x):
    folder = layouts_a.sparsify(tmp_path, rng, "layers.5.mlp", transcode=True, skip_connection=skip)
    assert_computes(folder, x, largest(encoded(folder, x, subtract=False), 6))
    (weights,) = open_sae(folder)
    assert weights.reads == (HookPoint.parse("blocks.5.mlp.hook_in"),)
    assert weights.writes == (HookPoint.parse("blocks.5.mlp.hook_out"),)


def test_an_old_skip_transcoder_does_not_say_so_and_subtracts_the_decoder_bias(tmp_path, rng, x):
    folder = layouts_a.sparsify(tmp_path, rng, "layers.5.mlp", transcode=..., skip_connection=True)
    assert_computes(folder, x, largest(encoded(folder, x, subtract=True), 6))
    assert open_sae(folder)[0].reads == (HookPoint.parse("blocks.5.mlp.hook_in"),)


@pytest.mark.parametrize("hook", ["layers.5.mlp", "layers.5.mlp/seed2"])
def test_the_run_s_configuration_around_it_says_the_model_and_whether_it_transcodes(
    hook, tmp_path, rng
):
    folder = layouts_a.sparsify(tmp_path, rng, hook, transcode=...)
    run = {"sae": {}, "model": "EleutherAI/pythia-160m", "transcode": True}
    layouts_a.write_json(tmp_path / "config.json", run)
    (weights,) = open_sae(folder)
    assert weights.model == "EleutherAI/pythia-160m"
    assert weights.reads == (HookPoint.parse("blocks.5.mlp.hook_in"),)


@pytest.mark.parametrize("text", ["no JSON", '{"model": 3, "transcode": true}'])
def test_another_configuration_around_it_does_not_matter(text, tmp_path, rng):
    folder = layouts_a.sparsify(tmp_path, rng, "layers.5.mlp")
    (tmp_path / "config.json").write_text(text, "utf-8")
    (weights,) = open_sae(folder)
    assert weights.reads == (HookPoint.parse("blocks.5.mlp.hook_out"),)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"k": 0}, "“k”"),
        ({"k": N + 1}, "“k”"),
        ({"k": ...}, "“k”"),
        ({"k": True}, "“k”"),
        ({"d_in": ...}, "d_in"),
        ({"d_in": D - 1}, "encoder.weight"),
        ({"expansion_factor": 4}, "encoder.weight"),
        ({"num_latents": N - 1}, "encoder.weight"),
        ({"activation": "swish"}, "swish"),
        ({"activation": "groupmax", "k": 7}, "7"),
        ({"transcode": "no"}, "transcode"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(changes, match, tmp_path, rng):
    folder = layouts_a.sparsify(tmp_path, rng, **changes)
    with pytest.raises(ScopeError, match=match) as caught:
        open_sae(folder)
    assert caught.value.hint


@pytest.mark.parametrize("hook", ["mine", "layers.5.self_attn.q_proj"])
def test_a_folder_that_names_no_place_in_a_model_is_refused(hook, tmp_path, rng):
    with pytest.raises(ScopeError, match="not named after a place"):
        open_sae(layouts_a.sparsify(tmp_path, rng, hook))


@pytest.mark.reference
@pytest.mark.parametrize("name", SPARSIFIED)
def test_the_library_computes_the_same(name, tmp_path, rng, x):
    folder = SPARSIFIED[name](tmp_path, rng)
    sae = lens.library("sparsify").SparseCoder.load_from_disk(folder)
    with torch.no_grad():
        kept, indices, _ = sae.encode(x)
        y = sae(x).sae_out
    f = torch.zeros(len(x), N).scatter_(-1, indices, kept)
    found_f, found_y = canonical.forward(open_sae(folder)[0], x)
    torch.testing.assert_close(found_f.float(), f, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found_y.float(), y, rtol=1e-5, atol=1e-5)

"""The compact SAE format: what is read, and every way in which a file can be bad."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from layouts_a import COMPACT_HEADER, D, N, compact_tensors
from safetensors.torch import save_file

from desktop_scope import paths
from desktop_scope.engine.hook_points import resid_post
from desktop_scope.engine.sae import Sae
from desktop_scope.errors import ScopeError
from desktop_scope.formats import open_sae


def good_tensors() -> dict[str, torch.Tensor]:
    arrays = compact_tensors(np.random.default_rng(0))
    return {name: torch.tensor(array) for name, array in arrays.items()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "layer_03.safetensors"


def refused(path: Path) -> ScopeError:
    with pytest.raises(ScopeError) as caught:
        open_sae(path)
    assert path.name in caught.value.message
    assert caught.value.hint
    return caught.value


def test_a_good_file_is_read_as_written(path):
    tensors = good_tensors()
    save_file(tensors, path, COMPACT_HEADER)
    (sae,) = open_sae(path)
    for name, tensor in tensors.items():
        assert torch.equal(getattr(sae, name), tensor)
    assert sae.reads == sae.writes == (resid_post(3),)
    assert sae.prefixes == (4, N)
    assert (sae.d_sae, sae.d_in, sae.d_out) == (N, D, D)
    assert sae.model == "HuggingFaceTB/SmolLM2-135M-Instruct"


def test_every_sae_of_the_demo_pack_can_be_read():
    about = json.loads((paths.demo_pack() / "pack.json").read_text("utf-8"))
    for layer in range(about["model"]["n_layers"]):
        path = paths.demo_pack() / "saes" / f"layer_{layer:02}.safetensors"
        (sae,) = open_sae(path)
        assert sae.reads == (resid_post(layer),)
        assert sae.W_enc.shape == (about["saes"]["d_sae"], about["model"]["d_model"])
        assert sae.prefixes == tuple(about["saes"]["matryoshka_prefixes"])


@pytest.mark.parametrize("size", [0, 4, 100, -1])
def test_a_truncated_file_is_refused(size, path):
    save_file(good_tensors(), path, COMPACT_HEADER)
    path.write_bytes(path.read_bytes()[:size])
    assert "damaged" in refused(path).message


def test_a_truncated_file_of_the_demo_pack_is_refused(path):
    source = paths.demo_pack() / "saes" / "layer_03.safetensors"
    path.write_bytes(source.read_bytes()[:1_000_000])
    assert "damaged" in refused(path).message


def test_what_is_no_safetensors_file_is_refused(path):
    path.write_bytes(b"This is no tensor, but a letter to the editor. " * 9)
    refused(path)


def test_a_folder_is_refused(path):
    path.mkdir()
    refused(path)


def test_a_file_that_is_not_there_is_refused(path):
    assert "no SAE file" in refused(path).message


def test_a_file_of_an_unknown_kind_is_refused_and_the_known_ones_named(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"W")
    assert "Desktop Scope compact" in refused(path).hint


@pytest.mark.parametrize("header", [None, {}, {"format": "something-else/7"}])
def test_a_safetensors_file_of_another_format_is_refused(header, path):
    save_file(good_tensors(), path, header)
    assert "not an SAE that we can read" in refused(path).message


@pytest.mark.parametrize("name", sorted(good_tensors()))
def test_a_missing_tensor_is_named(name, path):
    tensors = good_tensors()
    del tensors[name]
    save_file(tensors, path, COMPACT_HEADER)
    assert name in refused(path).message


SPOILERS = {
    "shorter": lambda t: t[:-1].clone(),
    "one dimension more": lambda t: t[None].clone(),
    "empty": lambda t: t[:0].clone(),
    "other type": torch.Tensor.half,
}


@pytest.mark.parametrize("name", sorted(good_tensors()))
@pytest.mark.parametrize("spoil", SPOILERS.values(), ids=SPOILERS)
def test_a_tensor_of_the_wrong_shape_or_type_is_named(name, spoil, path):
    tensors = good_tensors()
    tensors[name] = spoil(tensors[name])
    save_file(tensors, path, COMPACT_HEADER)
    message = refused(path).message
    assert "expected" in message


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("name", ["threshold", "b_enc", "W_enc_scale", "b_dec"])
def test_numbers_that_are_not_finite_are_refused_when_they_are_read(name, value, path):
    tensors = good_tensors()
    tensors[name][2] = value
    save_file(tensors, path, COMPACT_HEADER)
    (weights,) = open_sae(path)
    with pytest.raises(ScopeError, match="NaN") as caught:
        Sae(weights, torch.device("cpu"))
    assert weights.name in caught.value.message


@pytest.mark.parametrize("key", ["hook_name", "architecture", "matryoshka_prefixes"])
def test_a_missing_entry_of_the_header_is_named(key, path):
    header = {k: v for k, v in COMPACT_HEADER.items() if k != key}
    save_file(good_tensors(), path, header)
    assert key in refused(path).message


@pytest.mark.parametrize(
    "wrong",
    [
        {"hook_name": "blocks.three.hook_resid_post"},
        {"matryoshka_prefixes": "12"},
        {"matryoshka_prefixes": "[4, 12"},
        {"matryoshka_prefixes": "[null]"},
        {"matryoshka_prefixes": "[4, 99]"},
        {"matryoshka_prefixes": "[" * 100_000},
        {"architecture": "topk"},
    ],
    ids=lambda wrong: str(wrong)[:40],
)
def test_a_header_that_makes_no_sense_is_refused(wrong, path):
    save_file(good_tensors(), path, COMPACT_HEADER | wrong)
    with pytest.raises(ScopeError) as caught:
        open_sae(path)
    assert caught.value.hint

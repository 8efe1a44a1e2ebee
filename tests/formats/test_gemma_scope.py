"""Gemma Scope: where each SAE belongs, and that it computes what its authors' equations say."""

from __future__ import annotations

import canonical
import layouts_a
import lens
import numpy as np
import pytest
import torch
from layouts_a import GEMMA_SCOPE_PLACES, D, N

from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.errors import ScopeError
from desktop_scope.formats import open_sae

PLACES = {
    "res": ("blocks.20.hook_resid_post",) * 2,
    "mlp": ("blocks.7.hook_mlp_out",) * 2,
    "att": ("blocks.0.attn.hook_z",) * 2,
    "transcoders": ("blocks.3.ln2.hook_normalized", "blocks.3.hook_mlp_out"),
    "embedding": ("hook_embed",) * 2,
    "it": ("blocks.31.hook_resid_post",) * 2,
}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(1)


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(9, D, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("kind", PLACES)
def test_names_say_where_it_belongs(kind, tmp_path, rng):
    (weights,) = open_sae(layouts_a.gemma_scope(tmp_path, rng, kind))
    reads, writes = map(HookPoint.parse, PLACES[kind])
    assert (weights.reads, weights.writes) == ((reads,), (writes,))


@pytest.mark.parametrize("compressed", [False, True])
def test_features_are_those_of_the_published_equations(compressed, tmp_path, rng, x):
    folder = layouts_a.gemma_scope(tmp_path, rng, compressed=compressed)
    (weights,) = open_sae(folder)
    a = {
        name: torch.tensor(array).double() for name, array in np.load(folder / "params.npz").items()
    }
    h = x.double() @ a["W_enc"] + a["b_enc"]
    f = h * (h > a["threshold"])
    found_f, found_y = canonical.forward(weights, x)
    torch.testing.assert_close(found_f, f)
    torch.testing.assert_close(found_y, f @ a["W_dec"] + a["b_dec"])


def test_an_embedding_sae_is_for_embeddings_before_gemma_scales_them(tmp_path, rng, x):
    folder = layouts_a.gemma_scope(tmp_path, rng, "embedding")
    (weights,) = open_sae(folder)
    a = {
        name: torch.tensor(array).double() for name, array in np.load(folder / "params.npz").items()
    }
    h = x.double() @ a["W_enc"] + a["b_enc"]
    f = h * (h > a["threshold"])
    found_f, found_y = canonical.forward(weights, x.double() * D**0.5)
    torch.testing.assert_close(found_f, f, rtol=1e-6, atol=1e-6)
    expected = (f @ a["W_dec"] + a["b_dec"]) * D**0.5
    torch.testing.assert_close(found_y, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "model", "l0"),
    [("res", "google/gemma-2-2b", 71), ("mlp", "google/gemma-2-9b", 9),
     ("it", "google/gemma-2-9b-it", 24)],
)  # fmt: skip
def test_model_and_l0_are_read_from_the_names(kind, model, l0, tmp_path, rng):
    (weights,) = open_sae(layouts_a.gemma_scope(tmp_path, rng, kind))
    assert (weights.model, weights.declared_l0) == (model, l0)


def test_it_is_found_in_a_hugging_face_cache(tmp_path, rng):
    snapshot = tmp_path / "models--google--gemma-scope-2b-pt-res" / "snapshots" / "0a1b2c"
    source = layouts_a.gemma_scope(tmp_path / "plain", rng)
    folder = snapshot / "layer_20" / "width_16k" / "average_l0_71"
    folder.parent.mkdir(parents=True)
    source.rename(folder)
    (weights,) = open_sae(folder)
    assert weights.reads == (HookPoint.parse("blocks.20.hook_resid_post"),)
    assert weights.name == "layer_20/width_16k/average_l0_71"


def test_the_file_may_be_given_for_its_folder(tmp_path, rng):
    folder = layouts_a.gemma_scope(tmp_path, rng)
    (weights,) = open_sae(folder / "params.npz")
    assert weights.d_sae == N


def test_names_in_small_letters_are_read_too(tmp_path, rng):
    folder = layouts_a.gemma_scope(tmp_path, rng)
    arrays = layouts_a.gemma_scope_arrays(rng)
    np.savez(folder / "params.npz", **{name.lower(): array for name, array in arrays.items()})
    (weights,) = open_sae(folder)
    np.testing.assert_array_equal(weights.W_enc.T.numpy(), arrays["W_enc"])


@pytest.mark.parametrize("path", ["mine/average_l0_71", "gemma-scope-2b-pt-res/average_l0_71"])
def test_a_path_that_does_not_say_what_it_is_for_is_refused(path, tmp_path, rng):
    folder = tmp_path / path
    folder.mkdir(parents=True)
    np.savez(folder / "params.npz", **layouts_a.gemma_scope_arrays(rng))
    with pytest.raises(ScopeError, match="does not say which part") as caught:
        open_sae(folder)
    assert "gemma-scope-2b-pt-res" in caught.value.hint


@pytest.mark.parametrize("name", layouts_a.gemma_scope_arrays(np.random.default_rng(0)))
@pytest.mark.parametrize("spoil", [None, lambda a: a[:-1], lambda a: a.astype(np.int32)])
def test_a_missing_array_or_one_of_the_wrong_shape_or_type_is_named(name, spoil, tmp_path, rng):
    folder = layouts_a.gemma_scope(tmp_path, rng)
    arrays = layouts_a.gemma_scope_arrays(rng)
    array = arrays.pop(name)
    if spoil is not None:
        arrays[name] = spoil(array)
    np.savez(folder / "params.npz", **arrays)
    with pytest.raises(ScopeError, match=r"params\.npz"):
        open_sae(folder)


@pytest.mark.reference
@pytest.mark.parametrize("kind", ["res", "mlp", "att", "it"])
def test_saelens_computes_the_same(kind, tmp_path, rng, x, monkeypatch):
    (weights,) = open_sae(layouts_a.gemma_scope(tmp_path, rng, kind))
    repo, _, folder = GEMMA_SCOPE_PLACES[kind].partition("/")
    reference = lens.converted(
        monkeypatch, "gemma_2", tmp_path, f"google/{repo}", folder, d_in=D, d_sae=N
    )
    heads = x.unflatten(-1, (2, -1)) if kind == "att" else x
    f, y = lens.outputs(reference, heads)
    found_f, found_y = canonical.forward(weights, x)
    torch.testing.assert_close(found_f.float(), f, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found_y.float(), y.reshape(found_y.shape), rtol=1e-5, atol=1e-5)

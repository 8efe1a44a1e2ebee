"""Gemma Scope 2: hooks from configuration or names, affine transcoders, and those across layers."""

from __future__ import annotations

import canonical
import layouts_a
import lens
import numpy as np
import pytest
import torch
from layouts_a import D, N
from safetensors.torch import load_file

from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.errors import ScopeError
from desktop_scope.formats import open_sae

PLACES = {
    "resid_post": ("hook_resid_post",) * 2,
    "attn_out": ("attn.hook_z",) * 2,
    "mlp_out": ("hook_mlp_out",) * 2,
    "transcoder": ("mlp.hook_in", "hook_mlp_out"),
}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(9, D, generator=torch.Generator().manual_seed(4))


def jumprelu(t: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    h = x.double() @ t["w_enc"].double() + t["b_enc"].double()
    return h * (h > t["threshold"].double())


@pytest.mark.parametrize("config", [True, False], ids=["config", "names"])
@pytest.mark.parametrize("kind", PLACES)
def test_its_place_is_read_from_the_configuration_or_from_names(kind, config, tmp_path, rng):
    (weights,) = open_sae(layouts_a.gemma_scope_2(tmp_path, rng, kind, config=config))
    reads, writes = (HookPoint.parse(f"blocks.17.{site}") for site in PLACES[kind])
    assert (weights.reads, weights.writes) == ((reads,), (writes,))
    assert weights.model == "google/gemma-3-4b-pt"


@pytest.mark.parametrize("affine", [False, True])
def test_a_transcoder_computes_what_the_published_equations_say(affine, tmp_path, rng, x):
    folder = layouts_a.gemma_scope_2(tmp_path, rng, "transcoder", affine)
    (weights,) = open_sae(folder)
    t = load_file(folder / "params.safetensors")
    f = jumprelu(t, x)
    y = f @ t["w_dec"].double() + t["b_dec"].double()
    if affine:
        y = y + x.double() @ t["affine_skip_connection"].double()
    found_f, found_y = canonical.forward(weights, x)
    torch.testing.assert_close(found_f, f)
    torch.testing.assert_close(found_y, y)


@pytest.mark.parametrize(
    ("kind", "model", "skipped"),
    [("transcoder", "gemma-3-4b-it", 4), ("transcoder", "gemma-3-4b-pt", 1),
     ("resid_post", "gemma-3-4b-it", 1)],
)  # fmt: skip
def test_transcoders_of_chat_models_skip_the_start_of_the_chat(kind, model, skipped, tmp_path, rng):
    (weights,) = open_sae(layouts_a.gemma_scope_2(tmp_path, rng, kind, model=model))
    assert weights.skip_positions == skipped
    assert weights.model == f"google/{model}"


def test_the_smallest_model_has_another_id_than_its_configuration_says(tmp_path, rng):
    (weights,) = open_sae(layouts_a.gemma_scope_2(tmp_path, rng, model="gemma-3-270m-pt"))
    assert weights.model == "google/gemma-3-270m"
    assert weights.declared_l0 == 150


@pytest.mark.parametrize("config", [True, False], ids=["config", "names"])
@pytest.mark.parametrize(
    ("kind", "layers", "sites"),
    [("crosscoder", (7, 13, 17), ("hook_resid_post",) * 2),
     ("clt", (0, 1, 2), ("mlp.hook_in", "hook_mlp_out"))],
)  # fmt: skip
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_those_across_layers_add_up_to_the_published_equations(
    causal, affine, kind, layers, sites, config, tmp_path, rng
):
    folder = layouts_a.across_layers(tmp_path, rng, kind, affine, causal, config=config)
    group = open_sae(folder)
    files = [load_file(folder / f"params_layer_{slot}.safetensors") for slot in range(3)]
    reads, writes = (
        [HookPoint.parse(f"blocks.{layer}.{site}") for layer in layers] for site in sites
    )
    draw = torch.Generator().manual_seed(5)
    x = {hook: torch.randn(9, D, generator=draw) for hook in reads}
    found = canonical.forward_all(group, x)
    assert list(found) == writes
    for slot, hook in enumerate(writes):
        y = sum(
            jumprelu(t, x[read]) @ t["w_dec"][:, slot].double()
            for read, t in zip(reads, files, strict=True)
        )
        y = y + files[slot]["b_dec"].double()
        if affine:
            y = y + x[reads[slot]].double() @ files[slot]["affine_skip_connection"].double()
        torch.testing.assert_close(found[hook], y)
    assert len({weights.group for weights in group}) == 1
    assert len({weights.name for weights in group}) == 3


def test_opening_those_across_layers_reads_no_decoder(tmp_path, rng):
    """Each writes to every layer as far as its file goes; which rows are zero shows in use."""
    for weights in open_sae(layouts_a.across_layers(tmp_path, rng)):
        assert len(weights.writes) == 3
        assert weights.W_dec.shape == (N, 3 * D)
        assert weights.W_dec._base is not None  # a view of what is mapped


def test_a_group_is_told_from_another_of_the_same_name(tmp_path, rng):
    one, other = (open_sae(layouts_a.across_layers(tmp_path / name, rng))[0] for name in ("a", "b"))
    assert one.name == other.name
    assert one.group != other.group


def test_a_missing_layer_is_noticed(tmp_path, rng):
    folder = layouts_a.across_layers(tmp_path, rng)
    (folder / "params_layer_2.safetensors").unlink()
    with pytest.raises(ScopeError) as caught:
        open_sae(folder)
    assert caught.value.hint


def test_another_architecture_is_refused(tmp_path, rng):
    folder = layouts_a.gemma_scope_2(tmp_path, rng)
    config = layouts_a.gemma_scope_2_config("resid_post", "17", False, "gemma-3-4b-pt")
    layouts_a.write_json(folder / "config.json", config | {"architecture": "topk"})
    with pytest.raises(ScopeError, match="topk"):
        open_sae(folder)


def test_without_configuration_or_names_it_is_refused(tmp_path, rng):
    folder = layouts_a.gemma_scope_2(tmp_path, rng, config=False)
    moved = folder.rename(tmp_path / "mine")
    with pytest.raises(ScopeError, match="says what this SAE is for"):
        open_sae(moved)


@pytest.mark.reference
@pytest.mark.parametrize(
    ("kind", "affine"), [*((kind, False) for kind in PLACES), ("transcoder", True)]
)
def test_saelens_computes_the_same(kind, affine, tmp_path, rng, x, monkeypatch):
    folder = layouts_a.gemma_scope_2(tmp_path, rng, kind, affine)
    (weights,) = open_sae(folder)
    repo = "google/gemma-scope-2-4b-pt"
    reference = lens.converted(monkeypatch, "gemma_3", tmp_path, repo, f"{kind}/{folder.name}")
    f, y = lens.outputs(reference, x)
    found_f, found_y = canonical.forward(weights, x)
    torch.testing.assert_close(found_f.float(), f, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found_y.float(), y, rtol=1e-5, atol=1e-5)

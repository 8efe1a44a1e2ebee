"""dictionary_learning: against its classes' equations, the library itself, and SAELens."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import layouts_b
import lens
import pytest
import torch
from checking import activations, assert_computes, largest, raw, refused, seeded
from layouts_a import N
from layouts_b import DICTIONARIES, TRAINER, K, baulab, dictionary

from desktop_scope.engine.hook_points import HookPoint, Site, resid_post
from desktop_scope.engine.sae_weights import Architecture
from desktop_scope.formats import open_sae

UNSET = -1.0
X = activations() * 3


def expected(dict_class: str, t: dict[str, Any], x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Features and reconstruction, as the library's documentation has them."""
    encoder = t["W_enc"].T if "W_enc" in t else t["encoder.weight"]
    decoder = t["W_dec"] if "W_dec" in t else t["decoder.weight"].T
    bias = next(t[n] for n in ("b_dec", "bias", "decoder_bias", "decoder.bias") if n in t)
    subtracts = dict_class not in ("AutoEncoderNew", "JumpReluAutoEncoder")
    p = (x.double() - bias if subtracts else x.double()) @ encoder.T
    if dict_class == "GatedAutoEncoder":
        f = (p + t["gate_bias"] > 0) * (p * t["r_mag"].exp() + t["mag_bias"]).relu()
        return f, f @ decoder + bias
    f = (p + t.get("b_enc", t.get("encoder.bias"))).relu()
    if dict_class == "AutoEncoderTopK":
        f = f * largest(f, K)
    elif "threshold" in t:
        f = f * (f > t["threshold"])
    return f, f @ decoder + bias


@pytest.mark.parametrize("dict_class", DICTIONARIES)
def test_every_class_computes_what_it_says(dict_class, tmp_path):
    folder = dictionary(tmp_path, seeded(), dict_class)
    (weights,) = open_sae(folder)
    assert_computes(weights, X, *expected(dict_class, raw(folder / "ae.pt"), X))
    assert weights.reads == weights.writes == (resid_post(12),)
    assert weights.model == "google/gemma-2-2b"
    assert weights.declared_l0 == (K if "TopK" in dict_class else None)


@pytest.mark.parametrize("dict_class", ["BatchTopKSAE", "MatryoshkaBatchTopKSAE"])
def test_a_threshold_that_was_never_set_becomes_top_k(dict_class, tmp_path):
    folder = dictionary(tmp_path, seeded(), dict_class, threshold=UNSET)
    t = raw(folder / "ae.pt")
    (weights,) = open_sae(folder)
    f, _ = expected(dict_class, t, X)  # all that relu lets through
    f = f * largest(f, K)
    decoder = t["W_dec"] if "W_dec" in t else t["decoder.weight"].T
    assert_computes(weights, X, f, f @ decoder + t["b_dec"])
    assert (weights.architecture, weights.k) == (Architecture.TOPK, K)


def test_k_is_also_found_in_the_tensors(tmp_path):
    folder = dictionary(tmp_path, seeded(), "AutoEncoderTopK", k=None)
    (weights,) = open_sae(folder)
    assert weights.k == K


def test_nested_widths_are_sums_of_the_groups(tmp_path):
    (weights,) = open_sae(dictionary(tmp_path, seeded(), "MatryoshkaBatchTopKSAE"))
    assert weights.prefixes == (4, 12, N)


@pytest.mark.parametrize(
    ("place", "hook"),
    [
        ("resid_out_layer3", resid_post(3)),
        ("mlp_out_layer0", HookPoint(0, Site.MLP_RAW)),
        ("attn_out_layer5", HookPoint(5, Site.ATTN_RAW)),
        ("embed", HookPoint(0, Site.EMBED)),
    ],
)
def test_without_a_configuration_the_folders_say_where_it_belongs(place, hook, tmp_path):
    folder = baulab(tmp_path, seeded(), place)
    (weights,) = open_sae(folder)
    assert weights.reads == weights.writes == (hook,)
    assert weights.model == "EleutherAI/pythia-70m-deduped"
    assert_computes(weights, X, *expected("AutoEncoder", raw(folder / "ae.pt"), X))


@pytest.mark.parametrize(
    ("submodule", "hook"),
    [
        ("mlp_out_layer_4", HookPoint(4, Site.MLP_RAW)),
        ("resid_pre_layer_4", HookPoint(4, Site.RESID_PRE)),
        ("model.layers.4", resid_post(4)),
    ],
)
def test_the_submodule_of_the_configuration_counts_before_folders(submodule, hook, tmp_path):
    (weights,) = open_sae(dictionary(tmp_path, seeded(), submodule_name=submodule))
    assert weights.reads == (hook,)


def test_a_layer_alone_means_its_output(tmp_path):
    folder = dictionary(tmp_path, seeded(), submodule_name=None, layer=9)
    folder = folder.parent.rename(tmp_path / "plain") / folder.name
    assert open_sae(folder)[0].reads == (resid_post(9),)


def test_a_place_that_nothing_says_is_asked_for(tmp_path):
    folder = baulab(tmp_path, seeded(), "somewhere")
    refused(folder, "where this SAE belongs")


@pytest.mark.parametrize(
    ("dict_class", "change", "said"),
    [
        ("AutoEncoder", {"dict_size": N + 1}, "expected"),
        ("AutoEncoder", {"submodule_name": "nowhere"}, "nowhere"),
        ("AutoEncoderTopK", {"k": N + 1}, "trainer.k"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(dict_class, change, said, tmp_path):
    refused(dictionary(tmp_path, seeded(), dict_class, **change), said)


@pytest.mark.parametrize(
    ("other", "said"), [("CrossCoder", "CrossCoder"), ("GatedAutoEncoder", "lacks decoder_bias")]
)
def test_a_class_that_is_unknown_or_has_other_tensors_is_refused(other, said, tmp_path):
    folder = dictionary(tmp_path, seeded())
    layouts_b.write_json(folder / "config.json", {"trainer": TRAINER | {"dict_class": other}})
    refused(folder, said)


def test_groups_that_do_not_add_up_are_refused(tmp_path):
    folder = dictionary(tmp_path, seeded(), "MatryoshkaBatchTopKSAE")
    state = torch.load(folder / "ae.pt", weights_only=True)
    layouts_b.save_state(state | {"group_sizes": torch.tensor([4, N])}, folder / "ae.pt")
    refused(folder, "groups")


def by_the_library(folder: Path, dict_class: str) -> Any:
    with warnings.catch_warnings(action="ignore"):
        pytest.importorskip("dictionary_learning")
        from dictionary_learning import dictionary as plain
        from dictionary_learning.trainers import batch_top_k, matryoshka_batch_top_k, top_k
    modules = (plain, top_k, batch_top_k, matryoshka_batch_top_k)
    found = next(vars(module)[dict_class] for module in modules if dict_class in vars(module))
    # Its AutoEncoder otherwise divides the features by their decoders' lengths.
    options = {"normalize_decoder": False} if dict_class == "AutoEncoder" else {}
    return found.from_pretrained(str(folder / "ae.pt"), **options)


@pytest.mark.reference
@pytest.mark.parametrize("dict_class", DICTIONARIES)
def test_the_library_agrees(dict_class, tmp_path):
    folder = dictionary(tmp_path, seeded(), dict_class)
    theirs = by_the_library(folder, dict_class)
    with torch.no_grad():
        f = theirs.encode(X)
        y = theirs.decode(f)
    assert_computes(open_sae(folder)[0], X, f, y)


@pytest.mark.reference
@pytest.mark.parametrize("dict_class", [c for c in DICTIONARIES if c != "AutoEncoderNew"])
def test_saelens_agrees(dict_class, tmp_path, monkeypatch):
    folder = dictionary(tmp_path, seeded(), dict_class)
    place = str(folder.relative_to(tmp_path / "saes"))
    sae = lens.converted(monkeypatch, "dictionary_learning_1", tmp_path, "someone/saes", place)
    f, y = lens.outputs(sae, X)
    assert_computes(open_sae(folder)[0], X, f, y)
    config = json.loads((folder / "config.json").read_text())
    assert sae.cfg.metadata.hook_name == f"blocks.{config['trainer']['layer']}.hook_resid_post"

"""SAELens of every era: what is read, against plain equations and against SAELens itself."""

from __future__ import annotations

import warnings
from pathlib import Path

import canonical
import layouts_a
import lens
import numpy as np
import pytest
import torch
from layouts_a import SAELENS, SAELENS_2, SAELENS_3, SAELENS_6, D, N
from safetensors.torch import load_file, save_file

from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.engine.sae_weights import Architecture, InputNorm
from desktop_scope.errors import ScopeError
from desktop_scope.formats import open_sae


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(6)


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(9, D, generator=torch.Generator().manual_seed(7))


def raw(folder: Path) -> dict[str, torch.Tensor]:
    return {k: v.double() for k, v in load_file(folder / "sae_weights.safetensors").items()}


def refused(folder: Path, match: str) -> None:
    with pytest.raises(ScopeError, match=match) as caught:
        open_sae(folder)
    assert caught.value.hint


def assert_computes(folder: Path, x: torch.Tensor, f: torch.Tensor, y: torch.Tensor) -> None:
    (weights,) = open_sae(folder)
    found_f, found_y = canonical.forward(weights, x)
    torch.testing.assert_close(found_f, f, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found_y, y, rtol=1e-6, atol=1e-6)


def test_the_first_versions_subtract_the_decoder_bias_and_have_a_relu(tmp_path, rng, x):
    folder = SAELENS["version 2 with factors of one"](tmp_path, rng)
    t = raw(folder)
    f = ((x.double() - t["b_dec"]) @ t["W_enc"] + t["b_enc"]).relu()
    assert_computes(folder, x, f, f @ t["W_dec"] + t["b_dec"])
    (weights,) = open_sae(folder)
    assert weights.reads == weights.writes == (HookPoint.parse("blocks.8.hook_resid_pre"),)
    assert weights.model == "openai-community/gpt2"


def test_top_k_of_version_4_overrides_the_architecture(tmp_path, rng, x):
    (weights,) = open_sae(SAELENS["version 4 top-k"](tmp_path, rng))
    assert (weights.architecture, weights.k) == (Architecture.TOPK, 5)
    assert (weights.norm, weights.subtract_b_dec) == (InputNorm.LAYER_NORM, False)
    assert weights.declared_l0 == 5


def test_a_skip_transcoder_passes_on_what_it_reads(tmp_path, rng, x):
    folder = SAELENS["skip_transcoder"](tmp_path, rng)
    t = raw(folder)
    f = (x.double() @ t["W_enc"] + t["b_enc"]).relu()
    assert_computes(folder, x, f, f @ t["W_dec"] + t["b_dec"] + x.double() @ t["W_skip"].T)
    (weights,) = open_sae(folder)
    assert weights.reads == (HookPoint.parse("blocks.5.ln2.hook_normalized"),)
    assert weights.writes == (HookPoint.parse("blocks.5.hook_mlp_out"),)


@pytest.mark.parametrize("said", [False, None, "none"])
def test_normalisation_that_is_off_is_off(said, tmp_path, rng):
    folder = layouts_a.saelens(tmp_path, rng, SAELENS_3, normalize_activations=said)
    assert open_sae(folder)[0].norm is InputNorm.NONE


@pytest.mark.parametrize("said", [True, "expected_average_only_in"])
def test_a_training_run_s_factor_for_activations_is_folded_in(said, tmp_path, rng, x):
    folder = layouts_a.saelens(tmp_path, rng, normalize_activations=said)
    layouts_a.write_json(folder / "activation_scaler.json", {"scaling_factor": 2.5})
    t = raw(folder)
    f = ((x.double() * 2.5 - t["b_dec"]) @ t["W_enc"] + t["b_enc"]).relu()
    assert_computes(folder, x, f, (f @ t["W_dec"] + t["b_dec"]) / 2.5)


def test_without_a_known_factor_nothing_is_done_about_it(tmp_path, rng, x):
    folder = layouts_a.saelens(tmp_path, rng, normalize_activations="expected_average_only_in")
    t = raw(folder)
    f = ((x.double() - t["b_dec"]) @ t["W_enc"] + t["b_enc"]).relu()
    assert_computes(folder, x, f, f @ t["W_dec"] + t["b_dec"])


@pytest.mark.parametrize(
    ("folder", "factor"),
    [
        ("gpt2-small-mlp-out-saes/sae_group_gpt2_blocks.4.hook_mlp_out_24576", 1.816734787),
        ("Gemma-2b-Residual-Stream-SAEs/gemma_2b_blocks.12.hook_resid_post_16384", 0.213819384),
        ("Gemma-2b-Residual-Stream-SAEs/gemma_2b_blocks.6.hook_resid_post_16384", 1),
    ],
)
def test_a_published_factor_is_known_by_the_folder_s_name(folder, factor, tmp_path, rng, x):
    written = layouts_a.saelens(tmp_path, rng, SAELENS_2, normalize_activations=True)
    place = tmp_path / folder
    place.parent.mkdir()
    written.rename(place)
    t = raw(place)
    x = x - x.mean(-1, keepdim=True)  # one of them is for a model with centred writing weights
    f = ((x.double() * factor - t["b_dec"]) @ t["W_enc"] + t["b_enc"]).relu()
    (weights,) = open_sae(place)
    torch.testing.assert_close(canonical.forward(weights, x)[0], f, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("cached", [False, True], ids=["plain", "cache"])
def test_writing_weights_are_centred_for_those_known_to_need_it(cached, tmp_path, rng):
    name = "GPT2-Small-SAEs-Reformatted"
    root = tmp_path / (f"models--jbloom--{name}/snapshots/0a1b" if cached else name)
    (weights,) = open_sae(layouts_a.saelens(root, rng, SAELENS_3))
    assert weights.centred
    (other,) = open_sae(layouts_a.saelens(tmp_path / "Others", rng, SAELENS_3))
    assert not other.centred


def test_writing_weights_are_centred_where_the_configuration_says(tmp_path, rng):
    centring = {"center_writing_weights": True}
    folder = layouts_a.saelens(tmp_path, rng, SAELENS_3, model_from_pretrained_kwargs=centring)
    assert open_sae(folder)[0].centred


def test_a_norm_absent_from_the_configuration_is_known_by_the_repository_s_name(tmp_path, rng):
    root = tmp_path / "Mistral-7B-Residual-Stream-SAEs"
    (weights,) = open_sae(layouts_a.saelens(root, rng, SAELENS_3))
    assert weights.norm is InputNorm.CONSTANT_NORM_RESCALE


def test_matryoshka_widths_and_l0_are_among_the_metadata(tmp_path, rng):
    details = {"name": "matryoshka_batchtopk", "matryoshka_widths": [4, 12, N], "k": 5}
    metadata = SAELENS_6["metadata"] | {"training_architecture_details": details}
    folder = layouts_a.saelens(
        tmp_path, rng, tensors=("b_enc", "threshold"), architecture="jumprelu", metadata=metadata
    )
    (weights,) = open_sae(folder)
    assert (weights.prefixes, weights.declared_l0) == ((4, 12, N), 5)


@pytest.mark.parametrize("widths", [[12, 4, N], [4, 4, N], [4, 99], ["4", N], "4", [0, N], [True]])
def test_widths_that_make_no_sense_are_refused(widths, tmp_path, rng):
    folder = layouts_a.saelens(tmp_path, rng, matryoshka_widths=widths)
    refused(folder, "nested widths")


@pytest.mark.parametrize("name", ["matching_pursuit", "temporal", "unheard_of"])
def test_an_unknown_architecture_is_named(name, tmp_path, rng):
    refused(layouts_a.saelens(tmp_path, rng, architecture=name), name)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"normalize_activations": "covariance_whitening"}, "covariance_whitening"),
        ({"normalize_activations": 3}, "3"),
        ({"activation_fn_str": "tanh-relu"}, "tanh-relu"),
        ({"hook_head_index": 0}, "single attention head"),
        ({"hook_name": None}, "hook"),
        ({"hook_name": "blocks.5.nowhere"}, "nowhere"),
        ({"hook_name": 7}, "hook_name"),
        ({"d_in": D + 1}, "W_enc"),
        ({"d_sae": N + 1}, "W_enc"),
        ({"d_sae": "many"}, "d_sae"),
        ({"architecture": "topk"}, "activation_fn_kwargs.k"),
        ({"architecture": "topk", "k": N + 1}, "“k”"),
        ({"architecture": "gated"}, "b_gate"),
        ({"architecture": "jumprelu"}, "threshold"),
        ({"architecture": "transcoder"}, "hook_name_out"),
        ({"apply_b_dec_to_input": "yes"}, "apply_b_dec_to_input"),
        ({"model_from_pretrained_kwargs": [1]}, "model_from_pretrained_kwargs"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(changes, match, tmp_path, rng):
    refused(layouts_a.saelens(tmp_path, rng, SAELENS_3, **changes), match)


def test_a_skip_transcoder_without_its_skip_is_refused(tmp_path, rng):
    folder = SAELENS["transcoder"](tmp_path, rng)
    layouts_a.write_json(
        folder / "cfg.json", SAELENS_6 | layouts_a.TRANSCODER | {"architecture": "skip_transcoder"}
    )
    refused(folder, "W_skip")


def test_factors_of_fine_tuning_are_refused(tmp_path, rng):
    folder = SAELENS["version 2 with factors of one"](tmp_path, rng)
    path = folder / "sae_weights.safetensors"
    tensors = load_file(path)
    tensors["scaling_factor"][3] = 1.1
    save_file(tensors, path)
    refused(folder, "fine-tuned")


def test_an_autoencoder_that_writes_another_width_than_it_reads_is_refused(tmp_path, rng):
    folder = layouts_a.saelens(tmp_path, rng)
    path = folder / "sae_weights.safetensors"
    tensors = load_file(path)
    tensors["W_dec"] = tensors["W_dec"][:, 1:].contiguous()
    tensors["b_dec"] = tensors["b_dec"][1:].contiguous()
    save_file(tensors, path)
    refused(folder, r"W_dec is float32 \[24, 7\]")


def test_weights_alone_are_no_sae_of_this_format(tmp_path, rng):
    folder = layouts_a.saelens(tmp_path, rng)
    (folder / "cfg.json").rename(folder / "config.json")
    refused(folder, "not an SAE")


@pytest.mark.reference
@pytest.mark.parametrize("name", SAELENS)
def test_saelens_computes_the_same(name, tmp_path, rng, x):
    folder = SAELENS[name](tmp_path, rng)
    (weights,) = open_sae(folder)
    f, y = lens.outputs(lens.from_disk(folder), x)
    found_f, found_y = canonical.forward(weights, x)
    torch.testing.assert_close(found_f.float(), f, rtol=1e-5, atol=2e-5)
    torch.testing.assert_close(found_y.float(), y, rtol=1e-5, atol=2e-5)


@pytest.mark.reference
@pytest.mark.parametrize("factor", [None, 2.5])
@pytest.mark.parametrize("rescaled", [False, True])
@pytest.mark.parametrize(
    "architecture", ["standard", "gated", "topk", "jumprelu", "batchtopk", "matryoshka_batchtopk"]
)
def test_a_checkpoint_is_read_as_saelens_saves_it_in_the_end(
    architecture, rescaled, factor, tmp_path, rng, x
):
    """Both are written by SAELens: the checkpoint, and what it makes of that for others."""
    lens.saelens()
    with warnings.catch_warnings(action="ignore"):
        from sae_lens.registry import get_sae_training_class

        made, config = get_sae_training_class(architecture)
        options = {"k": 5, "matryoshka_widths": [4, 12, N]}
        options |= {"rescale_acts_by_decoder_norm": rescaled}
        sae = made(
            config(
                d_in=D,
                d_sae=N,
                normalize_activations="expected_average_only_in" if factor else "none",
                **{key: value for key, value in options.items() if hasattr(config, key)
                   or key in config.__dataclass_fields__},
            )
        )  # fmt: skip
        for values in [*sae.parameters(), *sae.buffers()]:
            values.data = torch.as_tensor(np.abs(rng.standard_normal(values.shape))).to(values)
            if values.dim() == 2:
                values.data -= 0.7
        sae.cfg.metadata.hook_name = "blocks.5.hook_resid_post"
        sae.save_model(tmp_path / "checkpoint")
        layouts_a.write_json(
            tmp_path / "checkpoint" / "activation_scaler.json", {"scaling_factor": factor}
        )
        if factor:
            sae.fold_activation_norm_scaling_factor(factor)
        sae.save_inference_model(tmp_path / "final")
    f, y = lens.outputs(lens.from_disk(tmp_path / "final"), x)
    for folder in ("checkpoint", "final"):
        (weights,) = open_sae(tmp_path / folder)
        found_f, found_y = canonical.forward(weights, x)
        torch.testing.assert_close(found_f.float(), f, rtol=1e-5, atol=2e-5)
        torch.testing.assert_close(found_y.float(), y, rtol=1e-5, atol=2e-5)
    widths = (4, 12, N) if architecture.startswith("matryoshka") else ()
    assert weights.prefixes == widths


@pytest.mark.reference
def test_what_is_known_of_published_saes_is_what_saelens_knows():
    """Every override and factor in SAELens's registry for its own format is in ours."""
    lens.saelens()
    import yaml

    from desktop_scope.formats.saelens_registry import entry

    registry = Path(lens.saelens().__file__).with_name("pretrained_saes.yaml")
    for release in yaml.safe_load(registry.read_text("utf-8")).values():
        if "conversion_func" in release:
            continue
        overrides = release.get("config_overrides", {})
        options = overrides.get("model_from_pretrained_kwargs", {})
        for sae in release["saes"]:
            known = entry(Path("/") / release["repo_id"] / sae["path"])
            assert known.factor == sae.get("norm_scaling_factor"), sae["path"]
            assert known.norm == overrides.get("normalize_activations", "")
            assert known.centred == options.get("center_writing_weights", False)

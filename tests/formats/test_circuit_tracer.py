"""circuit-tracer's transcoders of single layers: against its equations and SAELens."""

from __future__ import annotations

import warnings
from typing import Any

import lens
import pytest
from checking import activations, assert_computes, raw, refused, seeded
from layouts_a import D, N
from layouts_b import circuit_tracer, random, save, write_yaml

from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.formats import open_sae

LLAMA = "meta-llama/Llama-3.2-1B"
X = activations()


@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize("jumps", [True, False])
def test_a_folder_gives_every_layer_in_order(jumps, skips, tmp_path):
    folder = circuit_tracer(tmp_path, seeded(), LLAMA, jumps, skips)
    opened = open_sae(folder)
    assert [weights.reads[0].layer for weights in opened] == [0, 1, 10]
    for weights in opened:
        t = raw(folder / f"layer_{weights.reads[0].layer}.safetensors")
        f = (X.double() @ t["W_enc"].T + t["b_enc"]).relu()
        f = f * (f > t.get("activation_function.threshold", 0))
        y = f @ t["W_dec"] + t["b_dec"]
        assert_computes(weights, X, f, y + X.double() @ t["W_skip"].T if skips else y)


@pytest.mark.parametrize(
    ("model", "reads", "writes", "skipped"),
    [
        ("Qwen/Qwen3-4B", "mlp.hook_in", "mlp.hook_out", 1),
        (LLAMA, "hook_resid_mid", "hook_mlp_out", 1),
        ("google/gemma-3-4b-it", "mlp.hook_in", "hook_mlp_out", 4),
    ],
)
def test_one_file_gives_one_layer_with_the_configured_hooks(
    model, reads, writes, skipped, tmp_path
):
    folder = circuit_tracer(tmp_path, seeded(), model)
    (weights,) = open_sae(folder / "layer_10.safetensors")
    assert weights.reads == (HookPoint.parse(f"blocks.10.{reads}"),)
    assert weights.writes == (HookPoint.parse(f"blocks.10.{writes}"),)
    assert (weights.model, weights.skip_positions) == (model, skipped)


def test_those_of_qwen_3_may_lack_their_configuration(tmp_path):
    folder = circuit_tracer(tmp_path, seeded(), "Qwen/Qwen3-14B", config=False)
    for weights in open_sae(folder):
        assert weights.model == "Qwen/Qwen3-14B"
        assert weights.reads[0].site == "mlp.hook_in"


def test_others_without_configuration_are_no_saes_that_we_know(tmp_path):
    refused(circuit_tracer(tmp_path, seeded(), LLAMA, config=False), "not an SAE")


def test_thresholds_of_an_old_kind_are_refused(tmp_path):
    folder = circuit_tracer(tmp_path, seeded())
    path = folder / "layer_1.safetensors"
    tensors = {name: tensor.float() for name, tensor in raw(path).items()}
    save(tensors | {"log_thresholds": random(seeded(), N)}, path)
    refused(path, "logarithms")


def without_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only this loader of SAELens asks for a revision, which local files do not have."""
    lens.saelens()
    import sae_lens.loading.pretrained_sae_loaders as loaders

    convert = loaders.mwhanna_transcoder_huggingface_loader

    def called(*args: Any, **options: Any) -> Any:
        local = loaders.hf_hub_download
        monkeypatch.setattr(
            loaders, "hf_hub_download", lambda *a, revision=None, **k: local(*a, **k)
        )
        return convert(*args, **options)

    monkeypatch.setitem(loaders.NAMED_PRETRAINED_SAE_LOADERS, "mwhanna_transcoder", called)


@pytest.mark.reference
def test_saelens_agrees(tmp_path, monkeypatch):
    folder = circuit_tracer(tmp_path, seeded())
    sizes = {"d_model": {"value": D}, "d_feature": {"value": N}, "batch_size": {"value": 16}}
    write_yaml(folder / "wandb-config.yaml", sizes)
    repo, file = f"mwhanna/{folder.name}", "layer_10.safetensors"
    without_revision(monkeypatch)
    with warnings.catch_warnings(action="ignore"):  # of how to load the model
        sae = lens.converted(monkeypatch, "mwhanna_transcoder", tmp_path, repo, file)
    assert_computes(open_sae(folder / file)[0], X, *lens.outputs(sae, X))

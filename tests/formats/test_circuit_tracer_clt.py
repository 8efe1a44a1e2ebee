"""circuit-tracer's cross-layer transcoders: against its equations, and SAELens for features."""

from __future__ import annotations

import warnings

import canonical
import lens
import pytest
import torch
from checking import activations, raw, refused, seeded
from layouts_b import LAYERS, circuit_tracer_clt

from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.formats import open_sae

READS = [HookPoint.parse(f"blocks.{layer}.hook_resid_mid") for layer in range(LAYERS)]
WRITES = [HookPoint.parse(f"blocks.{layer}.hook_mlp_out") for layer in range(LAYERS)]
X = {hook: activations() + layer for layer, hook in enumerate(READS)}


@pytest.mark.parametrize("jumps", [True, False])
def test_every_layer_writes_to_itself_and_those_after(jumps, tmp_path):
    folder = circuit_tracer_clt(tmp_path, seeded(), jumps)
    opened = open_sae(folder)
    features, decoders, biases = [], [], []
    for layer, weights in enumerate(opened):
        t = raw(folder / f"W_enc_{layer}.safetensors")
        h = X[READS[layer]].double() @ t[f"W_enc_{layer}"].T + t[f"b_enc_{layer}"]
        features.append(h.relu() * (h > t.get(f"threshold_{layer}", 0)))
        decoders.append(raw(folder / f"W_dec_{layer}.safetensors")[f"W_dec_{layer}"])
        biases.append(t[f"b_dec_{layer}"])
        assert weights.reads == (READS[layer],)
        assert weights.writes == tuple(WRITES[layer:])
        assert weights.model == "google/gemma-2-2b"
        torch.testing.assert_close(canonical.forward(weights, X[READS[layer]])[0], features[-1])
    total = canonical.forward_all(opened, X)
    for layer, hook in enumerate(WRITES):
        parts = [features[i] @ decoders[i][:, layer - i] for i in range(layer + 1)]
        torch.testing.assert_close(total[hook], sum(parts) + biases[layer])
    assert {weights.group for weights in opened} == {str(folder)}
    assert len({weights.name for weights in opened}) == LAYERS


@pytest.mark.parametrize("name", ["W_enc_1", "W_dec_1", "W_dec_2"])
def test_a_layer_that_is_lacking_is_named(name, tmp_path):
    folder = circuit_tracer_clt(tmp_path, seeded())
    (folder / f"{name}.safetensors").unlink()
    refused(folder, name)


def test_decoders_to_another_number_of_layers_are_refused(tmp_path):
    folder = circuit_tracer_clt(tmp_path, seeded())
    for kind in ("W_enc", "W_dec"):
        (folder / f"{kind}_{LAYERS - 1}.safetensors").unlink()
    refused(folder, "expected")


@pytest.mark.reference
def test_the_features_are_those_of_saelens(tmp_path, monkeypatch):
    folder = circuit_tracer_clt(tmp_path, seeded())
    for layer, weights in enumerate(open_sae(folder)):
        with warnings.catch_warnings(action="ignore"):
            sae = lens.converted(
                monkeypatch,
                "mntss_clt_layer_transcoder",
                tmp_path,
                f"mntss/{folder.name}",
                str(layer),
            )
        f, _ = lens.outputs(sae, X[READS[layer]])
        found, _ = canonical.forward(weights, X[READS[layer]])
        torch.testing.assert_close(found, f.double(), rtol=1e-5, atol=1e-5)

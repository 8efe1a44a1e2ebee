"""Another architecture from end to end: its GGUF file, SAEs as Gemma Scope 2 lays them out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import train
from safetensors.torch import load_file
from transformers import AutoModel

from desktop_scope import cli
from desktop_scope.engine.engine import Engine
from desktop_scope.engine.health import Verdict
from desktop_scope.engine.hook_points import HookPoint, Site
from desktop_scope.engine.requests import (
    CheckSae,
    Generate,
    LoadModel,
    Placement,
    TracePrompt,
    Workspace,
)
from desktop_scope.engine.types import FeatureId, Intervention, Prompt, Sampling
from desktop_scope.engine.worker import silent_job
from desktop_scope.library.opening import open_engine

pytestmark = [pytest.mark.gemma, pytest.mark.timeout(900)]

# What llama.cpp b11549 makes of the same file: the tokens, the likeliest next ones and their log p.
# It multiplies in 8 bits, so its figures are a little off.
ODD = "Größe 漢字,  two  spaces\n\n\tand <b>tabs</b>: naïve café 12345"
LLAMA_CPP = [
    (
        "The capital of France is",
        [2, 818, 5279, 529, 7001, 563],
        {" the": -1.594, " a": -2.290, " Paris": -2.419},
    ),
    (
        "The three primary colours are",
        [2, 818, 1806, 5905, 22640, 659],
        {" red": -0.512, " blue": -2.052, " yellow": -2.884},
    ),
    (
        ODD,
        [2, 9322, 237001, 16756, 236743, 201637, 236764, 138, 13498, 138, 35220, 108, 255968, 624,
         236743, 200, 39218, 209, 236787, 120362, 33443, 236743, 236770, 236778, 236800, 236812,
         236810],
        {"6": -0.714, "\n\n": -2.280, " ": -2.656},
    ),
]  # fmt: skip
PROSE = (
    "The old man lived in a small house by the sea. Every morning he walked down to the harbour to "
    "look at the boats, and every evening he came home and cooked fish for his supper. He had a "
    "dog called Max, who liked to sleep in front of the fire. One day a young woman knocked at his "
    "door and asked whether he could teach her how to sail. He said that he was too old, but she "
    "would not go away, and in the end he agreed."
)
ASKED = Prompt("The three primary colours are", chat=False)
GREEDY = Sampling(max_new_tokens=12, repetition_penalty=1.0)


def opened(workspace: Workspace) -> Engine:
    return open_engine(LoadModel(workspace, device="cpu"), silent_job())


@pytest.fixture(scope="module")
def engine(gguf: Path, saes: Path) -> Engine:
    return opened(Workspace((saes,), gguf))


def trace(engine: Engine, text: str):
    return engine.trace(TracePrompt(Prompt(text, chat=False)), silent_job())


# ---- the model


@pytest.mark.parametrize(("text", "ids", "following"), LLAMA_CPP, ids=["France", "colours", "odd"])
def test_tokens_and_predictions_are_those_of_llama_cpp(text, ids, following, engine):
    seen = trace(engine, text)
    assert seen.ids.tolist() == ids
    assert seen.next_texts[:3] == tuple(following)
    assert np.log(seen.next_probs[:3]) == pytest.approx(list(following.values()), abs=0.2)


def test_plain_english_is_expected(engine):
    assert np.exp(-np.nanmean(trace(engine, PROSE).logprobs)) < 15


def test_what_attention_and_mlp_put_out_after_their_post_norms_is_what_the_stream_gains(engine):
    seen: dict[HookPoint, torch.Tensor] = {}
    sites = (Site.RESID_PRE, Site.ATTN_OUT, Site.RESID_MID, Site.MLP_OUT, Site.RESID_POST)
    edits = {
        point: lambda x, point=point: seen.update({point: x.clone()})
        for layer in range(engine.model.info.n_layers)
        for point in (HookPoint(layer, site) for site in sites)
    }
    ids = torch.tensor([engine.model.encode(Prompt(PROSE, chat=False)).ids])
    with torch.inference_mode():
        engine.model.hidden(ids, edits, use_cache=False)
    for layer in range(18):
        pre, attn, mid, mlp, post = (seen[HookPoint(layer, site)] for site in sites)
        assert torch.equal(pre + attn, mid)
        assert torch.equal(mid + mlp, post)


def test_a_base_model_has_no_chat(engine):
    assert not engine.model.info.has_chat


# ---- SAEs


def test_the_saes_are_where_their_configurations_say(engine):
    assert [(info.name, info.hook_name, info.hook_out) for info in engine.infos] == [
        (place.folder, hook, hook)
        for place, hook in zip(
            sorted(train.PLACES, key=lambda place: place.layer),
            ("blocks.6.hook_resid_post", "blocks.9.hook_mlp_out", "blocks.12.hook_resid_post"),
            strict=True,
        )
    ]
    for info in engine.infos:
        assert (info.format, info.architecture) == ("Gemma Scope 2", "jumprelu")
        assert (info.d_in, info.d_sae, info.declared_l0) == (640, train.D_SAE, train.L0)


def test_a_trace_is_what_the_published_equations_say_of_transformers_activations(engine, saes):
    found = trace(engine, PROSE)
    model = AutoModel.from_pretrained(engine.model.info.path, local_files_only=True)
    reference = list(features(model, found.ids, saes))
    for acts, f in zip(found.acts, reference, strict=True):
        rows = np.zeros(f.shape, np.float32)
        rows[acts.rows(), acts.indices] = acts.values
        assert not rows[0].any()  # the first token is not encoded
        assert 20 < (rows[1:] > 0).sum(1).mean() < 150
        np.testing.assert_allclose(rows[1:], f[1:].numpy(), rtol=1e-3, atol=1e-3 * f[1:].max())


def features(model: torch.nn.Module, ids: np.ndarray, saes: Path) -> Iterator[torch.Tensor]:
    seen: dict[str, torch.Tensor] = {}
    folders = [saes / place.folder for place in sorted(train.PLACES, key=lambda p: p.layer)]
    hooks = [
        json.loads((folder / "config.json").read_text())["hf_hook_point_in"] for folder in folders
    ]
    for hook in hooks:
        name = hook.removeprefix("model.").removesuffix(".output")
        model.get_submodule(name).register_forward_hook(
            lambda _m, _i, x, hook=hook: seen.update({hook: x[0]})
        )
    with torch.inference_mode():
        model(torch.tensor(ids[None]).long())
    for folder, hook in zip(folders, hooks, strict=True):
        t = load_file(folder / "params.safetensors")
        h = seen[hook] @ t["w_enc"] + t["b_enc"]
        yield h * (h > t["threshold"])


def test_a_pushed_feature_changes_a_sensible_answer(engine):
    acts = trace(engine, PROSE).acts[0]
    strongest = FeatureId(0, int(acts.indices[acts.values.argmax()]))
    push = Intervention(strongest, amount=float(acts.values.max()))
    request = Generate(ASKED, ((), (push,)), GREEDY)
    plain, pushed = engine.generate(request, silent_job())
    assert plain.text.startswith(" red, yellow and blue.")
    assert pushed.text != plain.text


# ---- the doctor


def test_the_right_place_is_the_best_one(engine):
    health = engine.check(CheckSae(0, Workspace()), silent_job())
    assert health.hook_name == "blocks.6.hook_resid_post"
    assert health.best is None
    assert health.fvu < 0.2
    elsewhere = {t.hook_name: t.fvu for t in health.tried if t.hook_name != health.hook_name}
    beside = {"blocks.5.hook_resid_post", "blocks.6.hook_resid_mid", "blocks.7.hook_resid_post"}
    assert elsewhere.keys() >= beside
    assert min(elsewhere.values()) > 1.15 * health.fvu


def test_an_mlp_sae_on_the_mlps_own_output_belongs_after_the_post_norm(gguf, saes):
    name, hook = train.PLACES[2].folder, "blocks.9.mlp.hook_out"
    place = Placement(name, hook, hook, norm="none", centred=False, subtract_b_dec=False)
    workspace = Workspace((saes / name,), gguf, (place,))
    health = opened(workspace).check(CheckSae(0, workspace), silent_job())
    assert health.hook_name == hook
    assert health.fvu > 1
    assert health.verdict is Verdict.RED
    assert health.best is not None
    assert health.best.hook_name == health.best.hook_out == "blocks.9.hook_mlp_out"
    assert "blocks.9.hook_mlp_out" in health.reason


# ---- the command line


def test_sae_check_names_the_right_layer(gguf, saes, capsys):
    sae = saes / train.PLACES[0].folder
    wrong = ["--hook", "blocks.7.hook_resid_post"]
    assert cli.main(["sae", "check", str(sae), "--model", str(gguf), *wrong, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["hook_name"] == "blocks.7.hook_resid_post"
    assert found["best"] == "blocks.6.hook_resid_post"
    assert found["verdict"] == "does not fit"


def test_trace_shows_the_features_of_every_sae(gguf, saes, capsys):
    arguments = ["trace", PROSE, "--model", str(gguf), "--saes", str(saes), "--json"]
    assert cli.main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert [layer["layer"] for layer in found["layers"]] == [6, 9, 12]
    assert all(layer["features"] for layer in found["layers"])

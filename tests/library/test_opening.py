"""From files that a person chose to an engine that traces with them."""

from __future__ import annotations

import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_saes import weights
from tiny_models import D_MODEL, save_tiny

from desktop_scope.engine.hook_points import Site
from desktop_scope.engine.requests import Generate, LoadModel, Placement, TracePrompt, Workspace
from desktop_scope.engine.sae_weights import Architecture
from desktop_scope.engine.types import FeatureId, Prompt, Sampling
from desktop_scope.engine.worker import Job, silent_job
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.requests import OpenCatalogue, ReadCard
from desktop_scope.formats.converting import COMPACT, SAELENS, convert
from desktop_scope.library.opening import open_engine, sae_paths
from desktop_scope.workbench import Workbench

TEXT = Prompt("The museum opens at nine.", chat=False)


@pytest.fixture
def model(tmp_path) -> Path:
    return save_tiny("llama", tmp_path / "ein Modell ü")


def written(folder: Path, layer: int, site: Site = Site.RESID_POST, kind: str = SAELENS) -> Path:
    name = f"layer {layer} {site}" + (".safetensors" if kind == COMPACT else "")
    made = weights(layer, site, d_in=D_MODEL, seed=layer)
    return convert(made, folder / "SAEs ü" / name, kind)


def opened(saes: tuple[Path, ...], model: Path | None, moved: tuple[Placement, ...] = ()):
    return open_engine(LoadModel(Workspace(saes, model, moved), device="cpu"), silent_job())


def test_a_model_opens_alone(model):
    engine = opened((), model)
    assert engine.infos == ()
    trace = engine.trace(TracePrompt(TEXT), silent_job())
    assert trace.acts == ()
    assert np.isfinite(trace.logprobs[1:]).all()
    assert len(engine.logit_lens(trace, 2)) == engine.model.info.n_layers


def test_saes_of_several_formats_and_sites_open_together(tmp_path, model):
    saes = (
        written(tmp_path, 2, kind=COMPACT),
        written(tmp_path, 0),
        written(tmp_path, 1, Site.MLP_OUT),
    )
    engine = opened(saes, model)
    assert [info.hook_name for info in engine.infos] == [
        "blocks.0.hook_resid_post",
        "blocks.1.hook_mlp_out",
        "blocks.2.hook_resid_post",
    ]
    trace = engine.trace(TracePrompt(TEXT), silent_job())
    assert all(len(acts.indices) for acts in trace.acts)


def test_a_folder_of_saes_is_opened_whole(tmp_path, model):
    for layer in range(3):
        written(tmp_path, layer)
    (tmp_path / "SAEs ü" / "notes.txt").write_text("mine", "utf-8")
    engine = opened((tmp_path / "SAEs ü",), model)
    assert [info.layer for info in engine.infos] == [0, 1, 2]


def test_a_pack_and_a_model_of_another_shape_do_not_go_together(model):
    from desktop_scope import paths

    with pytest.raises(ScopeError, match="not for") as caught:
        opened((paths.demo_pack(),), model)
    assert caught.value.hint


def test_without_a_model_there_is_nothing_to_open(tmp_path):
    with pytest.raises(ScopeError, match="No model"):
        opened((written(tmp_path, 0),), None)


def test_an_sae_of_another_model_is_refused(tmp_path, model):
    made = weights(1, d_in=D_MODEL + 2)
    path = convert(made, tmp_path / "wide", SAELENS)
    with pytest.raises(ScopeError, match=f"{D_MODEL + 2} numbers") as caught:
        opened((path,), model)
    assert caught.value.hint


def test_a_folder_without_an_sae_says_so(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ScopeError, match="no SAE") as caught:
        sae_paths(tmp_path / "empty")
    assert caught.value.hint
    with pytest.raises(ScopeError, match="no SAE file"):
        sae_paths(tmp_path / "missing")


def test_an_sae_can_be_attached_elsewhere(tmp_path, model):
    path = written(tmp_path, 1)
    (at_home,) = opened((path,), model).infos
    place = Placement(at_home.name, "blocks.2.hook_mlp_out", "blocks.2.hook_mlp_out",
                      "layer_norm", True, True)  # fmt: skip
    engine = opened((path,), model, (place,))
    (info,) = engine.infos
    assert (info.layer, info.hook_name) == (2, "blocks.2.hook_mlp_out")
    moved = engine.saes[0].weights
    assert (moved.norm, moved.centred, moved.subtract_b_dec) == ("layer_norm", True, True)
    gone = replace(place, hook_name="blocks.9.hook_mlp_out", hook_out="blocks.9.hook_mlp_out")
    with pytest.raises(ScopeError, match="layer 9"):
        opened((path,), model, (gone,))


def test_where_memory_is_short_encoders_stay_on_disk_and_find_the_same(
    tmp_path, model, monkeypatch
):
    saes = (written(tmp_path, 0), written(tmp_path, 2, kind=COMPACT))
    plenty = opened(saes, model).trace(TracePrompt(TEXT), silent_job())
    monkeypatch.setattr("desktop_scope.library.opening.available", lambda device: 0)
    engine = opened(saes, model)
    assert all(sae.streamed for sae in engine.saes)
    short = engine.trace(TracePrompt(TEXT), silent_job())
    for one, other in zip(plenty.acts, short.acts, strict=True):
        assert one.indices.tolist() == other.indices.tolist()
        np.testing.assert_allclose(one.values, other.values, rtol=1e-5, atol=1e-5)


# ---- converting


@pytest.mark.parametrize("kind", [COMPACT, SAELENS])
def test_a_converted_sae_computes_the_same(kind, tmp_path, model):
    made = weights(
        1,
        d_in=D_MODEL,
        architecture=Architecture.RELU,
        subtract_b_dec=True,
        W_dec_scale=torch.linspace(0.5, 2, 40),
        prefixes=(10, 40),
        model="org/model",
    )
    from desktop_scope.engine.sae import Sae
    from desktop_scope.formats import open_sae

    name = "it.safetensors" if kind == COMPACT else "it"
    (back,) = open_sae(convert(made, tmp_path / "out" / name, kind))
    assert (back.reads, back.prefixes, back.model) == (made.reads, made.prefixes, made.model)
    x = torch.randn(20, D_MODEL, generator=torch.Generator().manual_seed(3))
    nothing = np.zeros(20, bool)
    ours, other = Sae(made, torch.device("cpu")), Sae(back, torch.device("cpu"))
    y, again = (sae.decode(sae.encode(x, nothing), x) for sae in (ours, other))
    # int8 rounds every weight to 1/254 of the largest of its row.
    tolerance = 0.02 if kind == COMPACT else 1e-5
    assert (y - again).norm() < tolerance * y.norm()


def test_what_cannot_be_written_is_refused_and_nothing_is_overwritten(tmp_path):
    topk = weights(architecture=Architecture.TOPK)
    with pytest.raises(ScopeError, match="topk"):
        convert(topk, tmp_path / "x", SAELENS)
    there = tmp_path / "there.safetensors"
    there.write_text("precious", "utf-8")
    for target in (there, tmp_path / "wrong.name"):
        with pytest.raises(ScopeError) as caught:
            convert(weights(), target, COMPACT)
        assert caught.value.hint
    assert there.read_text("utf-8") == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["there.safetensors"]


def test_encoders_in_bfloat16_find_nearly_the_same(tmp_path, model, monkeypatch):
    # Whatever the processor is made for.
    kinds = {"bfloat16": torch.bfloat16, "float32": torch.float32}
    monkeypatch.setattr("desktop_scope.library.opening.choose_dtype", lambda name, _: kinds[name])
    path = written(tmp_path, 1)
    exact = opened((path,), model).trace(TracePrompt(TEXT), silent_job()).acts[0]
    request = LoadModel(Workspace((path,), model), device="cpu", sae_dtype="bfloat16")
    rough = open_engine(request, silent_job()).trace(TracePrompt(TEXT), silent_job()).acts[0]
    ours, other = (
        np.bincount(a.rows() * 40 + a.indices, a.values, 40 * 64) for a in (exact, rough)
    )
    assert not np.array_equal(ours, other)
    assert np.linalg.norm(ours - other) < 0.05 * np.linalg.norm(ours)


def test_other_saes_are_opened_without_loading_the_model_again(tmp_path, model):
    first, second = written(tmp_path, 0), written(tmp_path, 1)
    bench = Workbench()

    def load(saes: tuple[Path, ...], **more: object) -> object:
        bench.handle(LoadModel(Workspace(saes, model), device="cpu", **more), silent_job())
        return bench.engine.model

    loaded = load((first,))
    assert load((first, second)) is loaded
    assert [info.layer for info in bench.engine.infos] == [0, 1]
    with pytest.raises(ScopeError):
        load((tmp_path / "missing",))
    assert load((second,)) is loaded
    assert load((second,), attempt=1) is not loaded  # asked for in so many words
    assert load((first,), spare_cores=1) is not loaded


def test_what_was_open_leaves_memory_before_another_model_is_read(tmp_path, model):
    class Noting(Job):
        def progress(self, done: int, total: int, text: str) -> None:
            if text == "Reading the tokenizer":
                alive.append((engine() is not None, catalogue() is not None))

    alive: list[tuple[bool, bool]] = []
    workspace = Workspace((written(tmp_path, 0),), model)
    bench = Workbench()
    for request in (
        LoadModel(workspace, device="cpu"),
        OpenCatalogue(workspace),
        Generate(TEXT, sampling=Sampling(max_new_tokens=2)),
        ReadCard(FeatureId(0, 1)),
    ):
        bench.handle(request, silent_job())
    engine, catalogue = weakref.ref(bench.engine), weakref.ref(bench.catalogue)
    again = LoadModel(workspace, device="cpu", attempt=1)
    bench.handle(again, Noting(0, again, lambda event: None))
    assert alive == [(False, False)]


def test_two_saes_of_the_same_name_are_told_apart(tmp_path, model):
    for folder in ("a", "b"):
        convert(weights(1, d_in=D_MODEL), tmp_path / folder / "same", SAELENS)
    engine = opened((tmp_path / "a", tmp_path / "b"), model)
    names = [info.name for info in engine.infos]
    assert len(set(names)) == 2

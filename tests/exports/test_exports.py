"""Exported steering does what live steering does, in every family that has room for it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from safetensors import SafetensorError
from safetensors.numpy import load_file
from tiny_models import D_MODEL, TEXT, save_tiny
from transformers import AutoModelForCausalLM, PreTrainedModel

from desktop_scope.engine.engine import Engine
from desktop_scope.engine.hook_points import HookPoint, Site
from desktop_scope.engine.loading import load_model
from desktop_scope.engine.types import (
    FeatureId,
    Intervention,
    Mode,
    Positions,
    Rule,
    Trigger,
    Vector,
)
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import ScopeError
from desktop_scope.exports.control_vector import export_vector
from desktop_scope.exports.edited_model import export_model
from desktop_scope.exports.types import ExportModel, ExportVector


def engine_of(family: str, folder: Path) -> Engine:
    return Engine(load_model(save_tiny(family, folder), family, silent_job(), device="cpu"), [])


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return engine_of("llama", tmp_path_factory.mktemp("llama"))


def vector(layer: int, seed: int = 0, site: Site = Site.RESID_POST) -> Vector:
    values = np.random.default_rng(seed).normal(size=D_MODEL).astype(np.float32)
    return Vector("v", HookPoint(layer, site).name, values.tobytes())


def push(layer: int, amount: float = 3.0, **more) -> Intervention:
    return Intervention(amount=amount, vector=vector(layer), **more)


OUT = Intervention(mode=Mode.PROJECT, vector=vector(1, seed=1))
AGAIN = Intervention(mode=Mode.PROJECT, vector=vector(2, seed=2))


def plain_logits(model: torch.nn.Module, ids: list[int], changes=None) -> torch.Tensor:
    """What transformers alone makes of it, [T, vocabulary]."""
    with torch.inference_mode():
        return model(torch.tensor([ids])).logits[0].log_softmax(-1)


# ---- vectors


@pytest.mark.parametrize("suffix", [".gguf", ".safetensors"])
def test_a_vector_file_holds_what_is_added_after_each_block(suffix, llama, tmp_path):
    items = (push(1, 3.0), push(1, -1.0), push(2, 2.0))
    path = tmp_path / f"push{suffix}"
    done = export_vector(llama, ExportVector(items, path, (TEXT,)), silent_job())
    assert done.files == (path,)
    assert done.apart < 1e-4
    assert done.beyond > 1e-3  # position 0
    assert "first position" in done.notes[0]
    if suffix == ".gguf":
        reader = GGUFReader(path)
        assert reader.fields["general.architecture"].contents() == "controlvector"
        assert reader.fields["controlvector.model_hint"].contents() == "llama"
        found = {tensor.name: tensor.data for tensor in reader.tensors}
    else:
        found = load_file(path)
    unit = vector(0).values / vector(0).norm
    assert found.keys() == {"direction.1", "direction.2"}
    np.testing.assert_allclose(found["direction.1"], 2 * unit, rtol=1e-5)
    np.testing.assert_allclose(found["direction.2"], 2 * unit, rtol=1e-5)
    assert list(tmp_path.iterdir()) == [path]


def test_places_that_amount_to_the_same_become_the_block_they_follow(llama, tmp_path):
    same = [
        Intervention(amount=2.0, vector=vector(2, site=Site.RESID_PRE)),
        Intervention(amount=2.0, vector=vector(1, site=Site.MLP_OUT)),
    ]
    for number, item in enumerate(same):
        path = tmp_path / f"{number}.gguf"
        done = export_vector(llama, ExportVector((item,), path), silent_job())
        assert done.apart < 1e-4
        assert [tensor.name for tensor in GGUFReader(path).tensors] == ["direction.1"]


@pytest.mark.parametrize(
    ("items", "name", "said"),
    [
        ((), "v.gguf", "Nothing steers"),
        ((push(1),), "v.bin", "no format"),
        ((push(0),), "v.gguf", "after the first block"),
        ((OUT,), "v.gguf", "cannot be exported together"),
        ((Intervention(FeatureId(0, 1), mode=Mode.ABLATE),), "v.gguf", "depends on the text"),
        ((push(1, rule=Rule((Trigger(FeatureId(0, 1), 1.0),))),), "v.gguf", "token by token"),
        (
            (Intervention(amount=1.0, vector=vector(1, site=Site.RESID_MID)),),
            "v.gguf",
            "read within the block",
        ),
    ],
)
def test_what_no_vector_can_do_is_refused(items, name, said, llama, tmp_path):
    with pytest.raises(ScopeError, match=said):
        export_vector(llama, ExportVector(items, tmp_path / name), silent_job())
    assert not list(tmp_path.iterdir())


def test_a_place_where_nothing_can_be_written_is_named(llama, tmp_path):
    (tmp_path / "file").write_text("no folder")
    request = ExportVector((push(1),), tmp_path / "file" / "v.gguf")
    with pytest.raises(ScopeError, match="cannot be written"):
        export_vector(llama, request, silent_job())


# ---- models


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", "phi", "granite"])
def test_an_addition_becomes_a_bias(family, tmp_path):
    engine = engine_of(family, tmp_path / "model")
    items = (push(0), push(2, positions=Positions(answer=False)))
    out = tmp_path / "copy"
    done = export_model(engine, ExportModel(items, out, (TEXT,)), silent_job())
    assert done.apart < 1e-3
    assert "not only at those that were chosen" in done.notes[-1]
    # The copy is an ordinary model: transformers alone gives what adding to the blocks gives.
    ids = engine.model.encode_within(TEXT)
    copy = AutoModelForCausalLM.from_pretrained(out, local_files_only=True)
    original = AutoModelForCausalLM.from_pretrained(tmp_path / "model", local_files_only=True)
    for layer in (0, 2):
        added = torch.from_numpy(3.0 * vector(0).values / vector(0).norm)
        blocks = next(m for m in original.modules() if isinstance(m, torch.nn.ModuleList))
        blocks[layer].register_forward_hook(
            lambda _m, _i, y, v=added: y + v if torch.is_tensor(y) else (y[0] + v, *y[1:])
        )
    torch.testing.assert_close(
        plain_logits(copy, ids), plain_logits(original, ids), atol=1e-3, rtol=1e-3
    )


@pytest.mark.parametrize("family", ["llama", "qwen2", "gpt2", "gpt_neox", "granite", "gemma"])
def test_a_direction_is_taken_out_of_everything_that_writes(family, tmp_path):
    engine = engine_of(family, tmp_path / "model")
    out = tmp_path / "copy"
    done = export_model(engine, ExportModel((OUT, AGAIN), out, (TEXT,)), silent_job())
    assert done.apart < 1e-3
    assert done.beyond > 1e-3
    assert "every layer" in done.notes[0]
    copy = AutoModelForCausalLM.from_pretrained(out, local_files_only=True)
    ids = engine.model.encode_within(TEXT)
    with torch.inference_mode():
        states = copy(torch.tensor([ids]), output_hidden_states=True).hidden_states[:-1]
    for item in (OUT, AGAIN):
        direction = torch.from_numpy(item.vector.values / item.vector.norm)
        for state in states:
            share = (state[0] @ direction).abs().max() / state.norm(dim=-1).max()
            assert share < 1e-5


@pytest.mark.parametrize(
    ("family", "item", "said"),
    [
        ("gemma2", push(1), "a norm stands between the MLP"),
        ("gemma2", OUT, "a norm stands between"),
        ("mistral", push(1), "no room for biases"),
        ("falcon", push(1), "no room for biases"),
        ("mixtral", push(1), "experts"),
        ("mixtral", OUT, "experts"),
    ],
)
def test_architectures_without_room_are_told(family, item, said, tmp_path):
    engine = engine_of(family, tmp_path / "model")
    with pytest.raises(ScopeError, match=said):
        export_model(engine, ExportModel((item,), tmp_path / "copy"), silent_job())
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_bad_places_and_half_projections_are_refused(llama, tmp_path, monkeypatch):
    job = silent_job()
    with pytest.raises(ScopeError, match="exists already"):
        export_model(llama, ExportModel((push(1),), tmp_path), job)
    half = Intervention(amount=0.5, mode=Mode.PROJECT, vector=vector(1))
    with pytest.raises(ScopeError, match="leaves some"):
        export_model(llama, ExportModel((half,), tmp_path / "copy"), job)
    with pytest.raises(ScopeError, match="cannot be exported together"):
        export_model(llama, ExportModel((OUT, push(1)), tmp_path / "copy"), job)
    full = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)
    with pytest.raises(ScopeError, match="are free"):
        export_model(llama, ExportModel((push(1),), tmp_path / "copy"), job)
    assert not list(tmp_path.iterdir())


def test_a_copy_that_comes_out_otherwise_is_not_kept(llama, tmp_path, monkeypatch):
    from desktop_scope.exports import edited_model

    monkeypatch.setattr(edited_model, "_with_biases", lambda model, vectors, info: model)
    with pytest.raises(ScopeError, match="does not do the same"):
        export_model(llama, ExportModel((push(1),), tmp_path / "copy"), silent_job())
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fills_up_leaves_nothing_behind(llama, tmp_path, monkeypatch):
    def full(model, folder, **more):
        Path(folder).mkdir()
        raise SafetensorError("No space left on device")

    monkeypatch.setattr(PreTrainedModel, "save_pretrained", full)
    with pytest.raises(ScopeError, match="cannot be written: No space left"):
        export_model(llama, ExportModel((push(1),), tmp_path / "copy"), silent_job())
    assert not list(tmp_path.iterdir())

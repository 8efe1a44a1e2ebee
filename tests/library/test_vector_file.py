"""Vectors of one's own: made from prompts, and read from files; what does not fit is refused."""

from __future__ import annotations

import pickle

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from steered_tiny import engine
from tiny_models import D_MODEL, Seen

from desktop_scope.engine.hook_points import HookPoint, Site
from desktop_scope.engine.requests import MakeVector, ReadVector
from desktop_scope.engine.types import Prompt
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import ScopeError
from desktop_scope.library.vector_file import read_vectors

VALUES = np.random.default_rng(1).normal(size=(3, D_MODEL)).astype(np.float32)
HERE = "blocks.1.hook_mlp_out"


def read(path, hook_name=""):
    return read_vectors(ReadVector(path, hook_name), engine().model.info)


def test_a_control_vector_is_added_to_what_its_block_puts_out(tmp_path):
    path = tmp_path / "calm.gguf"
    writer = gguf.GGUFWriter(path, "controlvector")
    for layer in (1, 2):
        writer.add_tensor(f"direction.{layer}", VALUES[layer])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    first, second = read(path)
    assert [v.hook_name for v in (first, second)] == [
        "blocks.1.hook_resid_post", "blocks.2.hook_resid_post",
    ]  # fmt: skip
    assert (second.values == VALUES[2]).all()
    assert "calm" in first.name


def test_safetensors_and_numpy_files_are_read(tmp_path):
    named, layers, plain = (tmp_path / name for name in ("a.safetensors", "b.npy", "c.npy"))
    save_file({HERE: torch.tensor(VALUES[0]), "v.2": torch.tensor(VALUES[1]).half()}, named)
    np.save(layers, np.concatenate([VALUES[:2], np.zeros((1, D_MODEL), np.float32)]))
    np.save(plain, VALUES[0].astype(np.float64))
    assert [v.hook_name for v in read(named)] == [HERE, "blocks.2.hook_resid_post"]
    assert [v.hook_name for v in read(layers)] == [
        "blocks.0.hook_resid_post", "blocks.1.hook_resid_post",
    ]  # fmt: skip  # a layer of zeros is none
    (one,) = read(plain, HERE)
    assert one.hook_name == HERE
    assert one.norm == pytest.approx(float(np.linalg.norm(VALUES[0])))


class Evil:
    def __reduce__(self):
        return pytest.fail, ("it was unpickled",)


def test_what_is_no_vector_of_this_model_is_refused(tmp_path):
    def file(name: str, array: np.ndarray):
        np.save(tmp_path / name, array)
        return tmp_path / name

    pickled = tmp_path / "evil.npy"
    np.save(pickled, np.array([Evil()], dtype=object), allow_pickle=True)
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Evil()))
    (tmp_path / "torn.gguf").write_bytes(b"GGUF\x03")
    (tmp_path / "torn.safetensors").write_bytes(b"\xff" * 20)
    cases = [
        (file("narrow.npy", np.ones(D_MODEL - 1, np.float32)), HERE, "31 numbers"),
        (file("deep.npy", np.ones((9, D_MODEL), np.float32)), "", "layer 3"),
        (file("nan.npy", np.full(D_MODEL, np.nan, np.float32)), HERE, "NaN"),
        (file("whole.npy", np.ones(D_MODEL, np.int64)), HERE, "no vector"),
        (file("nowhere.npy", np.ones(D_MODEL, np.float32)), "", "which layer"),
        (file("where.npy", np.ones(D_MODEL, np.float32)), "blocks.1.nothing", "not a hook"),
        (pickled, HERE, "cannot be read"),
        (tmp_path / "evil.pt", HERE, "no file of vectors"),
        (tmp_path / "torn.gguf", "", "cannot be read"),
        (tmp_path / "torn.safetensors", "", "cannot be read"),
        (tmp_path / "missing.npy", HERE, "cannot be read"),
    ]
    for path, hook, words in cases:
        with pytest.raises(ScopeError, match=words) as caught:
            read(path, hook)
        assert caught.value.hint


def test_a_vector_is_the_difference_of_the_means_of_two_sets_of_prompts():
    towards = (Prompt("The museum opens", chat=False), Prompt("nine", chat=False))
    away = (Prompt("children enter", chat=True),)
    request = MakeVector("mine", towards, away, HERE)
    found = engine().vector(request, silent_job())
    model, point = engine().model, HookPoint(1, Site.MLP_OUT)

    def mean(prompts):
        means = []
        for prompt in prompts:
            encoded = model.encode(prompt)
            x = Seen(model, torch.tensor([encoded.ids]))[point][0]
            own = [n for n, is_own in enumerate(encoded.own) if is_own and n]
            means.append(x[own].mean(0))
        return torch.stack(means).mean(0)

    np.testing.assert_allclose(found.values, mean(towards) - mean(away), atol=1e-5)
    assert (found.name, found.hook_name) == ("mine", HERE)


@pytest.mark.parametrize(
    ("towards", "away", "hook", "words"),
    [
        ((), ("a",), HERE, "prompts to lead"),
        (("a",), (), HERE, "prompts to lead"),
        (("The museum",), ("The museum",), HERE, "do not differ"),
        (("a",), ("b",), "blocks.7.hook_resid_post", "no blocks.7"),
        (("a",), (" ",), HERE, "empty"),
    ],
)
def test_prompts_that_lead_nowhere_are_refused(towards, away, hook, words):
    sides = [tuple(Prompt(text, chat=False) for text in side) for side in (towards, away)]
    with pytest.raises(ScopeError, match=words) as caught:
        engine().vector(MakeVector("v", *sides, hook), silent_job())
    assert caught.value.hint

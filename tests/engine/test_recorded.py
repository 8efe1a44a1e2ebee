"""A recorded trace is the trace: fixed shapes, padding and all.

Recording with CUDA needs a GPU. Here the program is recorded by ``make_fx``, which keeps its tensor
operations and nothing else: what depended on one text's numbers or length would be wrong for the
next text.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_saes import weights
from tiny_models import D_MODEL, VOCAB, tiny
from torch.fx.experimental.proxy_tensor import make_fx

from desktop_scope.engine import recorded
from desktop_scope.engine.hook_points import Site
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.recorded import Recordings
from desktop_scope.engine.requests import recorded_length
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.sae_weights import Architecture
from desktop_scope.engine.trace import encode_ids
from desktop_scope.engine.worker import silent_job

CPU = torch.device("cpu")
LENGTH = 32


@pytest.fixture(scope="module")
def llama() -> LanguageModel:
    return tiny("llama")


def as_graph(program):
    graph = make_fx(lambda: program())()
    return lambda: graph()


def saes_of(model: LanguageModel) -> list[Sae]:
    """One of every architecture, and one that leaves outliers and two first tokens out."""
    kinds = [
        Sae(weights(1, Site.RESID_POST, D_MODEL, seed=n, architecture=kind), CPU)
        for n, kind in enumerate(Architecture)
    ]
    last = Sae(weights(2, Site.MLP_OUT, D_MODEL, skip_positions=2), CPU)
    with torch.inference_mode():
        read = encode_ids(model, [last], ids_of(LENGTH, seed=9), silent_job()).kept.read_by(last)
    last.outlier_norm = float(read.norm(dim=-1).quantile(0.8))
    return [*kinds, last]


def ids_of(n: int, seed: int) -> torch.Tensor:
    return torch.randint(2, VOCAB - 40, (1, n), generator=torch.Generator().manual_seed(seed))


def assert_same(found, plain) -> None:
    assert (found.masked == plain.masked).all()
    for a, b in zip(found.acts, plain.acts, strict=True):
        assert len(b.values) or len(plain.masked) < 3
        assert (a.indptr == b.indptr).all()
        assert (a.indices == b.indices).all()
        np.testing.assert_allclose(a.values, b.values, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.kept.residual, plain.kept.residual, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.logprobs, plain.logprobs, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.following, plain.following, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "family", ["llama", "gemma2", "gemma3", "gpt2", "mistral", "qwen3", "olmo2"]
)
def test_texts_of_any_length_come_out_as_without_a_recording(family):
    model = tiny(family)
    saes = saes_of(model)
    recordings = Recordings(model, saes, as_graph)
    assert recordings.record(LENGTH) == ""
    with torch.inference_mode():
        for n in (1, 5, 19, LENGTH):
            ids = ids_of(n, seed=n)
            found = recordings.encode(ids)
            assert found is not None
            assert_same(found, encode_ids(model, saes, ids, silent_job()))


def test_what_was_found_stays_when_the_next_text_is_read(llama):
    recordings = Recordings(llama, saes_of(llama), lambda program: program)
    recordings.record(LENGTH)
    with torch.inference_mode():
        first = recordings.encode(ids_of(9, seed=1))
        before = first.kept.residual.clone()
        recordings.encode(ids_of(9, seed=2))
    assert (first.kept.residual == before).all()


def test_without_an_sae_the_streams_are_recorded(llama):
    recordings = Recordings(llama, [], as_graph)
    assert recordings.record(LENGTH) == ""
    with torch.inference_mode():
        found = recordings.encode(ids_of(7, seed=3))
        assert_same(found, encode_ids(llama, [], ids_of(7, seed=3), silent_job()))


def test_only_what_was_recorded_serves(llama):
    recordings = Recordings(llama, saes_of(llama), as_graph)
    with torch.inference_mode():
        assert recordings.encode(ids_of(7, seed=0)) is None
        recordings.record(LENGTH)
        assert recordings.encode(ids_of(LENGTH + 1, seed=0)) is None
    assert [recorded_length(n) for n in (1, 32, 33, 512, 513)] == [32, 32, 64, 512, None]


def test_more_features_than_there_is_room_for_are_not_cut_off(monkeypatch, llama):
    monkeypatch.setattr(recorded, "_PER_TOKEN", 1)
    recordings = Recordings(llama, saes_of(llama), as_graph)
    assert recordings.record(LENGTH) == ""
    with torch.inference_mode():
        assert recordings.encode(ids_of(LENGTH, seed=0)) is None


def test_a_recording_that_fails_is_given_up_with_a_reason(llama):
    def broken(program):
        raise RuntimeError("operation not permitted when stream is capturing")

    recordings = Recordings(llama, saes_of(llama), broken)
    assert "not permitted" in recordings.record(LENGTH)
    assert recordings.record(LENGTH) == ""
    assert recordings.encode(ids_of(7, seed=0)) is None


def test_a_recording_that_comes_out_otherwise_is_not_used(llama):
    def stale(program):
        made = program()  # of the zeros that the input held: never run again
        return lambda: made

    recordings = Recordings(llama, saes_of(llama), stale)
    assert "otherwise" in recordings.record(LENGTH)
    assert recordings.encode(ids_of(7, seed=0)) is None


def test_an_encoder_that_waits_in_memory_is_not_recorded(llama):
    waiting = Sae(weights(0, Site.RESID_POST, D_MODEL), CPU, streamed=True)
    recordings = Recordings(llama, [waiting], as_graph)
    recordings.record(LENGTH)
    assert recordings.encode(ids_of(7, seed=0)) is None

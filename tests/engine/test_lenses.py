"""What lenses read off the layers equals a plain float64 model; what SAEs miss, a plain decoder."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from plain_model import dense, plain_sae

from desktop_scope.engine import lens_reading
from desktop_scope.engine.lenses import LensKind, ReadLensGrid
from desktop_scope.engine.types import Prompt
from desktop_scope.engine.unexplained import within
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import Cancelled, ScopeError

TEXT = Prompt("The capital of France is", chat=False)


@pytest.fixture
def traced(trace):
    return trace(TEXT)


def read(engine, traced, word="", above=None, kind=LensKind.LOGIT):
    return engine.lens_grid(ReadLensGrid(traced, kind, word, above), silent_job())


def test_the_logit_lens_of_every_cell_agrees_with_float64(engine, traced, plain):
    run = plain.run(traced.ids.tolist())
    with torch.inference_mode():
        expected = plain.model.lm_head(plain.model.model.norm(run.residual)).log_softmax(-1)
    # The last block's output goes through the norm once more in the model itself.
    torch.testing.assert_close(expected[-1], run.logprobs)
    found = read(engine, traced, "Paris")
    while found.first:
        found = found.above(read(engine, traced, "Paris", found.first))
    probs = expected.exp()
    top, ids = probs.topk(found.top.shape[-1])
    np.testing.assert_allclose(found.probs, top, rtol=2e-3)
    clear = (top[..., 0] / top[..., 1] > 1.01).numpy()  # ties of rounding may fall either way
    assert (found.top[..., 0] == ids[..., 0].numpy())[clear].all()
    entropy = -(probs * expected).sum(-1)
    np.testing.assert_allclose(found.entropy, entropy, rtol=1e-3, atol=1e-3)
    word = engine.model.token_id("Paris")
    np.testing.assert_allclose(found.chance, probs[..., word], rtol=5e-3, atol=1e-9)
    ranks = (probs > probs[..., word, None]).sum(-1).numpy() + 1
    np.testing.assert_allclose(found.rank, ranks, rtol=0.02, atol=1)
    assert found.rank[-1, -1] == 1
    assert found.texts[int(found.top[-1, -1, 0])] == " Paris"


def test_layers_are_read_from_the_last_down_and_put_together(engine, traced, monkeypatch):
    whole = read(engine, traced)
    while whole.first:
        whole = whole.above(read(engine, traced, "", whole.first))
    monkeypatch.setattr(lens_reading, "_SLICE_S", 0.0)
    n_layers = engine.model.info.n_layers
    parts = read(engine, traced)
    assert parts.first == n_layers - 1
    for above in range(n_layers - 1, 0, -1):
        parts = parts.above(read(engine, traced, "", above))
    assert parts.first == 0
    for name in ("top", "probs", "entropy"):
        assert np.array_equal(getattr(parts, name), getattr(whole, name))
    assert parts.texts == whole.texts
    assert np.isnan(parts.chance).all()
    assert not parts.rank.any()


def test_a_word_is_one_token(engine, traced):
    with pytest.raises(ScopeError, match="more than one token"):
        read(engine, traced, "antidisestablishmentarianism")


def test_a_text_that_is_no_longer_the_newest_is_dropped(engine, trace):
    old = trace(TEXT)
    trace(Prompt("Something else", chat=False))
    for ask in (lambda: read(engine, old), lambda: engine.unexplained(old, (), silent_job())):
        with pytest.raises(Cancelled):
            ask()


def test_without_a_tuned_lens_nothing_is_read_through_one(engine, traced, monkeypatch):
    monkeypatch.setattr(engine, "tuned", None)
    with pytest.raises(Cancelled):
        read(engine, traced, kind=LensKind.TUNED)


@pytest.mark.parametrize("n", [4096, 256])
def test_what_a_dictionary_misses_agrees_with_float64(n, engine, trace, plain):
    traced = trace(Prompt("My chihuahua barks at presidents."))
    run, shown = plain.run(traced.ids.tolist()), torch.from_numpy(~traced.masked)
    found = engine.unexplained(traced, (n,) * len(engine.saes), silent_job())
    assert np.isnan(found[:, traced.masked]).all()
    for layer in (2, 17, 29):
        sae, y = plain_sae(layer), run.residual[layer][shown]
        f = torch.from_numpy(dense(traced.acts[layer])).double()[shown][:, :n]
        wrong = (y - f @ sae.W_dec[:n] - sae.b_dec).square().sum(-1)
        spread = (y - y.mean(0)).square().sum(-1).mean()
        np.testing.assert_allclose(found[layer, shown], wrong / spread, rtol=1e-3)


def test_coarser_dictionaries_miss_more(engine, traced):
    shares = [
        float(np.nanmean(engine.unexplained(traced, (n,) * len(engine.saes), silent_job())))
        for n in (256, 1024, 4096)
    ]
    assert shares[0] > shares[1] > shares[2]
    assert math.isfinite(shares[0])


def test_a_prefix_has_the_first_features_alone(traced):
    acts = within(traced.acts[5], 1000)
    for token in range(traced.n_tokens):
        index, value = traced.acts[5].at(token)
        assert acts.at(token)[0].tolist() == index[index < 1000].tolist()
        assert acts.at(token)[1].tolist() == value[index < 1000].tolist()
    assert within(traced.acts[5], 4096) is traced.acts[5]

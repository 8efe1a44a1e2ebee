"""Two texts or models side by side, against dense arrays by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_saes import weights
from tiny_models import D_MODEL, random_model, save_tiny, tiny, tokenizer

from desktop_scope.engine.engine import Engine
from desktop_scope.engine.loading import load_model
from desktop_scope.engine.requests import TracePrompt
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.types import FeatureActs, FeatureId, Intervention, Mode, Prompt, Trace
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import ScopeError
from desktop_scope.experiments.compare_types import (
    By,
    CloseBeside,
    CompareReadings,
    MeasureSecond,
    OpenBeside,
    Reading,
    Second,
)
from desktop_scope.experiments.comparing import compare

NINE = Prompt("The museum opens at nine in the morning", chat=False)
FREE = Prompt("The museum opens at free in the morning", chat=False)


@pytest.fixture(scope="module")
def small() -> Engine:
    saes = [Sae(weights(n, d_in=D_MODEL, seed=n), torch.device("cpu")) for n in range(3)]
    return Engine(tiny("llama"), saes)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """The same model, a little different."""
    folder = tmp_path_factory.mktemp("tuned")
    model = random_model("llama")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    with torch.inference_mode(False):
        return load_model(folder, "tuned", silent_job(), device="cpu")


def dense(acts: FeatureActs) -> np.ndarray:
    values = np.zeros((len(acts.indptr) - 1, 40), np.float32)
    values[acts.rows(), acts.indices] = acts.values
    return values


def trace(engine: Engine, prompt: Prompt) -> Trace:
    return engine.example(TracePrompt(prompt), silent_job())


def test_each_feature_is_listed_at_the_pair_at_which_it_differs_most(small):
    found = compare(small, None, None, CompareReadings(Reading(NINE), Reading(FREE)), silent_job())
    a, b = trace(small, NINE), trace(small, FREE)
    assert [a.ids[i] for i, _ in found.pairs] == [b.ids[j] for _, j in found.pairs]
    assert 5 < len(found.pairs) < min(a.n_tokens, b.n_tokens)
    strongest = [max(t.acts[s].values.max() for t in (a, b)) for s in range(3)]
    expected = {}
    for slot in range(3):
        change = dense(b.acts[slot])[found.pairs[:, 1]] - dense(a.acts[slot])[found.pairs[:, 0]]
        for index in range(40):
            at = int(np.abs(change[:, index]).argmax())
            if change[at, index]:
                expected[slot, index] = (change[at, index] / strongest[slot],
                                         change[:, index].mean() / strongest[slot])  # fmt: skip
    assert len(found.rows) == len(expected) > 10
    for row in found.rows:
        share, mean = expected[row.feature]
        assert row.share == pytest.approx(share, rel=1e-4)
        assert row.mean == pytest.approx(mean, rel=1e-3, abs=1e-6)
        i, j = row.tokens
        assert [i, j] in found.pairs.tolist()
        assert row.a == dense(a.acts[row.feature.sae])[i, row.feature.index]
        assert row.b == dense(b.acts[row.feature.sae])[j, row.feature.index]
    sizes = [abs(row.share) for row in found.rows]
    assert sizes == sorted(sizes, reverse=True)
    assert "no partner" in found.notes[0]


def test_wholes_are_compared_by_their_means(small):
    other = Prompt("children enter", chat=False)
    request = CompareReadings(Reading(NINE), Reading(other), By.WHOLES)
    found = compare(small, None, None, request, silent_job())
    a, b = trace(small, NINE), trace(small, other)
    for row in found.rows[:20]:
        slot, index = row.feature
        one, two = (dense(t.acts[slot])[t.own & ~t.masked, index] for t in (a, b))
        assert (row.a, row.b) == pytest.approx((one.mean(), two.mean()), rel=1e-4, abs=1e-6)
        here = (dense(a.acts[slot]), dense(b.acts[slot]))[row.side][:, index]
        assert here[row.tokens[row.side]] == here.max()


def test_the_same_text_does_not_differ(small):
    found = compare(small, None, None, CompareReadings(Reading(NINE), Reading(NINE)), silent_job())
    assert not found.rows
    assert not found.moved.any()
    np.testing.assert_array_equal(found.fvu[0], found.fvu[1])


def test_steering_shows_as_the_feature_that_was_turned_up(small):
    steered = Intervention(feature=FeatureId(1, 7), amount=3.0, mode=Mode.CLAMP)
    request = CompareReadings(Reading(NINE), Reading(NINE, interventions=(steered,)))
    found = compare(small, None, None, request, silent_job())
    assert found.moved[0] == pytest.approx(0, abs=1e-6)
    assert found.moved[1] > 0
    assert {row.feature.sae for row in found.rows} <= {1, 2}
    assert any(row.feature == (1, 7) for row in found.rows)


def test_two_models_are_compared_position_by_position(small, tuned):
    request = CompareReadings(Reading(NINE), Reading(NINE, beside=True))
    found = compare(small, tuned, None, request, silent_job())
    assert found.models == ("llama, float32", "tuned, float32")
    assert (found.pairs[:, 0] == found.pairs[:, 1]).all()
    assert (found.moved > 0).all()
    sae = small.saes[1]
    for model, fvu in zip((small.model, tuned), found.fvu, strict=True):
        engine = Engine(model, small.saes)
        text = trace(engine, NINE)
        x = residual(model, text, 1)
        wrong = (x - sae.decode(text.acts[1], x))[~text.masked].square().sum()
        kept = x[~text.masked]
        spread = (kept - kept.mean(0)).square().sum()
        assert fvu[1] == pytest.approx(float(wrong / spread), rel=1e-3)


def residual(model, text: Trace, layer: int) -> torch.Tensor:
    from desktop_scope.engine.hook_points import resid_post

    seen = []
    with torch.inference_mode():
        ids = torch.tensor([text.ids.tolist()])
        model.hidden(ids, {resid_post(layer): lambda x: seen.append(x[0].clone())}, use_cache=False)
    return seen[0]


# ---- what cannot be compared


@pytest.mark.parametrize(
    ("b", "words"),
    [
        (Reading(Prompt("zzz", chat=False)), "no token in common"),
        (Reading(NINE, beside=True), "No second model"),
        (Reading(Prompt(" ", chat=False)), "empty"),
    ],
)
def test_what_cannot_be_compared_is_said(small, b, words):
    with pytest.raises(ScopeError, match=words) as refused:
        compare(small, None, None, CompareReadings(Reading(NINE), b), silent_job())
    assert refused.value.hint


def test_a_second_model_is_opened_and_let_go_of_on_request(workbench, tmp_path: Path):
    """The demo model beside itself is no different; one of another width is refused."""
    job = silent_job()
    folder = Path(workbench.engine.model.info.path)
    room = workbench.handle(MeasureSecond(folder, "float32", "cpu"), job)
    assert 4e8 < room.needed < 7e8
    with pytest.raises(ScopeError, match="works on 576 numbers"):
        workbench.handle(OpenBeside(Second(save_tiny("llama", tmp_path), device="cpu")), job)
    info = workbench.handle(OpenBeside(Second(device="cpu", dtype="float32")), job)
    assert info.dtype == "float32"
    prompt = Prompt("Dogs bark.", chat=False)
    request = CompareReadings(Reading(prompt), Reading(prompt, beside=True))
    found = workbench.handle(request, job)
    assert not [row for row in found.rows if abs(row.share) > 1e-3]
    assert len(found.pairs) == 3
    workbench.handle(CloseBeside(info), job)
    with pytest.raises(ScopeError, match="No second model"):
        workbench.handle(request, job)

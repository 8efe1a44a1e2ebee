"""A trace equals what an independent float64 computation says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plain_model import TOLERANCE, assert_same_activations, dense, plain_sae
from safetensors.numpy import load_file

from desktop_scope import paths
from desktop_scope.engine.requests import ProbeFeature, TracePrompt
from desktop_scope.engine.types import FeatureId, Prompt
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import Cancelled, ScopeError

RAW = Prompt("My chihuahua barks at presidents.", chat=False)
CHAT = Prompt("Who was the first president?")
ANSWER = (504, 808, 9218, 314)  # any tokens will do
CASES = {"raw": TracePrompt(RAW), "chat": TracePrompt(CHAT), "answer": TracePrompt(CHAT, ANSWER)}


@pytest.fixture(scope="module", params=CASES)
def both(request, engine, plain):
    """Our trace and the reference's run of the same text."""
    ours = engine.trace(CASES[request.param], silent_job())
    ids = [*plain.ids(ours.prompt), *CASES[request.param].answer]
    assert ours.ids.tolist() == ids
    return ours, plain.run(ids)


def test_activations_agree_with_float64(both):
    ours, reference = both
    for layer, acts in enumerate(ours.acts):
        sae = plain_sae(layer)
        expected = sae.encode(reference.residual[layer])
        expected[reference.masked] = 0.0
        assert_same_activations(dense(acts), expected.numpy(), sae, reference.residual[layer])


def test_position_0_and_outliers_are_masked_and_not_encoded(both):
    ours, reference = both
    assert ours.masked.tolist() == reference.masked.tolist()
    assert ours.masked[0]
    masked = set(np.flatnonzero(ours.masked).tolist())
    assert not any(masked & set(acts.rows().tolist()) for acts in ours.acts)


def test_residual_norms_agree_with_float64(both):
    ours, reference = both
    np.testing.assert_allclose(ours.residual_norm, reference.residual.norm(dim=-1), rtol=TOLERANCE)


def test_log_probabilities_of_the_text_agree_with_float64(both):
    ours, reference = both
    assert np.isnan(ours.logprobs[0])
    said = reference.logprobs[:-1].gather(1, torch.tensor(ours.ids[1:, None], dtype=torch.int64))
    np.testing.assert_allclose(ours.logprobs[1:], said[:, 0], rtol=TOLERANCE, atol=TOLERANCE)


def test_next_tokens_agree_with_float64(both, plain):
    ours, reference = both
    probs, ids = reference.logprobs[-1].exp().topk(len(ours.next_ids))
    assert ours.next_ids.tolist() == ids.tolist()
    np.testing.assert_allclose(ours.next_probs, probs, rtol=1e-4)
    assert list(ours.next_texts) == [plain.tokenizer.decode([i]) for i in ids.tolist()]


def test_an_answer_follows_the_prompt_and_changes_nothing_before_it(trace):
    alone, with_answer = trace(CHAT), trace(CHAT, ANSWER)
    assert with_answer.n_prompt == alone.n_tokens == with_answer.n_tokens - len(ANSWER)
    assert with_answer.own[alone.n_tokens :].all()
    for before, after in zip(alone.acts, with_answer.acts, strict=True):
        shared = after.indptr[alone.n_tokens]
        assert before.indices.tolist() == after.indices[:shared].tolist()
        np.testing.assert_allclose(before.values, after.values[:shared], rtol=1e-4)


def test_what_a_chat_template_adds_is_not_the_users_own(trace):
    def own(text: str) -> list[str]:
        traced = trace(Prompt(text))
        return [traced.texts[i] for i in np.flatnonzero(traced.own)]

    assert "".join(own("Who was the first president?")) == "Who was the first president?"
    assert own("a") == ["a"]
    assert "".join(own("assistant")) == "assistant"  # a word of the template itself


def test_arrays_of_a_trace_are_read_only(trace):
    with pytest.raises(ValueError, match="read-only"):
        trace(RAW).acts[3].values[0] = 1


def test_probing_one_feature_agrees_with_the_trace(engine, trace):
    feature = FeatureId(17, int(trace(RAW).acts[17].indices[0]))
    probe = engine.probe(ProbeFeature(feature, RAW.text), silent_job())
    np.testing.assert_allclose(
        probe.values, trace(RAW).acts[17].of(feature.index), rtol=1e-4, atol=1e-4
    )
    assert probe.texts == trace(RAW).texts


def test_probing_a_feature_that_does_not_exist_is_refused(engine):
    for feature in (FeatureId(30, 0), FeatureId(0, 4096)):
        with pytest.raises(ScopeError, match="There is no"):
            engine.probe(ProbeFeature(feature, "dog"), silent_job())


EXAMPLE_OF = [
    FeatureId(2, 100), FeatureId(10, 2517), FeatureId(17, 3988), FeatureId(23, 58),
    FeatureId(24, 540), FeatureId(28, 1234),
]  # fmt: skip


@pytest.mark.parametrize("feature", EXAMPLE_OF, ids=str)
def test_stored_examples_are_found_again_in_the_corpus(feature, engine, trace, plain):
    """The evidence was gathered in bfloat16, hence the wide tolerance."""
    corpus = load_file(paths.demo_pack() / "corpus.safetensors")["tokens"]
    evidence = load_file(paths.demo_pack() / "evidence" / f"layer_{feature.sae:02}.safetensors")
    compared = 0
    for position, value in zip(
        evidence["example_position"][feature.index],
        evidence["example_value"][feature.index],
        strict=True,
    ):
        ids = corpus[position // 256, : position % 256 + 1].tolist()
        start = Prompt(plain.tokenizer.decode(ids[1:2]), chat=False)
        if plain.ids(start) != ids[:2] or compared == 2:
            continue  # a chat, or text that begins within a word
        acts = trace(start, tuple(ids[2:])).acts[feature.sae]
        assert acts.of(feature.index)[-1] == pytest.approx(float(value), rel=0.02)
        compared += 1
    assert compared == 2


def test_logit_lens_of_the_last_layer_is_the_models_own_prediction(engine, trace):
    traced = trace(RAW)
    last = engine.logit_lens(traced, traced.n_tokens - 1)[-1]
    assert last.layer == len(traced.acts) - 1
    assert last.texts == traced.next_texts[: len(last.texts)]
    np.testing.assert_allclose(last.probs, traced.next_probs[: len(last.texts)], rtol=1e-5)


def test_logit_lens_agrees_with_float64_at_every_layer(engine, trace, plain):
    traced, token = trace(RAW), 4
    residual = plain.run(traced.ids.tolist()).residual[:, token]
    with torch.inference_mode():
        expected = plain.model.lm_head(plain.model.model.norm(residual)).softmax(-1)
    for row in engine.logit_lens(traced, token):
        probs, ids = expected[row.layer].topk(len(row.probs))
        np.testing.assert_allclose(row.probs, probs, rtol=1e-3)
        assert list(row.texts) == [plain.tokenizer.decode([i]) for i in ids.tolist()]


def test_logit_lens_of_a_trace_that_is_no_longer_the_newest_is_dropped(engine, trace):
    old = trace(RAW)
    trace(CHAT)
    with pytest.raises(Cancelled):
        engine.logit_lens(old, 1)

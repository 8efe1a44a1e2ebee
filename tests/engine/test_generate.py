"""Answers: reproducible, side by side as if alone, and ending where they should."""

from __future__ import annotations

from dataclasses import replace

import pytest

from desktop_scope.engine.cost_types import repetition
from desktop_scope.engine.requests import Generate, Request
from desktop_scope.engine.types import FeatureId, Intervention, Prompt, Sampling
from desktop_scope.engine.worker import Job, Partial, Progress
from desktop_scope.errors import ScopeError

PROMPT = Prompt("Who are you?")
STEERING = (Intervention(FeatureId(24, 540), 270.0),)
LIVELY = Sampling(12, temperature=1.0, seed=7)


def test_the_same_seed_gives_the_same_answer_and_another_seed_another(generate):
    (first,), (again,) = generate(PROMPT, sampling=LIVELY), generate(PROMPT, sampling=LIVELY)
    (other,) = generate(PROMPT, sampling=replace(LIVELY, seed=8))
    assert first.ids == again.ids
    assert first.ids != other.ids


def test_greedy_answers_do_not_depend_on_the_seed(generate):
    (first,) = generate(PROMPT, sampling=Sampling(6, seed=1))
    (second,) = generate(PROMPT, sampling=Sampling(6, seed=2))
    assert first.ids == second.ids


@pytest.mark.parametrize("sampling", [LIVELY, Sampling(8)], ids=["sampled", "greedy"])
def test_answers_side_by_side_equal_those_alone(sampling, generate):
    together = generate(PROMPT, ((), STEERING), sampling)
    alone = [generate(PROMPT, (run,), sampling)[0] for run in ((), STEERING)]
    assert [answer.ids for answer in together] == [answer.ids for answer in alone]
    assert [answer.interventions for answer in together] == [(), STEERING]
    assert together[0].ids != together[1].ids


def test_an_answer_ends_at_a_stop_token(generate, engine):
    (answer,) = generate(Prompt("Answer with one word: what is the capital of France?"))
    assert answer.finished
    assert len(answer.ids) < Sampling().max_new_tokens
    assert answer.ids[-1] in engine.model.stop_ids
    assert not engine.model.stop_ids & set(answer.ids[:-1])
    assert answer.text == "".join(answer.pieces[:-1]).strip()


def test_an_answer_ends_after_the_tokens_asked_for(generate):
    (answer,) = generate(PROMPT, sampling=Sampling(3))
    assert answer.finished
    assert len(answer.ids) == len(answer.pieces) == 3
    assert answer.text == "".join(answer.pieces)


def test_an_answer_ends_where_the_context_is_full(generate, engine, monkeypatch):
    n_prompt = len(engine.model.encode(PROMPT).ids)
    monkeypatch.setattr(engine.model, "info", replace(engine.model.info, context=n_prompt + 4))
    (answer,) = generate(PROMPT, sampling=Sampling(30))
    assert answer.finished
    assert len(answer.ids) == 4


def test_one_answer_may_end_before_the_other(generate, monkeypatch, engine):
    plain, steered = generate(PROMPT, ((), STEERING), Sampling(8))
    only_plain = next(token for token in plain.ids if token not in steered.ids)
    monkeypatch.setattr(engine.model, "stop_ids", frozenset({only_plain}))
    short, long = generate(PROMPT, ((), STEERING), Sampling(8))
    assert short.ids == plain.ids[: plain.ids.index(only_plain) + 1]
    assert long.ids == steered.ids


@pytest.mark.parametrize(
    "wrong",
    [
        Sampling(max_new_tokens=0),
        Sampling(temperature=-1.0),
        Sampling(temperature=float("nan")),
        Sampling(repetition_penalty=0.0),
    ],
    ids=repr,
)
def test_sampling_that_makes_no_sense_is_refused(wrong, generate):
    with pytest.raises(ScopeError) as caught:
        generate(PROMPT, sampling=wrong)
    assert caught.value.hint


class Watched(Job):
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.events = []
        super().__init__(1, Request(), self.events.append)


def test_answers_stream_as_they_grow(engine, monkeypatch):
    monkeypatch.setattr("desktop_scope.engine.worker._REPORTS_PER_SECOND", 1e9)  # every step
    job = Watched()
    final = engine.generate(Generate(PROMPT, ((), STEERING), Sampling(5)), job)
    partials = [event.payload for event in job.events if isinstance(event, Partial)]
    assert [len(plain.ids) for plain, _ in partials] == [1, 2, 3, 4, 5]
    for partial in partials:
        for growing, whole in zip(partial, final, strict=True):
            assert whole.ids[: len(growing.ids)] == growing.ids
    assert [e.done for e in job.events if isinstance(e, Progress)] == [1, 2, 3, 4, 5]


def test_repetition_counts_repeated_triples():
    assert repetition([1, 2]) == 0
    assert repetition([1, 2, 3, 4, 5]) == 0
    assert repetition([1, 2, 3, 1, 2, 3]) == pytest.approx(1 / 4)
    assert repetition([1] * 12) == pytest.approx(9 / 10)

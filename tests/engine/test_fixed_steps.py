"""Answers in steps of fixed shapes are the answers: cache, masks, positions, rules and all.

Recording with CUDA needs a GPU. Here a step runs as it is, and recorded by ``make_fx``, which keeps
its tensor operations and nothing else: what depended on one token's position or on one strength
would be wrong for the next.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_saes import weights
from steered_tiny import TEXT, engine
from tiny_models import D_MODEL, tiny
from torch.fx.experimental.proxy_tensor import make_fx

from desktop_scope.engine.engine import Engine
from desktop_scope.engine.fixed_steps import FixedSteps
from desktop_scope.engine.requests import Generate
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.types import (
    FeatureId,
    Intervention,
    Mode,
    Positions,
    Prompt,
    Rule,
    Sampling,
    Trigger,
)
from desktop_scope.engine.worker import silent_job

GREEDY = Sampling(7)
EARLY = Rule((Trigger(FeatureId(0, 1), 0.0), Trigger(FeatureId(1, 2), 0.4)), within=2)
LATE = Rule((Trigger(FeatureId(2, 3), 0.2),), within=2)
ITEMS = (
    Intervention(FeatureId(0, 3), 4.0, rule=EARLY),
    Intervention(FeatureId(0, 4), 3.0, Mode.CLAMP, rule=LATE),
    Intervention(FeatureId(1, 5), -6.0, positions=Positions(prompt=False)),
    Intervention(FeatureId(2, 6), 0.0, Mode.PROJECT, positions=Positions(tokens=(3, 9, 12))),
)


def as_is(program):
    return program


def as_graph(program):
    graph = make_fx(lambda: program())()
    return lambda: graph()


def engine_of(family: str, recorder) -> Engine:
    model = tiny(family)
    saes = [
        Sae(weights(layer, d_in=D_MODEL, seed=layer), torch.device("cpu")) for layer in range(3)
    ]
    made = Engine(model, saes)
    made._steps = FixedSteps(model, made.saes, recorder)
    return made


def answers(of: Engine, *runs, prompt: Prompt = TEXT, sampling: Sampling = GREEDY):
    return of.generate(Generate(prompt, runs, sampling), silent_job())


@pytest.mark.parametrize("family", ["llama", "gemma2", "gpt2"])
def test_answers_in_fixed_steps_are_the_same(family):
    plain = answers(engine_of(family, None), (), ITEMS)
    for recorder in (as_is, as_graph):
        made = engine_of(family, recorder)
        found = answers(made, (), ITEMS)
        assert not made._steps.note
        assert len(made._steps._free) == 2
        for a, b in zip(found, plain, strict=True):
            assert a.ids == b.ids
            assert a.firings == b.firings
    assert plain[0].ids != plain[1].ids
    assert any(firing.tokens for firing in plain[1].firings)


def test_another_strength_prompt_or_length_uses_the_same_recording():
    calls = []

    def counted(program):
        calls.append(program)
        return as_graph(program)

    recorded, plain = engine_of("llama", counted), engine_of("llama", None)
    strong = tuple(replace(item, amount=item.amount * 3 + 1) for item in ITEMS)
    for items in (ITEMS, strong):
        for prompt in (TEXT, Prompt("nine", chat=True)):
            for n in (3, 7):
                sampling = Sampling(n)
                (found,) = answers(recorded, items, prompt=prompt, sampling=sampling)
                (expected,) = answers(plain, items, prompt=prompt, sampling=sampling)
                assert found.ids == expected.ids
                assert found.firings == expected.firings
    assert len(calls) == 1
    answers(recorded, ITEMS[:1])
    assert len(calls) == 2


def test_two_answers_that_differ_in_strength_alone_do_not_share_a_cache():
    strong = tuple(replace(item, amount=item.amount * 5 + 1) for item in ITEMS)
    found = answers(engine_of("llama", as_graph), ITEMS, strong)
    expected = answers(engine_of("llama", None), ITEMS, strong)
    assert [a.ids for a in found] == [b.ids for b in expected]


def test_a_rule_ends_an_answer_in_fixed_steps_too():
    (plain,) = answers(engine_of("llama", None), ITEMS)
    first = plain.firings[0].tokens[-1]
    stop = Intervention(
        mode=Mode.STOP, rule=EARLY, positions=Positions(tokens=(first,)), message="enough"
    )
    found, expected = (
        answers(engine_of("llama", recorder), (*ITEMS, stop))[0] for recorder in (as_graph, None)
    )
    assert found.stopped == expected.stopped == "enough"
    assert found.ids == expected.ids


def test_features_are_watched_and_may_change_while_it_answers():
    features = ((FeatureId(0, 1), FeatureId(2, 2)), (FeatureId(1, 7),))
    values = []
    for recorder in (as_graph, None):
        made = engine_of("llama", recorder)
        made.watching.features = features[0]
        (first,) = answers(made, ITEMS)
        steps = iter(range(100))

        def look(made=made, steps=steps) -> None:
            made.watching.features = features[next(steps) > 3]

        job = silent_job()
        job.check = look
        made.watching.features = features[0]
        (second,) = made.generate(Generate(TEXT, (ITEMS,), GREEDY), job)
        assert first.ids == second.ids
        values.append(
            [
                (feature, pytest.approx(list(on_tokens), abs=1e-4))
                for answer in (first,)
                for feature, on_tokens in answer.watched
            ]
        )
        assert len(second.watched) >= 1
    assert values[0] == [(feature, list(v.expected)) for feature, v in values[1]]


def test_where_recording_fails_answers_are_given_the_plain_way_and_say_so():
    def fails(program):
        raise RuntimeError("no graphs today")

    def wrong(program):
        return lambda: tuple(out + 1 if out.dtype.is_floating_point else out for out in program())

    (plain,) = answers(engine_of("llama", None), ITEMS)
    assert not plain.note
    for recorder, words in ((fails, "no graphs today"), (wrong, "otherwise")):
        (found,) = answers(engine_of("llama", recorder), ITEMS)
        assert found.ids == plain.ids
        assert words in found.note


def test_models_that_look_back_in_other_ways_take_the_plain_way():
    for family in ("qwen3_5", "mistral"):  # linear attention; a window that the answer exceeds
        made = engine_of(family, as_is)
        (found,) = answers(made, ITEMS)
        assert found.ids == answers(engine_of(family, None), ITEMS)[0].ids
        assert not made._steps._free


def test_on_the_processor_nothing_is_recorded():
    answers(engine(), ITEMS)
    assert not engine()._steps._free

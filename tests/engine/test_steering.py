"""Every mode, place and rule equals a straightforward float64 computation on a tiny model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from steered_tiny import TEXT, by_hand, engine, ids_of, vector
from tiny_models import CONTEXT, D_MODEL

from desktop_scope.engine.generate import _likeliest
from desktop_scope.engine.hook_points import HookPoint, Site
from desktop_scope.engine.hooks import Edit
from desktop_scope.engine.interventions import Steering
from desktop_scope.engine.requests import Generate, TracePrompt
from desktop_scope.engine.types import (
    FeatureId,
    Intervention,
    Mode,
    Positions,
    Prompt,
    Role,
    Rule,
    Sampling,
    Trigger,
    Turn,
    Vector,
)
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import ScopeError

GREEDY = Sampling(6, repetition_penalty=1.0)

LAYERS = st.integers(0, 2)
FEATURES = st.builds(FeatureId, LAYERS, st.integers(0, 11))
PLACES = st.sampled_from(
    [Positions(), Positions(first=True), Positions(answer=False), Positions(prompt=False),
     Positions(tokens=(2, 5)), Positions(tokens=(0, 3, 99))]
)  # fmt: skip
RULES = st.builds(
    Rule,
    st.lists(st.builds(Trigger, FEATURES, st.sampled_from([0.0, 0.7])), min_size=1, max_size=2).map(
        tuple
    ),
    st.integers(1, 3),
)
AMOUNTS = st.sampled_from([-2.0, 0.0, 0.5, 3.0])
OF_FEATURES = st.builds(
    Intervention,
    FEATURES,
    AMOUNTS,
    st.sampled_from([Mode.ADD, Mode.CLAMP, Mode.SCALE, Mode.ABLATE, Mode.PROJECT]),
    positions=PLACES,
    rule=st.none() | RULES,
)
OF_VECTORS = st.builds(
    Intervention,
    st.none(),
    AMOUNTS,
    st.sampled_from([Mode.ADD, Mode.PROJECT]),
    LAYERS.map(vector),
    PLACES,
    rule=st.none() | RULES,
)
SETS = st.lists(OF_FEATURES | OF_VECTORS, min_size=1, max_size=5).map(tuple)


@settings(max_examples=25, deadline=None)
@given(SETS)
def test_a_trace_equals_a_float64_computation_token_by_token(items):
    ids = ids_of()
    answer = (40, 41, 42)
    trace = engine().trace(TracePrompt(TEXT, answer, items), silent_job())
    plain = by_hand(items)
    logprobs = plain.logits([*ids, *answer]).log_softmax(-1)
    said = logprobs[:-1].gather(1, torch.tensor(trace.ids[1:, None], dtype=torch.int64))[:, 0]
    np.testing.assert_allclose(trace.logprobs[1:], said, atol=2e-3)
    for firing in trace.firings:
        assert list(firing.tokens) == plain.fired(firing.rule)
        assert firing.n_tokens == trace.n_tokens


@settings(max_examples=6, deadline=None)
@given(SETS)
def test_with_a_cache_every_token_is_what_a_run_of_its_own_gives(items):
    (answer,) = engine().generate(Generate(TEXT, (items,), GREEDY), silent_job())
    plain, ids = by_hand(items), list(ids_of())
    for said in answer.ids:
        logits = plain.logits(ids)[-1]
        assert logits[said] > logits.max() - 1e-3
        ids.append(said)
    plain.logits(ids[:-1])
    for firing in answer.firings:
        assert list(firing.tokens) == plain.fired(firing.rule)
        assert firing.n_tokens == len(ids) - 1


def late_rule() -> tuple[Intervention, ...]:
    """Read in the last layer, written in the first; what is written makes it fire the more."""
    for index in range(12):
        rule = Rule((Trigger(FeatureId(2, index), 0.5),))
        items = (Intervention(FeatureId(0, 4), 30.0, rule=rule),)
        trace = engine().trace(TracePrompt(TEXT, interventions=items), silent_job())
        if 0 < len(trace.firings[0].tokens) < trace.n_tokens - 1:
            return items
    raise AssertionError("no feature fires at some tokens only")


def test_a_rule_that_is_read_later_than_it_acts_takes_effect_from_the_next_token_on():
    items = late_rule()
    plain = engine().trace(TracePrompt(TEXT), silent_job())
    steered = engine().trace(TracePrompt(TEXT, interventions=items), silent_job())
    first = steered.firings[0].tokens[0]
    changed = np.flatnonzero(
        np.abs(steered.residual_norm[0] - plain.residual_norm[0]) > 1e-4
    ).tolist()
    assert changed == [t + 1 for t in steered.firings[0].tokens if t + 1 < plain.n_tokens]
    assert changed[0] == first + 1


def test_a_pass_that_does_not_settle_such_a_rule_is_not_made_unnoticed():
    steering = Steering(late_rule(), engine().saes)
    with pytest.raises(RuntimeError, match="settle"):
        engine().model.hidden(torch.tensor([ids_of()]), steering.edits(), use_cache=False)


def test_a_rule_that_never_or_always_fires_says_so():
    def remark(above: float) -> str:
        rule = Rule((Trigger(FeatureId(1, 3), above),))
        items = (Intervention(FeatureId(1, 3), 1.0, rule=rule),)
        return (
            engine().trace(TracePrompt(TEXT, interventions=items), silent_job()).firings[0].remark
        )

    assert "never" in remark(1e9)
    assert "every token" in remark(-1.0)


def test_an_answer_stops_where_its_rule_fires():
    (plain,) = engine().generate(Generate(TEXT, ((),), GREEDY), silent_job())
    after = engine().trace(TracePrompt(TEXT, plain.ids), silent_job())
    n_prompt = len(ids_of())
    found = (
        (slot, index, n)
        for slot, acts in enumerate(after.acts)
        for index in range(40)
        for n in [np.flatnonzero(acts.of(index)[n_prompt:])]
        if len(n) and 0 < n[0] < len(plain.ids) - 1
    )
    slot, index, fires = next(found)
    rule = Rule((Trigger(FeatureId(slot, index), 0.0),))
    stop = Intervention(
        mode=Mode.STOP, rule=rule, positions=Positions(prompt=False), message="enough"
    )
    (stopped,) = engine().generate(Generate(TEXT, ((stop,),), GREEDY), silent_job())
    assert stopped.ids == plain.ids[: fires[0] + 1]
    assert (stopped.finished, stopped.stopped) == (True, "enough")
    everywhere = replace(stop, rule=Rule((Trigger(FeatureId(slot, index), -1.0),)), message="")
    everywhere = replace(everywhere, positions=Positions())
    (nothing,) = engine().generate(Generate(TEXT, ((everywhere,),), GREEDY), silent_job())
    assert (nothing.ids, nothing.text, nothing.finished) == ((), "", True)
    assert nothing.stopped


def test_amounts_are_turned_without_making_anything_anew_for_each_text_of_a_batch():
    runs = [
        (
            Intervention(FeatureId(0, 3), a),
            Intervention(FeatureId(2, 5), a / 2, Mode.CLAMP),
            Intervention(vector=vector(1), amount=-a, mode=Mode.PROJECT),
        )
        for a in (0.0, 2.0, -5.0)
    ]
    model, saes = engine().model, engine().saes
    ids = torch.tensor([ids_of()] * 3)
    steering = Steering(runs[0], saes)
    edits = steering.edits()
    steering.turn(*runs)
    with torch.inference_mode():
        together = model.hidden(ids, edits, use_cache=False)
        for row, run in zip(together, runs, strict=True):
            alone = model.hidden(ids[:1], Steering(run, saes).edits(), use_cache=False)[0]
            torch.testing.assert_close(row, alone, atol=1e-4, rtol=1e-4)
        steering.turn(runs[1])
        again = model.hidden(ids[:1], edits, use_cache=False)[0]
    torch.testing.assert_close(again, together[1], atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="not made ready"):
        steering.turn(runs[0][:1])


def test_a_feature_may_be_written_at_places_of_ones_choice():
    hooks = ("blocks.1.hook_mlp_out", "blocks.2.hook_resid_post")
    item = Intervention(FeatureId(0, 3), 0.0, Mode.SCALE, hooks=hooks, positions=Positions(True))
    add = Intervention(vector=vector(0), amount=4.0, hooks=hooks)
    for one in (item, add):
        edits = Steering((one,), engine().saes).edits()
        assert {p.name for p in edits} >= set(hooks)
    direction = torch.from_numpy(vector(0).values.copy())
    x = torch.randn(1, 4, D_MODEL)
    change = Steering((add,), engine().saes).edits()[HookPoint(1, Site.MLP_OUT)](x) - x
    expected = 4 * direction / direction.norm()
    torch.testing.assert_close(change[0, 1:], expected.expand(3, -1), atol=1e-5, rtol=1e-4)
    assert not change[0, 0].any()


NAN, INF = float("nan"), float("inf")
SEEN = Rule((Trigger(FeatureId(0, 1), 1.0),))


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (Intervention(FeatureId(0, 3), NAN), "number"),
        (Intervention(FeatureId(0, 3), INF, Mode.CLAMP), "number"),
        (Intervention(FeatureId(7, 3), 1.0), "no SAE"),
        (Intervention(FeatureId(0, 4000), 1.0), "no feature"),
        (Intervention(), "feature or a vector"),
        (Intervention(FeatureId(0, 3), 1.0, vector=vector(0)), "feature or a vector"),
        (Intervention(vector=vector(0), mode=Mode.CLAMP), "cannot be used"),
        (Intervention(vector=Vector("v", "blocks.0.hook_resid_post", bytes(128))), "empty"),
        (Intervention(vector=vector(0, width=30), amount=1.0), "30 numbers"),
        (Intervention(vector=vector(9), amount=1.0), "no blocks.9"),
        (Intervention(vector=vector(0, "nowhere"), amount=1.0), "not a hook"),
        (Intervention(FeatureId(2, 3), 1.0, Mode.CLAMP, hooks=("blocks.0.hook_resid_post",)),
         "comes before"),
        (Intervention(FeatureId(0, 3), 1.0, positions=Positions(tokens=(-1,))), "from 0"),
        (Intervention(mode=Mode.STOP), "when to stop"),
        (Intervention(FeatureId(0, 3), 1.0, rule=Rule(())), "needs a feature"),
        (Intervention(FeatureId(0, 3), 1.0, rule=replace(SEEN, within=0)), "back"),
        (Intervention(FeatureId(0, 3), 1.0, rule=Rule((Trigger(FeatureId(0, 1), NAN),))),
         "threshold"),
        (Intervention(FeatureId(0, 3), 1.0, rule=Rule((Trigger(FeatureId(9, 1), 1.0),))),
         "no SAE"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_a_way_out(item, words):
    for run, request in (
        (engine().trace, TracePrompt(TEXT, interventions=(item,))),
        (engine().generate, Generate(TEXT, ((item,),), GREEDY)),
    ):
        with pytest.raises(ScopeError, match=words) as caught:
            run(request, silent_job())
        assert caught.value.hint


def test_a_model_driven_to_nan_says_at_which_layer():
    item = Intervention(FeatureId(1, 3), 3e38)
    many = (item,) * 20
    for run in (
        lambda: engine().trace(TracePrompt(TEXT, interventions=many), silent_job()),
        lambda: engine().generate(Generate(TEXT, (many,), GREEDY), silent_job()),
    ):
        with pytest.raises(ScopeError, match="from layer 1 on") as caught:
            run()
        assert "strengths down" in caught.value.hint


def test_a_rule_forgets_one_text_before_another_begins():
    rule = Rule((Trigger(FeatureId(0, 1), 0.0), Trigger(FeatureId(2, 1), 0.5)), within=3)
    items = (Intervention(FeatureId(1, 3), 9.0, rule=rule),)
    model, steering = engine().model, Steering(items, engine().saes)
    edits = steering.edits()
    texts = [torch.tensor([ids_of()[:n]] * batch) for n, batch in ((6, 2), (8, 3), (6, 1))]

    def run(ids: torch.Tensor, steering: Steering, edits: Mapping[HookPoint, Edit]):
        with torch.inference_mode():
            return steering.settle(lambda: model.hidden(ids, edits, use_cache=False))

    for ids in texts:
        fresh = Steering(items, engine().saes)
        assert torch.equal(run(ids, steering, edits), run(ids, fresh, fresh.edits()))


# ---- chats of several turns


def chat(text: str, *turns: tuple[Role, str]) -> Prompt:
    return Prompt(text, turns=tuple(Turn(role, said) for role, said in turns))


def test_in_a_chat_everybodys_own_words_are_told_from_the_template():
    prompt = chat(
        "tant?", (Role.SYSTEM, "Hm"), (Role.USER, "  user  "), (Role.ASSISTANT, "assistant")
    )
    encoded = engine().model.encode(prompt)
    texts = [engine().model.texts[i] for i in encoded.ids]
    own = "|".join(
        "".join(text for text, _ in group)
        for is_own, group in groupby(zip(texts, encoded.own, strict=True), lambda pair: pair[1])
        if is_own
    )
    assert own == "Hm|user|assistant|tant?"
    assert "".join(texts) == (
        "<s>system\nHm</s><s>user\nuser</s><s>assistant\nassistant</s>"
        "<s>user\ntant?</s><s>assistant\n"
    )


def test_an_empty_system_prompt_is_left_out_and_an_empty_turn_refused():
    plain = engine().model.encode(chat("Hello")).ids
    assert engine().model.encode(chat("Hello", (Role.SYSTEM, "  "))).ids == plain
    with pytest.raises(ScopeError, match="empty") as caught:
        engine().model.encode(chat("Hello", (Role.USER, " ")))
    assert caught.value.hint


def test_top_p_leaves_only_the_likeliest_tokens():
    probs = torch.tensor([[0.1, 0.4, 0.3, 0.2]])
    assert _likeliest(probs, 0.7).tolist() == [[0, pytest.approx(0.4), pytest.approx(0.3), 0]]
    assert _likeliest(probs, 1e-9).count_nonzero() == 1
    assert torch.equal(_likeliest(probs, 1.0), probs)
    lively = Sampling(6, temperature=5.0, top_p=1e-6, repetition_penalty=1.0)
    (greedy,) = engine().generate(Generate(TEXT, ((),), GREEDY), silent_job())
    (drawn,) = engine().generate(Generate(TEXT, ((),), lively), silent_job())
    assert drawn.ids == greedy.ids
    for wrong in (0.0, 1.5, NAN):
        with pytest.raises(ScopeError, match="Top-p"):
            engine().generate(Generate(TEXT, ((),), replace(lively, top_p=wrong)), silent_job())


def test_a_prompt_that_fills_the_context_leaves_no_room_for_an_answer():
    full = Prompt("a" * (CONTEXT - len(ids_of(Prompt("a", chat=False))) + 1), chat=False)
    assert len(ids_of(full)) == CONTEXT
    with pytest.raises(ScopeError, match="whole context") as caught:
        engine().generate(Generate(full, ((),), GREEDY), silent_job())
    assert caught.value.hint

"""Sweeps, controls, rules on examples: the figures are right, and nothing is measured twice."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plain_steering import feature_of
from steered_tiny import by_hand, engine, vector

from desktop_scope.engine.ablating import Run
from desktop_scope.engine.answers import answer_all
from desktop_scope.engine.cost_types import Word
from desktop_scope.engine.requests import Generate
from desktop_scope.engine.sae_weights import SaeWeights
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
from desktop_scope.engine.worker import Job, silent_job
from desktop_scope.errors import Cancelled, ScopeError
from desktop_scope.experiments import effect
from desktop_scope.experiments.controls import ControlStudy, verdict
from desktop_scope.experiments.effect import EffectMeter, Push
from desktop_scope.experiments.requests import RunControls, SweepStrengths, TestRule
from desktop_scope.experiments.rule_test import try_rule
from desktop_scope.experiments.statistics import interval
from desktop_scope.experiments.studies import Studies
from desktop_scope.experiments.sweep import StrengthSweep, _safe
from desktop_scope.experiments.types import (
    Control,
    ControlRow,
    Interval,
    RuleExample,
    SweepPoint,
)

PROMPTS = tuple(Prompt(text, chat=False) for text in ("The museum", "nine in the morning", "a"))
WORDS = ("nine", "museum", "e", "at")
PUSH = (
    Intervention(FeatureId(1, 3), 3.0),
    Intervention(FeatureId(0, 5), 2.0, Mode.CLAMP, positions=Positions(prompt=False)),
)
N = 5


def meter() -> EffectMeter:
    return EffectMeter(engine(), PROMPTS, WORDS, N)


def request(**more) -> SweepStrengths:
    return SweepStrengths(PUSH, prompts=PROMPTS, words=WORDS, n_tokens=N, **more)


def sweep_of(**more) -> StrengthSweep:
    asked = request(**more)
    return StrengthSweep(engine(), asked, meter())


@pytest.mark.parametrize("rule", [None, Rule((Trigger(FeatureId(2, 3), 0.3),), within=2)])
def test_answers_in_a_batch_equal_those_given_one_by_one(rule):
    items = tuple(
        Intervention(i.feature, i.amount, i.mode, positions=i.positions, rule=rule) for i in PUSH
    )
    model = engine().model
    other = (Intervention(FeatureId(2, 6), -4.0),)
    asked = [(prompt, pushed) for pushed in (items, (), other) for prompt in PROMPTS]
    runs = [Run(tuple(model.encode(prompt).ids), pushed) for prompt, pushed in asked]
    with torch.inference_mode():
        together = answer_all(model, engine().saes, runs, N, silent_job())
    for (prompt, pushed), said in zip(asked, together, strict=True):
        (alone,) = engine().generate(Generate(prompt, (pushed,), Sampling(N)), silent_job())
        assert said == [i for i in alone.ids if i not in model.stop_ids]
    assert together[:3] != together[3:6] != together[6:]


def test_pushes_that_are_measured_together_come_out_as_one_by_one(monkeypatch):
    asked = RunControls(PUSH, PROMPTS, WORDS, draws=4, n_tokens=N)
    found = []
    for at_once in (1, 28):
        monkeypatch.setattr(effect, "_ANSWERS_AT_ONCE", at_once)
        sweep = sweep_of(factors=(-1.0, 0.0, 0.5, 1.0, 2.0)).run(silent_job())
        rows = ControlStudy(engine(), asked, meter()).run(silent_job()).rows
        found.append((sweep.points, rows))
    for one, together in zip(*found, strict=True):
        for a, b in zip(one, together, strict=True):
            assert a.text == b.text
            np.testing.assert_allclose(a.effect, b.effect, atol=1e-4)
            np.testing.assert_allclose(a.said, b.said)
            np.testing.assert_allclose(a.kl, b.kl, rtol=1e-4)


def test_the_effect_is_the_log_ratio_of_the_words_on_the_plain_answers():
    made = meter()
    made.begin(silent_job())
    texts = engine().model.texts
    words = [i for i, text in enumerate(texts) if text.strip().lower() in WORDS]
    expected = []
    (plain,) = made.answers([Push(())], silent_job())
    for prompt, said in zip(PROMPTS, plain, strict=True):
        ids = engine().model.encode(prompt).ids
        said = said or [0]
        likely = [
            by_hand(items, n_prompt=len(ids))
            .logits([*ids, *said[:-1]])
            .log_softmax(-1)[len(ids) - 1 :, words]
            .logsumexp(-1)
            for items in (PUSH, ())
        ]
        expected.append(float((likely[0] - likely[1]).mean()))
    pushed, unpushed = made.effects([Push(PUSH), Push(())], silent_job())
    np.testing.assert_allclose(pushed, expected, atol=2e-3)
    assert unpushed == pytest.approx([0, 0, 0], abs=1e-6)


def test_a_sweep_has_a_point_for_each_strength_and_nothing_happens_at_0():
    sweep = sweep_of(factors=(2.0, 0.0, 1.0, 0.0, -1.0)).run(silent_job())
    assert [point.factor for point in sweep.points] == [-1.0, 0.0, 1.0, 2.0]
    assert sweep.finished
    assert sweep.words == WORDS
    for point in sweep.points:
        for low_high in (point.effect, point.kl, point.nll_delta, point.said, point.repetition):
            assert low_high.low <= low_high.mean <= low_high.high
    # A clamp to 0 is no nothing: the feature is switched off.
    assert abs(sweep.points[1].effect.mean) < abs(sweep.points[3].effect.mean)


class Interrupting(Job):
    """Is cancelled after so many reports."""

    def __init__(self, reports: int) -> None:
        super().__init__(1, request(), lambda event: None)
        self._left = reports

    def progress(self, done: int, total: int, text: str) -> None:
        self._left -= 1
        if self._left < 0:
            raise Cancelled


def test_an_interrupted_study_goes_on_where_it_was(monkeypatch):
    measured = []
    whole = StrengthSweep._measure
    monkeypatch.setattr(
        StrengthSweep, "_measure", lambda s, f, job: measured.extend(f) or whole(s, f, job)
    )
    monkeypatch.setattr(effect, "_ANSWERS_AT_ONCE", 1)
    studies = Studies(engine(), None)
    asked = request(factors=(0.0, 1.0, 2.0))
    for reports in (1, 1, 2):
        with pytest.raises(Cancelled):
            studies.sweep(asked, Interrupting(reports))
    found = studies.sweep(asked, silent_job())
    assert sorted(measured) == [0.0, 1.0, 2.0]
    assert studies.sweep(asked, silent_job()) == found
    assert len(measured) == 3
    studies.sweep(request(factors=(3.0,)), silent_job())
    assert measured[-1] == 3.0


def test_the_search_for_the_best_strength_stops_where_it_costs_too_much():
    sweep = sweep_of(factors=(), limit=0.05).run(silent_job())
    costly = [p.factor for p in sweep.points if p.kl.mean > 0.05]
    assert costly
    cheap = [p.factor for p in sweep.points if 0 < p.factor < min(costly)]
    assert cheap
    assert max(p.factor for p in sweep.points) <= 1.7 * max(*cheap, 0.25)
    assert min(costly) - max(cheap) < 0.2 * min(costly)  # and then looks closely
    if sweep.best is not None:
        assert sweep.best in cheap


def test_a_search_that_starts_too_strong_turns_down():
    strong = (Intervention(FeatureId(1, 3), 4000.0),)
    asked = SweepStrengths(strong, (), PROMPTS, WORDS, limit=0.05, n_tokens=2)
    made = EffectMeter(engine(), PROMPTS, WORDS, 2)
    sweep = StrengthSweep(engine(), asked, made).run(silent_job())
    assert 0 < min(p.factor for p in sweep.points if p.factor > 0) < 0.05


def point(factor: float, kl: float) -> SweepPoint:
    same = Interval(0.0, 0.0, 0.0)
    return SweepPoint(factor, same, same, Interval(kl, kl, kl), same, same, "", Word.SAFE)


def test_the_safe_range_lies_between_the_strengths_at_which_the_cost_shows():
    points = [point(f, k) for f, k in ((-2, 0.8), (-1, 0.0), (0, 0.0), (1, 0.2), (2, 0.6), (3, 9))]
    assert _safe(points) == (pytest.approx(-1.5), pytest.approx(1.5))
    assert _safe([point(0, 0.0), point(1, 0.1)]) == (
        0.0,
        1.0,
    )
    assert _safe([]) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"interventions": (Intervention(FeatureId(0, 1), mode=Mode.ABLATE),)},
        {"interventions": (Intervention(FeatureId(0, 1), 0.0),)},
        {"factors": (1.0, float("nan"))},
        {"limit": 0.0},
        {"n_tokens": 0},
        {"words": ("notoneword",)},
        {"words": ()},
    ],
    ids=str,
)
def test_a_sweep_that_makes_no_sense_is_refused(wrong):
    fields = {"interventions": PUSH, "prompts": PROMPTS, "words": WORDS, "n_tokens": N} | wrong
    with pytest.raises(ScopeError) as caught:
        Studies(engine(), None).sweep(SweepStrengths(**fields), silent_job())
    assert caught.value.hint


# ---- controls


def test_controls_push_as_hard_with_what_should_not_do_it():
    items = (*PUSH, Intervention(vector=vector(1), amount=2.0))
    asked = RunControls(items, PROMPTS, WORDS, draws=3, n_tokens=N)
    study = ControlStudy(engine(), asked, meter())
    pushes = study._pushes()
    assert [which for which, _ in pushes] == [
        Control.FEATURE, Control.RANDOM, Control.RANDOM, Control.RANDOM, Control.OPPOSITE,
    ]  # fmt: skip  # no instruction: these prompts are no chats
    added = [push.interventions[0] for (which, _), push in pushes.items()
             if which is Control.RANDOM]  # fmt: skip
    assert len({item.feature for item in added}) > 1
    sae = engine().saes[1]
    for item in added:
        assert item.feature.sae == 1
        length = abs(item.amount) * float(sae.decoder_row(item.feature.index).norm())
        assert length == pytest.approx(3.0 * float(sae.decoder_row(3).norm()), rel=1e-5)
    assert pushes[Control.OPPOSITE, 0].interventions[0].amount == -3.0
    found = study.run(silent_job())
    rows = {row.control: row for row in found.rows}
    assert rows[Control.FEATURE].n == 3
    assert rows[Control.RANDOM].n == 9
    assert rows[Control.FEATURE].behind is None
    expected = rows[Control.FEATURE].effect.mean - rows[Control.RANDOM].effect.mean
    assert rows[Control.RANDOM].behind.mean == pytest.approx(expected, abs=1e-5)
    assert found.verdict
    assert study.run(silent_job()) == found


def row(control: Control, effect: float, behind: float = 0.0, spread: float = 0.1) -> ControlRow:
    def around(x: float) -> Interval:
        return Interval(x, x - spread, x + spread)

    gap = None if control is Control.FEATURE else around(behind)
    return ControlRow(control, "", around(effect), around(0), 0.0, gap, 5, "")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([row(Control.FEATURE, 0.05), row(Control.RANDOM, 0.0)], "nothing to explain"),
        ([row(Control.FEATURE, 2.0), row(Control.RANDOM, 0.5, 1.5)], "bring 25% of it"),
        ([row(Control.FEATURE, 2.0), row(Control.RANDOM, 1.95, 0.05)], "the push, not the feature"),
        ([row(Control.FEATURE, -2.0), row(Control.RANDOM, -0.5, -1.5)], "bring 25% of it"),
        ([row(Control.FEATURE, -2.0), row(Control.RANDOM, -2.5, 0.5)], "the push, not the feature"),
        ([row(Control.FEATURE, 2.0), row(Control.RANDOM, 0, 2), row(Control.INSTRUCTION, 3, -1)],
         "prompt does more"),
        ([row(Control.FEATURE, 2.0), row(Control.RANDOM, 0, 2), row(Control.INSTRUCTION, 1, 1)],
         "prompt does less"),
        ([row(Control.FEATURE, 2.0), row(Control.RANDOM, 0, 2), row(Control.INSTRUCTION, 2, 0)],
         "about as much"),
    ],
)  # fmt: skip
def test_the_verdict_says_whether_the_feature_itself_did_it(rows, says):
    assert says in verdict(rows)


# ---- rules


def test_a_rule_is_measured_on_ones_own_examples():
    texts = ("The museum opens", "children enter", "nine in the morning", "free")
    weights = engine().saes[0].weights
    streams = {t: residual(engine().model.encode(Prompt(t, chat=False)).ids) for t in texts}
    # Between what the features reach on one text and on another.
    triggers = tuple(
        Trigger(
            FeatureId(0, i), sum(sorted(peak_of(weights, i, x) for x in streams.values())[2:]) / 2
        )
        for i in (4, 9)
    )
    examples = tuple(RuleExample(text, wanted=n % 2 == 0) for n, text in enumerate(texts))
    result = try_rule(engine(), TestRule(Rule(triggers), examples), silent_job())
    for case in result.cases:
        values = [
            [feature_of(weights, t.feature.index, x)[0] for t in triggers]
            for x in streams[case.example.text]
        ]
        fires = [
            n for n, f in enumerate(values)
            if n and any(v > t.above for v, t in zip(f, triggers, strict=True))
        ]  # fmt: skip
        assert list(case.firing.tokens) == fires
        most = max(v / t.above for f in values[1:] for v, t in zip(f, triggers, strict=True))
        assert case.peak == pytest.approx(most, rel=1e-3)
    fired = [case.fired for case in result.cases]
    assert any(fired)
    assert not all(fired)
    right = sum(f and e.wanted for f, e in zip(fired, examples, strict=True))
    assert result.precision == right / sum(fired)
    assert result.recall == right / 2


def peak_of(weights: SaeWeights, index: int, streams: torch.Tensor) -> float:
    return max(feature_of(weights, index, x)[0] for x in streams[1:])


def residual(ids: list[int]) -> torch.Tensor:
    """What the first block puts out, in float64."""
    model, kept = by_hand(()).model, []
    handle = model.model.layers[0].register_forward_hook(
        lambda _m, _i, out: kept.append(out if isinstance(out, torch.Tensor) else out[0])
    )
    with torch.inference_mode():
        model(torch.tensor([ids]), use_cache=False)
    handle.remove()
    return kept[0][0]


def test_a_rule_that_never_or_always_fires_on_the_examples_says_so():
    examples = (RuleExample("The museum", True), RuleExample("nine", False))

    def remark(above: float) -> str:
        rule = Rule((Trigger(FeatureId(0, 4), above),))
        return try_rule(engine(), TestRule(rule, examples), silent_job()).remark

    assert "none of these" in remark(1e9)
    assert "all of these" in remark(-1.0)
    with pytest.raises(ScopeError, match="no examples"):
        try_rule(engine(), TestRule(Rule((Trigger(FeatureId(0, 4), 1.0),)), ()), silent_job())


def test_an_interval_covers_the_mean_and_narrows_with_numbers():
    rng = np.random.default_rng(0)
    few, many = (interval(rng.normal(3.0, 1.0, n)) for n in (10, 1000))
    assert few.low < few.mean < few.high
    assert many.high - many.low == pytest.approx(2 * 1.96 / 1000**0.5, rel=0.15)
    assert interval([2.0]) == (2.0, 2.0, 2.0)
    assert interval([3.0, 1.0], [3, 1]).mean == 1.0

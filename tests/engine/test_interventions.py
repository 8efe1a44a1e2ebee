"""Steering and ablation equal a straightforward float64 computation on the real model."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from plain_model import Edit, PlainModel, ablated, added, in_turn, plain_sae

from desktop_scope import paths
from desktop_scope.engine.damage import NEUTRAL_TEXTS
from desktop_scope.engine.hook_points import resid_post
from desktop_scope.engine.interventions import Steering
from desktop_scope.engine.requests import MeasureDamage
from desktop_scope.engine.types import FeatureId, Intervention, Mode, Prompt, Sampling
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import ScopeError

PROMPT = Prompt("Tell me about dogs")


def add(layer: int, index: int, amount: float) -> Intervention:
    return Intervention(FeatureId(layer, index), amount)


def off(layer: int, index: int) -> Intervention:
    return Intervention(FeatureId(layer, index), mode=Mode.ABLATE)


# Ours, and the same by hand.
CASES: dict[str, tuple[tuple[Intervention, ...], Mapping[int, Edit]]] = {
    "add": ((add(17, 3988, 55.0),), {17: added(17, 3988, 55.0)}),
    "add the opposite": ((add(17, 3988, -40.0),), {17: added(17, 3988, -40.0)}),
    "ablate": ((off(20, 16),), {20: ablated(20, 16)}),
    "in the first and the last layer": (
        (add(0, 7, 10.0), add(29, 12, 200.0)),
        {0: added(0, 7, 10.0), 29: added(29, 12, 200.0)},
    ),
    "add, then ablate the same feature": (
        (add(10, 2517, 40.0), off(10, 2517)),
        {10: in_turn(added(10, 2517, 40.0), ablated(10, 2517))},
    ),
    "ablate, then add the same feature": (
        (off(10, 2517), add(10, 2517, 40.0)),
        {10: in_turn(ablated(10, 2517), added(10, 2517, 40.0))},
    ),
    "several layers, given out of order": (
        (add(23, 1001, 90.0), off(16, 157), add(10, 2517, 30.0), add(16, 3, 9.0)),
        {
            10: added(10, 2517, 30.0),
            16: in_turn(ablated(16, 157), added(16, 3, 9.0)),
            23: added(23, 1001, 90.0),
        },
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_models_predictions_equal_those_of_float64(case, trace, plain):
    interventions, edits = CASES[case]
    ours = trace(PROMPT, interventions=interventions)
    reference = plain.run(ours.ids.tolist(), edits)
    said = reference.logprobs[:-1].gather(1, torch.tensor(ours.ids[1:, None], dtype=torch.int64))
    np.testing.assert_allclose(ours.logprobs[1:], said[:, 0], atol=2e-3)
    probs = reference.logprobs[-1, ours.next_ids.astype(np.int64)].exp()
    np.testing.assert_allclose(ours.next_probs, probs, rtol=2e-3)
    np.testing.assert_allclose(
        ours.residual_norm, reference.residual.norm(dim=-1), rtol=1e-4
    )  # neither left out nor applied twice


def test_an_intervention_shows_in_the_features_of_its_own_layer(trace):
    feature = FeatureId(17, 3988)
    plain, steered = trace(PROMPT), trace(PROMPT, interventions=(add(*feature, 55.0),))
    encoded = ~plain.masked
    before, after = (t.acts[17].of(feature.index)[encoded] for t in (plain, steered))
    assert (after > before + 20).all()
    assert steered.interventions == (add(*feature, 55.0),)
    for layer in range(17):
        assert steered.acts[layer].indices.tolist() == plain.acts[layer].indices.tolist()


def test_a_steered_run_leaves_no_trace_in_the_next_one(trace):
    before = trace(PROMPT)
    trace(PROMPT, interventions=CASES["several layers, given out of order"][0])
    assert trace(PROMPT).logprobs[1:].tolist() == before.logprobs[1:].tolist()


def test_a_feature_that_does_not_exist_is_refused(trace):
    for item in (add(30, 0, 1.0), add(0, 4096, 1.0), off(-1, 0)):
        with pytest.raises(ScopeError, match="There is no"):
            trace(PROMPT, interventions=(item,))


def streams(*norms: float) -> torch.Tensor:
    """[1, T, d_model] tokens with feature 16/157 on, of the given norms."""
    toward = plain_sae(16).W_enc[157].float()
    return torch.stack([norm * toward / toward.norm() for norm in norms])[None]


def edit_of(engine, item: Intervention, limit: float, start: int):
    saes = [copy.copy(sae) for sae in engine.saes]
    for sae in saes:
        sae.outlier_norm = limit
    steering = Steering((item,), saes)
    steering.start = start
    return steering.edits()[resid_post(item.feature.sae)]


def test_ablation_leaves_position_0_and_outliers_alone(engine):
    x = streams(100, 100, 5000, 100)
    changed = (edit_of(engine, off(16, 157), 1000, start=0)(x) != x).any(-1)
    assert changed[0].tolist() == [False, True, False, True]


def test_ablation_knows_that_a_later_step_does_not_begin_at_position_0(engine):
    x = streams(100)
    assert torch.equal(edit_of(engine, off(16, 157), 1000, start=0)(x), x)
    assert not torch.equal(edit_of(engine, off(16, 157), 1000, start=9)(x), x)


def test_ablation_takes_out_what_the_feature_wrote_and_nothing_else(engine):
    x = streams(100, 90)
    change = edit_of(engine, off(16, 157), 1000, start=1)(x) - x
    f = plain_sae(16).encode(x[0])[:, 157]
    np.testing.assert_allclose(change[0], -f[:, None] * plain_sae(16).W_dec[157], atol=1e-3)


def test_adding_applies_at_every_position_but_the_first_and_at_outliers(engine):
    x = streams(100, 100, 5000)
    change = edit_of(engine, add(16, 157, 7.0), 1000, start=0)(x) - x
    np.testing.assert_allclose(change[0].norm(dim=-1), [0.0, 7.0, 7.0], rtol=0.01)


@pytest.mark.parametrize("item", [add(16, 157, 7.0), off(16, 157)], ids=["add", "ablate"])
def test_in_bfloat16_the_sum_is_made_in_float32_and_rounded_once(item, engine):
    x = streams(100, 100, 90).to(torch.bfloat16)
    edit = edit_of(engine, item, 1000, start=0)
    assert edit(x).dtype == torch.bfloat16
    assert not torch.equal(edit(x), x)
    assert torch.equal(edit(x), edit(x.float()).to(torch.bfloat16))


def answer_without_cache(
    plain: PlainModel, ids: list[int], edits: Mapping[int, Edit], penalty: float, n: int
) -> list[int]:
    """The likeliest tokens, everything computed anew for each of them."""
    said: list[int] = []
    for _ in range(n):
        logits = plain.run([*ids, *said], edits).logits[-1].clone()
        for token in {*ids, *said}:
            logits[token] *= penalty if logits[token] < 0 else 1 / penalty
        said.append(int(logits.argmax()))
    return said


@pytest.mark.parametrize(
    ("case", "penalty"), [("add", 1.0), ("several layers, given out of order", 1.1)]
)
def test_a_steered_answer_with_cache_equals_one_computed_anew_for_every_token(
    case, penalty, generate, plain
):
    interventions, edits = CASES[case]
    (ours,) = generate(PROMPT, (interventions,), Sampling(8, repetition_penalty=penalty))
    assert list(ours.ids) == answer_without_cache(plain, plain.ids(PROMPT), edits, penalty, 8)


def recipe_of(name: str) -> tuple[dict[str, Any], tuple[Intervention, ...]]:
    """One that was published with the pack."""
    recipes = json.loads((paths.demo_pack() / "recipes.json").read_text("utf-8"))["recipes"]
    recipe = next(recipe for recipe in recipes if recipe["id"] == name)
    return recipe, tuple(
        add(f["layer"], f["feature"], f["strength"] * f["max_active"]) for f in recipe["features"]
    )


@pytest.mark.parametrize(
    ("name", "number"), [("mountain", 0), ("poem_knob", 1), ("dogs", 0), ("pirate", 0)]
)
def test_a_published_recipe_gives_the_published_answer(name, number, generate):
    """Published with weights rounded to bfloat16: where two tokens tie, others may differ."""
    recipe, interventions = recipe_of(name)
    prompt = Prompt(recipe["prompts"][number])
    plain, steered = generate(prompt, ((), interventions), Sampling(25))
    assert recipe["unsteered"][number].startswith(plain.text.strip())
    assert recipe["steered"][number].startswith(steered.text.strip())
    assert plain.text != steered.text


@pytest.mark.parametrize("name", ["mountain", "poem_knob", "dogs_single", "pirate", "preacher"])
def test_a_published_recipe_costs_about_what_was_published(name, engine):
    """Published without the first token that we put before raw text, which shifts it a little."""
    recipe, interventions = recipe_of(name)
    damage = engine.damage(MeasureDamage(interventions), silent_job())
    assert damage.n_tokens == 123
    assert damage.kl == pytest.approx(recipe["kl_neutral"], rel=0.1)
    assert damage.nll_delta > 0


def test_damage_equals_the_kl_computed_in_float64(engine, plain):
    interventions, edits = CASES["add"]
    kl = nll = 0.0
    for text in NEUTRAL_TEXTS:
        ids = plain.ids(Prompt(text, chat=False))
        before, after = plain.run(ids).logprobs[1:-1], plain.run(ids, edits).logprobs[1:-1]
        kl += float((before.exp() * (before - after)).sum())
        nll += float((before - after).gather(1, torch.tensor(ids)[2:, None]).sum())
    damage = engine.damage(MeasureDamage(interventions), silent_job())
    assert damage.kl == pytest.approx(kl / damage.n_tokens, rel=1e-3)
    assert damage.nll_delta == pytest.approx(nll / damage.n_tokens, rel=1e-3)


def test_no_intervention_costs_nothing(engine):
    damage = engine.damage(MeasureDamage((add(17, 3988, 0.0),)), silent_job())
    assert abs(damage.kl) < 1e-6
    assert abs(damage.nll_delta) < 1e-6


POEM = Prompt("Write a short poem about the moon.")


def test_one_feature_off_and_verse_becomes_prose(generate):
    verse, prose = generate(POEM, ((), (off(16, 157),)), Sampling(25))
    assert verse.text.count("\n") >= 2
    assert prose.text.startswith("The moon is a celestial body that has been revered")
    assert "\n" not in prose.text


def test_what_has_nothing_to_do_with_verse_stays_the_same(generate, engine):
    fruits = Prompt("List three fruits")
    plain, without = generate(fruits, ((), (off(16, 157),)), Sampling(25))
    assert plain.ids == without.ids
    assert engine.damage(MeasureDamage((off(16, 157),)), silent_job()).kl < 5e-4

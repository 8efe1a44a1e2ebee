"""Contributions to the difference of two answers, against float64 differences by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from plain_model import PlainModel, plain_sae

from desktop_scope.engine.attribution import attribute
from desktop_scope.engine.fork import Fork
from desktop_scope.engine.questions import Attribution, ExplainAnswer, Question
from desktop_scope.engine.types import Prompt
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import ScopeError

MIDWIFE = Prompt("The midwife was tired after work because", chat=False)
STEP = 5e-3  # transformers’ norms compute in float32: smaller ones drown in rounding


def explain(engine, answer: str, instead: str, prompt: Prompt = MIDWIFE) -> Attribution:
    request = ExplainAnswer(Question(prompt, answer, instead))
    return engine.explain(request, silent_job()).attribution


@pytest.fixture(scope="module")
def she(engine) -> Attribution:
    return explain(engine, " she", " he")


def difference(plain: PlainModel, found: Attribution, edit: Callable, layer: int) -> float:
    """m with the stream of the whole text changed after one layer, in float64."""
    text, m = found.ids[: found.n_text], 0.0
    for answer, sign in ((found.answer, 1), (found.instead, -1)):
        run = plain.run([*text, *answer[:-1]], {layer: edit})
        said = run.logprobs[len(text) - 1 :][range(len(answer)), list(answer)]
        m += sign * float(said.sum())
    return m


def slope(plain: PlainModel, found: Attribution, layer: int, token: int, way: Callable) -> float:
    """By how much m grows with a step of the stream at one token."""

    def stepped(step: float) -> float:
        def edit(x: torch.Tensor) -> torch.Tensor:
            x = x.clone()
            x[token] += step * way(x[token])
            return x

        return difference(plain, found, edit, layer)

    return (stepped(STEP) - stepped(-STEP)) / (2 * STEP)


def engine_norm(plain: PlainModel, found: Attribution, layer: int, token: int) -> float:
    return float(plain.run(list(found.ids)).residual[layer, token].norm())


def whole(x: torch.Tensor) -> torch.Tensor:
    return x


@pytest.mark.parametrize(("layer", "token"), [(0, 2), (24, 3), (17, 0)])
def test_features_error_and_bias_sum_to_what_the_layer_does(engine, plain, she, layer, token):
    total = she.by_features()[layer, token] + she.errors[layer, token] + she.biases[layer, token]
    assert total == pytest.approx(slope(plain, she, layer, token, whole), rel=5e-3, abs=5e-3)


def test_each_effect_is_the_slope_along_its_own_direction(engine, plain, she):
    for cause in she.causes(2):
        layer, index = cause.feature
        row = plain_sae(layer).W_dec[index]
        found = slope(plain, she, layer, cause.token, lambda x, row=row: row * x.norm())
        norm = engine_norm(plain, she, layer, cause.token)
        assert cause.effect == pytest.approx(cause.activation * found / norm, rel=5e-3)
    assert she.difference == pytest.approx(difference(plain, she, whole, 0), abs=1e-3)
    assert she.causes(1)[0].feature == (24, 1017)  # women and girls, as the demo's study found


def test_answers_of_several_tokens_count_every_token_of_theirs(engine, plain):
    found = explain(engine, " she had been", " he worked")
    n, tail = found.n_text, len(found.answer) - 1
    assert len(found.ids) == n + tail + len(found.instead) - 1
    assert found.difference == pytest.approx(difference(plain, found, whole, 0), abs=1e-3)
    for token in (3, n):  # of the text, and of the first answer alone
        total = found.by_features()[20, token] + found.errors[20, token] + found.biases[20, token]
        if token == 3:
            expected = slope(plain, found, 20, token, whole)
        else:
            alone = slope_of_one(plain, (*found.ids[:n], *found.answer), n, 20)
            expected = alone
        assert total == pytest.approx(expected, rel=5e-3, abs=5e-3)


def slope_of_one(plain: PlainModel, ids: tuple[int, ...], n: int, layer: int) -> float:
    """By how much log p of the end of a text grows with the stream at token n."""

    def stepped(step: float) -> float:
        def edit(x: torch.Tensor) -> torch.Tensor:
            x = x.clone()
            x[n] *= 1 + step
            return x

        said = plain.run(list(ids[:-1]), {layer: edit}).logprobs[n - 1 :]
        return float(said[range(len(ids) - n), list(ids[n:])].sum())

    return (stepped(STEP) - stepped(-STEP)) / (2 * STEP)


def test_what_both_answers_begin_with_makes_no_difference(engine):
    long, short = (
        explain(engine, " she said", " she went"),
        Fork.of(
            engine.model,
            Question(MIDWIFE, " said", " went", before=tuple(engine.model.continuation(" she"))),
        ),
    )
    assert long.ids == short.text
    found = attribute(engine.model, engine.saes, short, silent_job())
    assert long.difference == pytest.approx(found.difference, abs=1e-4)
    np.testing.assert_allclose(long.errors, found.errors, atol=1e-4)


@pytest.mark.parametrize(
    ("answer", "instead", "words"),
    [
        (" she", " she", "the same"),
        (" she", " she said", "begins with the other"),
        ("", " he", "no text"),
    ],
)
def test_answers_that_do_not_part_are_refused(engine, answer, instead, words):
    with pytest.raises(ScopeError, match=words) as refused:
        explain(engine, answer, instead)
    assert refused.value.hint


def test_too_long_a_text_is_refused_before_anything_is_computed(engine):
    prompt = Prompt("dog " * (engine.model.info.context - 2), chat=False)
    with pytest.raises(ScopeError, match=r"context|GB"):
        explain(engine, " she had been", " he", prompt)


def test_without_an_sae_there_is_nothing_to_explain_with(engine):
    fork = Fork.of(engine.model, Question(MIDWIFE, " she", " he"))
    with pytest.raises(ScopeError, match="No SAE is open"):
        attribute(engine.model, (), fork, silent_job())

"""Batches in which each text has interventions of its own equal running every text alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plain_model import Edit, PlainModel, ablated, in_turn, norm_limits, plain_sae

from desktop_scope.engine import ablating
from desktop_scope.engine.ablating import Choice, Run, batches, score
from desktop_scope.engine.types import FeatureId, Intervention, Mode, Positions, Prompt
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import ScopeError

PAIR = (FeatureId(24, 1017), FeatureId(24, 195))
TEXTS = ("The midwife was tired after work because", "I spoke to the plumber yesterday, and")


def off(*features: FeatureId, tokens: tuple[int, ...] = ()) -> tuple[Intervention, ...]:
    at = Positions(tokens=tokens)
    return tuple(Intervention(feature, mode=Mode.ABLATE, positions=at) for feature in features)


def ids_of(engine, text: str) -> tuple[int, ...]:
    return tuple(engine.model.encode(Prompt(text, chat=False)).ids)


def by_hand(plain: PlainModel, choice: Choice, edits: dict[int, Edit]) -> list[float]:
    """log p of both answers, each from a float64 pass of its own."""
    found = []
    for answer in (choice.answer, choice.instead):
        ids = [*choice.run.ids, *answer]
        said = plain.run(ids, edits).logprobs[len(choice.run.ids) - 1 : -1]
        found.append(float(said[range(len(answer)), list(answer)].sum()))
    return found


def only_at(tokens: tuple[int, ...], layer: int, index: int) -> Edit:
    whole = ablated(layer, index)

    def edit(x: torch.Tensor) -> torch.Tensor:
        changed = x.clone()
        changed[list(tokens)] = whole(x)[list(tokens)]
        return changed

    return edit


def test_each_text_of_a_batch_equals_a_float64_pass_of_its_own(engine, plain):
    model = engine.model
    he, she = (tuple(model.continuation(text)) for text in (" he", " she"))
    long = tuple(model.continuation(" she had been working"))
    first, second = (ids_of(engine, text) for text in TEXTS)
    pair = in_turn(ablated(24, 1017), ablated(24, 195))
    cases = [
        (Choice(Run(first), he, she), {}),
        (Choice(Run(first, off(*PAIR)), he, she), {24: pair}),
        (Choice(Run(second, off(FeatureId(11, 141), PAIR[1])), she, long),
         {11: ablated(11, 141), 24: ablated(24, 195)}),
        (Choice(Run(first, off(PAIR[0], tokens=(2, 3))), he, long),
         {24: only_at((2, 3), 24, 1017)}),
    ]  # fmt: skip
    found = score(model, engine.saes, [choice for choice, _ in cases], silent_job(), "Trying")
    expected = [by_hand(plain, choice, edits) for choice, edits in cases]
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert abs(found[0] - found[1]).max() > 0.1  # it does something


def test_texts_of_unlike_length_do_not_disturb_each_other(engine, monkeypatch):
    he, she = (tuple(engine.model.continuation(text)) for text in (" he", " she"))
    texts = [TEXTS[0], "Yes", " ".join(TEXTS) * 3]
    choices = [Choice(Run(ids_of(engine, text), off(PAIR[0])), he, she) for text in texts]
    args = engine.model, engine.saes
    together = score(*args, choices, silent_job(), "")
    alone = np.concatenate([score(*args, [choice], silent_job(), "") for choice in choices])
    np.testing.assert_allclose(together, alone, atol=1e-4)
    monkeypatch.setattr(ablating, "_TOKENS_AT_ONCE", 20)
    np.testing.assert_allclose(score(*args, choices, silent_job(), ""), alone, atol=1e-4)


def test_batches_hold_every_text_once_and_no_more_than_fits(monkeypatch):
    monkeypatch.setattr(ablating, "_TOKENS_AT_ONCE", 12)
    lengths = [3, 50, 4, 4, 1, 5]
    found = list(batches(lengths))
    assert sorted(n for batch in found for n in batch) == list(range(6))
    assert all(len(b) == 1 or len(b) * max(lengths[n] for n in b) <= 12 for b in found)
    assert not list(batches([]))


def test_a_continuation_is_literal(engine):
    model = engine.model
    assert model.decode(model.continuation(" she")) == " she"
    assert len(model.continuation(" she")) == 1
    assert model.continuation("she") != model.continuation(" she")
    with pytest.raises(ScopeError, match="no text"):
        model.continuation("")


def test_the_features_of_the_test_fire_where_it_needs_them(plain):
    """Else switching them off would prove nothing."""
    run = plain.run(plain.ids(Prompt(TEXTS[0], chat=False)))
    f = plain_sae(24).encode(run.residual[24])[:, 1017]
    assert f[2:4].max() > 0
    assert (run.residual[24].norm(dim=-1)[1:] < norm_limits()[24]).all()

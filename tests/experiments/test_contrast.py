"""Texts against texts: what is planted is found, what is not there is not claimed."""

from __future__ import annotations

import numpy as np
import pytest

from desktop_scope.engine.requests import TracePrompt
from desktop_scope.engine.types import FeatureActs, FeatureId, Prompt, TextActs
from desktop_scope.engine.worker import Job, silent_job
from desktop_scope.errors import Cancelled, ScopeError
from desktop_scope.experiments.contrast import ContrastTexts, contrast
from desktop_scope.workbench import Workbench

N_FEATURES, N_SIDE = 300, 20
DOGS = (
    "The dog chased its tail around the garden.",
    "Our puppy sleeps next to the fireplace.",
    "She took her poodle to the vet yesterday.",
    "A stray dog followed us all the way home.",
    "The hound barked at the postman again.",
    "My neighbor's terrier digs holes in the lawn.",
    "Dogs need a walk at least twice a day.",
    "He trained his labrador to fetch the newspaper.",
    "The kennel was full of barking dogs.",
    "A small chihuahua growled at the visitor.",
)
OTHERS = (
    "The committee will meet on Thursday afternoon.",
    "Our car broke down next to the motorway.",
    "She took her bicycle to the shop yesterday.",
    "A strange noise followed us all the way home.",
    "The minister spoke to the press again.",
    "My neighbor's tractor left marks in the lawn.",
    "Plants need water at least twice a week.",
    "He asked his brother to fetch the newspaper.",
    "The station was full of waiting people.",
    "A small child smiled at the visitor.",
)


def _acts(dense: np.ndarray) -> FeatureActs:
    rows, index = np.nonzero(dense)
    ends = np.searchsorted(rows, np.arange(len(dense) + 1))
    return FeatureActs(
        ends.astype(np.int32), index.astype(np.int32), dense[rows, index].astype(np.float32)
    )


def _texts(seed: int, planted: tuple[int, ...] = ()) -> TextActs:
    """Two SAEs on texts of no difference, but for the planted features of the second."""
    random = np.random.default_rng(seed)
    acts = []
    for slot in range(2):
        shape = (2 * N_SIDE, N_FEATURES)
        dense = (random.random(shape) < 0.4) * random.exponential(size=shape)
        if slot:
            dense[:N_SIDE, list(planted)] += random.exponential(3, (N_SIDE, len(planted))) + 0.5
        acts.append(_acts(dense))
    return TextActs(np.full(2 * N_SIDE, 25, np.int32), tuple(acts))


def test_planted_features_are_found_and_hold_up() -> None:
    planted = (7, 100, 250)
    found = contrast(_texts(0, planted), N_SIDE)
    best = {row.feature for row in found.rows[:3]}
    assert best == {FeatureId(1, index) for index in planted}
    for row in found.rows[:3]:
        assert row.reliable
        assert row.low > 0.6
        assert row.held_out > 0.8
        assert row.mean_a > row.mean_b
    assert 3 <= found.n_reliable <= 4
    assert found.held_out is not None
    assert found.held_out.auroc > 0.85
    assert "tell the texts apart" in found.verdict


def test_the_other_side_has_its_own_list() -> None:
    acts = _texts(0, (7,))
    turned = TextActs(
        acts.n_tokens,
        tuple(_acts(_dense(one)[::-1]) for one in acts.acts),
    )
    found = contrast(turned, N_SIDE)
    assert found.others[0].feature == FeatureId(1, 7)
    assert found.others[0].auroc < 0.2
    assert all(row.auroc > 0.5 for row in found.rows)


def _dense(acts: FeatureActs) -> np.ndarray:
    return np.stack([acts.of(index) for index in range(N_FEATURES)], axis=1)


def test_nothing_is_claimed_where_there_is_nothing() -> None:
    claims, held = [], []
    for seed in range(12):
        found = contrast(_texts(seed), N_SIDE)
        claims.append(found.n_reliable)
        assert found.held_out is not None
        held.append(found.held_out.auroc)
        assert found.rows[0].auroc > 0.7  # the best of 600 looks good by chance alone
        assert found.n_reliable or "Nothing is reliable" in found.verdict
    assert sum(n > 0 for n in claims) <= 2  # 5 % are to be expected
    assert np.mean(held) == pytest.approx(0.5, abs=0.06)


def test_on_the_real_model(workbench: Workbench) -> None:
    found = workbench.handle(ContrastTexts(DOGS, OTHERS), silent_job())
    labels = [workbench.catalogue.label(row.feature).text for row in found.rows[:10]]
    assert sum("dog" in text or "animal" in text for text in labels) >= 5, labels
    assert found.n_reliable > 0
    shuffled = DOGS[::2] + OTHERS[::2], DOGS[1::2] + OTHERS[1::2]
    none = workbench.handle(ContrastTexts(*shuffled), silent_job())
    assert none.n_reliable == 0
    assert "Nothing is reliable" in none.verdict


def test_means_are_those_of_the_traces(workbench: Workbench) -> None:
    engine = workbench.engine
    texts = (DOGS[0], "Rain.", OTHERS[2] * 3)
    found = engine.read(texts, silent_job())
    for n, text in enumerate(texts):
        trace = engine.trace(TracePrompt(Prompt(text, chat=False)), silent_job())
        counted = int((~trace.masked).sum())
        assert found.n_tokens[n] == counted
        for slot in (0, 17, 29):
            index, means = found.acts[slot].at(n)
            acts = trace.acts[slot]
            expected = np.bincount(acts.indices, acts.values, 4096) / counted
            mine = np.zeros(4096)
            mine[index] = means
            # A batch may round a token across a feature's threshold.
            assert np.abs(mine - expected).sum() < 0.01 * expected.sum()


def test_reading_goes_on_where_it_was_cancelled(workbench: Workbench) -> None:
    texts = tuple(f"The {n} birds sing, {'and sing ' * n}." for n in range(12))
    told: list[int] = []

    def emit(event: object) -> None:
        told.append(event.done)  # type: ignore[attr-defined]
        if event.done:  # type: ignore[attr-defined]
            job.cancel()

    job = Job(0, ContrastTexts(texts, texts), emit)
    with pytest.raises(Cancelled):
        workbench.engine.read(texts, job)
    assert told[0] == 0
    begun: list[int] = []
    again = Job(0, ContrastTexts(texts, texts), lambda e: begun.append(e.done))  # type: ignore[attr-defined]
    workbench.engine.read(texts, again)
    assert begun[0] > 0


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        (("one", "two", "three"), OTHERS, "3 different texts in A"),
        (DOGS, ("same",) * 20, "1 different texts in B"),
        (tuple(map(str, range(1001))), OTHERS, "1,001 texts"),
    ],
)
def test_too_few_and_too_many(
    workbench: Workbench, a: tuple[str, ...], b: tuple[str, ...], says: str
) -> None:
    with pytest.raises(ScopeError, match=says):
        workbench.handle(ContrastTexts(a, b), silent_job())


def test_what_may_mislead_is_said(workbench: Workbench) -> None:
    long = tuple(text * 4 for text in OTHERS)
    found = workbench.handle(
        ContrastTexts((*DOGS, DOGS[0], OTHERS[0]), (*long, OTHERS[0])), silent_job()
    )
    said = " ".join(found.notes)
    assert "twice in A" in said
    assert "1 text is in A and in B" in said
    assert "much longer" in said

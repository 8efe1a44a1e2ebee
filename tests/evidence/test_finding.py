"""Whatever way features are found: the filters hold, the figures are those of plain arithmetic."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from precision import precision

from desktop_scope.engine.requests import TracePrompt
from desktop_scope.engine.types import FeatureId, Prompt
from desktop_scope.engine.worker import silent_job
from desktop_scope.evidence.marks.requests import MarkFeatures
from desktop_scope.evidence.marks.types import STARS, Change, Kind
from desktop_scope.evidence.requests import Match, RankBy, RankFeatures, ReadExample, Scope
from desktop_scope.evidence.store import BIN_EDGES
from desktop_scope.evidence.surprise import tails
from desktop_scope.evidence.types import Found

_numbers = itertools.count(10_001)  # of changes: none is made twice
PHRASE = "My chihuahua barks at presidents."


@pytest.fixture(scope="module")
def catalogue(workbench):
    return workbench.catalogue


@pytest.fixture(scope="module")
def trace(workbench):
    return workbench.engine.trace(TracePrompt(Prompt(PHRASE, chat=False)), silent_job())


def _asked(trace) -> dict[str, RankFeatures]:
    """Every way of finding features among all of them."""
    every = tuple(Found(FeatureId(slot, i), 1.0) for slot in range(30) for i in range(0, 4096, 40))
    return {
        "label": RankFeatures(Scope.ALL, words="animal", match=Match.WORDS),
        "merit": RankFeatures(Scope.ALL, by=RankBy.INTEREST),
        "promotes": RankFeatures(Scope.PROMOTES, words="dog"),
        "example": RankFeatures(Scope.EXAMPLE, trace=trace, span=(2, 6)),
        "given": RankFeatures(Scope.GIVEN, given=every, limit=400),
    }


@pytest.mark.parametrize("way", ["label", "merit", "promotes", "example", "given"])
def test_all_filters_hold_together_for_every_way(workbench, catalogue, trace, way):
    asked = replace(_asked(trace)[way], limit=400)
    everything = catalogue.rank(asked).rows
    assert len(everything) > 50
    layers = sorted(row.feature.sae for row in everything)
    first, last = layers[len(layers) // 5], layers[-len(layers) // 5]
    density = float(np.median([row.density for row in everything]))
    kind = everything[0].label.kind
    filtered = replace(asked, layers=(first, last), max_density=density, of_kind=kind)

    def passes(row) -> bool:
        return (
            first <= row.feature.sae <= last
            and row.density <= density
            and row.label.kind == kind
            and row.feature.index < 3000
        )

    expected = [row.feature for row in everything if passes(row)]
    found = [row.feature for row in catalogue.rank(replace(filtered, shown=(3000,) * 30)).rows]
    # Without filters only the first few hundred labels, or of an SAE, are looked at.
    if way in ("given", "promotes", "merit"):
        assert found[: len(expected)] == expected
    else:
        assert set(expected) <= set(found)
    star = found[len(found) // 2]
    workbench.handle(
        MarkFeatures((Change(next(_numbers), star, Kind.LIST, STARS, ""),)), silent_job()
    )
    try:
        starred = catalogue.rank(replace(filtered, shown=(3000,) * 30, on_list=STARS)).rows
        assert [row.feature for row in starred] == [star]
    finally:
        catalogue.marks.undo()
        catalogue.marked()
    assert catalogue.rank(replace(filtered, on_list=STARS)).rows == ()


def test_labels_that_were_not_scored_are_not_of_a_good_score(catalogue):
    asked = RankFeatures(Scope.ALL, words="animal", match=Match.WORDS, min_score=0.7)
    for row in catalogue.rank(asked).rows:
        assert catalogue.evidence[row.feature.sae].scores[row.feature.index] >= 0.7


def test_an_example_finds_what_is_unusual_there(catalogue, trace):
    rows = catalogue.rank(RankFeatures(Scope.EXAMPLE, trace=trace, span=(2, 4))).rows  # chihuahua
    labels = [row.label.text for row in rows[:40]]
    assert any("dog" in text or "chihuahua" in text for text in labels), labels
    values = [row.found.value for row in rows]
    assert values == sorted(values, reverse=True)
    for row in rows[:10]:
        layer, index = row.feature
        known = catalogue.evidence[layer]
        peak = trace.acts[layer].of(index)[2:5].max()
        counts = known.histogram(index).astype(float)
        # By hand: activations above, those in the same bin spread evenly over its octaves.
        above = 0.0
        for n, (low, high) in enumerate(itertools.pairwise(BIN_EDGES)):
            if low > peak:
                above += counts[n]
            elif peak < high:
                above += counts[n] * np.log(high / peak) / np.log(high / low)
        share = known.density[index] * max(above, 0.5) / counts.sum()
        assert row.found.value == pytest.approx(-np.log(3 * share), rel=1e-3)


def test_tails_are_shares_of_what_was_counted():
    counts = np.zeros((2, 24), np.int32)
    counts[:, 10] = 100
    edges = np.array([BIN_EDGES[10], BIN_EDGES[11]], np.float32)
    assert tails(counts, edges) == pytest.approx([1.0, 0.005])


def test_a_phrase_of_ones_own_is_read_beside_the_prompt(workbench, trace):
    workbench.engine.trace(TracePrompt(Prompt(PHRASE, chat=False)), silent_job())
    other = workbench.handle(ReadExample(Prompt("once upon a time", chat=False)), silent_job())
    request = RankFeatures(Scope.EXAMPLE, trace=other, span=(1, other.n_tokens - 1))
    labels = [row.label.text for row in workbench.catalogue.rank(request).rows[:20]]
    assert any("upon" in text for text in labels), labels


def test_early_layers_are_said_to_be_uncertain(catalogue):
    request = RankFeatures(Scope.PROMOTES, words="Paris", layers=(3, 3), limit=3)
    ranking = catalogue.rank(request)
    assert all(row.found.text.startswith("≈") for row in ranking.rows)
    assert all("26 layers after it" in row.found.detail for row in ranking.rows)
    assert "≈" in ranking.notes[0]
    late = catalogue.rank(replace(request, layers=(29, 29))).rows
    assert not any("≈" in row.found.text for row in late)


def test_a_plural_finds_its_singular(catalogue):
    request = RankFeatures(Scope.ALL, words="dogs", match=Match.WORDS)
    assert any("'dog'" in row.label.text for row in catalogue.rank(request).rows)


def test_how_many_are_asked_for_does_not_change_which_come_first(catalogue, monkeypatch):
    """What stands high by words and by meaning may be deep in one of the two lists."""
    words = RankFeatures(Scope.ALL, words="dog", match=Match.WORDS, limit=20)
    many = [row.feature for row in catalogue.rank(words).rows]
    by_meaning = [(many[n], 0.5) for n in (10, 11, 2)]
    monkeypatch.setattr(
        catalogue._finder.meanings, "search", lambda words, passing, limit: by_meaning[:limit]
    )
    few, all_ = (
        [row.feature for row in catalogue.rank(RankFeatures(Scope.ALL, words="dog", limit=n)).rows]
        for n in (2, 20)
    )
    assert few == all_[:2]


def test_words_find_the_forty_concepts(catalogue):
    found = precision(catalogue, Match.WORDS, 10)
    assert sum(found.values()) / len(found) >= 0.67


def test_labels_that_name_a_word_only_in_passing_come_last(catalogue):
    request = RankFeatures(Scope.ALL, words="arithmetic", match=Match.WORDS)
    labels = [row.label.text for row in catalogue.rank(request).rows]
    passing = [
        any(said in text for said in ("starting with 'ar-'", "(also", "various:"))
        for text in labels
    ]
    assert any(passing)
    assert not all(passing)
    assert passing == sorted(passing)
    spelling = RankFeatures(Scope.ALL, words="starting with ar", match=Match.WORDS)
    assert "starting with 'ar" in catalogue.rank(spelling).rows[0].label.text.lower()

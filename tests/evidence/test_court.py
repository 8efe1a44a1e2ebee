"""The label court: good labels are told from wrong ones, on places that they have not seen."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from desktop_scope.evidence.court.claims import Claims
from desktop_scope.evidence.court.court import Court
from desktop_scope.evidence.court.docket import (
    N_AGAINST,
    N_FOR,
    NOWHERE,
    STRETCH,
    Docket,
    Peaks,
    make_docket,
    strongest,
)
from desktop_scope.evidence.court.texts import CourtText
from desktop_scope.evidence.court.verdicts import Verdicts
from desktop_scope.evidence.court.words import CourtWords

_VOCABULARY = (
    *("<|endoftext|>", " the", " dog", " cat", " runs", " to", " a", " dogs", ".", "\n"),
    *("7", "3", " can", " tower", " Bacon", ",", " old", " barking", " station", " ed"),
)


_ANY = np.full(1, np.nan)  # a maximum that is not known


@pytest.fixture(scope="module")
def text() -> CourtWords:
    rng = np.random.default_rng(0)
    rows = rng.integers(1, len(_VOCABULARY), (30, 128)).astype(np.int32)
    rows[:, 0] = 0
    rows[:, 120:] = -1
    return CourtWords(rows, _VOCABULARY)


@pytest.fixture(scope="module")
def claims(text) -> Claims:
    return Claims(text)


def said(claims: Claims, label: str) -> np.ndarray:
    return claims.holds(claims.read(label), np.arange(len(claims.text.unit)))


def token(text: CourtWords, word: str) -> np.ndarray:
    return text.tokens == _VOCABULARY.index(word)


def test_a_quoted_word_claims_its_forms(text, claims):
    expected = token(text, " dog") | token(text, " dogs")
    np.testing.assert_array_equal(said(claims, "'dog' (also dogs)"), expected)
    np.testing.assert_array_equal(said(claims, "'Dogs'"), expected)


def test_marks_numbers_and_groups_are_known_by_name(text, claims):
    np.testing.assert_array_equal(said(claims, "comma"), token(text, ","))
    np.testing.assert_array_equal(said(claims, "articles"), token(text, " the") | token(text, " a"))
    digits = text.kinds[text.unit] == 2
    np.testing.assert_array_equal(said(claims, "digits of numbers"), digits)
    assert said(claims, "modal verbs (can)").sum() == token(text, " can").sum()


def test_what_stands_before_or_after_is_asked_for(text, claims):
    before = np.roll(token(text, " to"), 1) & (text.tokens >= 0)
    found = said(claims, "word right after 'to'")
    inside = (np.arange(len(found)) % 128 != 0) & (text.place == 0)
    np.testing.assert_array_equal(found[inside], before[inside])
    both = said(claims, "'dog' after 'the'")
    np.testing.assert_array_equal(
        both[inside],
        ((token(text, " dog") | token(text, " dogs")) & np.roll(token(text, " the"), 1))[inside],
    )
    after = said(claims, "'cat' before a modal verb")
    assert (after == (token(text, " cat") & np.roll(token(text, " can"), -1)))[inside].all()


def test_other_words_claim_what_is_around_them(text, claims):
    near = said(claims, "texts about barking")
    at = np.flatnonzero(token(text, " barking"))
    assert near[at].all()
    assert near.sum() > 5 * len(at)


def test_a_court_that_is_let_go_leaves_memory(text):
    there = CourtWords(text.tokens.reshape(-1, text.width), _VOCABULARY)
    claims = Claims(there)
    assert claims.read("'to' after a verb")
    gone = weakref.ref(there)
    del there, claims
    gc.collect()
    assert gone() is None


def test_endings_and_beginnings(text, claims):
    tower = claims.text.word("tower")
    assert claims.read("words ending in '-er' (tower)").here >= tower
    assert claims.read("words starting with 'to-'").here >= tower


@pytest.mark.parametrize("label", ["", "of the", "words", "unclear: mixed", "…", "犬", "'" * 50])
def test_what_is_not_understood_claims_nothing(claims, label):
    assert not claims.read(label)


def planted(text: CourtWords, places: np.ndarray) -> Docket:
    """A feature that fires exactly at some places."""
    n = len(text.tokens)
    counted = text.tokens >= 0
    other = np.flatnonzero(token(text, " cat"))
    feature = np.concatenate([np.zeros(len(places)), np.ones(len(other))]).astype(np.int32)
    place = np.concatenate([places, other]).astype(np.int32)
    peaks = strongest(feature, place, np.ones(len(place), np.float32))
    assert counted.shape == (n,)
    return make_docket(peaks, counted, np.array([[1], [0]], np.int32), np.full(2, np.nan))


def test_a_good_label_passes_and_a_wrong_one_fails(text):
    dogs = np.flatnonzero(token(text, " dog"))
    court = Court(text, {0: planted(text, dogs)})
    good, wrong = court.judge(0, 0, "'dog'"), court.judge(0, 0, "'cat'")
    assert good.score > 0.9
    assert good.caught == good.fires
    assert wrong.score < 0.5
    assert court.judge(0, 0, "unclear") is None
    assert court.judge(1, 0, "'dog'") is None


def test_a_feature_that_hardly_fires_is_not_judged(text):
    court = Court(text, {0: planted(text, np.flatnonzero(token(text, " dog"))[:3])})
    assert court.judge(0, 0, "'dog'") is None


def test_places_are_fair(text):
    """Against the feature stand only places in stretches where it is silent."""
    dogs = np.flatnonzero(token(text, " dog"))
    docket = planted(text, dogs)
    fires, silent = docket.fires[0], docket.silent[0]
    assert set(fires[fires != NOWHERE]) <= set(dogs.tolist())
    assert len(set(fires[fires != NOWHERE] // STRETCH)) == (fires != NOWHERE).sum()
    there = silent[silent != NOWHERE]
    assert not set(there // STRETCH) & set(dogs // STRETCH)
    hard = silent[: N_AGAINST // 2]
    assert token(text, " cat")[hard[hard != NOWHERE]].all()
    assert docket.fires.shape[1] == N_FOR


def test_stretches_that_the_labeller_has_seen_are_left_out():
    rng = np.random.default_rng(1)
    place = np.sort(rng.permutation(3200)[:400]).astype(np.int32)
    peaks = strongest(np.zeros(400, np.int32), place, rng.random(400).astype(np.float32))
    seen = np.arange(0, 50)
    docket = make_docket(peaks, np.ones(3200, bool), np.zeros((1, 0), np.int32), _ANY, {0: seen})
    for places in (docket.fires[0], docket.silent[0]):
        assert not np.isin(places[places != NOWHERE] // STRETCH, seen).any()


def test_weak_firing_counts_neither_for_nor_against():
    place = np.arange(0, 3200, 64, dtype=np.int32)
    value = np.where(np.arange(50) % 2, 1.0, 10.0).astype(np.float32)
    peaks = strongest(np.zeros(50, np.int32), place, value)
    docket = make_docket(
        peaks, np.ones(3200, bool), np.zeros((1, 0), np.int32), np.full(1, 10.0, np.float32)
    )
    fires, silent = docket.fires[0], docket.silent[0]
    assert set((fires[fires != NOWHERE] // 64) % 2) == {0}
    assert not np.isin(silent[silent != NOWHERE] // STRETCH, place // STRETCH).any()


def test_the_strongest_of_each_stretch_is_kept():
    feature = np.array([1, 1, 1, 0], np.int32)
    place = np.array([3, 5, 40, 3], np.int32)
    value = np.array([1, 2, 1, 9], np.float32)
    peaks = strongest(feature, place, value)
    assert isinstance(peaks, Peaks)
    assert peaks.feature.tolist() == [0, 1, 1]
    assert peaks.place.tolist() == [3, 5, 40]


def test_the_text_tells_what_labels_were_made_from(store):
    text = CourtText.of_pack(store, 64)
    arrays = store.layer_arrays(17)
    known = text.known_of_pack(store, 17)
    width = store.corpus.tokens.shape[1]
    feature = next(iter(known))
    for position, value in zip(
        arrays["example_position"][feature], arrays["example_value"][feature], strict=True
    ):
        row, column = divmod(int(position), width)
        if value > 0 and row in text.rows:
            place = int(np.flatnonzero(text.rows == row)[0]) * width + column
            assert {(place - 14) // STRETCH, (place + 9) // STRETCH} & set(known[feature].tolist())
    np.testing.assert_array_equal(text.tokens[0, :9], store.corpus.tokens[text.rows[0], :9])


def test_verdicts_as_arrays_say_the_same(text):
    dogs = np.flatnonzero(token(text, " dog"))
    verdict = Court(text, {0: planted(text, dogs)}).judge(0, 0, "'dog'")
    verdicts = Verdicts.of([None, verdict])
    assert verdicts[0] is None
    assert verdicts[1] == verdict
    assert np.isnan(verdicts.scores[0])
    assert verdicts.scores[1] == pytest.approx(verdict.score)

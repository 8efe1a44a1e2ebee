"""Interest, on planted evidence: many rare words of one meaning come first."""

from __future__ import annotations

import numpy as np
import torch

from desktop_scope.engine.types import FeatureId
from desktop_scope.evidence.interest import Peaks, Words, interests
from desktop_scope.evidence.requests import RankBy, Wander
from desktop_scope.workbench import Workbench

ANIMALS = [" dog", " cat", " horse", " sheep", " goat", " rabbit", " mouse", " tiger"]
OTHERS = [" violin", " tax", " rocket", " soup", " verdict", " tundra", " algebra", " brick"]
_REST = [f" word{n}" for n in range(200)]  # so that the mean is of no meaning
TEXTS = (" the", " and", *ANIMALS, *OTHERS, " Dog", "\n", *_REST)


def _words() -> Words:
    """Animals point one way; every other word has a direction of its own."""
    vectors = 0.3 * torch.eye(len(TEXTS), 256)
    for n, text in enumerate(TEXTS):
        if text.lower() in ANIMALS:
            vectors[n, 250] = 0.6
    return Words(TEXTS, vectors)


def _peaks(*features: list[str]) -> Peaks:
    counts = np.full(len(TEXTS), 10)
    counts[:2] = 200_000
    rows = [[TEXTS.index(text) for text in feature] for feature in features]
    return Peaks(np.array(rows, np.int32), 10, counts)


def test_many_rare_words_of_one_meaning_come_first() -> None:
    animals = (ANIMALS * 2)[:16]
    planted = {
        "one meaning": animals,
        "one word": [" dog"] * 15 + [" Dog"],
        "no meaning": (OTHERS * 2)[:16],
        "something else when weak": animals[:10] + OTHERS[:6],
        "common words": [" the", " and"] * 8,
    }
    n = len(planted)
    score = interests(
        _peaks(*planted.values()), _words(), np.full(n, 1e-3, np.float32), ("topic",) * n
    ).score
    scores = dict(zip(planted, score.tolist(), strict=True))
    best = scores.pop("one meaning")
    assert best > 0.5
    assert max(scores.values()) < best / 2


def test_density_and_kind_count() -> None:
    animals = (ANIMALS * 2)[:16]
    words, peaks = _words(), _peaks(*[animals] * 6)
    density = np.array([1e-3, 1e-3, 1e-3, 0.1, 1e-6, np.nan], np.float32)
    kinds = ("topic", "token", "format", "topic", "topic", "topic")
    score = interests(peaks, words, density, kinds).score
    assert score[0] > score[1] > score[2] == score[3] == score[4] == 0
    assert score[5] == score[0]  # what is not known is not held against it


def test_a_stroll_shows_interesting_features_and_none_twice(workbench: Workbench) -> None:
    discovery, catalogue = workbench.catalogue.discovery, workbench.catalogue
    seen: tuple[FeatureId, ...] = ()
    for turn in range(1, 6):
        feature = discovery.wander(Wander(turn, seen))
        assert feature not in seen
        assert discovery.wander(Wander(turn, seen)) == feature
        score = discovery.merit(feature.sae, RankBy.INTEREST)
        assert score[feature.index] >= np.nanquantile(score, 0.98)
        peaks = {e.texts[e.peak].strip().lower() for e in catalogue.card(feature).examples}
        assert len(peaks) >= 3
        seen = (*seen, feature)
    assert len({feature.sae for feature in seen}) > 2

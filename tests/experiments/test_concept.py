"""Looking for a concept: found on one half, tried on the other, and honest about chance."""

from __future__ import annotations

import numpy as np
import pytest

from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import ScopeError
from desktop_scope.experiments.concept import LookForConcept, best_threshold, fisher

ANIMALS = ("dog", "puppy", "terrier", "poodle", "hound", "chihuahua", "collie", "beagle")
THINGS = ("lamp", "chair", "carpet", "teapot", "ladder", "curtain", "mirror", "bucket")


def texts(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"My {word} was {where}." for word in words for where in ("outside", "there"))


def test_a_concept_that_is_there_is_found_and_holds_up(workbench):
    found = workbench.handle(LookForConcept(texts(ANIMALS), texts(THINGS)), silent_job())
    best = found.candidates[0]
    assert best.reliable
    labels = " ".join(one.label.text.lower() for one in found.candidates if one.reliable)
    assert "dog" in labels or "animal" in labels or "pet" in labels
    assert found.n_held_out == (8, 8)
    held = {text for side in (texts(ANIMALS), texts(THINGS)) for text in side[1::2]}
    assert {one.text for one in best.tried} == held
    fired = [one for one in best.tried if one.value > best.threshold]
    assert sum(one.has for one in fired) == round(best.hits * 8)
    assert sum(not one.has for one in fired) == round(best.alarms * 8)
    assert "hold up" in found.verdict


def test_where_there_is_nothing_it_says_so(workbench):
    """The same sort of texts on both sides, told apart by nothing."""
    words = ANIMALS + THINGS
    found = workbench.handle(LookForConcept(texts(words[::2]), texts(words[1::2])), silent_job())
    assert not any(one.reliable for one in found.candidates)
    assert found.verdict.startswith("Nothing")


def test_too_few_texts_are_refused(workbench):
    for having, lacking in ((("a",) * 20, texts(THINGS)), (texts(ANIMALS), ("", " "))):
        with pytest.raises(ScopeError, match="different texts"):
            workbench.handle(LookForConcept(having, lacking), silent_job())


def test_chance_is_that_of_fishers_exact_test():
    # The lady tasting tea: all four cups right in 1 of 70 ways, three or more in 17.
    assert fisher(4, 4, 0, 4) == pytest.approx(1 / 70)
    assert fisher(3, 4, 1, 4) == pytest.approx(17 / 70)
    assert fisher(0, 4, 0, 4) == 1


def test_the_threshold_parts_the_two_sides_in_the_middle_of_the_gap():
    having, lacking = np.array([5.0, 7.0]), np.array([0.0, 1.0])
    assert best_threshold(having, lacking) == 3.0
    assert best_threshold(np.zeros(3), np.zeros(3)) == 0.0

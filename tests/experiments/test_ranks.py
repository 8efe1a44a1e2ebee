"""Rank statistics against counting by hand: all pairs, all divisions, random divisions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_scope.experiments.ranks import Ranked, auroc_interval, q_values, welch_t


def _auroc(values: np.ndarray, first: np.ndarray) -> float:
    pairs = [(a > b) + (a == b) / 2 for a in values[first] for b in values[~first]]
    return float(np.mean(pairs))


@given(
    st.lists(st.integers(0, 3), min_size=5, max_size=8),
    st.integers(1, 4),
)
def test_auroc_and_exact_p_are_those_of_all_divisions(values: list[int], n_a: int) -> None:
    x = np.array(values, float)
    first = np.arange(len(x)) < n_a
    ranked = Ranked.of(x[None])
    assert ranked.auroc(first)[0] == pytest.approx(_auroc(x, first))
    every = []
    for chosen in itertools.combinations(range(len(x)), n_a):
        other = np.zeros(len(x), bool)
        other[list(chosen)] = True
        every.append(_auroc(x, other))
    seen, all_ = _auroc(x, first), np.array(every)
    tail = min(np.mean(all_ <= seen + 1e-9), np.mean(all_ >= seen - 1e-9))
    assert ranked.p_values(first)[0] == pytest.approx(min(1.0, 2 * tail))


def test_p_of_many_values_is_that_of_random_divisions() -> None:
    random = np.random.default_rng(1)
    values = np.where(random.random(80) < 0.5, 0.0, random.exponential(size=80))
    first = np.arange(80) < 30
    values[first] += 0.5 * (random.random(30) < 0.7)
    seen = abs(_auroc(values, first) - 0.5)
    ranked = Ranked.of(values[None])
    divisions = [random.permutation(first) for _ in range(20_000)]
    drawn = np.array([abs(ranked.auroc(division)[0] - 0.5) for division in divisions])
    expected = float(np.mean(drawn >= seen - 1e-9))
    assert 0.005 < expected < 0.5  # else it would show nothing
    assert ranked.p_values(first)[0] == pytest.approx(expected, rel=0.1, abs=0.004)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_q_values_are_those_of_the_definition(p: list[float]) -> None:
    found = q_values(np.array(p))
    for value, q in zip(p, found, strict=True):
        above = [len(p) * other / sum(x <= other for x in p) for other in p if other >= value]
        assert q == pytest.approx(min(1.0, *above))


def test_the_interval_holds_the_true_auroc_as_often_as_it_says() -> None:
    random = np.random.default_rng(2)
    n, shift = 15, 1.5  # two normal distributions: the true AUROC is Φ(shift / √2)
    true = 0.8555778168
    values = random.normal(size=(4000, 2 * n))
    values[:, :n] += shift
    auroc = Ranked.of(values).auroc(np.arange(2 * n) < n)
    assert auroc.mean() == pytest.approx(true, abs=0.01)
    low, high = auroc_interval(auroc, n, n)
    assert 0.93 < np.mean((low <= true) & (true <= high)) < 0.98
    low, high = auroc_interval(np.array([1.0, 0.0, 0.5]), n, n)
    assert high[0] == pytest.approx(1.0)
    assert low[0] < 0.9
    assert low[1] == pytest.approx(0.0)
    assert low[2] == pytest.approx(1 - high[2], abs=1e-6)


def test_welch_t_by_hand() -> None:
    values = np.array([[1.0, 2.0, 3.0, 10.0, 14.0], [2.0, 2.0, 2.0, 2.0, 2.0]])
    expected = (2 - 12) / np.sqrt(1 / 3 + 8 / 2)
    first = np.arange(5) < 3
    assert welch_t(values, first) == pytest.approx([expected, 0.0])

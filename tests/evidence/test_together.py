"""What fires together equals a dense count on the same sample of the text."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desktop_scope.engine.types import FeatureId
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.building.blocks import Block
from desktop_scope.evidence.building.sketch import ROOM, Sketch, token_marks
from desktop_scope.evidence.building.writer import write_together
from desktop_scope.evidence.together import Firings, Together, bound_of

N_TOKENS = 3000
CONCEPTS = 6


def activations(n_features: int, seed: int, densest: float = 0.5) -> np.ndarray:
    """Features of a few hidden concepts, some rare, some dense; [T, N]."""
    concept = np.random.default_rng(9).random((N_TOKENS, CONCEPTS)) < 0.02
    rng = np.random.default_rng(seed)
    acts = np.zeros((N_TOKENS, n_features), np.float32)
    for index in range(n_features):
        fires = concept[:, index % CONCEPTS] & (rng.random(N_TOKENS) < 0.8)
        fires |= rng.random(N_TOKENS) < densest ** (1 + index % 7)
        acts[fires, index] = np.exp(rng.normal(0, 0.5, fires.sum()))
    return acts


def sketch_of(acts: np.ndarray, cuts: list[int], counted: np.ndarray | None = None) -> Sketch:
    sketch = Sketch(acts.shape[1])
    counted = np.ones(len(acts), bool) if counted is None else counted
    for begin, end in itertools.pairwise([0, *cuts, len(acts)]):
        at, feature = np.nonzero(acts[begin:end])
        n = end - begin
        sketch.add(
            Block(
                first=begin,
                tokens=np.zeros(n, np.int32),
                row=np.zeros(n, np.int32),
                document=np.zeros(n, np.int64),
                counted=counted[begin:end],
                at=at,
                feature=feature,
                value=acts[begin:end][at, feature],
                norms=np.ones(int(counted[begin:end].sum()), np.float32),
            )
        )
    return sketch


def firings_of(acts: np.ndarray, path: Path, corpus: str = "a", counted=None) -> Firings:
    write_together(path, sketch_of(acts, [1000], counted), {"corpus": corpus})
    return Firings(path, acts.shape[1])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, N_TOKENS - 1), unique=True, max_size=6).map(sorted))
def test_how_the_text_is_cut_changes_nothing(cuts):
    acts = activations(20, 1)
    whole, cut = sketch_of(acts, []), sketch_of(acts, cuts)
    for name, array in whole.arrays().items():
        used = np.arange(ROOM) < whole.kept[:, None] if array.ndim == 2 else ...
        np.testing.assert_array_equal(array[used], cut.arrays()[name][used], name)


def test_a_feature_keeps_all_its_firings_on_the_tokens_of_its_level():
    acts = activations(20, 1)
    sketch, marks = sketch_of(acts, [700, 701]), token_marks(0, N_TOKENS)
    assert 0 < sketch.level.max() < 8
    for index in range(20):
        there = (acts[:, index] > 0) & (marks <= bound_of(sketch.level[index]))
        n = sketch.kept[index]
        np.testing.assert_array_equal(sketch.mark[index, :n], marks[there])
        np.testing.assert_array_equal(sketch.strength[index, :n], acts[there, index])
        more = (acts[:, index] > 0) & (marks <= bound_of(max(sketch.level[index], 1) - 1))
        assert n == (acts[:, index] > 0).sum() or more.sum() > ROOM
    assert list(sketch.sampled[:8]) == [(marks <= bound_of(level)).sum() for level in range(8)]


def test_token_numbers_are_spread_evenly():
    marks = token_marks(5_000_000_000, 1 << 16)
    counts, _ = np.histogram(marks, 64, (0, 2**32))
    assert np.abs(counts - 1024).max() < 5 * 32
    assert (token_marks(5_000_000_100, 9) == marks[100:109]).all()


@pytest.mark.parametrize("densest", [0.5, 0.02])
def test_counts_and_correlations_are_those_of_the_joint_sample(densest, tmp_path):
    one, other = activations(21, 1, densest), activations(30, 2, densest)
    counted = np.random.default_rng(3).random(N_TOKENS) < 0.9
    one[~counted], other[~counted] = 0, 0
    a, b = (
        firings_of(x, tmp_path / f"{n}.safetensors", counted=counted)
        for n, x in enumerate((one, other))
    )
    levels = [sketch_of(x, [], counted).level for x in (one, other)]
    marks, n_found = token_marks(0, N_TOKENS), 0
    for index in range(21):
        mates = b.mates(a, index)
        assert index % CONCEPTS in mates.index % CONCEPTS or levels[0][index] > 0
        for k, mate in enumerate(mates.index):
            bound = bound_of(max(levels[0][index], levels[1][mate]))
            sample = counted & (marks <= bound)
            x, y = one[sample, index].astype(float), other[sample, mate].astype(float)
            both = ((x > 0) & (y > 0)).sum()
            assert (mates.together[k], mates.fires[k]) == (both, (x > 0).sum())
            assert mates.jaccard[k] == pytest.approx(both / ((x > 0) | (y > 0)).sum())
            chance = (x > 0).mean() * (y > 0).mean() * len(x)
            assert mates.lift[k] == pytest.approx(both / chance)
            assert mates.correlation[k] == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-6)
            n_found += 1
    assert n_found > 25


def test_what_fires_together_by_chance_is_left_out(tmp_path):
    rng = np.random.default_rng(0)
    acts = (rng.random((N_TOKENS, 60)) < 0.05).astype(np.float32)
    firings = firings_of(acts, tmp_path / "x.safetensors")
    for index in range(60):
        assert firings.mates(firings, index).index.tolist() == [index]


def test_only_what_was_measured_on_the_same_text_is_compared(tmp_path):
    acts = activations(20, 1, 0.1)
    same = [firings_of(acts, tmp_path / f"{n}.safetensors") for n in range(2)]
    other = firings_of(acts, tmp_path / "other.safetensors", corpus="b")
    together = Together([same[0], None, other, same[1]])
    assert sorted(together.mates(FeatureId(0, 3))) == [0, 3]
    assert together.mates(FeatureId(1, 3)) == {}
    assert [together.tokens(slot) for slot in range(3)] == [N_TOKENS, 0, N_TOKENS]
    mates = together.mates(FeatureId(0, 3))[3]
    assert mates.correlation.max() == pytest.approx(1)
    assert mates.index[mates.correlation.argmax()] == 3


def test_a_feature_that_never_fired_has_no_company(tmp_path):
    firings = firings_of(np.zeros((N_TOKENS, 3), np.float32), tmp_path / "x.safetensors")
    assert not len(firings.mates(firings, 1).index)


@pytest.mark.parametrize("damage", ["empty", "cut", "other"])
def test_a_damaged_file_is_told(damage, tmp_path):
    path = tmp_path / "x.safetensors"
    firings_of(activations(20, 1), path)
    raw = path.read_bytes()
    path.write_bytes({"empty": b"", "cut": raw[:300], "other": b"\xff" * 500}[damage])
    with pytest.raises(ScopeError, match="damaged"):
        Firings(path, 20)
    path.write_bytes(raw)
    with pytest.raises(ScopeError, match="do not fit"):
        Firings(path, 21)

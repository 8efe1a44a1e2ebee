"""The birth of a concept: planted at a known layer, and in noise."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_scope.engine.requests import TracePrompt
from desktop_scope.engine.types import FeatureActs, FeatureId, LayerTexts, Prompt
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import ScopeError
from desktop_scope.experiments.birth import FindBirth, find_birth

N, LAYERS, WIDTH = 30, 6, 12
TEXTS = FindBirth(None, tuple(f"with {n}" for n in range(N)), tuple(f"no {n}" for n in range(N)))


def engine(born: int, seed: int = 0) -> SimpleNamespace:
    """Layers of noise; from one on, a direction of the stream and a feature tell the concept."""
    rng = np.random.default_rng(seed)
    residual = rng.normal(size=(2 * N, LAYERS, WIDTH)).astype(np.float32)
    residual[:N, born:, 3] += 6
    acts = []
    for layer in range(LAYERS):
        values = (rng.random((2 * N, 8)) * (rng.random((2 * N, 8)) < 0.5)).astype(np.float32)
        if layer >= born:
            values[:N, 5] += 2
        acts.append(sparse(values))
    infos = tuple(SimpleNamespace(layer=layer) for layer in range(LAYERS))
    return SimpleNamespace(
        infos=infos, read_layers=lambda texts, last, job: LayerTexts(residual, tuple(acts))
    )


def sparse(values: np.ndarray) -> FeatureActs:
    rows, indices = np.nonzero(values)
    ends = np.searchsorted(rows, np.arange(len(values) + 1))
    return FeatureActs(ends.astype(np.int32), indices.astype(np.int32), values[rows, indices])


@pytest.mark.parametrize("born", [0, 2, 5])
def test_it_is_born_where_it_was_planted(born):
    found = find_birth(engine(born), None, TEXTS, silent_job())
    assert found.born == born
    assert found.n == (N, N)
    for curve in (found.probe, found.single):
        assert (curve.right[born:] > 0.9).all()
        assert (curve.low <= curve.right).all()
        assert (curve.right <= curve.high).all()
    assert found.features[born:] == tuple(FeatureId(layer, 5) for layer in range(born, LAYERS))
    assert f"from layer {born} on" in found.verdict


def test_nothing_is_born_in_noise():
    """Of twenty concepts that are none, at most one; the test is corrected for the layers."""
    found = [find_birth(engine(LAYERS, seed), None, TEXTS, silent_job()) for seed in range(20)]
    assert sum(one.born is not None for one in found) <= 1
    assert "At no layer" in next(one.verdict for one in found if one.born is None)
    right = np.concatenate([one.probe.right for one in found])
    assert abs(right.mean() - 0.5) < 0.05
    inside = np.concatenate([(o.probe.low <= 0.5) & (o.probe.high >= 0.5) for o in found])
    assert inside.mean() > 0.85


def test_too_few_texts_are_refused():
    with pytest.raises(ScopeError, match="3 texts with the concept and 30 without") as refused:
        find_birth(engine(0), None, FindBirth(None, TEXTS.having[:3], TEXTS.lacking), silent_job())
    assert refused.value.hint


def test_a_feature_of_the_demo_pack_is_read_at_its_own_layer(workbench):
    """Ships: the feature tells its own strongest places from its neighbours'."""
    ships = FeatureId(23, 58)
    found = workbench.handle(FindBirth(ships), silent_job())
    assert min(found.n) >= 8
    assert found.features[23] == ships
    assert found.single.right[23] == 1
    assert found.probe.right[25] > found.probe.right[3]


def test_what_is_read_of_a_text_is_what_a_trace_has_there(workbench):
    texts = ("The ship sailed.", "My dog barks at the moon")
    engine_ = workbench.engine
    last = engine_.read_layers(texts, True, silent_job())
    mean = engine_.read_layers(texts, False, silent_job())
    for n, text in enumerate(texts):
        trace = engine_.example(TracePrompt(Prompt(text, chat=False)), silent_job())
        norm = np.linalg.norm(last.residual[n], axis=-1)
        np.testing.assert_allclose(norm, trace.residual_norm[:, -1], rtol=1e-3)
        index, values = trace.acts[12].at(trace.n_tokens - 1)
        np.testing.assert_array_equal(last.acts[12].at(n)[0], index)
        np.testing.assert_allclose(last.acts[12].at(n)[1], values, rtol=1e-3)
        some = int(index[values.argmax()])
        own = trace.acts[12].of(some)[1:].mean()
        assert mean.acts[12].of(some)[n] == pytest.approx(own, rel=1e-3)


@given(st.lists(st.lists(st.integers(0, 4), unique=True), min_size=1, max_size=6), st.data())
def test_some_rows_of_sparse_activations_are_those_rows(rows, data):
    values = np.zeros((len(rows), 5), np.float32)
    for row, at in zip(values, rows, strict=True):
        row[at] = 1 + np.array(at)
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=8))
    found = sparse(values).only(np.array(chosen, np.int64))
    dense = np.zeros((len(chosen), 5), np.float32)
    dense[found.rows(), found.indices] = found.values
    np.testing.assert_array_equal(dense, values[np.array(chosen, np.int64)].reshape(-1, 5))

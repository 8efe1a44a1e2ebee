"""The strongest feature of every cell, against looking at all of them one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop_scope.engine.requests import TracePrompt
from desktop_scope.engine.types import FeatureActs, FeatureId, Prompt
from desktop_scope.engine.worker import silent_job
from desktop_scope.evidence.cells import ReadCells, read_cells, strongest

FIRING = st.lists(st.dictionaries(st.integers(0, 7), st.floats(0.125, 8, width=16)), max_size=6)


@given(FIRING, st.lists(st.booleans(), min_size=8, max_size=8))
def test_the_strongest_is_the_one_that_all_comparisons_find(tokens, telling):
    full = np.linspace(1, 4, 8).astype(np.float32)
    acts = FeatureActs(
        np.cumsum([0, *map(len, tokens)]).astype(np.int32),
        np.array([i for one in tokens for i in sorted(one)], np.int32),
        np.array([one[i] for one in tokens for i in sorted(one)], np.float32),
    )
    index, share = strongest(acts, full, np.array(telling))
    for token, one in enumerate(tokens):
        shares = {i: np.float32(v) / full[i] for i, v in one.items() if telling[i]}
        assert share[token] == pytest.approx(max(shares.values(), default=0))
        if shares:
            assert shares[int(index[token])] == max(shares.values())
        else:
            assert index[token] == -1


@pytest.mark.parametrize(("shown", "density"), [((), 0.1), ((256,) * 30, 1.0)])
def test_the_cells_of_a_text_name_their_features(workbench, shown, density):
    request = TracePrompt(Prompt("My chihuahua barks at presidents."))
    trace = workbench.engine.trace(request, silent_job())
    catalogue = workbench.catalogue
    cells = read_cells(catalogue, ReadCells(trace, 0, shown, density))
    for slot in (0, 12, 29):
        full = catalogue.maxima(slot, trace)
        for token in range(trace.n_tokens):
            indices, values = trace.acts[slot].at(token)
            able = catalogue.evidence[slot].density[indices] <= density
            able &= indices < (shown[slot] if shown else 4096)
            shares = values[able] / full[indices[able]]
            assert cells.strength[slot, token] == pytest.approx(shares.max(initial=0), rel=1e-5)
            feature = cells.at(slot, token)
            if not len(shares):
                assert feature is None
                continue
            assert feature == FeatureId(slot, int(indices[able][shares.argmax()]))
            assert cells.labels[feature] == catalogue.label(feature).text

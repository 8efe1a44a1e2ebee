"""Features read while an answer is said are what its trace shows afterwards."""

from __future__ import annotations

import numpy as np
import pytest

from desktop_scope.engine.requests import Generate, Request, TracePrompt
from desktop_scope.engine.types import FeatureId, Intervention, Prompt, Sampling
from desktop_scope.engine.worker import Job, silent_job

PROMPT = Prompt("Tell me about dogs.")
DOGS = FeatureId(17, 3988)
STEERING = (Intervention(DOGS, 60.0),)


@pytest.fixture(autouse=True)
def _nobody_looks_afterwards(engine):
    yield
    engine.watching.features = ()


def active(engine, answer) -> list[FeatureId]:
    """Some features that fire on the answer, one in each of three layers."""
    request = TracePrompt(answer.prompt, answer.ids, answer.interventions)
    trace = engine.trace(request, silent_job())
    acts = [trace.acts[slot] for slot in (3, 17, 26)]
    return [
        FeatureId(slot, int(a.indices[a.indptr[trace.n_prompt + 2]]))
        for slot, a in zip((3, 17, 26), acts, strict=True)
    ]


@pytest.mark.parametrize("run", [(), STEERING], ids=["plain", "steered"])
def test_what_is_read_meanwhile_is_what_the_trace_shows(engine, run):
    request = Generate(PROMPT, (run,), Sampling(8))
    engine.watching.features = ()
    (alone,) = engine.generate(request, silent_job())
    assert alone.watched == ()
    features = active(engine, alone)
    engine.watching.features = tuple(features)
    (answer,) = engine.generate(request, silent_job())
    assert answer.ids == alone.ids
    trace = engine.trace(TracePrompt(PROMPT, answer.ids, run), silent_job())
    assert [feature for feature, _ in answer.watched] == features
    for feature, values in answer.watched:
        traced = trace.acts[feature.sae].of(feature.index)[trace.n_prompt :]
        assert len(values) == len(answer.ids)
        assert traced.any()
        np.testing.assert_allclose(values[:-1], traced[:-1], rtol=2e-3, atol=1e-3)
        assert values[-1] == 0.0  # no pass has read the last token


def test_another_feature_can_be_looked_at_in_mid_answer(engine):
    other = FeatureId(26, 246)
    engine.watching.features = (DOGS,)

    class Onlooker(Job):
        """Looks at every token, and then at something else."""

        def partial(self, payload):
            if len(payload()[0].ids) == 4:
                engine.watching.features = (other,)

    job = Onlooker(1, Request(), lambda event: None)
    (answer,) = engine.generate(Generate(PROMPT, ((),), Sampling(8)), job)
    assert [feature for feature, _ in answer.watched] == [DOGS, other]
    plain = engine.generate(Generate(PROMPT, ((),), Sampling(8)), silent_job())
    assert answer.ids == plain[0].ids


def test_a_feature_that_no_open_sae_has_is_not_watched(engine):
    engine.watching.features = (FeatureId(99, 1), FeatureId(0, 10**6))
    (answer,) = engine.generate(Generate(PROMPT, ((),), Sampling(3)), silent_job())
    assert answer.watched == ()

"""Stopping in the middle, or failing there, leaves the engine as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from torch import nn

from desktop_scope.engine.damage import DamageMeter
from desktop_scope.engine.requests import (
    Generate,
    MeasureDamage,
    ProbeFeature,
    Request,
    TracePrompt,
)
from desktop_scope.engine.types import FeatureId, Intervention, Mode, Prompt, Sampling
from desktop_scope.engine.worker import Job, silent_job
from desktop_scope.errors import Cancelled

STEERING = (
    Intervention(FeatureId(0, 5), 3.0),
    Intervention(FeatureId(12, 8), mode=Mode.ABLATE),
)
PROMPT = Prompt("The dog barks.", chat=False)
REQUESTS = {
    "trace": TracePrompt(PROMPT),
    "trace while steering": TracePrompt(PROMPT, interventions=STEERING),
    "generate": Generate(PROMPT, ((),), Sampling(5)),
    "generate while steering": Generate(PROMPT, ((), STEERING), Sampling(5)),
    "damage": MeasureDamage(STEERING),
    "probe": ProbeFeature(FeatureId(3, 4), "The dog barks."),
}


class BugError(Exception):
    pass


class JobWithCheck(Job):
    """Raises at its n-th check."""

    def __init__(self, n: int, error: Exception) -> None:
        super().__init__(0, Request(), lambda event: None)
        self._left = n
        self._error = error

    def check(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise self._error


@pytest.fixture(params=REQUESTS)
def work(request, engine):
    """One act of the engine, as a function of a job."""
    act = REQUESTS[request.param]
    method = {
        TracePrompt: engine.trace,
        Generate: engine.generate,
        # A new one, for what was measured is not measured again.
        MeasureDamage: lambda *asked: DamageMeter(engine.model, engine.saes).measure(*asked),
        ProbeFeature: engine.probe,
    }[type(act)]
    return lambda job: method(act, job)


@pytest.fixture
def blocks(engine) -> nn.ModuleList:
    return engine.model.parts.blocks


@pytest.fixture(autouse=True)
def _no_hooks_stay_behind(engine) -> Iterator[None]:
    parts = engine.model.parts
    modules = [*parts.blocks.modules(), *parts.norm.modules(), *parts.unembed.modules()]

    def count() -> int:
        return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in modules)

    assert count() == 0
    yield
    assert count() == 0


def test_a_whole_run_removes_its_hooks(work):
    work(silent_job())


@pytest.mark.parametrize("n", [1, 2, 17, 30])
@pytest.mark.parametrize("error", [Cancelled(), BugError("in the middle")], ids=["cancel", "bug"])
def test_stopping_at_any_check_removes_the_hooks(work, n, error):
    with pytest.raises(type(error)):
        work(JobWithCheck(n, error))


@pytest.mark.parametrize("layer", [0, 11, 29])
def test_cancelling_takes_effect_within_one_layer(work, blocks, layer):
    """Also in a layer that is being steered."""
    job, run = silent_job(), []

    def hook(index: int) -> object:
        def note(*_: object) -> None:
            run.append(index)
            if index == layer:
                job.cancel()

        return note

    handles = [block.register_forward_hook(hook(i)) for i, block in enumerate(blocks)]
    try:
        with pytest.raises(Cancelled):
            work(job)
    finally:
        for handle in handles:
            handle.remove()
    assert run[run.index(layer) :] in ([layer], [layer, layer + 1])


def test_cancelling_while_the_layers_are_encoded_takes_effect(engine):
    with pytest.raises(Cancelled):
        engine.trace(REQUESTS["trace"], JobWithCheck(45, Cancelled()))


def test_after_cancels_and_bugs_the_engine_computes_what_it_did_before(engine):
    def results():
        traced = engine.trace(REQUESTS["trace"], silent_job())
        answers = engine.generate(REQUESTS["generate while steering"], silent_job())
        return traced.logprobs[1:].tolist(), [answer.ids for answer in answers]

    before = results()
    for error in (Cancelled(), BugError("in the middle")):
        for act in ("trace while steering", "generate while steering"):
            method = engine.trace if "trace" in act else engine.generate
            with pytest.raises(type(error)):
                method(REQUESTS[act], JobWithCheck(20, error))
    assert results() == before

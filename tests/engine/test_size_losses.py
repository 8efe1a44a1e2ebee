"""What each size loses equals a float64 computation that splices by hand."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import small_saes
import tiny_models
import torch
from torch import Tensor

from desktop_scope.engine.engine import Engine
from desktop_scope.engine.hook_points import Site
from desktop_scope.engine.requests import MeasureSizes, TracePrompt
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.sae_weights import Architecture, SaeWeights
from desktop_scope.engine.sizes import SiteLosses
from desktop_scope.engine.types import Prompt
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import Cancelled

LAYER, PREFIXES = 1, (10, 25, 40)
PROMPT = Prompt("The museum opens at nine in the morning.", chat=False)
CPU = torch.device("cpu")


def weights(**more: Any) -> SaeWeights:
    return small_saes.weights(layer=LAYER, d_in=tiny_models.D_MODEL, **more)


def engine_of(*saes: SaeWeights) -> Engine:
    return Engine(tiny_models.tiny("llama"), [Sae(one, CPU) for one in saes])


def losses(engine: Engine, slot: int = 0) -> SiteLosses:
    trace = engine.trace(TracePrompt(PROMPT), silent_job())
    return engine.sizes(MeasureSizes(trace, slot), silent_job())


def encoded(w: SaeWeights, x: Tensor) -> Tensor:
    """[T, N] by the README's formulas, float64."""
    assert w.b_enc is not None
    pre = x @ w.W_enc.double().T + w.b_enc.double()
    if w.k is not None:
        kept = torch.zeros_like(pre)
        best = pre.relu().topk(w.k, dim=1)
        return kept.scatter(1, best.indices, best.values)
    assert w.threshold is not None
    return torch.where(pre > w.threshold.double(), pre, 0.0)


class Plain:
    """The same tiny model in float64, spliced with a hook of its own."""

    def __init__(self, engine: Engine) -> None:
        self.model = copy.deepcopy(tiny_models.reference("llama")).double()
        self.ids = torch.tensor([engine.model.encode(PROMPT).ids])
        self.x = self._run(None)[0]

    def _run(self, instead: Tensor | None) -> tuple[Tensor, float]:
        seen: list[Tensor] = []

        def hook(_module: Any, _inputs: Any, output: Any) -> Any:
            x = output[0] if isinstance(output, tuple) else output
            seen.append(x[0])
            if instead is None:
                return None
            changed = x.clone()
            changed[0, 1:] = instead[1:]  # position 0 is never encoded
            return (changed, *output[1:]) if isinstance(output, tuple) else changed

        handle = self.model.model.layers[LAYER].register_forward_hook(hook)
        with torch.inference_mode():
            logits = self.model(self.ids, use_cache=False).logits[0, :-1]
        handle.remove()
        ce = torch.nn.functional.cross_entropy(logits, self.ids[0, 1:])
        return seen[0], float(ce)

    def ce(self, instead: Tensor | None = None) -> float:
        return self._run(instead)[1]

    def fvu(self, guess: Tensor) -> float:
        y = self.x[1:]
        return float((y - guess[1:]).square().sum() / (y - y.mean(0)).square().sum())


@pytest.mark.parametrize("architecture", [Architecture.JUMPRELU, Architecture.TOPK])
def test_nested_sizes_agree_with_float64(architecture: Architecture) -> None:
    w = weights(architecture=architecture, prefixes=PREFIXES)
    engine = engine_of(w)
    found, plain = losses(engine), Plain(engine)
    acts = encoded(w, plain.x)
    assert found.n_tokens == len(plain.x) - 1
    assert found.ce == pytest.approx(plain.ce(), rel=1e-4)
    mean = plain.x[1:].mean(0).expand_as(plain.x)
    assert found.ce_mean == pytest.approx(plain.ce(mean), rel=1e-4)
    assert found.ce_zero == pytest.approx(plain.ce(torch.zeros_like(mean)), rel=1e-4)
    assert [loss.size for loss in found.sizes] == list(PREFIXES)
    for loss in found.sizes:
        first = acts.clone()
        first[:, loss.size :] = 0  # chosen among all features, then cut off
        guess = first @ w.W_dec.double() + w.b_dec.double()
        assert loss.fvu == pytest.approx(plain.fvu(guess), rel=1e-4)
        assert loss.ce == pytest.approx(plain.ce(guess), rel=1e-4)
        assert loss.l0 == pytest.approx(float((first[1:] > 0).sum(1).double().mean()))
        worst = plain.ce(mean)
        expected = (worst - plain.ce(guess)) / (worst - plain.ce())
        assert found.recovered(loss) == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_separate_saes_of_one_site_are_measured_together() -> None:
    narrow, wide = weights(seed=1, d_sae=20), weights(seed=2, d_sae=60)
    engine = engine_of(narrow, wide)
    found, plain = losses(engine), Plain(engine)
    assert [(loss.slot, loss.size) for loss in found.sizes] == [(0, 20), (1, 60)]
    for loss, w in zip(found.sizes, (narrow, wide), strict=True):
        guess = encoded(w, plain.x) @ w.W_dec.double() + w.b_dec.double()
        assert loss.fvu == pytest.approx(plain.fvu(guess), rel=1e-4)
        assert loss.ce == pytest.approx(plain.ce(guess), rel=1e-4)
    assert losses(engine, slot=1) == found


def test_what_was_measured_is_not_measured_again() -> None:
    engine = engine_of(weights(prefixes=PREFIXES))
    trace = engine.trace(TracePrompt(PROMPT), silent_job())
    first = engine.sizes(MeasureSizes(trace, 0), silent_job())
    cancelled = silent_job()
    cancelled.cancel()
    assert engine.sizes(MeasureSizes(trace, 0), cancelled) == first  # nothing is run for it
    other = engine.trace(TracePrompt(Prompt("Children enter.", chat=False)), silent_job())
    with pytest.raises(Cancelled):
        engine.sizes(MeasureSizes(other, 0), cancelled)


def test_what_shares_a_place_is_not_measured_as_if_it_stood_alone() -> None:
    engine = engine_of(weights(site=Site.MLP_OUT, group="cross"))
    assert losses(engine).trouble
    assert losses(engine).sizes == ()


def test_a_prefix_of_what_fires_is_the_first_features() -> None:
    engine = engine_of(weights(prefixes=PREFIXES))
    acts = engine.trace(TracePrompt(PROMPT), silent_job()).acts[0]
    assert acts.indices.max() >= 25
    cut = acts.first(25)
    for index in range(40):
        expected = acts.of(index) if index < 25 else np.zeros_like(acts.of(index))
        np.testing.assert_array_equal(cut.of(index), expected)

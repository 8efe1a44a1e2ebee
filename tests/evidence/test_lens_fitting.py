"""The tuned lens: fitted in slices, better than the logit lens, kept, and found again."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from desktop_scope.engine.hooks import normalized
from desktop_scope.engine.lenses import LensFit, LensKind, ReadLensGrid
from desktop_scope.engine.requests import TracePrompt
from desktop_scope.engine.tuned_lens import LensSums
from desktop_scope.engine.types import Prompt
from desktop_scope.engine.worker import Job, silent_job
from desktop_scope.errors import Cancelled
from desktop_scope.evidence import lens_fitting
from desktop_scope.evidence.lens_fitting import LensFitter
from desktop_scope.evidence.lens_keeping import find, key_of


@pytest.fixture
def engine(workbench, tmp_path, monkeypatch):
    monkeypatch.setenv("DESKTOP_SCOPE_CACHE", str(tmp_path))
    monkeypatch.setattr(workbench.engine, "tuned", None)
    return workbench.engine


def small(engine) -> LensFitter:
    return LensFitter(engine, n_fitted=400, n_held_out=24)


def all_of(fitter: LensFitter) -> LensFit:
    fit = fitter.step(silent_job())
    while not fit.ready:
        fit = fitter.step(silent_job())
    return fit


def test_it_is_better_on_text_that_it_was_not_fitted_on_and_is_kept(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(lens_fitting, "_SLICE_S", 0.2)
    fitter, job = small(engine), silent_job()
    seen = [fitter.step(job)]
    assert engine.tuned is None
    cancelled = Job(0, None, lambda event: None)
    cancelled.cancel()
    with pytest.raises(Cancelled):
        fitter.step(cancelled)
    while not seen[-1].ready:
        seen.append(fitter.step(job))
    fit, n_layers = seen[-1], engine.model.info.n_layers
    assert [one.done for one in seen[:-1]] == sorted({one.done for one in seen[:-1]})
    assert all(one.doing and one.total for one in seen[:-1])
    assert len(fit.tuned_kl) == len(fit.logit_kl) == n_layers
    better = np.array(fit.tuned_kl[:-1]) < np.array(fit.logit_kl[:-1])
    assert better.all()
    assert fit.tuned_kl[5] < fit.logit_kl[5] - 1
    assert fit.tuned_kl[-1] == fit.logit_kl[-1] == 0
    assert (fit.n_fitted, fit.n_held_out) == (400, 24)

    trace = engine.trace(TracePrompt(Prompt("The capital of France is", chat=False)), job)
    mine = engine.lens_grid(ReadLensGrid(trace, LensKind.TUNED), job)
    assert mine.kind is LensKind.TUNED
    last = mine.texts[int(mine.top[-1, -1, 0])]
    assert last == trace.next_texts[0]
    np.testing.assert_allclose(mine.probs[-1, -1], trace.next_probs[: mine.probs.shape[-1]], 1e-4)

    fitted = engine.tuned
    again = LensFitter(engine).step(job)  # of another size: but it is there
    assert again == fit
    near = engine.tuned
    assert near is not fitted
    torch.testing.assert_close(near.maps, fitted.maps, rtol=1e-3, atol=1e-3)
    path = tmp_path / "lenses" / f"{key_of(engine.model)}.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    assert find(engine.model) is None


def test_a_map_is_the_ridge_regression_that_it_says(engine):
    model, job = engine.model, silent_job()
    engine.trace(TracePrompt(Prompt("One two three four five six seven", chat=False)), job)
    g = torch.Generator().manual_seed(0)
    n_layers, d = model.info.n_layers, model.d_model
    residual = torch.randn(n_layers, 40, d, generator=g)
    hidden = torch.randn(40, d, generator=g)
    sums = LensSums(model)
    sums.add(residual[:, :15], hidden[:15])
    sums.add(residual[:, 15:], hidden[15:])
    assert sums.n == 40
    x = normalized(model.parts.norm, residual[3]).double()
    y = hidden.double()
    # Without its mean, the constant drops out of a regression.
    x0, y0 = x - x.mean(0), y - y.mean(0)
    weights = torch.linalg.solve(x0.T @ x0 + 0.1 * d * torch.eye(d), x0.T @ y0)
    constant = y.mean(0) - x.mean(0) @ weights
    found = sums.solve(3).double()
    torch.testing.assert_close(found[:-1], weights, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(found[-1], constant, rtol=1e-3, atol=1e-4)


def test_a_model_that_is_too_large_says_so(engine, monkeypatch):
    monkeypatch.setattr(lens_fitting, "_MOST_BYTES", 1000)
    with pytest.raises(lens_fitting.ScopeError, match="logit lens"):
        small(engine).step(silent_job())

"""Fitting the tuned lens of the open model on the text at hand, a little at a time.

The demo model reads the corpus of the demo pack, every other model the built-in text. The rows
that come first are held out; on them both lenses are compared with the model's own prediction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch

from desktop_scope.engine import trace as tracing
from desktop_scope.engine.engine import Engine
from desktop_scope.engine.lenses import LensFit
from desktop_scope.engine.tuned_lens import LensSums, TunedLens, divergence
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.building.corpus import Row, default_corpus
from desktop_scope.evidence.lens_keeping import find, keep

N_FITTED = 8192  # tokens
N_HELD_OUT = 256
_SLICE_S = 1.0
_MOST_BYTES = 3 << 30
_READING, _SOLVING, _MEASURING = "Reading text", "Fitting the lens", "Measuring both lenses"


class LensFitter:
    """Takes the lens that was kept of a model, or fits it and keeps it.

    Args:
        n_fitted: Tokens to fit it on, at most.
        n_held_out: Tokens to measure it on.
    """

    def __init__(self, engine: Engine, n_fitted: int = 0, n_held_out: int = 0) -> None:
        self._engine, self._model = engine, engine.model
        self._wanted = n_fitted or N_FITTED, n_held_out or N_HELD_OUT
        self._note = ""
        self._begun = False
        self._pieces: list[tuple[str, Callable[[Job], None]]] = []  # done when their turn comes
        self._done = 0
        self._seconds = 0.0
        self._kl: list[tuple[float, float]] = []  # by layer, of the logit lens and of the map
        self._held_out: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._maps: list[torch.Tensor] = []

    def step(self, job: Job) -> LensFit:
        """Go on for a second or so; what was done is not lost when the job is cancelled.

        Raises:
            ScopeError: The model is too large for it.
            Cancelled: The job was.
        """
        if not self._begun:
            found = find(self._model)
            if found is not None:
                self._engine.tuned = found[0]
                return found[1]
            self._begin()
        start = time.monotonic()
        while self._done < len(self._pieces) and time.monotonic() - start < _SLICE_S:
            what, run = self._pieces[self._done]
            job.progress(self._done, len(self._pieces), what)
            with torch.inference_mode():
                run(job)
            self._done += 1
        self._seconds += time.monotonic() - start
        if self._done < len(self._pieces):
            return LensFit(self._pieces[self._done][0], self._done, len(self._pieces))
        return self._finish()

    def _begin(self) -> None:
        needed = LensSums.memory(self._model)
        if needed > _MOST_BYTES:
            raise ScopeError(
                f"Fitting a tuned lens to this model takes {needed / 1e9:.0f} GB beside it.",
                "Use the logit lens, which needs no fitting.",
            )
        corpus, self._note = default_corpus(self._model)
        rows = corpus.rows()
        held_out = _some(rows, self._wanted[1])
        fitted = _some(rows, self._wanted[0])
        if not fitted:  # of little text, half
            half = max(len(held_out) // 2, 1)
            held_out, fitted = held_out[:half], held_out[half:] or held_out
        self._sums = LensSums(self._model)
        layers = range(self._model.info.n_layers - 1)
        self._pieces = [
            *((_READING, lambda job, row=row: self._set_aside(row, job)) for row in held_out),
            *((_READING, lambda job, row=row: self._take_in(row, job)) for row in fitted),
            *((_SOLVING, lambda job, n=n: self._maps.append(self._sums.solve(n))) for n in layers),
            *((_MEASURING, lambda job, n=n: self._measure(n, job)) for n in layers),
        ]
        self._begun = True

    def _read(self, row: Row, job: Job) -> tuple[torch.Tensor, torch.Tensor]:
        """A row's streams [L, n, d] and the final norm's output, without the first token."""
        ids = torch.from_numpy(row.ids[None].astype(np.int64)).to(self._model.device)
        kept = tracing.run(self._model, ids, [], job)
        # Position 0 is a sink of attention, many times longer than what comes after it.
        return kept.residual[:, 1:], kept.hidden[1:]

    def _set_aside(self, row: Row, job: Job) -> None:
        residual, hidden = self._read(row, job)
        self._held_out.append((residual, self._model.logits(hidden).log_softmax(-1)))

    def _take_in(self, row: Row, job: Job) -> None:
        self._sums.add(*self._read(row, job))

    def _measure(self, layer: int, job: Job) -> None:
        model, mine = self._model, TunedLens(self._model, torch.stack(self._maps), ())
        found = []
        for residual, own in self._held_out:
            job.check()
            x = residual[layer]
            by_logit = divergence(model, own, self._engine.lens.hidden(x, layer))
            by_map = divergence(model, own, mine.mapped(x, layer))
            found.append(torch.stack([by_logit, by_map]))
        logit, mapped = torch.cat(found, dim=1).mean(1).tolist()
        self._kl.append((logit, mapped))

    def _finish(self) -> LensFit:
        used = tuple(mapped < logit for logit, mapped in self._kl)
        lens = TunedLens(self._model, torch.stack(self._maps), used)
        last = 0.0  # both lenses are the model itself at its last layer
        fit = LensFit(
            logit_kl=(*(logit for logit, _ in self._kl), last),
            tuned_kl=(*(min(pair) for pair in self._kl), last),
            n_fitted=self._sums.n,
            n_held_out=sum(len(own) for _, own in self._held_out),
            seconds=self._seconds,
            note=self._note,
        )
        keep(self._model, lens, fit)
        self._engine.tuned = lens
        return fit


def _some(rows: Iterator[Row], n_tokens: int) -> list[Row]:
    """The next rows, until they have so many tokens, the first of each not counted."""
    found: list[Row] = []
    while n_tokens > 0 and (row := next(rows, None)) is not None:
        found.append(replace(row, ids=row.ids[: n_tokens + 1]))
        n_tokens -= len(found[-1].ids) - 1
    return found

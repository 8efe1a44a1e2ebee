"""Every layer at every token through a lens, some layers at a time."""

from __future__ import annotations

import time
from typing import Protocol

import numpy as np
import torch

from desktop_scope.engine.lenses import LensGrid, ReadLensGrid
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.types import Floats, Ints, LensRow
from desktop_scope.engine.worker import Job

_SLICE_S = 1.0  # of layers, until somebody else may have the engine
_ROWS_AT_ONCE = 128  # of [tokens, vocabulary]
_K = 5
_Row = tuple[Ints, Floats, Floats, Ints, Floats]  # ids, probabilities, entropy, rank, chance


class Readable(Protocol):
    """A lens."""

    def hidden(self, residual: torch.Tensor, layer: int) -> torch.Tensor:
        """What is unembedded of a layer's stream [n, d_model], [n, d_model]."""


def read_grid(
    model: LanguageModel, lens: Readable, residual: torch.Tensor, request: ReadLensGrid, job: Job
) -> LensGrid:
    """As many layers as a slice allows, going down; at least one.

    Args:
        residual: [L, T, d_model].

    Raises:
        ScopeError: The word is not one token of this model.
    """
    word = model.token_id(request.word) if request.word else None
    above = len(residual) if request.above is None else request.above
    start, first = time.monotonic(), above
    rows: list[_Row] = []
    with torch.inference_mode():
        while first > 0 and (not rows or time.monotonic() - start < _SLICE_S):
            job.check()
            job.progress(len(residual) - first, len(residual), "Reading the layers as words")
            first -= 1
            rows.append(_row(model, lens.hidden(residual[first], first), word))
    ids, probs, entropy, rank, chance = (
        np.stack(part) for part in zip(*reversed(rows), strict=True)
    )
    texts = {i: model.texts[i] for i in np.unique(ids).tolist()}
    return LensGrid(
        request.trace, request.lens, request.word, first, texts, ids, probs, entropy, rank, chance
    )


def read_column(
    model: LanguageModel, lens: Readable, residual: torch.Tensor
) -> tuple[LensRow, ...]:
    """The likeliest tokens of each layer at one token, [L, d_model]."""
    with torch.inference_mode():
        hidden = [lens.hidden(some[None], layer) for layer, some in enumerate(residual)]
        probs, ids = model.logits(torch.cat(hidden)).softmax(-1).topk(_K)
    return tuple(
        LensRow(layer, tuple(model.texts[i] for i in row), tuple(p))
        for layer, (row, p) in enumerate(zip(ids.tolist(), probs.tolist(), strict=True))
    )


def _row(model: LanguageModel, hidden: torch.Tensor, word: int | None) -> _Row:
    """One layer, all tokens."""
    found = []
    for some in torch.split(hidden, _ROWS_AT_ONCE):
        logp = model.logits(some).log_softmax(-1)
        p = logp.exp()
        top, ids = p.topk(_K)
        entropy = -(p * logp).nan_to_num_().sum(-1)
        rank, chance = torch.zeros(len(p), dtype=torch.int32), torch.full((len(p),), torch.nan)
        if word is not None:
            mine = p[:, word]
            rank, chance = (p > mine[:, None]).sum(-1) + 1, mine
        parts = (ids.int(), top, entropy, rank.int(), chance)
        found.append([part.cpu().numpy() for part in parts])
    return tuple(np.concatenate(part) for part in zip(*found, strict=True))  # type: ignore[return-value]

"""What differs between two texts, two answers, or two models with the same SAEs.

Figures of one kind stand for every layer: how far the stream moved, and what the SAEs leave
unexplained of either side. Where tuning or quantisation breaks an SAE, the second rises.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from desktop_scope.engine import trace as tracing
from desktop_scope.engine.aligning import align
from desktop_scope.engine.requests import TracePrompt
from desktop_scope.engine.types import Bools, FeatureActs, FeatureId, Floats, Ints, Trace
from desktop_scope.engine.unexplained import unexplained
from desktop_scope.errors import ScopeError
from desktop_scope.experiments.compare_types import (
    By,
    CompareReadings,
    Comparison,
    Difference,
    Reading,
)

if TYPE_CHECKING:
    from desktop_scope.engine.engine import Engine
    from desktop_scope.engine.model import LanguageModel
    from desktop_scope.engine.worker import Job
    from desktop_scope.evidence.catalogue import Catalogue

_N_ROWS = 300
_Keys = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Side:
    """One side, read."""

    trace: Trace
    residual: torch.Tensor  # [L, T, d_model]
    fvu: Floats  # [S]
    model: LanguageModel

    @property
    def compared(self) -> Bools:
        """Tokens of the text and the answer, not the template around them; [T]."""
        own: Bools = self.trace.own & ~self.trace.masked
        return own


def compare(
    engine: Engine,
    beside: LanguageModel | None,
    catalogue: Catalogue | None,
    request: CompareReadings,
    job: Job,
) -> Comparison:
    """Read both sides, and compare.

    Args:
        beside: The second model, if one is open.
        catalogue: Knows the features' maxima; without it they are those of these texts.

    Raises:
        ScopeError: A text is empty, no token is common to both, or no second model is open.
        Cancelled: The job was.
    """
    start = time.perf_counter()
    sides = [_read(engine, beside, one, job) for one in (request.a, request.b)]
    pairs = _pairs(sides)
    if request.by is By.TOKENS and not len(pairs):
        raise ScopeError(
            "The two have no token in common, so that nothing can be aligned.",
            "Compare them as wholes, or texts that differ in a word or two.",
        )
    saes, found = [], []
    for slot in range(len(engine.saes)):
        job.check()
        acts = [side.trace.acts[slot] for side in sides]
        part = _tokens(*acts, pairs) if request.by is By.TOKENS else _wholes(acts, sides)
        if len(part.index):
            saes.append(np.full(len(part.index), slot, np.int32))
            found.append(part.shared(_maxima(catalogue, slot, [side.trace for side in sides])))
    parts = _joined(found)
    sae = np.concatenate(saes) if saes else np.zeros(0, np.int32)
    return Comparison(
        request.a,
        request.b,
        request.by,
        (sides[0].trace.texts, sides[1].trace.texts),
        pairs.astype(np.int32),
        _rows(sae, parts, pairs, request.by),
        sae,
        parts.index,
        parts.share,
        np.stack([side.fvu for side in sides]),
        _moved(sides, pairs),
        (_name(sides[0].model), _name(sides[1].model)),
        tuple(_notes(sides, request.by, pairs)),
        time.perf_counter() - start,
    )


def _read(engine: Engine, beside: LanguageModel | None, reading: Reading, job: Job) -> _Side:
    model = engine.model
    if reading.beside:
        if beside is None:
            raise ScopeError("No second model is open.", "Open one beside this one first.")
        model = beside
    request = TracePrompt(reading.prompt, reading.answer, reading.interventions)
    trace, kept = tracing.trace(model, engine.saes, request, job)
    missed = unexplained(engine.saes, trace.acts, trace.masked, kept, job)
    seen = np.isfinite(missed)
    count = np.maximum(seen.sum(1), 1)
    fvu = np.where(seen.any(1), np.where(seen, missed, 0).sum(1) / count, np.nan)
    return _Side(trace, kept.residual, fvu.astype(np.float32), model)


def _pairs(sides: Sequence[_Side]) -> _Keys:
    """Tokens that belong together, of those that are compared: [n, 2].

    The same text is aligned by position, also where two models read it; else by the tokens, which
    are compared as text where the vocabularies differ.
    """
    a, b = (side.trace for side in sides)
    if a.texts == b.texts:
        pairs = np.repeat(np.arange(a.n_tokens)[:, None], 2, axis=1)
    elif sides[0].model.texts == sides[1].model.texts:
        pairs = align(a.ids, b.ids)
    else:
        pairs = align(a.texts, b.texts)
    keep = sides[0].compared[pairs[:, 0]] & sides[1].compared[pairs[:, 1]]
    found: _Keys = pairs[keep]
    return found


@dataclass(frozen=True, eq=False)
class _Parts:
    """Features of one SAE on both sides, [F] each."""

    index: Ints
    a: Floats
    b: Floats
    place_a: Ints  # of the pair, or the token
    place_b: Ints
    mean: Floats
    share: Floats

    def shared(self, maxima: Floats) -> _Parts:
        """With differences as shares of the features' maxima."""
        full = maxima[self.index]
        return _Parts(
            self.index, self.a, self.b, self.place_a, self.place_b,
            (self.mean / full).astype(np.float32),
            ((self.b - self.a) / full).astype(np.float32),
        )  # fmt: skip


def _tokens(a: FeatureActs, b: FeatureActs, pairs: _Keys) -> _Parts:
    """Every feature at the pair at which it differs most."""
    width = 1 + int(max(a.indices.max(initial=0), b.indices.max(initial=0)))
    sides = [_keys(acts, pairs[:, n], width) for n, acts in enumerate((a, b))]
    keys = np.unique(np.concatenate([key for key, _ in sides]))
    values = np.zeros((2, len(keys)), np.float32)
    for row, (key, value) in zip(values, sides, strict=True):
        row[np.searchsorted(keys, key)] = value
    place, feature = np.divmod(keys, width)
    change = values[1] - values[0]
    order = np.lexsort((-np.abs(change), feature))
    index, first = np.unique(feature[order], return_index=True)
    best = order[first]
    total = np.bincount(np.searchsorted(index, feature), change, len(index))
    at = place[best].astype(np.int32)
    mean = (total / max(len(pairs), 1)).astype(np.float32)
    nothing = np.zeros(len(index), np.float32)
    return _Parts(index.astype(np.int32), *values[:, best], at, at, mean, nothing)


def _keys(acts: FeatureActs, tokens: _Keys, width: int) -> tuple[_Keys, Floats]:
    """Stored activations at some tokens: pair · width + feature, and their values."""
    pair = np.full(len(acts.indptr) - 1, -1)
    pair[tokens] = np.arange(len(tokens))
    there = pair[acts.rows()]
    keep = there >= 0
    return there[keep] * width + acts.indices[keep], acts.values[keep]


def _wholes(acts: Sequence[FeatureActs], sides: Sequence[_Side]) -> _Parts:
    """Every feature's mean over the tokens of each side, and where it is strongest there."""
    width = 1 + int(max(one.indices.max(initial=0) for one in acts))
    means, places = np.zeros((2, width)), np.zeros((2, width), np.int32)
    for n, (one, side) in enumerate(zip(acts, sides, strict=True)):
        keep, rows = side.compared[one.rows()], one.rows()
        total = np.bincount(one.indices[keep], one.values[keep], width)
        means[n] = total / max(int(side.compared.sum()), 1)
        upwards = np.argsort(one.values[keep], kind="stable")
        places[n, one.indices[keep][upwards]] = rows[keep][upwards]  # the strongest stays
    index = np.flatnonzero(means.any(0)).astype(np.int32)
    a, b = means[:, index].astype(np.float32)
    nothing = np.zeros(len(index), np.float32)
    return _Parts(index, a, b, *places[:, index], b - a, nothing)


def _maxima(catalogue: Catalogue | None, slot: int, traces: Sequence[Trace]) -> Floats:
    """What counts as full strength, [N]."""
    if catalogue is not None:
        found = [catalogue.maxima(slot, trace) for trace in traces]
        both: Floats = np.maximum(*found)
        return both
    strongest = max(float(t.acts[slot].values.max(initial=1e-6)) for t in traces)
    width = 1 + max(int(t.acts[slot].indices.max(initial=0)) for t in traces)
    return np.full(width, strongest, np.float32)


def _joined(parts: Sequence[_Parts]) -> _Parts:
    if not parts:
        none, whole = np.zeros(0, np.float32), np.zeros(0, np.int32)
        return _Parts(whole, none, none, whole, whole, none, none)
    names = _Parts.__dataclass_fields__
    return _Parts(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _rows(sae: Ints, parts: _Parts, pairs: _Keys, by: By) -> tuple[Difference, ...]:
    best = np.argsort(-np.abs(parts.share), kind="stable")[:_N_ROWS]
    rows = []
    for n in best[parts.share[best] != 0].tolist():
        at = int(parts.place_a[n]), int(parts.place_b[n])
        if by is By.TOKENS:
            at = int(pairs[at[0], 0]), int(pairs[at[1], 1])
        feature = FeatureId(int(sae[n]), int(parts.index[n]))
        figures = (float(parts.share[n]), float(parts.mean[n]))
        rows.append(Difference(feature, float(parts.a[n]), float(parts.b[n]), at, *figures))
    return tuple(rows)


def _moved(sides: Sequence[_Side], pairs: _Keys) -> Floats:
    """How far the stream moved at the pairs, as a share of its length; by layer."""
    a, b = (side.residual.float().cpu() for side in sides)
    if not len(pairs) or a.shape[0] != b.shape[0]:
        return np.full(len(a), np.nan, np.float32)
    x, y = a[:, pairs[:, 0]], b[:, pairs[:, 1]]
    moved: Floats = ((y - x).norm(dim=-1) / x.norm(dim=-1).clamp(min=1e-12)).mean(1).numpy()
    return moved


def _name(model: LanguageModel) -> str:
    return f"{model.info.id}, {model.info.dtype}"


def _notes(sides: Sequence[_Side], by: By, pairs: _Keys) -> list[str]:
    notes = []
    if sides[0].model.texts != sides[1].model.texts:
        sizes = [f"{len(side.model.texts):,}" for side in sides]
        notes.append(
            f"The models have different vocabularies ({sizes[0]} and {sizes[1]} tokens): tokens "
            "are aligned by their text."
        )
    alone = [int(side.compared.sum()) - len(pairs) for side in sides]
    if by is By.TOKENS and any(alone):
        notes.append(
            f"Aligned: {len(pairs)} tokens. Left out, as they have no partner: {alone[0]} of the "
            f"first, {alone[1]} of the second."
        )
    return notes

"""Runs the model over a few rows at once, and encodes what every open SAE reads there.

Right-padded: a decoder looks only backwards, and the padding is dropped before anything is encoded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from desktop_scope.engine import trace as tracing
from desktop_scope.engine.ablating import padded
from desktop_scope.engine.engine import Engine
from desktop_scope.engine.hook_points import HookPoint, resid_post
from desktop_scope.engine.hooks import Edit, checked
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.types import Bools, FeatureActs, Floats
from desktop_scope.engine.worker import Job
from desktop_scope.evidence.building.blocks import Block
from desktop_scope.evidence.building.corpus import Row

_TOKENS_AT_ONCE = 512  # padding included: bounds the memory, and what a cancelled pass loses


@dataclass(frozen=True, eq=False)
class Read:
    """Some rows, one after another, as all SAEs see them.

    Attributes:
        acts: By SAE.
        norms: By SAE, how long what it read was, [P].
        counted: By SAE, the tokens that it encodes, [P].
    """

    rows: tuple[Row, ...]
    acts: list[FeatureActs]
    norms: list[Floats]
    counted: list[Bools]


class _Enough(Exception):  # noqa: N818 - not an error: no SAE reads what comes after
    pass


def batches(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows that are run together: neighbours, so that their order stays."""
    found: list[list[Row]] = []
    for row in rows:
        longest = max((len(other.ids) for other in (found[-1] if found else ())), default=0)
        n = len(found[-1]) + 1 if found else 1
        if found and max(longest, len(row.ids)) * n <= _TOKENS_AT_ONCE:
            found[-1].append(row)
        else:
            found.append([row])
    return found


def read(engine: Engine, rows: Sequence[Row], job: Job, saes: Sequence[Sae] | None = None) -> Read:
    """One pass over some rows.

    Args:
        saes: That encode them; all that are open by default. The layers after them are spared.

    Raises:
        Cancelled: The job was.
    """
    saes = engine.saes if saes is None else saes
    position = np.concatenate([np.arange(len(row.ids)) for row in rows])
    starts, aside = ([r.start for r in rows], [r.aside for r in rows])
    masked = (position < 1) | (position < np.repeat(starts, _lengths(rows)))
    masked |= np.repeat(aside, _lengths(rows))
    with torch.inference_mode():
        kept = _run(engine, rows, job, saes)
        inputs = [_side_by_side([kept[point] for point in s.weights.reads]) for s in saes]
        norms = [x.float().norm(dim=-1).cpu().numpy() for x in inputs]
        for sae, norm in zip(saes, norms, strict=True):
            masked = masked | (norm > sae.outlier_norm)
        counted, acts = [], []
        for sae, x in zip(saes, inputs, strict=True):
            job.check()
            own: Bools = masked | (position < sae.weights.skip_positions)
            counted.append(~own)
            acts.append(sae.encode(x.to(sae.device), own))
    return Read(tuple(rows), acts, norms, counted)


def _lengths(rows: Sequence[Row]) -> list[int]:
    return [len(row.ids) for row in rows]


def _run(
    engine: Engine, rows: Sequence[Row], job: Job, saes: Sequence[Sae]
) -> dict[HookPoint, torch.Tensor]:
    """What is at the hooks that an SAE reads, [P, width]; the layers after the last are spared."""
    model = engine.model
    ids = padded([row.ids for row in rows], model.device)
    real = np.arange(ids.shape[1]) < np.array(_lengths(rows))[:, None]
    flat = torch.from_numpy(np.flatnonzero(real))
    kept: dict[HookPoint, torch.Tensor] = {}
    points = tracing.hooks_of(saes)
    last = resid_post(max(point.layer for point in points))

    def edit_of(point: HookPoint) -> Edit:
        def edit(x: torch.Tensor) -> None:
            if point in points:
                kept[point] = x.flatten(0, 1)[flat.to(x.device)]
            if point == last and len(kept) == len(points):
                raise _Enough

        return edit

    edits = checked({point: edit_of(point) for point in {*points, last}}, model.parts, job.check)
    with contextlib.suppress(_Enough):
        model.hidden(ids, edits, use_cache=False)
    return kept


def _side_by_side(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    if len(parts) == 1:
        return parts[0]
    return torch.cat([part.to(parts[0].device) for part in parts], dim=-1)


def up_to(one: Read, limit: float) -> Read:
    """Without the rows after the one with which the first SAE has encoded so many tokens."""
    ends = np.cumsum(_lengths(one.rows))
    n = int(np.searchsorted(np.cumsum(one.counted[0])[ends - 1], limit)) + 1
    if n >= len(one.rows):
        return one
    end = int(ends[n - 1])
    acts = [
        FeatureActs(a.indptr[: end + 1], a.indices[: a.indptr[end]], a.values[: a.indptr[end]])
        for a in one.acts
    ]
    norms, counted = ([part[:end] for part in parts] for parts in (one.norms, one.counted))
    return Read(one.rows[:n], acts, norms, counted)


def block_of(parts: Sequence[Read], slot: int, first: int) -> Block:
    """What was read, as one SAE sees it; negative activations (abstopk) are left out."""
    rows = [row for one in parts for row in one.rows]
    lengths = _lengths(rows)
    begin = np.cumsum([0, *(len(one.counted[slot]) for one in parts[:-1])])
    acts = [one.acts[slot] for one in parts]
    value = np.concatenate([a.values for a in acts])
    at = np.concatenate([a.rows() + b for a, b in zip(acts, begin, strict=True)])
    feature = np.concatenate([a.indices for a in acts])
    counted = np.concatenate([one.counted[slot] for one in parts])
    if (value <= 0).any():
        fires = value > 0
        at, feature, value = at[fires], feature[fires], value[fires]
    return Block(
        first=first,
        tokens=np.concatenate([row.ids for row in rows]),
        row=np.repeat(np.arange(len(rows), dtype=np.int32), lengths),
        document=np.repeat(np.array([row.document for row in rows], np.int64), lengths),
        counted=counted,
        at=at.astype(np.int64),
        feature=feature.astype(np.int64),
        value=value,
        norms=np.concatenate([one.norms[slot] for one in parts])[counted],
    )


def rows_of(parts: Sequence[Read]) -> Iterator[Row]:
    """All rows that were read, in order."""
    for one in parts:
        yield from one.rows

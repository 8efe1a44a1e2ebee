"""Whether flow is what it was said to be: features are really switched off, and readers read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from desktop_scope.engine.ablating import Run, edits_of
from desktop_scope.engine.feature_flow import FlowReader
from desktop_scope.engine.flow_types import CheckFlow, FlowCheck
from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.engine.hooks import Edit, checked
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.types import FeatureId, Floats, Intervention, Mode
from desktop_scope.engine.worker import Job

_BATCH = 16  # runs at once
_Readers = Sequence[tuple[Sae, int, int]]  # SAE, feature, token


def check_flow(
    model: LanguageModel, saes: Sequence[Sae], request: CheckFlow, job: Job
) -> FlowCheck:
    """Switch off each writer, wherever it fires, and read its reader.

    Raises:
        ScopeError: A feature cannot be switched off.
        Cancelled: The job was.
    """
    flow = request.flow
    reader = FlowReader(model, saes, flow.question, job)
    writers = [edge.feature.index for edge in flow.upstream.edges]
    before = fallen(reader, writers) if writers else np.zeros(0, np.float32)
    readers = [
        (saes[edge.feature.sae], edge.feature.index, edge.token) for edge in flow.downstream.edges
    ]
    after = _fallen(reader, [flow.question.feature], readers)
    return FlowCheck(flow, before, after[0])


def fallen(reader: FlowReader, writers: Sequence[int]) -> Floats:
    """By how much the drive falls with each of some features of the SAE before off."""
    assert reader.before is not None
    slot = reader.slot_of(reader.before)
    own = (reader.sae, reader.question.feature.index, reader.token)
    found: Floats = _fallen(reader, [FeatureId(slot, n) for n in writers], [own])[:, 0]
    return found


def _fallen(reader: FlowReader, off: Sequence[FeatureId], readers: _Readers) -> Floats:
    """By how much drives fall with each of some features off, [writers, readers]."""
    ids = reader.ids
    runs = [Run(ids), *(Run(ids, (Intervention(f, mode=Mode.ABLATE),)) for f in off)]
    points = sorted({point for sae, *_ in readers for point in sae.weights.reads})
    drives = np.zeros((len(runs), len(readers)), np.float32)
    for start in range(0, len(runs), _BATCH):
        reader.job.progress(start, len(runs), "Switching features off")
        part = runs[start : start + _BATCH]
        seen = _read(reader, part, points)
        for n, (sae, index, token) in enumerate(readers):
            x = torch.cat([seen[point][:, token] for point in sae.weights.reads], -1)
            drives[start : start + len(part), n] = sae.drive(x.to(sae.device), index).cpu()
    return drives[:1] - drives[1:]


def _read(
    reader: FlowReader, runs: Sequence[Run], points: Sequence[HookPoint]
) -> dict[HookPoint, torch.Tensor]:
    """What is at some hooks during some runs of the text."""
    seen: dict[HookPoint, torch.Tensor] = {}
    model, changes = reader.model, edits_of(runs, reader.saes)

    def keep(point: HookPoint) -> Edit:
        def edit(x: torch.Tensor) -> torch.Tensor | None:
            changed = changes[point](x) if point in changes else None
            seen[point] = (x if changed is None else changed).float().clone()
            return changed

        return edit

    edits = {**changes, **{point: keep(point) for point in points}}
    ids = torch.tensor([reader.ids] * len(runs), device=model.device)
    with torch.inference_mode():
        model.hidden(ids, checked(edits, model.parts, reader.job.check), use_cache=False)
    return seen

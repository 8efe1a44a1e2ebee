"""Many short texts, and what the stream of every layer and every SAE makes of each of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from desktop_scope.engine import trace as tracing
from desktop_scope.engine.ablating import batches, padded
from desktop_scope.engine.hook_points import HookPoint, resid_post
from desktop_scope.engine.hooks import Edit, checked
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.types import Bools, FeatureActs, LayerTexts
from desktop_scope.engine.worker import Job


def read_layers(
    model: LanguageModel, saes: Sequence[Sae], texts: Sequence[str], last: bool, job: Job
) -> LayerTexts:
    """Read texts; of a long one as much as the model reads at once.

    Args:
        last: Look at each text's last token alone; else at the mean over its tokens.

    Raises:
        ScopeError: A text is empty.
        Cancelled: The job was.
    """
    ids = [model.encode_within(text) for text in texts]
    n_layers, found = model.info.n_layers, {}
    residual = np.zeros((len(texts), n_layers, model.d_model), np.float32)
    points = {*map(resid_post, range(n_layers)), *tracing.hooks_of(saes)}
    done = 0
    with torch.inference_mode():
        for part in batches([len(one) for one in ids]):
            job.progress(done, len(texts), "Reading the texts")
            seen = _run(model, [ids[n] for n in part], points, job)
            for row, n in enumerate(part):
                at = {point: x[row, : len(ids[n])] for point, x in seen.items()}
                found[n] = _one(saes, at, last)
                for layer in range(n_layers):
                    x = at[resid_post(layer)]
                    picked = x[-1] if last or len(x) < 2 else x[1:].mean(0)
                    residual[n, layer] = picked.cpu().numpy()
            done += len(part)
    acts = tuple(_stacked([found[n][s] for n in range(len(texts))]) for s in range(len(saes)))
    return LayerTexts(residual, acts)


def _run(
    model: LanguageModel, ids: Sequence[list[int]], points: set[HookPoint], job: Job
) -> dict[HookPoint, torch.Tensor]:
    seen: dict[HookPoint, torch.Tensor] = {}

    def keep(point: HookPoint) -> Edit:
        def edit(x: torch.Tensor) -> None:
            seen[point] = x.float().clone()

        return edit

    edits = checked({point: keep(point) for point in points}, model.parts, job.check)
    model.hidden(padded(ids, model.device), edits, use_cache=False)
    return seen


_Values = dict[int, float]


def _one(saes: Sequence[Sae], at: dict[HookPoint, torch.Tensor], last: bool) -> list[_Values]:
    """By SAE, the features of one text."""
    found = []
    for sae in saes:
        x = torch.cat([at[point] for point in sae.weights.reads], -1).to(sae.device)
        masked: Bools = np.arange(len(x)) < max(sae.weights.skip_positions, 1)
        if last:
            x, masked = x[-1:], masked[-1:]
        acts = sae.encode(x, masked)
        count = max(int((~masked).sum()), 1)
        total = np.bincount(acts.indices, acts.values)
        active = np.flatnonzero(total)
        found.append(dict(zip(active.tolist(), (total[active] / count).tolist(), strict=True)))
    return found


def _stacked(texts: Sequence[_Values]) -> FeatureActs:
    """Texts as rows."""
    ends = np.cumsum([0, *map(len, texts)]).astype(np.int32)
    indices = np.array([index for text in texts for index in text], np.int32)
    values = np.array([value for text in texts for value in text.values()], np.float32)
    return FeatureActs(ends, indices, values)

"""What the SAEs miss of a text, token by token."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from desktop_scope.engine.hook_points import resid_post
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.trace import Activations, own_mask
from desktop_scope.engine.types import Bools, FeatureActs, Floats
from desktop_scope.engine.worker import Job


def unexplained(
    saes: Sequence[Sae],
    acts: Sequence[FeatureActs],
    masked: Bools,
    kept: Activations,
    job: Job,
) -> Floats:
    """‖y − ŷ‖² / mean ‖y − mean(y)‖² by SAE and token, [S, T]: an SAE's mean of it is its FVU.

    nan where a token is not encoded, and of SAEs whose target the pass did not keep: those that
    write elsewhere than they read.
    """
    found = np.full((len(saes), len(masked)), np.nan, np.float32)
    with torch.inference_mode():
        for slot, sae in enumerate(saes):
            job.check()
            y = _target(sae, kept)
            if y is None:
                continue
            shown = torch.from_numpy(~own_mask(sae, masked))
            wrong = (y - sae.decode(acts[slot], y)).square().sum(-1)
            spread = (y[shown] - y[shown].mean(0)).square().sum(-1).mean()
            found[slot, shown.numpy()] = (wrong[shown] / spread.clamp(min=1e-12)).numpy()
    return found


def _target(sae: Sae, kept: Activations) -> torch.Tensor | None:
    """What an SAE is to reconstruct, [T, d_out]; None where it was not kept."""
    reads, writes = sae.weights.reads, sae.weights.writes
    if reads != writes:
        return None
    if all(point in kept.at for point in reads):
        return kept.read_by(sae).float().cpu()
    # Recorded programs keep the stream alone.
    layer = reads[0].layer
    return kept.residual[layer].float().cpu() if reads == (resid_post(layer),) else None


def within(acts: FeatureActs, n_features: int) -> FeatureActs:
    """Of the first so many features alone: a prefix of a nested SAE."""
    kept = acts.indices < n_features
    if kept.all():
        return acts
    ends = np.concatenate([[0], np.cumsum(kept)])[acts.indptr].astype(np.int32)
    return FeatureActs(ends, acts.indices[kept], acts.values[kept])

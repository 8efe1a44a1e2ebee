"""A direction of one's own: from what a model makes of one set of prompts to another.

The mean of the activations at a hook over each prompt's own tokens (not the template around them,
not position 0), then over the prompts; the difference of the two sets' means.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.requests import MakeVector
from desktop_scope.engine.trace import check_finite, run
from desktop_scope.engine.types import Prompt, Vector
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError


def make_vector(model: LanguageModel, request: MakeVector, job: Job) -> Vector:
    """The difference of two sets' means.

    Raises:
        ScopeError: A set is empty, the place does not exist, or the sets do not differ.
    """
    if not request.towards or not request.away:
        raise ScopeError(
            "A direction needs prompts to lead from and prompts to lead to.",
            "Write at least one on either side; ten that differ in one thing are better.",
        )
    point = HookPoint.parse(request.hook_name)
    model.parts.tap(point)
    total = len(request.towards) + len(request.away)
    with torch.inference_mode():
        towards = _mean(model, request.towards, point, job, 0, total)
        away = _mean(model, request.away, point, job, len(request.towards), total)
    values = (towards - away).cpu().numpy()
    if not np.abs(values).max() > 0:
        raise ScopeError("The two sets of prompts do not differ.", "Change one of them.")
    return Vector(request.name, point.name, values.astype(np.float32).tobytes())


def _mean(
    model: LanguageModel,
    prompts: Sequence[Prompt],
    point: HookPoint,
    job: Job,
    done: int,
    total: int,
) -> torch.Tensor:
    means = []
    for number, prompt in enumerate(prompts):
        job.progress(done + number, total, "Reading the prompts")
        encoded = model.encode(prompt)
        kept = run(model, torch.tensor([encoded.ids], device=model.device), [point], job)
        check_finite(kept.residual)
        own = torch.from_numpy(encoded.own.copy())
        own[0] = False
        if not own.any():  # a prompt of one token
            own[-1] = True
        x = kept.at[point]
        means.append(x[own.to(x.device)].float().mean(0))
    return torch.stack(means).mean(0)

"""Answers to many prompts at once, for studies: greedy, padded at the left, one pass a token.

Each may be steered otherwise. On a processor a pass over thirty texts takes little longer than one
over seven: most of it goes into reading the weights.

They may differ in a token here and there from the same answers given one by one, where two tokens
are equally likely to the last digit.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers.generation.logits_process import RepetitionPenaltyLogitsProcessor

from desktop_scope.engine.ablating import Run, Together
from desktop_scope.engine.hooks import checked
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.worker import Job

_PENALTY = 1.1  # as in the window: a small model would go round in circles without


def answer_all(
    model: LanguageModel, saes: Sequence[Sae], runs: Sequence[Run], n: int, job: Job
) -> list[list[int]]:
    """At most ``n`` tokens after each text, what ends an answer not among them."""
    if "position_ids" in inspect.signature(model.parts.decoder.forward).parameters:
        return _together(model, saes, runs, n, job)
    return [_together(model, saes, [run], n, job)[0] for run in runs]


def _together(
    model: LanguageModel, saes: Sequence[Sae], runs: Sequence[Run], n: int, job: Job
) -> list[list[int]]:
    prompts = [run.ids for run in runs]
    longest = max(map(len, prompts))
    ids = np.array([[p[0]] * (longest - len(p)) + list(p) for p in prompts], np.int64)
    seen = torch.from_numpy(ids).to(model.device)
    lengths = torch.tensor([[len(p)] for p in prompts], device=model.device)
    at = torch.arange(longest, device=model.device)[None] - (longest - lengths)
    real = at >= 0
    at = at.clamp(min=-1)
    steering = Together([run.interventions for run in runs], saes)
    edits = checked(steering.edits(), model.parts, job.check)
    penalise = RepetitionPenaltyLogitsProcessor(_PENALTY)
    cache: Any = None
    pending = seen
    n = max(min(n, model.info.context - longest), 1)

    def read() -> torch.Tensor:
        nonlocal cache
        if pending.shape[1] > 1 or cache is None:  # the prompt; anew where a rule asks for it
            cache = model.new_cache()
        more = {} if len(prompts) == 1 else {"attention_mask": real.long(), "position_ids": places}
        return model.hidden(pending, edits, past_key_values=cache, use_cache=True, **more)

    for _ in range(n):
        steering.place(lengths, at)
        places = at.clamp(min=0)
        logits = model.logits(steering.settle(read)[:, -1])
        pending = penalise(seen, logits).argmax(-1, keepdim=True)
        seen = torch.cat([seen, pending], dim=1)
        at = at[:, -1:] + 1
        real = torch.cat([real, torch.ones_like(pending, dtype=torch.bool)], dim=1)
    return [_until_end(row, model.stop_ids) for row in seen[:, longest:].tolist()]


def _until_end(ids: list[int], stop: frozenset[int]) -> list[int]:
    end = next((k for k, i in enumerate(ids) if i in stop), len(ids))
    return ids[:end]

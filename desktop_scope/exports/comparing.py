"""Two ways of steering, compared by what they make of the same texts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from desktop_scope.engine.damage import NEUTRAL_TEXTS
from desktop_scope.engine.hooks import checked
from desktop_scope.engine.interventions import Steering
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.types import Intervention
from desktop_scope.engine.worker import Job


class Way:
    """A model with or without interventions."""

    def __init__(
        self,
        model: LanguageModel,
        saes: Sequence[Sae] = (),
        interventions: Sequence[Intervention] = (),
    ) -> None:
        self.model = model
        self._steering = Steering(interventions, saes)

    def logprobs(self, ids: list[int], job: Job) -> torch.Tensor:
        """[T, vocabulary] of what follows each token, nats."""
        tokens = torch.tensor([ids], device=self.model.device)
        edits = checked(self._steering.edits(), self.model.parts, job.check)
        read = partial(self.model.hidden, tokens, edits, use_cache=False)
        return self.model.logits(self._steering.settle(read)[0]).log_softmax(-1).cpu()


def compare(one: Way, other: Way, texts: Sequence[str], job: Job) -> tuple[float, int]:
    """The largest difference of any log-probability after any token, nats; and how many tokens.

    The neutral texts come first, then these.
    """
    largest, n_tokens = 0.0, 0
    every = [*NEUTRAL_TEXTS, *texts]
    with torch.inference_mode():
        for number, text in enumerate(every):
            job.progress(number, len(every), "Comparing with the steered model")
            ids = one.model.encode_within(text)
            apart = (one.logprobs(ids, job) - other.logprobs(ids, job)).abs().max()
            # NaN is never small enough.
            largest = max(largest, float(apart.nan_to_num(nan=torch.inf)))
            n_tokens += len(ids)
    return largest, n_tokens

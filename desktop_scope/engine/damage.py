"""What an intervention costs on texts that have nothing to do with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from desktop_scope.engine.cost_types import Damage
from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.engine.hooks import Edit, checked
from desktop_scope.engine.interventions import Steering
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.types import Intervention
from desktop_scope.engine.worker import Job

# Plain statements about unrelated things, as in the demo pack's recipes.
NEUTRAL_TEXTS = (
    "The committee met on Thursday to discuss the new parking rules, and most members agreed "
    "that the current signs are confusing.",
    "Water boils at a lower temperature at high altitude because the air pressure is lower, "
    "which is why cooking takes longer there.",
    "My sister moved to a new apartment last spring. She painted the kitchen yellow and "
    "bought a small table for the balcony.",
    "The museum opens at nine in the morning. Tickets can be bought online or at the front "
    "desk, and children enter for free.",
    "When you repair a bicycle tyre, first remove the wheel, then take out the inner tube and"
    " look for the hole before you apply a patch.",
)


class DamageMeter:
    """Compares next-token distributions with and without interventions on neutral texts."""

    def __init__(self, model: LanguageModel, saes: Sequence[Sae]) -> None:
        self._model = model
        self._saes = saes
        self._plain: list[tuple[torch.Tensor, torch.Tensor]] = []  # made when first needed

    def measure(self, interventions: tuple[Intervention, ...], job: Job) -> Damage:
        """KL(unsteered || steered) and the change of the log-likelihood, per token."""
        kl = nll = 0.0
        n_tokens = 0
        steering = Steering(interventions, self._saes)
        with torch.inference_mode():
            self._plain = self._plain or self._unsteered(job)
            for number, (ids, plain) in enumerate(self._plain):
                job.progress(number, len(self._plain), "Measuring the cost")
                steered = self._logprobs(ids, steering.edits(), job)
                kl += float((plain.exp() * (plain - steered)).sum())
                nll += float((plain - steered).gather(1, ids[0, 2:, None]).sum())
                n_tokens += len(plain)
        return Damage(interventions, kl / n_tokens, nll / n_tokens, n_tokens)

    def _unsteered(self, job: Job) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """The neutral texts, [1, T] each, with their plain log-probabilities."""
        texts = [self._model.encode_within(text) for text in NEUTRAL_TEXTS]
        batches = [torch.tensor([ids], device=self._model.device) for ids in texts]
        return [(ids, self._logprobs(ids, {}, job)) for ids in batches]

    def _logprobs(
        self, ids: torch.Tensor, edits: Mapping[HookPoint, Edit], job: Job
    ) -> torch.Tensor:
        """[T − 2, vocabulary] before every token but the first two: no SAE encodes position 0."""
        edits = checked(edits, self._model.parts, job.check)
        hidden = self._model.hidden(ids, edits, use_cache=False)
        return self._model.logits(hidden[0, 1:-1]).log_softmax(-1)

"""What an intervention costs: on neutral texts, on texts near to what it steers, in a quiz.

Whatever tokens interventions are meant for, the cost is measured with them at all tokens of these
texts (position 0 only where asked for): what they would do to a text if they acted there. Rules
decide here as they do elsewhere; what stops an answer is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial

import torch

from desktop_scope.engine.ablating import padded
from desktop_scope.engine.cost_types import Damage, Fluency, Passages, Quiz, TextCost
from desktop_scope.engine.fluency import Conversation
from desktop_scope.engine.hooks import checked
from desktop_scope.engine.interventions import Steering, structure
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.quiz import Questionnaire, read_questions
from desktop_scope.engine.requests import MeasureDamage
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.trace import check_finite, run
from desktop_scope.engine.types import Intervention, Mode, Positions
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
_NEUTRAL = Passages("neutral sentences", NEUTRAL_TEXTS)
_SKIPPED = 2  # the first tokens: no SAE encodes position 0, and what follows it says little
_SETS_KEPT = 8  # of texts whose plain log-probabilities are remembered


def for_all_tokens(interventions: Sequence[Intervention]) -> tuple[Intervention, ...]:
    """Interventions as their cost is measured: wherever they are meant for, at all tokens."""
    return tuple(
        replace(item, positions=Positions(first=item.positions.first))
        for item in interventions
        if item.mode is not Mode.STOP
    )


def _same(damage: Damage) -> Damage:
    return damage


class Costs:
    """KL(unsteered || steered) and the loss of log-likelihood, one figure per text.

    Attributes:
        kl: Sum over a text's tokens, nats, [texts].
        nll: The same of the loss of log-likelihood.
        tokens: How many those are, [texts].
    """

    def __init__(self, kl: torch.Tensor, nll: torch.Tensor, tokens: torch.Tensor) -> None:
        self.kl, self.nll, self.tokens = kl, nll, tokens

    def total(self, passages: Passages) -> TextCost:
        """Per token, over all texts."""
        n = int(self.tokens.sum())
        kl, nll = (float(part.sum()) / max(n, 1) for part in (self.kl, self.nll))
        losses = tuple((self.nll / self.tokens.clamp(min=1)).tolist())
        return TextCost(passages.title, passages.texts, kl, nll, n, losses, passages.names)


class DamageMeter:
    """Compares next-token distributions with and without interventions.

    Each set of texts is one batch, padded at the right, which a model that looks backwards does not
    notice. What the model says unsteered is kept.
    """

    def __init__(self, model: LanguageModel, saes: Sequence[Sae]) -> None:
        self._model = model
        self._saes = saes
        self._plain: dict[Passages, tuple[list[list[int]], torch.Tensor]] = {}
        self._steering = Steering((), saes)
        self._ready: tuple[Intervention, ...] = ()  # the structure it was made for
        self._measured: tuple[Intervention, ...] = ()  # last, and what was found
        self._costs: dict[Passages, TextCost] = {}
        self._examined: tuple[Quiz, Fluency] | None = None

    def measure(self, request: MeasureDamage, job: Job, near: Sequence[Passages] = ()) -> Damage:
        """The neutral texts first, then the others, the quiz and short answers.

        What is there is reported; what is known of the very same interventions is not measured
        again.
        """
        if request.interventions != self._measured:
            self._measured, self._costs, self._examined = request.interventions, {}, None
        steps = 1 + len(near) + 2 * request.quiz
        with torch.inference_mode():
            job.progress(0, steps, "Measuring the cost")
            cost = self._cost(_NEUTRAL, job)
            damage = Damage(
                request.interventions, cost.kl, cost.nll_delta, cost.n_tokens, finished=steps == 1
            )
            for number, passages in enumerate(near, start=1):
                job.partial(partial(_same, damage))
                job.progress(number, steps, "Measuring the cost near to it")
                damage = replace(damage, near=(*damage.near, self._cost(passages, job)))
            if request.quiz:
                job.partial(partial(_same, damage))
                quiz, fluency = self._examination(job, steps)
                damage = replace(damage, quiz=quiz, fluency=fluency)
        return replace(damage, finished=True)

    def _cost(self, passages: Passages, job: Job) -> TextCost:
        if passages not in self._costs:
            found = self.costs(passages, self.ready(self._measured), job).total(passages)
            self._costs[passages] = found
        return self._costs[passages]

    def _examination(self, job: Job, steps: int) -> tuple[Quiz, Fluency]:
        if self._examined is None:
            job.progress(steps - 2, steps, "Asking the quiz")
            quiz = self._questionnaire.ask(self.ready(self._measured), job)
            job.progress(steps - 1, steps, "Asking for short answers")
            self._examined = quiz, self._conversation.ask(for_all_tokens(self._measured), job)
        return self._examined

    def neutral(self, interventions: Sequence[Intervention], job: Job) -> Costs:
        """On the neutral texts alone."""
        with torch.inference_mode():
            return self.costs(_NEUTRAL, self.ready(interventions), job)

    def ready(self, interventions: Sequence[Intervention]) -> Steering:
        """The interventions at all tokens; where only strengths changed nothing is made anew."""
        items = for_all_tokens(interventions)
        if structure(items) == self._ready:
            self._steering.turn(items)
        else:
            self._steering, self._ready = Steering(items, self._saes), structure(items)
        return self._steering

    def costs(self, passages: Passages, steering: Steering, job: Job) -> Costs:
        """What some texts cost, each."""
        if passages not in self._plain:
            while len(self._plain) >= _SETS_KEPT:
                del self._plain[next(one for one in self._plain if one != _NEUTRAL)]
            texts = [self._model.encode_within(text) for text in passages.texts]
            self._plain[passages] = texts, self._logprobs(texts, Steering((), ()), job)
        texts, plain = self._plain[passages]
        steered = self._logprobs(texts, steering, job)
        kl = (plain.exp() * (plain - steered)).sum(-1)
        said = torch.tensor([i for ids in texts for i in ids[_SKIPPED:]], device=plain.device)
        nll = (plain - steered).gather(1, said[:, None])[:, 0]
        lengths = [max(len(ids) - _SKIPPED, 0) for ids in texts]
        sums = torch.stack(
            [torch.stack([part.sum() for part in torch.split(of, lengths)]) for of in (kl, nll)]
        ).cpu()
        return Costs(sums[0], sums[1], torch.tensor(lengths))

    def _logprobs(self, texts: list[list[int]], steering: Steering, job: Job) -> torch.Tensor:
        """[tokens, vocabulary] before every token of every text but its first two."""
        ids = padded(texts, self._model.device)
        edits = checked(steering.edits(), self._model.parts, job.check)
        hidden = steering.settle(partial(self._model.hidden, ids, edits, use_cache=False))
        rows = [row[_SKIPPED - 1 : len(ids) - 1] for row, ids in zip(hidden, texts, strict=True)]
        logits = self._model.logits(torch.cat(rows))
        if bool(logits.isnan().any()):
            self._break_down(ids, steering, job)
        return logits.log_softmax(-1)

    def _break_down(self, ids: torch.Tensor, steering: Steering, job: Job) -> None:
        """Say at which layer the numbers ceased to be numbers."""
        check_finite(run(self._model, ids[:1], [], job, steering).residual)

    @cached_property
    def _conversation(self) -> Conversation:
        return Conversation(self._model, self._saes)

    @cached_property
    def _questionnaire(self) -> Questionnaire:
        return Questionnaire(self._model, read_questions())

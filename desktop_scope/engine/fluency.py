"""Whether a steered model still speaks: short answers, judged by the unsteered model.

What it would hardly have said itself may be a dog's tale, and fluent; what it finds all but
impossible, word after word, is no language. ``cost_types.judge`` says where the line is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from desktop_scope.engine.ablating import Run, padded
from desktop_scope.engine.answers import answer_all
from desktop_scope.engine.cost_types import Fluency, repetition
from desktop_scope.engine.hooks import checked
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.types import Intervention, Prompt
from desktop_scope.engine.worker import Job

QUESTIONS = (
    "Tell me about the weather.",
    "How do I clean a window?",
    "Describe a city that you like.",
)
_N_TOKENS = 30


def surprises(
    model: LanguageModel, prompts: Sequence[list[int]], answers: Sequence[list[int]], job: Job
) -> list[float]:
    """−log p of each answer by the model as it is, nats per token; 0 of an empty one."""
    texts = [[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)]
    ids = padded(texts, model.device)
    with torch.inference_mode():
        hidden = model.hidden(ids, checked({}, model.parts, job.check), use_cache=False)
        found = []
        for row, prompt, answer in zip(hidden, prompts, answers, strict=True):
            before = row[len(prompt) - 1 : len(prompt) - 1 + len(answer)]
            logprobs = model.logits(before).log_softmax(-1)
            said = torch.tensor(answer, dtype=torch.int64, device=logprobs.device)
            likely = logprobs.gather(1, said[:, None])
            found.append(-float(likely.mean()) if answer else 0.0)
    return found


class Conversation:
    """Asks a model the same plain questions, as often as needed."""

    def __init__(self, model: LanguageModel, saes: Sequence[Sae]) -> None:
        self._model, self._saes = model, saes
        chat = model.info.has_chat
        self._prompts = [model.encode(Prompt(question, chat)).ids for question in QUESTIONS]
        self._plain: tuple[float, float] | None = None  # when first needed

    def ask(self, interventions: tuple[Intervention, ...], job: Job) -> Fluency:
        """Answer with interventions, and without if that was not done yet."""
        if self._plain is None:
            self._plain = self._judged(self._answers((), job), job)
        answers = self._answers(interventions, job)
        surprise, repeats = self._judged(answers, job)
        texts = tuple(self._model.decode(answer).strip() for answer in answers)
        return Fluency(surprise, self._plain[0], repeats, self._plain[1], texts)

    def _answers(self, interventions: tuple[Intervention, ...], job: Job) -> list[list[int]]:
        runs = [Run(tuple(prompt), interventions) for prompt in self._prompts]
        with torch.inference_mode():
            return answer_all(self._model, self._saes, runs, _N_TOKENS, job)

    def _judged(self, answers: list[list[int]], job: Job) -> tuple[float, float]:
        """Surprise and repetition, on average."""
        found = surprises(self._model, self._prompts, answers, job)
        return sum(found) / len(found), sum(map(repetition, answers)) / len(answers)

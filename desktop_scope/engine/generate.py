"""The decode loop: answers stream side by side, each with its own interventions."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from transformers.generation.logits_process import RepetitionPenaltyLogitsProcessor

from desktop_scope.engine.fixed_steps import FixedStep, FixedSteps
from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.engine.hooks import Edit, checked
from desktop_scope.engine.interventions import Steering
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.requests import Generate
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.trace import check_finite, run
from desktop_scope.engine.types import Firing, Generation, Intervention, Prompt, Rule, Sampling
from desktop_scope.engine.watching import WatchedAnswer, Watching
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError

Question = tuple[Prompt, tuple[Intervention, ...]]


class Answer:
    """One answer under way: its cache, its interventions, its dice.

    Args:
        prompt_ids: [1, T].
        steering: The edits of this run; their positions are kept up to date.
        watched: Reads the features that are looked at.
        fixed: A step of fixed shapes, made for these interventions; None for the plain way.

    Attributes:
        stopped: What the rule that ended it says.
    """

    def __init__(
        self,
        model: LanguageModel,
        prompt_ids: torch.Tensor,
        steering: Steering,
        sampling: Sampling,
        job: Job,
        watched: WatchedAnswer,
        fixed: FixedStep | None = None,
    ) -> None:
        self.ids: list[int] = []
        self.finished = False
        self.stopped = ""
        self.seconds = 0.0  # of the steps after the first token
        self._model = model
        self._job = job
        self._sampling = sampling
        self._steering = steering
        self._steering.n_prompt.fill_(prompt_ids.shape[1])
        self._watched = watched
        self._fixed = fixed
        self._edits = self._make_edits()
        self._cache: Any = None
        self._pending = self._seen = prompt_ids
        self._n_read = 0  # tokens that were read
        self._fired: dict[Rule, list[int]] = {rule: [] for rule in steering.rules}
        self._dice = torch.Generator(prompt_ids.device).manual_seed(sampling.seed)
        penalty = sampling.repetition_penalty
        self._penalise = RepetitionPenaltyLogitsProcessor(penalty) if penalty != 1 else None

    def _make_edits(self) -> dict[HookPoint, Edit]:
        edits = self._watched.edits(self._steering.edits())
        return checked(edits, self._model.parts, self._job.check)

    def step(self) -> None:
        """Add one token, or find that a rule ends the answer."""
        start = time.perf_counter()
        logits = self._read()
        if bool(logits[:, 0].isnan().any()):  # one NaN in what is read out makes all of them NaN
            self._break_down()
        if self.stopped:
            self.finished = True
            return
        if self._penalise is not None:
            logits = self._penalise(self._seen, logits)
        token = self._choose(logits)
        self._pending = token
        self._seen = torch.cat([self._seen, token], dim=1)
        if self.ids:
            self.seconds += time.perf_counter() - start
        self.ids.append(int(token))
        full = self._seen.shape[1] >= self._model.info.context
        self.finished = (
            self.ids[-1] in self._model.stop_ids
            or full
            or len(self.ids) >= self._sampling.max_new_tokens
        )

    def _read(self) -> torch.Tensor:
        """Read what is new: logits after it, [1, vocabulary]."""
        start = self._seen.shape[1] - self._pending.shape[1]
        logits, fired = self._replayed(start) if self._fixed else self._passed(start)
        for rule, here in fired.items():
            self._fired[rule] += (here[0].nonzero()[:, 0] + start).tolist()
        self._n_read = self._seen.shape[1]
        self._watched.note(len(self.ids) - 1)
        self.stopped = self._steering.stop(start, fired)
        return logits

    def _passed(self, start: int) -> tuple[torch.Tensor, dict[Rule, torch.Tensor]]:
        """Logits and where rules fired, from a pass with a cache that grows."""
        steering, begun, pending = self._steering, self._cache is not None, self._pending
        steering.start = start
        if self._watched.changed():
            self._edits = self._make_edits()
        self._watched.begin(self._seen.shape[1] - 1)

        def read() -> torch.Tensor:
            if not begun:  # and anew for every pass that a rule asks for
                self._cache = self._model.new_cache()
            return self._model.hidden(
                pending, self._edits, past_key_values=self._cache, use_cache=True
            )

        hidden = steering.settle(read)
        return self._model.logits(hidden[:, -1]), steering.fired()

    def _replayed(self, start: int) -> tuple[torch.Tensor, dict[Rule, torch.Tensor]]:
        """The same from a step of fixed shapes."""
        assert self._fixed is not None
        self._fixed.watch(self._watched.wanted)
        logits = (
            self._fixed.next(self._pending, start) if self.ids else self._fixed.begin(self._pending)
        )
        self._watched.latest = self._fixed.watched
        return logits, self._fixed.fired

    def _choose(self, logits: torch.Tensor) -> torch.Tensor:
        if self._sampling.temperature <= 0:
            return logits.argmax(-1, keepdim=True)
        probs = (logits / self._sampling.temperature).softmax(-1)
        if self._sampling.top_p < 1:
            probs = _likeliest(probs, self._sampling.top_p)
        return torch.multinomial(probs, 1, generator=self._dice)

    def _break_down(self) -> None:
        """Find the layer at which the numbers ceased to be numbers."""
        self._steering.start, self._steering.positions = 0, None
        kept = run(self._model, self._seen, [], self._job, self._steering)
        check_finite(kept.residual)
        raise ScopeError(
            "The model broke down after its last layer: its logits are NaN.",
            "If it is steered: turn the strengths down. If not, try another number type.",
        )

    def snapshot(self, prompt: Prompt, interventions: tuple[Intervention, ...]) -> Generation:
        """The answer so far."""
        rate = (len(self.ids) - 1) / self.seconds if self.seconds else 0.0
        return Generation(
            prompt=prompt,
            interventions=interventions,
            ids=tuple(self.ids),
            pieces=tuple(self._model.texts[i] for i in self.ids),
            text=self._model.decode(self.ids),
            finished=self.finished,
            tokens_per_second=rate,
            firings=self._firings(),
            stopped=self.stopped,
            watched=self._watched.values(len(self.ids)),
        )

    def _firings(self) -> tuple[Firing, ...]:
        return tuple(Firing(rule, tuple(at), self._n_read) for rule, at in self._fired.items())


def _likeliest(probs: torch.Tensor, top_p: float) -> torch.Tensor:
    """Only the likeliest tokens that together have a probability: [1, vocabulary]."""
    ordered, ids = probs.sort(descending=True)
    before = ordered.cumsum(-1) - ordered  # the first one is always kept
    return torch.zeros_like(probs).scatter(-1, ids, ordered.where(before < top_p, 0.0))


def _check_sampling(sampling: Sampling) -> None:
    if sampling.max_new_tokens < 1:
        raise ScopeError("An answer needs at least one token.", "Ask for 1 token or more.")
    if not 0 <= sampling.temperature < math.inf:
        raise ScopeError("That temperature makes no sense.", "0 is greedy, 1 is the model's own.")
    if not 0 < sampling.top_p <= 1:
        raise ScopeError("Top-p is a probability.", "1 takes every token, 0.9 is usual.")
    if not 0 < sampling.repetition_penalty < math.inf:
        raise ScopeError("That repetition penalty makes no sense.", "1 is none, 1.1 is usual.")


def generate(
    model: LanguageModel,
    saes: Sequence[Sae],
    request: Generate,
    job: Job,
    known: Mapping[Question, Generation],
    watching: Watching,
    steps: FixedSteps,
) -> tuple[Generation, ...]:
    """Answer once per run, a token of each in turn, so that they stream side by side.

    Every run computes exactly what it would compute alone.

    Args:
        known: Questions whose answers were computed before, drawn as in this request.
        watching: The features that are looked at.
        steps: Steps of fixed shapes, where the device is the faster for them.

    Raises:
        ScopeError: The prompt or the way of sampling makes no sense, or there is no such feature.
        Cancelled: The job was.
    """
    _check_sampling(request.sampling)

    def begin(prompt: Prompt, items: tuple[Intervention, ...]) -> Answer:
        prompt_ids = torch.tensor([model.encode(prompt).ids], device=model.device)
        if prompt_ids.shape[1] >= model.info.context:
            raise ScopeError("The prompt fills the whole context.", "Shorten it to leave room.")
        watched = WatchedAnswer(watching, saes)
        longest = prompt_ids.shape[1] + request.sampling.max_new_tokens
        fixed = steps.take(items, watched.wanted, min(longest, model.info.context))
        if fixed is not None:
            taken.append(fixed)
        steering = fixed.steering if fixed else Steering(items, saes)
        return Answer(model, prompt_ids, steering, request.sampling, job, watched, fixed)

    taken: list[FixedStep] = []
    questions = request.questions
    answers = {question: begin(*question) for question in questions if question not in known}

    def snapshots() -> tuple[Generation, ...]:
        return tuple(
            known[question]
            if question in known
            else replace(answers[question].snapshot(*question), note=steps.note)
            for question in questions
        )

    most = request.sampling.max_new_tokens
    try:
        with torch.inference_mode():
            while writing := [answer for answer in answers.values() if not answer.finished]:
                for answer in writing:
                    job.check()
                    answer.step()
                job.progress(max(len(answer.ids) for answer in writing), most, "Answering")
                job.partial(snapshots)
    finally:
        for step in taken:
            steps.give_back(step)
    return snapshots()

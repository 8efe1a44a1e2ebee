"""Decoding in steps of fixed shapes, that a GPU records once and replays.

A GPU is done with one token long before the processor has asked for all of it. Here the keys and
values lie in a cache of fixed size; the token, its position and all amounts are buffers; masks,
interventions and rules are computed from them within the step. So the step can be recorded as one
CUDA graph: a token then costs one launch, and a turned dial a few bytes. A step serves every answer
that differs from the one it was made for in prompt, amounts or length, up to its size.

Each new step is compared with the plain way on a few tokens before it is used. Where recording
fails, or the two disagree, answers are given the plain way and say so.

No machine with CUDA was at hand when this was written: the step itself, its cache, positions,
masks, interventions and rules are tested on the processor; recording with CUDA never ran.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from desktop_scope.engine.interventions import Steering, structure
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.recorded import Recorder, cuda_graph
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.types import FeatureId, Intervention, Rule
from desktop_scope.engine.watching import WatchedAnswer, Watching
from desktop_scope.errors import ScopeError

_SIZES = 256  # tokens: sizes of caches are multiples of it
_KEPT = 4  # steps, each with a cache of its own
_TRIED = 5, 4  # tokens of the prompt and of the answer that a new step is compared on
_AGREEMENT = 0.05  # of the spread of the logits; half precision rounds otherwise in another order


class FixedStep:
    """One decode step: a token and its position in, logits out.

    Attributes:
        steering: Turned for every answer; its amounts are read by the recorded step.
        fired: By rule, whether it fired in the pass that was last made, [1, pos].
        watched: By feature that is looked at, what it was on the last token.
    """

    def __init__(
        self,
        model: LanguageModel,
        saes: Sequence[Sae],
        interventions: Sequence[Intervention],
        features: tuple[FeatureId, ...],
        size: int,
        recorder: Recorder,
    ) -> None:
        self.steering = Steering(interventions, saes)
        self.steering.to(model.device)
        self.structure = structure(interventions)
        self.features = features
        self.size = size
        self.fired: dict[Rule, torch.Tensor] = {}
        self.watched: dict[FeatureId, torch.Tensor] = {}
        self._model, self._saes = model, saes
        self._cache = model.new_cache(size)
        self._token = torch.zeros(1, 1, dtype=torch.long, device=model.device)
        self._position = torch.ones(1, 1, dtype=torch.long, device=model.device)
        self._keys = torch.arange(size, device=model.device)
        self._watch(features)
        with torch.inference_mode():
            self.begin(self._token)  # the cache takes its shape from what is first put in
            self._replay = recorder(self._step)
        self._recorded = True

    def _watch(self, features: tuple[FeatureId, ...]) -> None:
        self.features = features
        watching = Watching()
        watching.features = features
        self._watcher = WatchedAnswer(watching, self._saes)
        self._watcher.at = self._position
        self._edits = self._watcher.edits(self.steering.edits())

    def watch(self, features: tuple[FeatureId, ...]) -> None:
        """Look at other features; the rest of the answer is not replayed for it."""
        if features != self.features:
            self._watch(features)
            self._recorded = False

    @property
    def recorded(self) -> bool:
        """Whether it is replayed."""
        return self._recorded

    def begin(self, ids: torch.Tensor) -> torch.Tensor:
        """Read a prompt [1, T]: logits after it [1, vocabulary]."""
        steering, at = self.steering, torch.arange(ids.shape[1], device=ids.device)[None]
        steering.start, steering.positions = 0, None
        steering.n_prompt.fill_(ids.shape[1])
        self._position.fill_(ids.shape[1] - 1)  # of what is watched

        def read() -> torch.Tensor:
            self._cache.reset()  # anew for every pass that a rule asks for
            return self._pass(ids, at)

        hidden = steering.settle(read)
        self.fired = steering.fired()
        self.watched = dict(self._watcher.latest)
        steering.positions = self._position
        return self._model.logits(hidden[:, -1])

    def next(self, token: torch.Tensor, position: int) -> torch.Tensor:
        """Read one token [1, 1]: logits after it [1, vocabulary]."""
        self._token.copy_(token)
        self._position.fill_(position)
        logits, *more = self._replay() if self._recorded else self._step()
        rules = self.steering.rules
        self.fired = dict(zip(rules, more, strict=False))
        self.watched = dict(zip(self._watcher.latest, more[len(rules) :], strict=True))
        return logits.clone()  # the next step writes where this one did

    def _step(self) -> tuple[torch.Tensor, ...]:
        """What is recorded: it reads and writes buffers alone."""
        hidden = self.steering.settle(partial(self._pass, self._token, self._position))
        logits = self._model.logits(hidden[:, -1])
        return logits, *self.steering.fired().values(), *self._watcher.latest.values()

    def _pass(self, ids: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        return self._model.hidden(
            ids,
            self._edits,
            past_key_values=self._cache,
            use_cache=True,
            position_ids=at,
            attention_mask=self._masks(at),
        )

    def _masks(self, at: torch.Tensor) -> dict[str, torch.Tensor] | torch.Tensor:
        """What each position looks at, [1, 1, pos, size], as is added to the scores."""
        behind = at[0, :, None] - self._keys  # how far back each key lies
        window = self._model.sliding_window
        lowest = torch.finfo(self._model.W_U.dtype).min

        def mask(seen: torch.Tensor) -> torch.Tensor:
            scores = torch.zeros(seen.shape, dtype=self._model.W_U.dtype, device=seen.device)
            return scores.masked_fill(~seen, lowest)[None, None]

        full = mask(behind >= 0)
        if not self._model.layer_types:
            return full
        near = full if window is None else mask((behind >= 0) & (behind < window))
        kinds = {"full_attention": full, "sliding_attention": near}
        return {kind: kinds[kind] for kind in set(self._model.layer_types)}


class FixedSteps:
    """The recorded steps of a model with its SAEs.

    Args:
        recorder: Makes a program fast, as ``cuda_graph`` does; None where nothing is recorded.

    Attributes:
        note: Why answers are given the plain way though they need not be; empty if they are not.
    """

    def __init__(
        self, model: LanguageModel, saes: Sequence[Sae], recorder: Recorder | None = None
    ) -> None:
        self.note = ""
        self._model, self._saes = model, saes
        self._recorder = recorder or (cuda_graph if model.device.type == "cuda" else None)
        self._free: list[FixedStep] = []

    def take(
        self,
        interventions: Sequence[Intervention],
        features: tuple[FeatureId, ...],
        n_tokens: int,
    ) -> FixedStep | None:
        """A step for an answer of so many tokens, its prompt included; None for the plain way.

        Raises:
            ScopeError: The interventions make no sense.
        """
        if self._recorder is None or self.note or not self._fits(n_tokens):
            return None
        kind = structure(interventions)
        for step in self._free:
            same = step.structure == kind and step.features == features and step.recorded
            if same and step.size >= n_tokens:
                self._free.remove(step)
                step.steering.turn(interventions)
                return step
        return self._make(interventions, features, -(-n_tokens // _SIZES) * _SIZES)

    def give_back(self, step: FixedStep) -> None:
        """An answer is finished."""
        if step.recorded:
            self._free = [step, *self._free][:_KEPT]

    def _fits(self, n_tokens: int) -> bool:
        model = self._model
        if model.layer_types:
            return set(model.layer_types) <= {"full_attention", "sliding_attention"}
        # Of models that look back so far in all layers we make no masks.
        return model.sliding_window is None or n_tokens <= model.sliding_window

    def _make(
        self, interventions: Sequence[Intervention], features: tuple[FeatureId, ...], size: int
    ) -> FixedStep | None:
        assert self._recorder is not None
        try:
            step = FixedStep(self._model, self._saes, interventions, features, size, self._recorder)
            if self._agrees(step, interventions):
                return step
            self.note = "Recorded steps of this model came out otherwise, and are not used."
        except ScopeError:
            raise
        except Exception as error:  # whatever a model does in between
            self.note = f"Steps of this model cannot be recorded, and are slower for it: {error}"
        return None

    def _agrees(self, step: FixedStep, interventions: Sequence[Intervention]) -> bool:
        """Whether a few tokens come out as they do the plain way."""
        model, (n_prompt, n_answer) = self._model, _TRIED
        ids = torch.arange(n_prompt, device=model.device)[None] * 7 % model.info.vocab_size
        steering = Steering(interventions, self._saes)
        steering.n_prompt.fill_(n_prompt)
        edits = steering.edits()
        with torch.inference_mode():
            found = step.begin(ids)
            for position in range(n_prompt, n_prompt + n_answer):
                hidden = steering.settle(partial(model.hidden, ids, edits, use_cache=False))
                plain = model.logits(hidden[:, -1])
                apart = float((found - plain).abs().max())
                # NaN is no disagreement: a push that breaks the model down does so either way.
                if apart > _AGREEMENT * float(plain.std()):
                    return False
                token = plain.argmax(-1, keepdim=True)
                ids = torch.cat([ids, token], dim=1)
                found = step.next(token, position)
        return True

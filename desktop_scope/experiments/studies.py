"""The studies under way: interrupted for something that cannot wait, they go on where they were."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from desktop_scope.engine.engine import Engine
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.catalogue import Catalogue
from desktop_scope.experiments.controls import ControlStudy
from desktop_scope.experiments.effect import EffectMeter, built_in_prompts, words_of
from desktop_scope.experiments.requests import RunControls, SweepStrengths
from desktop_scope.experiments.sweep import StrengthSweep
from desktop_scope.experiments.types import Controls, Sweep

_T = TypeVar("_T", SweepStrengths, RunControls)
_MOST_TOKENS = 200


class Studies:
    """One sweep and one set of controls of one engine.

    Args:
        catalogue: Knows the words that tell a feature's effect.
    """

    def __init__(self, engine: Engine, catalogue: Catalogue | None) -> None:
        self._engine, self._catalogue = engine, catalogue
        self._meter: tuple[object, EffectMeter] | None = None
        self._sweep: tuple[SweepStrengths, StrengthSweep] | None = None
        self._controls: tuple[RunControls, ControlStudy] | None = None

    def sweep(self, request: SweepStrengths, job: Job) -> Sweep:
        """Effect against cost over strengths."""
        if self._sweep is None or self._sweep[0] != request:
            asked, meter = self._prepared(request)
            self._sweep = request, StrengthSweep(self._engine, asked, meter)
        return self._sweep[1].run(job)

    def controls(self, request: RunControls, job: Job) -> Controls:
        """The same push with what should not do it."""
        if self._controls is None or self._controls[0] != request:
            asked, meter = self._prepared(request)
            self._controls = request, ControlStudy(self._engine, asked, meter)
        return self._controls[1].run(job)

    def _prepared(self, request: _T) -> tuple[_T, EffectMeter]:
        """The request with its words, and what measures them on its prompts."""
        if not 1 <= request.n_tokens <= _MOST_TOKENS:
            raise ScopeError(
                f"An answer of {request.n_tokens} tokens is not for a study.",
                f"Ask for 1 to {_MOST_TOKENS}.",
            )
        words = request.words
        if not words:
            if self._catalogue is None:
                raise ScopeError("Nothing says what the effect is.", "Name words that tell it.")
            words = words_of(self._catalogue, request.interventions)
        prompts = request.prompts or built_in_prompts(self._engine)
        key = (prompts, words, request.n_tokens)
        if self._meter is None or self._meter[0] != key:
            self._meter = key, EffectMeter(self._engine, prompts, words, request.n_tokens)
        return replace(request, words=words, prompts=prompts), self._meter[1]

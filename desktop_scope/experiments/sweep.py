"""Effect against cost over strengths, and the best strength that costs no more than one allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from desktop_scope.engine.cost_types import STRAINED_KL, Damage, judge, repetition
from desktop_scope.engine.engine import Engine
from desktop_scope.engine.types import Intervention, Mode
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError
from desktop_scope.experiments.clock import Clock
from desktop_scope.experiments.effect import EffectMeter, Push
from desktop_scope.experiments.requests import SweepStrengths
from desktop_scope.experiments.statistics import interval
from desktop_scope.experiments.types import Sweep, SweepPoint

_FIRST = 0.25  # the strength with which a search begins
_GROWTH = 1.6
_WEAKEST, _STRONGEST = 1 / 64, 32.0
_HALVINGS = 3
_TURNED = (Mode.ADD, Mode.CLAMP)  # whose amount grows from nothing


def scaled(interventions: Sequence[Intervention], factor: float) -> tuple[Intervention, ...]:
    """The same, every amount so many times as large."""
    return tuple(
        replace(item, amount=item.amount * factor) if item.mode in _TURNED else item
        for item in interventions
    )


class StrengthSweep:
    """One sweep. What was measured is kept: after an interruption it goes on where it was.

    Raises:
        ScopeError: There is nothing to turn, or a strength is no number.
    """

    def __init__(self, engine: Engine, request: SweepStrengths, meter: EffectMeter) -> None:
        if not any(item.mode in _TURNED and item.amount for item in request.interventions):
            raise ScopeError(
                "There is no strength to sweep.", "Add or clamp a feature, at a strength not 0."
            )
        if not all(np.isfinite(request.factors)):
            raise ScopeError("A strength must be a number.", "Write them as 0,0.5,1,2.")
        if not request.limit > 0:
            raise ScopeError("The cost needs a limit above 0.", "0.4 nats per token is usual.")
        self._engine, self._request, self._meter = engine, request, meter
        self._points: dict[float, SweepPoint] = {}

    def run(self, job: Job) -> Sweep:
        """Measure what is missing."""
        self._meter.begin(job)
        total = len(set(self._request.factors))
        clock = Clock()
        for factors in self._wanted():
            done = len(self._points)
            job.progress(done, total, f"Trying strengths{clock.left(total - done)}")
            missing = [factor for factor in factors if factor not in self._points]
            if missing:
                self._points |= zip(missing, self._measure(missing, job), strict=True)
            clock.done(len(missing))
            job.partial(lambda: self._result(finished=False))
        return self._result(finished=True)

    def _wanted(self) -> Iterator[Sequence[float]]:
        """Strengths that are measured together: few, so that the curve is soon seen to grow."""
        if not self._request.factors:
            yield from ([factor] for factor in self._searched())
            return
        # From weak to strong, from where nothing happens.
        factors = sorted(set(self._request.factors), key=lambda f: (abs(f), f))
        yield from self._meter.together(factors)

    def _searched(self) -> Iterator[float]:
        yield 0.0
        low, high = 0.0, _FIRST
        while self._within(high) and high < _STRONGEST:
            yield high
            low, high = (high, high * _GROWTH) if self._within(high) else (low, high)
        while low == 0 and high > _WEAKEST:
            yield high / 2
            low, high = (high / 2, high) if self._within(high / 2) else (0.0, high / 2)
        for _ in range(_HALVINGS if low else 0):
            middle = (low + high) / 2
            yield middle
            low, high = (middle, high) if self._within(middle) else (low, middle)

    def _within(self, factor: float) -> bool:
        """Whether a strength costs no more than allowed, or has yet to be tried."""
        point = self._points.get(factor)
        return point is None or point.kl.mean <= self._request.limit

    def _measure(self, factors: Sequence[float], job: Job) -> list[SweepPoint]:
        pushes = [Push(scaled(self._request.interventions, factor)) for factor in factors]
        effects = self._meter.effects(pushes, job)
        answers = self._meter.answers(pushes, job)
        measured = zip(factors, pushes, effects, answers, strict=True)
        return [self._point(f, push.interventions, e, a, job) for f, push, e, a in measured]

    def _point(
        self,
        factor: float,
        items: tuple[Intervention, ...],
        effects: list[float],
        answers: list[list[int]],
        job: Job,
    ) -> SweepPoint:
        costs = self._engine.meter.neutral(items, job)
        tokens = costs.tokens.numpy()
        kl = interval(costs.kl.numpy(), tokens)
        nll = interval(costs.nll.numpy(), tokens)
        repeats = [repetition(answer) for answer in answers]
        # Up to there answers were always fluent, and need not be judged.
        fluency = self._meter.fluency(answers, job) if kl.mean >= STRAINED_KL else None
        damage = Damage(items, kl.mean, nll.mean, int(tokens.sum()), fluency=fluency)
        word = judge(damage, float(np.mean(repeats)), self._meter.plain_repetition).word
        return SweepPoint(
            factor=factor,
            effect=interval(effects),
            said=interval([self._meter.said(answer) for answer in answers]),
            kl=kl,
            nll_delta=nll,
            repetition=interval(repeats),
            text=self._meter.text(answers[0]),
            word=word,
        )

    def _result(self, finished: bool) -> Sweep:
        request = self._request
        points = tuple(self._points[factor] for factor in sorted(self._points))
        return Sweep(
            interventions=request.interventions,
            prompts=self._meter.prompts,
            words=request.words,
            limit=request.limit,
            points=points,
            safe=_safe(points),
            best=self._best(points),
            finished=finished,
        )

    def _best(self, points: Sequence[SweepPoint]) -> float | None:
        """The strength of the largest effect in the direction of the push, within the limit."""
        push = sum(item.amount for item in self._request.interventions if item.mode in _TURNED)
        sign = 1 if push >= 0 else -1
        allowed = [p for p in points if p.factor > 0 and p.kl.mean <= self._request.limit]
        best = max(allowed, key=lambda p: sign * p.effect.mean, default=None)
        return best.factor if best is not None and sign * best.effect.mean > 0 else None


def _safe(points: Sequence[SweepPoint]) -> tuple[float, float] | None:
    """How far one may go to either side of nothing before the cost shows.

    Between two strengths the cost is taken to grow evenly; beyond the measured ones nothing is
    said.
    """
    if not points:
        return None
    sides = []
    for sign in (-1, 1):
        reached = (0.0, 0.0)  # strength and cost
        for point in sorted(points, key=lambda p: abs(p.factor)):
            if point.factor * sign <= 0:
                continue
            if point.kl.mean >= STRAINED_KL:
                share = (STRAINED_KL - reached[1]) / (point.kl.mean - reached[1])
                reached = (reached[0] + share * (point.factor - reached[0]), STRAINED_KL)
                break
            reached = (point.factor, point.kl.mean)
        sides.append(reached[0])
    return sides[0], sides[1]

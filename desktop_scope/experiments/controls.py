"""Was it the feature, or any push of that size? The same with what should not do it.

Random features of the same SAE, pushed so that what is added is equally long; the wrong sign; and
no push but a sentence in the prompt that asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from desktop_scope.engine.engine import Engine
from desktop_scope.engine.sae import sae_of
from desktop_scope.engine.types import FeatureId, Intervention, Mode, Prompt, Vector
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError
from desktop_scope.experiments.clock import Clock
from desktop_scope.experiments.effect import EffectMeter, Push
from desktop_scope.experiments.requests import RunControls
from desktop_scope.experiments.statistics import interval
from desktop_scope.experiments.types import Control, ControlRow, Controls
from desktop_scope.wording import counted

_ASKED = 6  # words that the built-in instruction names


class ControlStudy:
    """One study. What was measured is kept: after an interruption it goes on where it was."""

    def __init__(self, engine: Engine, request: RunControls, meter: EffectMeter) -> None:
        if not any(item.feature or item.vector for item in request.interventions):
            raise ScopeError("There is nothing to control.", "Steer a feature first.")
        if not 1 <= request.draws <= 100:
            raise ScopeError("1 to 100 random features make sense.", "5 are usual.")
        self._engine, self._request, self._meter = engine, request, meter
        self._effects: dict[tuple[Control, int], tuple[list[float], list[list[int]], float]] = {}

    def run(self, job: Job) -> Controls:
        """Measure what is missing."""
        self._meter.begin(job)
        pushes = self._pushes()
        clock = Clock()
        for keys in self._meter.together(list(pushes)):
            done = len(self._effects)
            job.progress(done, len(pushes), f"Running controls{clock.left(len(pushes) - done)}")
            missing = [key for key in keys if key not in self._effects]
            if missing:
                measured = self._measure([pushes[key] for key in missing], job)
                self._effects |= zip(missing, measured, strict=True)
            clock.done(len(missing))
            job.partial(lambda: self._result(finished=False))
        return self._result(finished=True)

    def _pushes(self) -> dict[tuple[Control, int], Push]:
        items = self._request.interventions
        rng = np.random.default_rng(self._request.seed)
        found = {(Control.FEATURE, 0): Push(items)}
        for draw in range(self._request.draws):
            others = tuple(self._instead(item, rng) for item in items)
            found[Control.RANDOM, draw] = Push(others)
        if any(item.mode is Mode.ADD for item in items):
            turned = tuple(
                replace(item, amount=-item.amount) if item.mode is Mode.ADD else item
                for item in items
            )
            found[Control.OPPOSITE, 0] = Push(turned)
        if all(prompt.chat for prompt in self._meter.prompts):
            asked = tuple(self._asked(prompt) for prompt in self._meter.prompts)
            found[Control.INSTRUCTION, 0] = Push((), asked)
        return found

    def _instead(self, item: Intervention, rng: np.random.Generator) -> Intervention:
        """The same push with another feature, or along a random direction, equally long."""
        if item.vector is not None:
            values = rng.normal(size=len(item.vector.values)).astype(np.float32)
            other = Vector("random", item.vector.hook_name, values.tobytes())
            return replace(item, vector=other)
        if item.feature is None:
            return item
        sae = sae_of(self._engine.saes, item.feature)
        while True:
            feature = FeatureId(item.feature.sae, int(rng.integers(sae.d_sae)))
            norm = float(sae.decoder_row(feature.index).norm())
            if norm > 0 and (feature != item.feature or sae.d_sae == 1):
                break
        own = float(sae.decoder_row(item.feature.index).norm())
        amount = item.amount * own / norm if item.mode is Mode.ADD else item.amount
        return replace(item, feature=feature, amount=amount)

    def _asked(self, prompt: Prompt) -> Prompt:
        """The prompt after an instruction to do it."""
        words = ", ".join(self._request.words[:_ASKED])
        text = self._request.instruction or f"In every answer, talk about: {words}."
        # In the user's turn: not every model knows a system prompt.
        return replace(prompt, text=f"{text}\n\n{prompt.text}")

    def _measure(
        self, pushes: Sequence[Push], job: Job
    ) -> list[tuple[list[float], list[list[int]], float]]:
        """Effects, answers and KL of each."""
        effects, answers = self._meter.effects(pushes, job), self._meter.answers(pushes, job)
        costs = [self._kl(push.interventions, job) for push in pushes]
        return list(zip(effects, answers, costs, strict=True))

    def _kl(self, items: tuple[Intervention, ...], job: Job) -> float:
        """On neutral texts; nan where nothing is pushed."""
        if not items:
            return float("nan")
        costs = self._engine.meter.neutral(items, job)
        return float(costs.kl.sum() / costs.tokens.sum())

    def _result(self, finished: bool) -> Controls:
        rows = tuple(
            self._row(control)
            for control in Control
            if any(which is control for which, _ in self._effects)
        )
        request = self._request
        return Controls(
            interventions=request.interventions,
            prompts=self._meter.prompts,
            words=request.words,
            rows=rows,
            verdict=verdict(rows) if finished else "",
            finished=finished,
        )

    def _row(self, control: Control) -> ControlRow:
        found = [made for (which, _), made in self._effects.items() if which is control]
        own, _, _ = self._effects[Control.FEATURE, 0]
        by_prompt = np.mean([effects for effects, _, _ in found], axis=0)
        spread = [self._meter.said(answer) for _, answers, _ in found for answer in answers]
        behind = None if control is Control.FEATURE else interval(np.subtract(own, by_prompt))
        return ControlRow(
            control=control,
            title=self._title(control, len(found)),
            effect=interval([e for effects, _, _ in found for e in effects]),
            said=interval(spread),
            kl=float(np.mean([kl for _, _, kl in found])),
            behind=behind,
            n=len(spread),
            text=self._meter.text(found[0][1][0]),
        )

    def _title(self, control: Control, draws: int) -> str:
        if control is Control.INSTRUCTION:
            return f"asked for instead: “{self._request.instruction or 'talk about its words'}”"
        return {
            Control.FEATURE: "the push itself",
            Control.RANDOM: f"random features, equally long ({counted(draws, 'draw')})",
            Control.OPPOSITE: "the wrong sign",
        }[control]


def verdict(rows: Sequence[ControlRow]) -> str:
    """Whether the feature itself did it, for people."""
    of = {row.control: row for row in rows}
    own = of[Control.FEATURE].effect
    if own.low <= 0 <= own.high:
        return (
            "There is nothing to explain: over these prompts the push does not reliably move its "
            "own words."
        )
    sign = 1 if own.mean > 0 else -1
    random = of[Control.RANDOM]
    assert random.behind is not None
    ahead = sign * (random.behind.low if sign > 0 else random.behind.high) > 0
    if not ahead:
        said = "A random push of the same size does as much: it is the push, not the feature."
    else:
        share = max(random.effect.mean / own.mean, 0.0)
        said = f"The feature itself did it: random pushes of the same size bring {share:.0%} of it."
    asked = of.get(Control.INSTRUCTION)
    if asked is None or asked.behind is None:
        return said
    more = sign * asked.behind.mean < 0
    sure = not asked.behind.low <= 0 <= asked.behind.high
    does = ("does more" if more else "does less") if sure else "does about as much"
    return f"{said} Asking for it in the prompt {does}."

"""Many texts at once, each with interventions of its own: right-padded, one pass for a batch.

A decoder looks only backwards, so the padding after a text changes nothing in it and needs no
attention mask; it is never read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch

from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.engine.hooks import Edit, checked
from desktop_scope.engine.interventions import Steering
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.rules import settled
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.types import Floats, Intervention
from desktop_scope.engine.worker import Job

_T = TypeVar("_T")
_TOKENS_AT_ONCE = 2048  # padding included: bounds the memory of a batch


@dataclass(frozen=True)
class Run:
    """One text, and what is done while the model reads it."""

    ids: tuple[int, ...]
    interventions: tuple[Intervention, ...] = ()

    def continued(self, answer: tuple[int, ...]) -> Run:
        """The text with all of an answer but its last token, which nothing follows."""
        return replace(self, ids=(*self.ids, *answer[:-1]))


@dataclass(frozen=True)
class Choice:
    """A text, and two ways in which it may go on.

    Attributes:
        run: The text alone, without either answer.
    """

    run: Run
    answer: tuple[int, ...]
    instead: tuple[int, ...]


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Which texts to run together: those of like length, as many as fit."""
    batch: list[int] = []
    for n in sorted(range(len(lengths)), key=lambda n: lengths[n]):
        if batch and (len(batch) + 1) * lengths[n] > _TOKENS_AT_ONCE:
            yield batch
            batch = []
        batch.append(n)
    if batch:
        yield batch


def padded(texts: Sequence[Sequence[int]], device: torch.device) -> torch.Tensor:
    """Token ids [batch, pos], filled up at the right with what is never read."""
    ids = np.zeros((len(texts), max(map(len, texts))), np.int64)
    for row, text in zip(ids, texts, strict=True):
        row[: len(text)] = text
    return torch.from_numpy(ids).to(device)


class Together:
    """Interventions of its own for each text of a batch, used like ``Steering`` for one set.

    Args:
        sets: One for each text; texts with the same one share it.
    """

    def __init__(self, sets: Sequence[tuple[Intervention, ...]], saes: Sequence[Sae]) -> None:
        rows: dict[tuple[Intervention, ...], list[int]] = {}
        for n, interventions in enumerate(sets):
            rows.setdefault(interventions, []).append(n)
        self._parts = [(Steering(items, saes), places) for items, places in rows.items()]

    def place(self, n_prompt: torch.Tensor, positions: torch.Tensor | None = None) -> None:
        """Say where the tokens of the next pass stand; see ``Steering``."""
        for steering, rows in self._parts:
            steering.n_prompt = n_prompt[rows]
            steering.positions = None if positions is None else positions[rows]

    def edits(self) -> dict[HookPoint, Edit]:
        """By hook, what is done there to each text."""
        if len(self._parts) == 1:
            return self._parts[0][0].edits()
        by_point: dict[HookPoint, list[tuple[list[int], Edit]]] = {}
        for steering, rows in self._parts:
            for point, edit in steering.edits().items():
                by_point.setdefault(point, []).append((rows, edit))
        return {point: _in_rows(parts) for point, parts in by_point.items()}

    def settle(self, run: Callable[[], _T]) -> _T:
        """Make a pass; several, where a rule of any text asks for it."""
        for steering, _ in self._parts:
            steering.begin()
        return settled([watch for steering, _ in self._parts for watch in steering.watches], run)


def _in_rows(parts: Sequence[tuple[list[int], Edit]]) -> Edit:
    """Several edits of one hook, each of its own texts of the batch."""

    def edit(y: torch.Tensor) -> torch.Tensor | None:
        result: torch.Tensor | None = None
        for rows, part in parts:
            changed = part(y[rows])
            if changed is not None:
                result = y.clone() if result is None else result
                result[rows] = changed
        return result

    return edit


def run_batch(
    model: LanguageModel, saes: Sequence[Sae], runs: Sequence[Run], job: Job
) -> torch.Tensor:
    """One pass: [batch, pos, d_model] after the final norm; the padding is rubbish."""
    ids = padded([run.ids for run in runs], model.device)
    edits = checked(edits_of(runs, saes), model.parts, job.check)
    return model.hidden(ids, edits, use_cache=False)


def edits_of(runs: Sequence[Run], saes: Sequence[Sae]) -> dict[HookPoint, Edit]:
    """By hook, what is done to each text of a batch."""
    return Together([run.interventions for run in runs], saes).edits()


def score(
    model: LanguageModel, saes: Sequence[Sae], choices: Sequence[Choice], job: Job, words: str
) -> Floats:
    """log p of both answers of every choice, nats: [choices, 2]."""
    asked = [(c.run, answer) for c in choices for answer in (c.answer, c.instead)]
    return likelihoods(model, saes, asked, job, words).reshape(-1, 2)


def likelihoods(
    model: LanguageModel,
    saes: Sequence[Sae],
    asked: Sequence[tuple[Run, tuple[int, ...]]],
    job: Job,
    words: str,
) -> Floats:
    """log p of an answer after a text, nats, for each of them.

    An answer of several tokens is as likely as all of them one after another. Where answers to a
    text part at their last token, one pass serves all.
    """
    wanted: dict[Run, list[int]] = {}  # by text to run: what it answers
    for n, (run, answer) in enumerate(asked):
        wanted.setdefault(run.continued(answer), []).append(n)
    runs = list(wanted)
    found = np.zeros(len(asked), np.float32)
    done = 0
    with torch.inference_mode():
        for batch in batches([len(run.ids) for run in runs]):
            job.progress(done, len(runs), words)
            hidden = run_batch(model, saes, [runs[n] for n in batch], job)
            for row, n in zip(hidden, batch, strict=True):
                start = min(len(asked[which][0].ids) for which in wanted[runs[n]]) - 1
                after = model.logits(row[start : len(runs[n].ids)]).log_softmax(-1).cpu()
                for which in wanted[runs[n]]:
                    run, answer = asked[which]
                    places = range(len(run.ids) - 1 - start, len(runs[n].ids) - start)
                    found[which] = float(after[places, list(answer)].sum())
            done += len(batch)
    return found

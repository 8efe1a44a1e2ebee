"""Carries out what an audit asks of the model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from desktop_scope.engine.ablating import Choice, Run, batches, run_batch, score
from desktop_scope.engine.attribution import attribute
from desktop_scope.engine.engine import Engine
from desktop_scope.engine.fork import Fork
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.requests import MeasureDamage
from desktop_scope.engine.types import Floats, Intervention, Positions, Prompt
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.catalogue import Catalogue
from desktop_scope.experiments.audit import (
    PLAIN,
    AttributeRow,
    Condition,
    Cost,
    MeasureCost,
    RowParts,
    ScoreRows,
    Where,
)
from desktop_scope.experiments.audit_table import AuditRow

_N_PASSAGES = 12  # texts in which the answers' words occur
_SHORT = 60  # characters of a row in an error


class Auditor:
    """Runs rows on one engine.

    Args:
        catalogue: Where texts with the answers' words are looked for.
    """

    def __init__(self, engine: Engine, catalogue: Catalogue) -> None:
        self._engine = engine
        self._catalogue = catalogue

    def score_rows(self, request: ScoreRows, job: Job) -> Floats:
        """log p of both answers, [rows, 2]."""
        model = self._engine.model
        choices = [choice_of(model, row, request.condition) for row in request.rows]
        words = "Switching features off" if request.condition.off else "Asking the questions"
        return score(model, self._engine.saes, choices, job, words)

    def attribute(self, request: AttributeRow, job: Job) -> RowParts:
        """What every feature contributes to the score of one row, summed over its tokens."""
        model = self._engine.model
        choice = choice_of(model, request.row)
        fork = Fork.at(choice.run.ids, choice.answer, choice.instead).checked(model)
        found = attribute(model, self._engine.saes, fork, job)
        return RowParts.summed(zip(found.slots, found.acts, found.effects, strict=True))

    def cost(self, request: MeasureCost, job: Job) -> Cost:
        """What switching off costs on texts that have nothing to do with it, and on those that do.

        The latter are passages of the open pack's corpus in which the answers' words occur most.
        """
        interventions = request.condition.interventions
        kl = self._engine.damage(MeasureDamage(interventions), job).kl
        model = self._engine.model
        said = {model.continuation(word)[0] for word in request.words}
        texts = self._catalogue.passages(sorted(said), _N_PASSAGES)
        nan = float("nan")
        if not texts:
            return Cost(kl, (nan, nan), (nan, nan), 0)
        losses = [self._losses(texts, way, job) for way in ((), interventions)]
        own = np.isin(np.concatenate([text[1:] for text in texts]), list(said))
        (a, b), (c, d) = ([float(loss[which].mean()) for loss in losses] for which in (own, ~own))
        return Cost(kl, (a, b), (c, d), int(own.sum()))

    def _losses(
        self, texts: Sequence[Sequence[int]], interventions: tuple[Intervention, ...], job: Job
    ) -> Floats:
        """−log p of every token but the first, text after text."""
        model, found = self._engine.model, {}
        runs = [Run(tuple(text), interventions) for text in texts]
        with torch.inference_mode():
            for batch in batches([len(text) for text in texts]):
                hidden = run_batch(model, self._engine.saes, [runs[n] for n in batch], job)
                for row, n in zip(hidden, batch, strict=True):
                    ids = torch.tensor(texts[n], device=row.device)
                    found[n] = -model.read_out(row[: len(ids)], ids)[0][1:]
        return np.concatenate([found[n] for n in range(len(texts))])


def choice_of(model: LanguageModel, row: AuditRow, condition: Condition = PLAIN) -> Choice:
    """A row as tokens.

    Raises:
        ScopeError: It is too long, both answers are the same to the model, or the word is nowhere.
    """
    try:
        encoded = model.encode(Prompt(row.prompt, row.chat))
        begun = model.continuation(row.begun) if row.begun else []
        answer, instead = (tuple(model.continuation(text)) for text in (row.answer, row.instead))
    except ScopeError as error:
        raise ScopeError(f"“{_short(row.title)}”: {error.message}", error.hint) from error
    ids = (*encoded.ids, *begun)
    if len(ids) + max(len(answer), len(instead)) > model.info.context:
        raise ScopeError(
            f"“{_short(row.title)}” is {len(ids):,} tokens long; this model reads at most "
            f"{model.info.context:,}.",
            "Shorten it.",
        )
    if answer == instead:
        raise ScopeError(
            f"“{row.answer}” and “{row.instead}” are the same to this model.",
            "Give answers that differ.",
        )
    interventions = condition.interventions
    if condition.where is Where.WORDS and condition.off:
        own = [*encoded.own, *[True] * len(begun)]
        tokens = places_of(model, ids, row.word, own) if row.word else ()
        at = Positions(tokens=tokens)
        interventions = tuple(replace(item, positions=at) for item in interventions if tokens)
    return Choice(Run(ids, interventions), answer, instead)


def places_of(
    model: LanguageModel, ids: Sequence[int], word: str, own: Sequence[bool]
) -> tuple[int, ...]:
    """The tokens of a word wherever it stands in the user's text or the answer.

    Raises:
        ScopeError: It stands nowhere.
    """
    pieces = [model.texts[i] if mine else "\n" for i, mine in zip(ids, own, strict=True)]
    ends = np.cumsum([len(piece) for piece in pieces])
    starts = ends - [len(piece) for piece in pieces]
    # Some tokenizers' pieces have lost the spaces between words, and with them where words end.
    for pattern in (rf"(?<!\w){re.escape(word)}(?!\w)", re.escape(word.replace(" ", ""))):
        spans = [match.span() for match in re.finditer(pattern, "".join(pieces))]
        if spans:
            inside = [(starts < b) & (ends > a) for a, b in spans]
            return tuple(np.flatnonzero(np.any(inside, axis=0)).tolist())
    raise ScopeError(f"“{word}” was not found in its own prompt.", "Switch off everywhere instead.")


def _short(text: str) -> str:
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 2]} …"

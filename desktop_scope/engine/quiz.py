"""A small quiz of common knowledge: statements to be completed, the options scored by likelihood.

An option's score is its log-probability after the statement, summed over its tokens; the likeliest
option is the answer. Any model can be asked, chat or not, and how much it knows unsteered is said
beside every figure. ``resources/quiz.json`` has the questions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from typing import NamedTuple

import torch

from desktop_scope import paths
from desktop_scope.engine.ablating import batches, padded
from desktop_scope.engine.cost_types import Quiz, QuizAnswer
from desktop_scope.engine.hooks import checked
from desktop_scope.engine.interventions import Steering
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.types import Prompt
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError

_LIKE = 2  # lengths that are read together
_RIGHT = 0  # the place of the right option in the file


class Question(NamedTuple):
    """A statement, and the words that may complete it, the right one first."""

    text: str
    options: tuple[str, ...]


class _Option(NamedTuple):
    """Where an option is scored: its tokens follow ``start`` tokens of a text to be read."""

    row: int
    start: int
    ids: tuple[int, ...]


def read_questions() -> tuple[Question, ...]:
    """The built-in ones.

    Raises:
        ScopeError: They are damaged.
    """
    try:
        text = (paths.resources() / "quiz.json").read_text("utf-8")
        items = json.loads(text)["questions"]
        return tuple(Question(item["question"], tuple(item["options"])) for item in items)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ScopeError("The built-in quiz is damaged.", "Install Desktop Scope again.") from error


class Questionnaire:
    """Asks a model the quiz, as often as needed."""

    def __init__(self, model: LanguageModel, questions: Sequence[Question]) -> None:
        self._model = model
        self._questions = questions
        self._rows: dict[tuple[int, ...], int] = {}  # every text that is read, once
        self._options = [[self._option(q, option) for option in q.options] for q in questions]
        self._plain: list[int] | None = None  # answered when first needed

    def _option(self, question: Question, option: str) -> _Option:
        model = self._model
        before = model.encode(Prompt(question.text, chat=False)).ids
        ids = tuple(model.continuation(" " + option))
        row = (*before, *ids[:-1])  # nothing follows the last token
        return _Option(self._rows.setdefault(row, len(self._rows)), len(before), ids)

    def ask(self, steering: Steering, job: Job) -> Quiz:
        """Answer with interventions, and without if that was not done yet."""
        if self._plain is None:
            self._plain = self._answers(Steering((), ()), job)
        steered = self._answers(steering, job)
        return Quiz(
            tuple(
                QuizAnswer(question.text, question.options, _RIGHT, plain, answer)
                for question, plain, answer in zip(
                    self._questions, self._plain, steered, strict=True
                )
            )
        )

    def _answers(self, steering: Steering, job: Job) -> list[int]:
        """Which option of every question is the likeliest."""
        model, rows = self._model, list(self._rows)
        edits = checked(steering.edits(), model.parts, job.check)
        after: dict[tuple[int, int], torch.Tensor] = {}  # by row and place, log-probabilities
        for batch in self._batches():
            ids = padded([rows[n] for n in batch], model.device)
            hidden = steering.settle(partial(model.hidden, ids, edits, use_cache=False))
            wanted = [(n, k) for n in batch for k in self._places[n]]
            at = [(batch.index(n), k) for n, k in wanted]
            found = hidden[[row for row, _ in at], [k for _, k in at]]
            after |= zip(wanted, model.logits(found).log_softmax(-1).cpu(), strict=True)
        return [self._likeliest(options, after) for options in self._options]

    def _batches(self) -> Iterator[list[int]]:
        """Rows to run together: of like length, since padding costs as much as text."""
        rows = list(self._rows)
        like: dict[int, list[int]] = {}
        for n, row in enumerate(rows):
            like.setdefault(len(row) // _LIKE, []).append(n)
        for group in like.values():
            for batch in batches([len(rows[n]) for n in group]):
                yield [group[n] for n in batch]

    @cached_property
    def _places(self) -> dict[int, list[int]]:
        """By row, the places after which an option's tokens are looked at."""
        places: dict[int, set[int]] = {row: set() for row in self._rows.values()}
        for option in (option for options in self._options for option in options):
            end = option.start + len(option.ids) - 1
            places[option.row] |= set(range(option.start - 1, end))
        return {row: sorted(at) for row, at in places.items()}

    @staticmethod
    def _likeliest(options: list[_Option], after: dict[tuple[int, int], torch.Tensor]) -> int:
        scores = [
            sum(float(after[o.row, o.start - 1 + k][i]) for k, i in enumerate(o.ids))
            for o in options
        ]
        return scores.index(max(scores))

"""A text and the two answers to it that are compared, as tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.questions import Question, Words
from desktop_scope.engine.types import Prompt
from desktop_scope.errors import ScopeError


@dataclass(frozen=True)
class Fork:
    """A text up to where two answers part, and both from there on.

    The tokens that only one answer has follow those of the text: first the answer's but its last,
    then those of what stands instead.
    """

    text: tuple[int, ...]
    answer: tuple[int, ...]
    instead: tuple[int, ...]

    @classmethod
    def of(cls, model: LanguageModel, question: Question) -> Fork:
        """Tokens of a question.

        Raises:
            ScopeError: The answers are equal, one begins with the other, or all is too long.
        """
        text = text_of(model, question.prompt, question.before)
        answer, instead = (ids_of(model, said) for said in (question.answer, question.instead))
        return cls.at(text, answer, instead).checked(model)

    @classmethod
    def at(cls, text: tuple[int, ...], answer: tuple[int, ...], instead: tuple[int, ...]) -> Fork:
        """What both answers begin with belongs to the text: it makes no difference."""
        n = 0
        while n < min(len(answer), len(instead)) and answer[n] == instead[n]:
            n += 1
        return cls((*text, *answer[:n]), answer[n:], instead[n:])

    def checked(self, model: LanguageModel) -> Fork:
        """Itself, if there is a difference to explain.

        Raises:
            ScopeError: There is none, or all is too long.
        """
        if not self.answer and not self.instead:
            raise ScopeError(
                "Both answers are the same.", "Give another text for what should stand instead."
            )
        if not self.answer or not self.instead:
            raise ScopeError(
                "One answer begins with the other, so that nothing tells them apart.",
                "Write on, until they differ.",
            )
        if max(map(len, self.rows)) > model.info.context:
            raise ScopeError(
                "The prompt and its answer are longer than the context.", "Shorten the prompt."
            )
        return self

    @property
    def rows(self) -> list[tuple[int, ...]]:
        """What the model reads: one text where the answers are one token each, else two."""
        rows = [(*self.text, *answer[:-1]) for answer in (self.answer, self.instead)]
        return rows[:1] if rows[0] == rows[1] else rows

    @property
    def ids(self) -> tuple[int, ...]:
        """[T] every token once."""
        return (*self.text, *self.answer[:-1], *self.instead[:-1])

    def flat(self, x: torch.Tensor) -> torch.Tensor:
        """[rows, pos, width] → [T, width]: tokens of the text as the first row has them."""
        n, rows = len(self.text), self.rows
        return torch.cat([x[0, : len(rows[0])], *(x[1:, n : len(row)][0] for row in rows[1:])])

    def summed(self, gradient: torch.Tensor) -> torch.Tensor:
        """Likewise; what both rows have in common counts for both."""
        flat, n = self.flat(gradient), len(self.text)
        flat[:n] = gradient[:, :n].sum(0)
        return flat

    def unflat(self, x: torch.Tensor) -> torch.Tensor:
        """[T, width] → [rows, pos, width]: the reverse of ``flat``, padded with 0."""
        n, rows = len(self.text), self.rows
        full = x.new_zeros(len(rows), max(map(len, rows)), x.shape[-1])
        full[0, : len(rows[0])] = x[: len(rows[0])]
        for row in range(1, len(rows)):
            full[row, :n], full[row, n : len(rows[row])] = x[:n], x[len(rows[0]) :]
        return full

    def place(self, token: int) -> tuple[int | None, int]:
        """Where a token stands: which row (None for every one), and its position there."""
        n, tail = len(self.text), len(self.answer) - 1
        if token < n:
            return None, token
        return (0, token) if token < n + tail else (1, token - tail)

    def logprobs(self, model: LanguageModel, hidden: torch.Tensor) -> torch.Tensor:
        """[rows, pos, d_model] after the final norm → log p of both answers, [2]."""
        n, found = len(self.text), []
        for row, answer in zip((0, -1), (self.answer, self.instead), strict=True):
            after = model.logits(hidden[row, n - 1 : n - 1 + len(answer)]).log_softmax(-1)
            found.append(after[range(len(answer)), list(answer)].sum())
        return torch.stack(found)


def text_of(model: LanguageModel, prompt: Prompt, before: Words) -> tuple[int, ...]:
    """Tokens of a prompt and what the answer begins with."""
    return (*model.encode(prompt).ids, *(ids_of(model, before) if before else ()))


def ids_of(model: LanguageModel, words: Words) -> tuple[int, ...]:
    """Tokens of literal text; tokens as they are."""
    return tuple(model.continuation(words)) if isinstance(words, str) else words

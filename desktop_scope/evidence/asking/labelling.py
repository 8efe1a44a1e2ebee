"""Asks a language model for a label, as the field does: examples with the peak marked."""

from __future__ import annotations

import re

from desktop_scope.errors import ScopeError
from desktop_scope.evidence.asking.speakers import Speaker
from desktop_scope.evidence.types import Card, Example

_N_EXAMPLES = 10
_MARKED_FROM = 0.5  # of the peak: tokens from this strength on are marked, too
_MOST_TOKENS = 60
_MOST_LETTERS = 120
_QUESTION = """\
A detector inside a language model fires on some words of a text. Below are texts in which it \
fired; the words on which it fired are between << and >>. Say in one short phrase what these \
words, or the texts around them, have in common. Do not repeat the texts. Do not explain.

{examples}
{promotes}
Answer with the phrase alone, after "Label:"."""


def ask_for_label(speaker: Speaker, card: Card) -> str:
    """A label in the model's words.

    Raises:
        ScopeError: There are no examples, or it gave no label.
        Cancelled: The job was.
    """
    if not card.examples:
        raise ScopeError(
            f"There are no examples of {card.name} to show to a model.",
            "Gather evidence first: desktop-scope index.",
        )
    answer = speaker.say(question_about(card), _MOST_TOKENS)
    label = read_answer(answer)
    if not label:
        raise ScopeError(f"{speaker.name} gave no label for {card.name}.", "Ask a larger model.")
    return label


def question_about(card: Card) -> str:
    """What the model is asked."""
    strongest = [e for e in card.examples if e.band == "top"] or list(card.examples)
    examples = "\n".join(
        f"Text {n}: {marked(example)}" for n, example in enumerate(strongest[:_N_EXAMPLES], 1)
    )
    words = ", ".join(repr(token.text.strip()) for token in card.promotes[:8])
    promotes = f"\nIt makes these words likelier afterwards: {words}.\n" if words else ""
    return _QUESTION.format(examples=examples, promotes=promotes)


def marked(example: Example) -> str:
    """The example with what fires between << and >>."""
    parts, inside = [], False
    for n, (text, value) in enumerate(zip(example.texts, example.values.tolist(), strict=True)):
        fires = n == example.peak or value >= _MARKED_FROM * example.value
        if fires != inside:
            parts.append("<<" if fires else ">>")
            inside = fires
        parts.append(text)
    return "".join(parts + [">>"] * inside).replace("\n", " ").strip()


def read_answer(answer: str) -> str:
    """The label in an answer: one line, without quotes and introductions; empty if none."""
    after = re.split(r"(?i)\blabel\s*:", answer)[-1]
    lines = [line.strip() for line in after.splitlines() if line.strip()]
    label = " ".join(lines[0].split()) if lines else ""
    label = re.sub(r"^[-*\d.)\s]+", "", label).strip("*\"“”'` ").rstrip(".")
    words = label.lower().split()
    if len(words) > 5 and len(set(words)) <= len(words) // 3:  # it has lost itself
        return ""
    if label.endswith("?"):  # it asks back
        return ""
    return label if len(label) <= _MOST_LETTERS else label[: _MOST_LETTERS - 1] + "…"

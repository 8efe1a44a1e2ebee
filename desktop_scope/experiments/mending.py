"""A wrong answer, asked in several ways, and what should stay right: the table for mending it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from desktop_scope.errors import ScopeError
from desktop_scope.experiments.audit_table import (
    Aim,
    AuditRow,
    AuditTable,
    Part,
    check_row,
    halved,
)

_BEFORE = ("Quick question: ", "I have a question. ", "Please tell me: ", "Someone asks: ")
_AFTER = (" Answer briefly.", " Think carefully.", " What do you say?")
_OPENINGS = (
    "As I said before: ", "Listen. ", "One more thing. ", "Let me begin again. ",
    "Here is a sentence. ", "It goes like this: ", "To repeat: ",
)  # fmt: skip


@dataclass(frozen=True)
class Mend:
    """What is to be mended.

    Attributes:
        question: Its answer is the right one, and what stands instead is what the model said.
        others: The same question in other words.
        control: One a line: a question, its right answer and a wrong one, parted by bars.
    """

    question: AuditRow
    others: tuple[str, ...] = ()
    control: tuple[str, ...] = ()


def rewordings(text: str, chat: bool) -> tuple[str, ...]:
    """The same question with a few words around it; to be edited."""
    if not chat:
        return tuple(opening + text for opening in _OPENINGS)
    return (*(before + text for before in _BEFORE), *(text + after for after in _AFTER))


def mend_table(mend: Mend) -> AuditTable:
    """The question and its rewordings, every second of these held out, and the control.

    Raises:
        ScopeError: A line makes no sense.
    """
    asked = mend.question
    rows = [AuditRow(text, asked.answer, asked.instead, asked.chat, asked.begun)
            for text in dict.fromkeys((asked.prompt, *filter(str.strip, mend.others)))]  # fmt: skip
    for number, row in enumerate(rows, start=1):
        check_row(row, f"Wording {number}")
    control = [_control(line, number, asked)
               for number, line in enumerate(filter(str.strip, mend.control), start=1)]  # fmt: skip
    return AuditTable(
        "a wrong answer",
        (*halved(rows), *control),
        Aim.ACCURACY,
        about=f"“{asked.instead.strip()}” was said; “{asked.answer.strip()}” would be right. The "
        "same question in other words, half of them held out; the control should stay right.",
    )


def _control(line: str, number: int, asked: AuditRow) -> AuditRow:
    parts = [part.strip() for part in line.split("|")]
    if len(parts) != 3:
        raise ScopeError(
            f"Control {number} is not a question and two answers.",
            "Write: question | right answer | wrong answer.",
        )
    text, right, wrong = parts
    space = " " * asked.answer.startswith(" ")
    # In a chat the answer begins as the mended one does; what goes on after words needs a space.
    row = AuditRow(text, space + right, space + wrong, asked.chat, asked.begun, part=Part.CONTROL)
    check_row(row, f"Control {number}")
    return row


def question_row(text: str, chat: bool, before: str, said: str, right: str) -> AuditRow:
    """What was asked, what was said up to the place in question, and what should have come."""
    if chat:
        return AuditRow(text, right, said, chat=True, begun=before)
    return AuditRow(text + before, right, said)


def listed(lines: Sequence[str]) -> tuple[str, ...]:
    """Lines that hold something."""
    return tuple(line for line in lines if line.strip())

"""What an audit asks: prompts with two answers each, from a file or a template."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from desktop_scope.errors import ScopeError

MOST_ROWS = 2000
LEAST_TO_HALVE = 8  # rows, below which no half is kept apart
SLOT = "{}"
_MOST_BYTES = 20_000_000
_NEEDED = ("prompt", "answer", "instead")
_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False}
_COLUMNS = "The first line names the columns: prompt,answer,instead and, if need be, chat."


class Part(StrEnum):
    """What a row is for."""

    FIND = "found on"  # features are looked for on these
    HELD_OUT = "held out"  # the same question, never looked at while choosing
    CONTROL = "control"  # should keep its answer, whatever is switched off


class Aim(StrEnum):
    """What would be better."""

    SPREAD = "spread"  # that rows differ less
    ACCURACY = "accuracy"  # that the answer is likelier than what stands instead


@dataclass(frozen=True)
class AuditRow:
    """One prompt and two ways to go on.

    Attributes:
        begun: How the model's own answer begins, in a chat.
        word: What was filled into a template.
    """

    prompt: str
    answer: str
    instead: str
    chat: bool = False
    begun: str = ""
    word: str = ""
    part: Part = Part.FIND

    @property
    def title(self) -> str:
        """What tells it from other rows."""
        return self.word or " … ".join(filter(None, (self.prompt, self.begun)))


@dataclass(frozen=True)
class AuditTable:
    """The rows of an audit.

    Attributes:
        about: What it asks, for people.
        found: What is known of it already.
        known: Features that were found to matter, as people write them.
    """

    name: str
    rows: tuple[AuditRow, ...]
    aim: Aim = Aim.SPREAD
    about: str = ""
    found: str = ""
    known: tuple[str, ...] = ()

    def of(self, *parts: Part) -> list[int]:
        """Which rows are for this."""
        return [n for n, row in enumerate(self.rows) if row.part in parts]


def read_table(path: Path, aim: Aim = Aim.SPREAD) -> AuditTable:
    """Read a CSV file.

    Beside prompt, answer and instead it may have the columns chat, begun, word and control.

    Raises:
        ScopeError: It cannot be read, or a line of it makes no sense; says which.
    """
    return AuditTable(path.stem, parse_rows(decoded(path), path.name), aim)


def decoded(path: Path) -> str:
    """The text of a file.

    Raises:
        ScopeError: It cannot be read, is very large, or is no text.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ScopeError(f"{path.name} is larger than 20 MB.", "Take a sample of its rows.")
        data, name = path.read_bytes(), path.name
    except OSError as error:
        raise ScopeError(f"{path} cannot be read: {error.strerror}.", "Choose another.") from error
    code = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(code)
    except UnicodeDecodeError as error:
        raise ScopeError(
            f"{name} is not UTF-8 text (byte {error.start:,}).", "Save it again as CSV in UTF-8."
        ) from None
    if "\0" in text:
        raise ScopeError(f"{name} is not a text file.", "Save the table as CSV in UTF-8.")
    return text


def parse_rows(text: str, name: str) -> tuple[AuditRow, ...]:
    """The rows of a CSV text, every second of them held out."""
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    # A newline within quotes is part of a prompt.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[AuditRow] = []
    try:
        columns = [column.strip().lower() for column in next(reader, [])]
        _check_columns(columns, name)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(rows) == MOST_ROWS:
                raise ScopeError(
                    f"{name} has more than {MOST_ROWS:,} rows.", "Take a sample of them."
                )
            rows.append(_row(columns, cells, f"{name}, line {reader.line_num}"))
    except csv.Error as error:
        raise ScopeError(
            f"{name}, line {reader.line_num}: {error}.",
            "A quotation mark within quotes is written twice.",
        ) from None
    if not rows:
        raise ScopeError(f"{name} has no rows.", _COLUMNS)
    return halved(rows)


def _check_columns(columns: Sequence[str], name: str) -> None:
    missing = [column for column in _NEEDED if column not in columns]
    if missing:
        raise ScopeError(f"{name} has no column “{missing[0]}”.", _COLUMNS)
    double = next((column for column in columns if column and columns.count(column) > 1), None)
    if double is not None:
        raise ScopeError(f"{name} has two columns “{double}”.", _COLUMNS)


def _row(columns: Sequence[str], cells: Sequence[str], place: str) -> AuditRow:
    if len(cells) != len(columns):
        raise ScopeError(
            f"{place}: {len(cells)} cells under {len(columns)} columns.",
            "Put quotation marks around text that has the separator in it.",
        )
    found = dict(zip(columns, cells, strict=True))
    row = AuditRow(
        found["prompt"],
        found["answer"],
        found["instead"],
        chat=flag(found.get("chat", ""), place),
        begun=found.get("begun", ""),
        word=found.get("word", "").strip(),
        part=Part.CONTROL if flag(found.get("control", ""), place) else Part.FIND,
    )
    check_row(row, place)
    return row


def flag(cell: str, place: str) -> bool:
    """A yes or no.

    Raises:
        ScopeError: It is neither.
    """
    said = cell.strip().lower()
    if said not in _FLAGS:
        raise ScopeError(f"{place}: “{said}” is neither true nor false.", "Write true or false.")
    return _FLAGS[said]


def check_row(row: AuditRow, place: str) -> None:
    """Whether a row can be asked.

    Raises:
        ScopeError: It cannot; says why.
    """
    if not row.prompt.strip():
        raise ScopeError(f"{place}: the prompt is empty.", "Write what the model is to read.")
    if not row.answer or not row.instead:
        raise ScopeError(
            f"{place}: an answer is empty.", "Give two answers, such as “ he”, “ she”."
        )
    if row.answer == row.instead:
        raise ScopeError(f"{place}: both answers are “{row.answer}”.", "Give two that differ.")
    if row.begun and not row.chat:
        raise ScopeError(
            f"{place}: only an answer in a chat can be begun.", "Add it to the prompt, or use chat."
        )


def from_template(
    template: str,
    words: Iterable[str],
    answer: str,
    instead: str,
    chat: bool = False,
    begun: str = "",
    name: str = "template",
) -> AuditTable:
    """One row for every word, put where the template says ``{}``; every second held out.

    Raises:
        ScopeError: There is no place for the word, or nothing to put there.
    """
    if SLOT not in template and SLOT not in begun:
        raise ScopeError("The template has no {}.", "Write {} where the words are to stand.")
    listed = tuple(dict.fromkeys(word.strip() for word in words if word.strip()))
    if not listed:
        raise ScopeError("There are no words to fill in.", "Write one in each line.")
    if len(listed) > MOST_ROWS:
        raise ScopeError(f"There are more than {MOST_ROWS:,} words.", "Take a sample of them.")
    rows = tuple(
        AuditRow(
            template.replace(SLOT, word), answer, instead, chat, begun.replace(SLOT, word), word
        )
        for word in listed
    )
    check_row(rows[0], "The template")
    return AuditTable(name, halved(rows))


def halved(rows: Sequence[AuditRow]) -> tuple[AuditRow, ...]:
    """Every second row held out; none where there are too few."""
    asked = [n for n, row in enumerate(rows) if row.part is not Part.CONTROL]
    apart = set(asked[1::2]) if len(asked) >= LEAST_TO_HALVE else set()
    return tuple(
        replace(row, part=Part.HELD_OUT) if n in apart else row for n, row in enumerate(rows)
    )

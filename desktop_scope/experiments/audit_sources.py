"""Where an audit's table comes from: a file, a template, a ready-made case."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from desktop_scope.engine.requests import Request
from desktop_scope.engine.worker import Job
from desktop_scope.experiments.audit_table import Aim, AuditTable, from_template, read_table
from desktop_scope.experiments.mending import Mend, mend_table
from desktop_scope.experiments.ready_cases import CASES


@dataclass(frozen=True)
class Template:
    """A sentence with a place for words."""

    text: str = ""
    words: tuple[str, ...] = ()
    answer: str = ""
    instead: str = ""
    chat: bool = False
    begun: str = ""


Source = Path | str | Template | Mend  # a str is the id of a ready-made case


@dataclass(frozen=True)
class MakeTable(Request):
    """Read or make the table of an audit.

    Attributes:
        source: A file, the id of a ready-made case, a template, or what is to be mended.
        attempt: Makes it anew.
    """

    kind = "audit-table"
    replaces = frozenset({"audit-table"})

    source: Source
    aim: Aim = Aim.SPREAD
    attempt: int = 0


def make_table(request: MakeTable, job: Job) -> AuditTable:
    """The table that is asked for.

    Raises:
        ScopeError: It cannot be read, or makes no sense.
    """
    source = request.source
    if isinstance(source, Path):
        return read_table(source, request.aim)
    if isinstance(source, str):
        return next(case for case in CASES if case.id == source).make()
    if isinstance(source, Mend):
        return mend_table(source)
    return from_template(
        source.text, source.words, source.answer, source.instead, source.chat, source.begun
    )

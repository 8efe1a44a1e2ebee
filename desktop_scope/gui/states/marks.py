"""What a person adds to features, as far as the window knows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from desktop_scope.evidence.asking.requests import AskOpenModel, AskServer
from desktop_scope.evidence.marks.types import Change


@dataclass(frozen=True)
class MarksState:
    """Changes on their way to the disk, and what is there.

    Attributes:
        changes: Asked for, and not yet known to be kept.
        asked: How many were ever asked for.
        version: Of what is kept; labels, stars and lists are to be read again when it grows.
        lists: The names of all lists, most used first.
        undoable: What undoing would take back; empty if there is nothing.
        importing: Files whose labels are to be taken in.
        exporting: Where the marks are to be written.
        files: How often either was asked for.
        judging: The user wants all labels judged.
        waiting: There are labels to be judged that need but a moment.
        steps: Of judging, done.
        asking: What a language model is to be asked.
        asks: How often one was.
        server: On this machine, which the user named; empty for none.
    """

    changes: tuple[Change, ...] = ()
    asked: int = 0
    version: int = 0
    lists: tuple[str, ...] = ()
    undoable: str = ""
    importing: tuple[Path, ...] = ()
    exporting: Path | None = None
    files: int = 0
    judging: bool = False
    waiting: bool = False
    steps: int = 0
    asking: AskOpenModel | AskServer | None = None
    asks: int = 0
    server: str = ""

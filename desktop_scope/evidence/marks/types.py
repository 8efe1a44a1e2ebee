"""The one thing of which labels, notes, stars and lists are made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from desktop_scope.engine.types import FeatureId
from desktop_scope.evidence.types import Label, Source

#: Of several labels of one feature the first of these is shown, before the shipped one.
PRECEDENCE = (Source.OWN, Source.MODEL, Source.IMPORTED)

STARS = "stars"  # of the lists, the one that has a button


class Kind(StrEnum):
    """What a mark is."""

    LABEL = "label"  # key: source; value: what ``label_value`` makes
    NOTE = "note"  # key: none; value: the text
    LIST = "list"  # key: the list's name; value: none
    TRIAL = "trial"  # key: a typed text; value: "fires" or "silent", what it should do
    VERDICT = "verdict"  # key: judge and label; value: JSON of a court.types.Verdict
    EXAMPLES = "examples"  # key: none; value: JSON of imported examples


@dataclass(frozen=True)
class Mark:
    """One thing that is said of one feature.

    Attributes:
        sae: Which SAE, by its content: see ``keys.mark_keys``.
        value: None takes the mark away.
    """

    sae: str
    feature: int
    kind: Kind
    key: str = ""
    value: str | None = ""


@dataclass(frozen=True)
class Change:
    """What a person did to one feature in the window.

    Attributes:
        number: Counts them, so that none is done twice.
        feature: None takes back the last change instead, whatever it was.
    """

    number: int
    feature: FeatureId | None = None
    kind: Kind = Kind.NOTE
    key: str = ""
    value: str | None = ""


@dataclass(frozen=True)
class Marked:
    """The marks have changed, or were looked at for the first time.

    Attributes:
        done: Changes up to this number are safe on the disk.
        version: Grows with every change.
        lists: The names of all lists, most used first.
        undoable: What undoing would take back; empty if there is nothing.
        labels: Of the features that were asked about.
        message: What the user should know, such as what was imported.
        hint: What to do about it.
    """

    done: int
    version: int
    lists: tuple[str, ...] = ()
    undoable: str = ""
    labels: tuple[tuple[FeatureId, Label], ...] = ()
    message: str = ""
    hint: str = ""

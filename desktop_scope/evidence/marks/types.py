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
    TRIAL = "trial"  # key: a typed text; value: what ``trial_value`` makes
    VERDICT = "verdict"  # key: judge and label; value: its counts as JSON


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
        waiting: There are labels to be judged that need but a moment.
        message: What the user should know, such as what was imported.
    """

    done: int
    version: int
    lists: tuple[str, ...] = ()
    undoable: str = ""
    labels: tuple[tuple[FeatureId, Label], ...] = ()
    waiting: bool = False
    message: str = ""


@dataclass(frozen=True)
class Judged:
    """Some labels were tried on held-out text.

    Attributes:
        version: Of the marks; grows when there are new scores.
        waiting: There is more to do.
        done: Steps done, of ``total``.
    """

    version: int
    waiting: bool
    done: int
    total: int

"""The requests by which a language model is asked about a label."""

from __future__ import annotations

from dataclasses import dataclass

from desktop_scope.engine.requests import Request
from desktop_scope.engine.types import FeatureId
from desktop_scope.evidence.marks.types import Kind


@dataclass(frozen=True)
class AskOpenModel(Request):
    """Ask the open model for a label, or to judge the one that is shown.

    Attributes:
        attempt: It may be asked again.
    """

    kind = "ask"
    replaces = frozenset({"ask"})
    worker = "engine"

    feature: FeatureId
    judge: bool
    attempt: int


@dataclass(frozen=True)
class AskServer(Request):
    """The same of a server on this machine that the user named."""

    kind = "ask"
    replaces = frozenset({"ask"})
    worker = "search"

    feature: FeatureId
    judge: bool
    attempt: int
    server: str


@dataclass(frozen=True)
class Asked:
    """What a model said: marks to be kept, each with kind, key and value."""

    feature: FeatureId
    marks: tuple[tuple[Kind, str, str], ...]
    message: str = ""

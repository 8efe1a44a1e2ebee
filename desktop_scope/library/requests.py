"""Frozen requests for looks at what is on this machine. They only read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from desktop_scope.engine.requests import Request
from desktop_scope.library.entries import SaeEntry


@dataclass(frozen=True)
class ScanLibrary(Request):
    """Find models, SAEs and packs.

    Attributes:
        folders: Searched besides the usual places and those that the user added.
    """

    kind = "scan"
    replaces = frozenset({"scan", "details"})
    worker = "search"

    folders: tuple[Path, ...] = ()


@dataclass(frozen=True)
class ReadDetails(Request):
    """Read what SAE files say of themselves."""

    kind = "details"
    replaces = frozenset({"details"})

    saes: tuple[SaeEntry, ...]

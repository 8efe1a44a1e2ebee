"""Taking steering along, as far as the window knows."""

from __future__ import annotations

from dataclasses import dataclass

from desktop_scope.exports.types import Export


@dataclass(frozen=True)
class ExportState:
    """What is being written.

    Attributes:
        request: None when nothing is.
    """

    request: Export | None = None

"""What a person searches with, beyond the words in the box."""

from __future__ import annotations

from dataclasses import dataclass, replace

from desktop_scope.engine.types import Trace
from desktop_scope.evidence.meaning.labels import Meanings
from desktop_scope.evidence.types import Found
from desktop_scope.experiments.contrast import Contrast


@dataclass(frozen=True)
class SearchState:
    """By meaning, by example, by contrast.

    Attributes:
        by_meaning: Somebody has searched labels, so their meanings are to be learnt.
        meanings: How far that is.
        example: A phrase whose features are to be found.
        trace: Of the text in which it lies: the prompt's, or its own.
        span: Its first and last token there.
        a, b: Texts of two kinds, one per line.
        compared: Those that are to be told apart.
        contrast: What tells them apart.
        found: The same as searches list it.
    """

    by_meaning: bool = False
    meanings: Meanings | None = None
    example: str = ""
    trace: Trace | None = None
    span: tuple[int, int] | None = None
    a: str = ""
    b: str = ""
    compared: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    contrast: Contrast | None = None
    found: tuple[Found, ...] = ()

    def of_other_saes(self) -> SearchState:
        """Without what was found with those that were open."""
        return replace(
            self, meanings=None, trace=None, span=None, compared=None, contrast=None, found=()
        )

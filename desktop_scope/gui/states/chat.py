"""The conversation: its two columns go on each from its own answers."""

from __future__ import annotations

from dataclasses import dataclass

from desktop_scope.engine.types import Turn


@dataclass(frozen=True)
class ChatState:
    """A chat of several turns.

    Attributes:
        steered: What was said before in the steered column; the prompt has that of the plain one.
    """

    steered: tuple[Turn, ...] = ()

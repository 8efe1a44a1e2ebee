"""What an area of the window is: the requests that a state wants, and what becomes of results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from desktop_scope.engine.requests import Request
from desktop_scope.gui.state import AppState

Take = Callable[[AppState, Any], AppState]


@dataclass(frozen=True)
class Area:
    """Pure functions about some kinds of request.

    Attributes:
        wanted: The requests whose results a state needs.
        results: By kind, the state with a result.
        partly: By kind, the state with a result under way.
        failures: By kind, the state when there will be no result; the message is added to it.
    """

    wanted: Callable[[AppState], Iterable[Request]]
    results: Mapping[str, Take]
    partly: Mapping[str, Take] = field(default_factory=dict)
    failures: Mapping[str, Callable[[AppState], AppState]] = field(default_factory=dict)


def result(name: str) -> Take:
    """The result as it is becomes a field of the state."""
    return lambda state, payload: replace(state, **{name: payload})

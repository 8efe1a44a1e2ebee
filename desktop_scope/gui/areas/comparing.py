"""Two prompts, answers or models side by side; the second model, opened and let go of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from desktop_scope.engine.requests import Request
from desktop_scope.engine.types import FeatureId
from desktop_scope.evidence.requests import NameCompared
from desktop_scope.evidence.types import Label
from desktop_scope.experiments.compare_types import CloseBeside, MeasureSecond, OpenBeside
from desktop_scope.gui.areas.base import Area
from desktop_scope.gui.compare_actions import change
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.compare import What


def _wanted(state: AppState) -> Iterator[Request]:
    look = state.compare
    if state.model is None:
        return
    if look.opening:
        yield OpenBeside(look.second)
    elif look.closing and look.beside is not None:
        yield CloseBeside(look.beside)
    elif look.what is What.MODELS and look.beside is None:
        second = look.second
        folder = second.path or Path(state.model.path)
        if folder.suffix.lower() != ".gguf":
            yield MeasureSecond(folder, second.dtype, second.device)
    if look.asked is not None and not look.opening:
        yield look.asked
    if look.found is not None and look.is_current and state.opened is not None:
        features = dict.fromkeys(row.feature for row in look.found.rows)
        yield NameCompared(tuple(features), state.revision)


def _take(**fixed: Any) -> Any:
    """The state with some values of this area changed."""
    return lambda state, *_: change(state, **fixed)


def _named(state: AppState, labels: Mapping[FeatureId, Label]) -> AppState:
    return change(state, labels=labels)


def _opened(state: AppState, info: Any) -> AppState:
    return change(state, beside=info, opening=False)


AREA = Area(
    wanted=_wanted,
    results={
        "compare": lambda state, found: change(state, found=found),
        "compared-names": _named,
        "beside": _opened,
        "close-beside": _take(beside=None, closing=False, found=None),
        "room-beside": lambda state, room: change(state, room=room),
    },
    failures={
        "compare": _take(asked=None),
        "beside": _take(opening=False, beside=None),
        "close-beside": _take(closing=False),
        "room-beside": _take(room=None),
    },
)

"""Comparing, each step as a pure function from one state to the next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from desktop_scope.engine.types import Prompt
from desktop_scope.experiments.compare_types import (
    By,
    CompareReadings,
    Difference,
    Reading,
    Second,
)
from desktop_scope.gui import actions
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.compare import What


def change(state: AppState, **changes: Any) -> AppState:
    """Another choice; nothing is compared by it."""
    return replace(state, compare=replace(state.compare, **changes))


def choose(state: AppState, what: What) -> AppState:
    """Compare other things."""
    return change(state, what=what, asked=None, found=None)


def readings(state: AppState) -> tuple[Reading, Reading] | None:
    """Both sides; None while one of them is missing."""
    look, prompt = state.compare, state.prompt
    if not prompt.text.strip():
        return None
    if look.what is What.PROMPTS:
        other = Prompt(look.other, prompt.chat, prompt.turns)
        return (Reading(prompt), Reading(other)) if look.other.strip() else None
    if look.what is What.MODELS:
        answer = state.answer.ids if state.answer is not None else ()
        both = (Reading(prompt, answer), Reading(prompt, answer, beside=True))
        return both if look.beside is not None else None
    plain, steered = state.answer, state.steered
    if plain is None or steered is None or not (plain.finished and steered.finished):
        return None
    return (
        Reading(prompt, plain.ids),
        Reading(state.steered_prompt, steered.ids, steered.interventions),
    )


def compare(state: AppState) -> AppState:
    """Compare what is chosen."""
    sides = readings(state)
    if sides is None:
        return state
    return change(state, asked=CompareReadings(*sides, state.compare.by))


def set_by(state: AppState, by: By) -> AppState:
    """Compare token by token, or as wholes; anew, if something was compared."""
    state = change(state, by=by)
    return compare(state) if state.compare.asked is not None else state


def set_second(state: AppState, second: Second) -> AppState:
    """Another model to open beside the first."""
    return change(state, second=second, room=None)


def set_path(state: AppState, path: Path) -> AppState:
    """A model from somewhere else."""
    return set_second(state, replace(state.compare.second, path=path))


def open_beside(state: AppState) -> AppState:
    """Open it."""
    return change(state, opening=True)


def close_beside(state: AppState) -> AppState:
    """Let go of it, and of what was compared with it."""
    return change(state, closing=state.compare.beside is not None, asked=None)


def go_to(state: AppState, row: Difference) -> AppState:
    """Select a feature that differs, and its token where the text shown has it."""
    found, trace = state.compare.found, state.trace
    state = actions.select(state, feature=row.feature)
    if found is None or trace is None or trace.texts != found.texts[row.side]:
        return state
    return actions.select(state, token=row.tokens[row.side])

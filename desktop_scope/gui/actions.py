"""What a person does, each as a pure function from one state to the next."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from desktop_scope.engine.requests import Workspace
from desktop_scope.engine.types import FeatureId, Prompt
from desktop_scope.evidence.types import Label
from desktop_scope.gui.state import AppState, Message, Pin, Selection
from desktop_scope.gui.states.dials import Dial, Key
from desktop_scope.gui.states.recipes import RecipesState

_MOST_HISTORY = 50
MOST_PINS = 9
_MOST_MESSAGES = 3


def set_prompt(state: AppState, prompt: Prompt) -> AppState:
    """Another prompt: answers to the old one are gone."""
    if prompt == state.prompt:
        return state
    if prompt.turns != state.prompt.turns:  # another conversation
        state = replace(state, chat=replace(state.chat, steered=prompt.turns))
    return replace(state, prompt=prompt, asked=False, answer=None, steered=None, show_steered=False)


def ask(state: AppState) -> AppState:
    """Let the model answer, and remember the prompt."""
    if not state.prompt.text.strip():
        return state
    others = tuple(p for p in state.history if p != state.prompt)
    return replace(state, asked=True, history=(state.prompt, *others)[:_MOST_HISTORY])


def stop(state: AppState) -> AppState:
    """Stop answering, and looking at what was given; what was said so far stays."""

    def ended(answer: Any) -> Any:
        return answer and replace(answer, finished=True)

    return replace(
        state,
        asked=False,
        given=(),
        answer=ended(state.answer),
        steered=ended(state.steered),
        discovery=replace(state.discovery, scoring=None, trial=None),
        audit=state.audit.halted(),
        gathering=replace(state.gathering, running=None, resting=True, cost=None),
        map=replace(state.map, drawing=False),
        grid=state.grid.halted(),
        lab=replace(state.lab, sweeping=None, controlling=None, testing=None, making=None),
    )


def select(state: AppState, **changes: Any) -> AppState:
    """Look at another token or feature; Back leads here again."""
    selection = replace(state.selection, **changes)
    if selection == state.selection:
        return state
    back = (*state.back, state.selection)[-_MOST_HISTORY:]
    grid = state.grid.adrift()
    return replace(state, selection=selection, back=back, forward=(), grid=grid)


def go_back(state: AppState) -> AppState:
    """Return to what was looked at before."""
    if not state.back:
        return state
    return replace(
        state,
        selection=_fitting(state, state.back[-1]),
        back=state.back[:-1],
        forward=(state.selection, *state.forward),
    )


def go_forward(state: AppState) -> AppState:
    """Undo a go_back."""
    if not state.forward:
        return state
    return replace(
        state,
        selection=_fitting(state, state.forward[0]),
        back=(*state.back, state.selection),
        forward=state.forward[1:],
    )


def _fitting(state: AppState, selection: Selection) -> Selection:
    """The selection, with its token only where the text still has it."""
    fits = state.trace and selection.token is not None and selection.token < state.trace.n_tokens
    return selection if fits else replace(selection, token=state.selection.token)


def set_filters(state: AppState, **changes: Any) -> AppState:
    """List other features."""
    return replace(state, filters=replace(state.filters, **changes))


def toggle_pin(state: AppState, feature: FeatureId, label: Label, max_active: float) -> AppState:
    """Keep a feature at hand, or let it go; the oldest makes room."""
    others = tuple(pin for pin in state.pins if pin.feature != feature)
    if len(others) < len(state.pins):
        return replace(state, pins=others)
    pin = Pin(feature, label, state.full_strength(feature, max_active))
    return replace(state, pins=(*others, pin)[-MOST_PINS:])


def add_dial(state: AppState, feature: FeatureId, label: Label, max_active: float) -> AppState:
    """Put a feature into the steering rack."""
    if any(dial.feature == feature for dial in state.rack):
        return state
    full, known = state.full_strength(feature, max_active), math.isfinite(max_active)
    dial = Dial(feature, label, full, known, median_norm=state.norm_of(feature.sae))
    return set_rack(state, (*state.rack, dial))


def change_dial(state: AppState, key: Key, **changes: Any) -> AppState:
    """Turn a dial, or have it do something else."""
    return set_rack(state, tuple(replace(d, **changes) if d.key == key else d for d in state.rack))


def remove_dial(state: AppState, key: Key) -> AppState:
    """Take a dial out of the rack."""
    return set_rack(state, tuple(d for d in state.rack if d.key != key))


def clear_rack(state: AppState) -> AppState:
    """Take every dial out of the rack."""
    return replace(set_rack(state, ()), steered=None, show_steered=False)


def set_rack(state: AppState, rack: tuple[Dial, ...]) -> AppState:
    """Another rack; the one before can be had again."""
    if rack == state.rack:
        return state
    undo = (*state.steering.undo, state.rack)[-_MOST_HISTORY:]
    return replace(state, rack=rack, steering=replace(state.steering, undo=undo, redo=()))


def say(state: AppState, message: Message) -> AppState:
    """Add a message; the oldest makes room, one said before is not repeated."""
    others = tuple(m for m in state.messages if m != message)
    return replace(state, messages=(*others, message)[-_MOST_MESSAGES:])


def dismiss(state: AppState, text: str, hint: str) -> AppState:
    """Take a message off the strip."""
    left = tuple(m for m in state.messages if (m.text, m.hint) != (text, hint))
    return replace(state, messages=left)


def show(state: AppState, **changes: bool) -> AppState:
    """Show or hide the template, or the steered answer."""
    return replace(state, **changes)  # type: ignore[arg-type]


def try_text(state: AppState, text: str) -> AppState:
    """Try a text on the selected feature alone."""
    return replace(state, probe_text=text)


def set_sampling(state: AppState, **changes: Any) -> AppState:
    """Draw answers otherwise."""
    return replace(state, sampling=replace(state.sampling, **changes))


def compute_in(state: AppState, dtype: str = "", device: str = "") -> AppState:
    """Load the model in another number type, or on another device."""
    state = replace(state, dtype=dtype or state.dtype, device=device or state.device)
    browsing = replace(state.browsing, dtype=state.dtype, device=state.device)
    return replace(state, browsing=browsing, model=None, messages=())


def open_workspace(
    state: AppState, workspace: Workspace, dtype: str = "", device: str = ""
) -> AppState:
    """Open another model, or other SAEs; what was found with the old ones is gone."""
    dtype, device = dtype or state.dtype, device or state.device
    return replace(
        AppState(workspace=workspace),
        last=state.workspace if state.model else state.last,
        dtype=dtype,
        device=device,
        attempt=state.attempt + 1,
        prompt=state.prompt,
        chat=state.chat,
        recipes=RecipesState(looks=state.recipes.looks),
        history=state.history,
        sampling=state.sampling,
        jobs=state.jobs,
        browsing=replace(state.browsing, model=None, dtype=dtype, device=device),
        looks=state.looks,
        folders=state.folders,
        shelf=state.shelf,
        library=state.library,
        library_version=state.library_version,
        listing=state.listing,
    )


def give(state: AppState, paths: tuple[Path, ...]) -> AppState:
    """Find out what some files and folders are, and open them."""
    return replace(state, given=paths, gifts=state.gifts + 1)


def look_around(state: AppState) -> AppState:
    """See what is on this machine."""
    return replace(state, looks=state.looks + 1)


def add_folder(state: AppState, folder: Path) -> AppState:
    """Search a folder, too, from now on."""
    folders = tuple(dict.fromkeys((*state.folders, folder)))
    return replace(state, folders=folders, looks=max(state.looks, 1))


def browse(state: AppState, **changes: Any) -> AppState:
    """Look at something else in the library."""
    return replace(state, browsing=replace(state.browsing, **changes))


def check(state: AppState, *slots: int) -> AppState:
    """Examine some of the open SAEs, one after another."""
    return replace(state, unchecked=tuple(dict.fromkeys((*state.unchecked, *slots))))


def load_again(state: AppState) -> AppState:
    """Try to load the model again."""
    return replace(state, attempt=state.attempt + 1, model=None, messages=())

"""Asking why, each step as a pure function from one state to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from desktop_scope.engine.questions import Cause, Method, Words
from desktop_scope.engine.types import FeatureId, Mode, Prompt
from desktop_scope.gui import actions
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.why import WhyState

N_VERIFIED = 20
_PER_LAYER = 5


@dataclass(frozen=True)
class Example:
    """A question that is worth asking the demo model."""

    title: str
    prompt: Prompt
    before: str
    answer: str
    instead: str


EXAMPLES = (
    Example(
        "A midwife: she or he?",
        Prompt("The midwife was tired after work because", chat=False),
        "", " she", " he",
    ),
    Example(
        "An uncle who is a nanny: he or she?",
        Prompt("My uncle is a nanny. Every morning", chat=False),
        "", " he", " she",
    ),
    Example(
        "9.11 or 9.8: which does it call bigger?",
        Prompt("Which number is bigger: 9.8 or 9.11?", chat=True),
        "The bigger number is 9.", "1", "8",
    ),
)  # fmt: skip


def ask_example(state: AppState, example: Example) -> AppState:
    """Read an example's prompt, and ask its question."""
    state = actions.set_prompt(state, example.prompt)
    return _ask(state, example.prompt, example.before, example.answer, example.instead)


def ask_about(state: AppState, token: int | None) -> AppState:
    """Ask why the answer has a token; why it begins as it does, for a token of the prompt."""
    trace = state.trace
    if trace is None:
        return state
    n = trace.n_prompt
    at = n if token is None else max(token, n)
    if at < trace.n_tokens:
        before = tuple(int(i) for i in trace.ids[n:at])
        return _ask(state, trace.prompt, before, (int(trace.ids[at]),), ())
    return _ask(state, trace.prompt, (), (), ())


def ask_of(state: AppState, feature: FeatureId) -> AppState:
    """Ask what a feature has to do with the answer; the question stays, if one was asked here."""
    if state.why.prompt != state.prompt:
        state = ask_about(state, state.selection.token)
    return replace(state, why=replace(state.why, about=feature))


def ask_words(state: AppState, **changes: Words) -> AppState:
    """Ask about another answer, or another thing instead; empty for the likeliest."""
    why = state.why
    if why.prompt is None:
        why = WhyState(prompt=state.prompt, method=why.method)
    return _with(state, why, **changes)


def set_method(state: AppState, method: Method) -> AppState:
    """Estimate otherwise."""
    return _with(state, state.why, method=method)


def verify(state: AppState, every_layer: bool = False) -> AppState:
    """Really switch off what is listed first; or the largest of every layer."""
    found = state.why.explanation
    if found is None:
        return state
    causes: tuple[Cause, ...] = found.causes[:N_VERIFIED]
    if every_layer:
        causes = tuple(found.attribution.largest_each(_PER_LAYER))
    return replace(state, why=replace(state.why, doubted=causes))


def _ask(state: AppState, prompt: Prompt, before: Words, answer: Words, instead: Words) -> AppState:
    return _with(state, state.why, prompt=prompt, before=before, answer=answer, instead=instead)


def _with(state: AppState, why: WhyState, **changes: Any) -> AppState:
    return replace(state, why=replace(why, doubted=(), **changes))


def show_path(state: AppState, share: float | None, grouped: bool | None = None) -> AppState:
    """Show the path of so large a share of the effects; None looks away."""
    grouped = state.why.grouped if grouped is None else grouped
    return replace(state, why=replace(state.why, share=share, grouped=grouped))


def look_at(state: AppState, feature: FeatureId | None, token: int) -> AppState:
    """Select a feature that is listed, and its token where the text has it."""
    found = state.why.explanation
    trace = state.trace
    changes: dict[str, Any] = {} if feature is None else {"feature": feature}
    here = found is not None and trace is not None and trace.prompt == found.question.prompt
    if here and token < trace.n_tokens and int(trace.ids[token]) == found.attribution.ids[token]:
        changes["token"] = token
    return actions.select(state, **changes)


def look_at_layer(state: AppState, row: int) -> AppState:
    """Select the feature that matters most at a layer; row 0 is the last layer."""
    found = state.why.explanation
    if found is None:
        return state
    slots = found.attribution.slots
    slot = slots[len(slots) - 1 - row]
    best = [c for c in found.attribution.largest_each(1) if c.feature.sae == slot]
    return look_at(state, best[0].feature, best[0].token) if best else state


def switch_off(state: AppState, features: tuple[FeatureId, ...]) -> AppState:
    """Put features into the steering rack, switched off."""
    for feature in features:
        label = state.why.labels.get(feature)
        if label is None:
            continue
        known = state.opened.max_active if state.opened is not None else ()
        full = float(known[feature.sae][feature.index]) if feature.sae < len(known) else math.nan
        state = actions.add_dial(state, feature, label, full)
        state = actions.change_dial(state, feature, mode=Mode.ABLATE)
    return state

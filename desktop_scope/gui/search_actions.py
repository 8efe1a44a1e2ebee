"""What a person does to find features, each as a pure function from one state to the next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from desktop_scope.evidence.requests import Scope
from desktop_scope.gui.actions import set_filters
from desktop_scope.gui.state import AppState

_MEANS_SOMETHING = 3  # letters


def set_query(state: AppState, words: str) -> AppState:
    """Type into the box: a phrase where one searches by example, else words."""
    if state.filters.scope is Scope.EXAMPLE:
        return by_text(state, words)
    state = set_filters(state, words=words)
    if state.filters.scope is Scope.ALL and len(words.strip()) >= _MEANS_SOMETHING:
        state = _changed(state, by_meaning=True)
    return state


def set_scope(state: AppState, scope: Scope) -> AppState:
    """List features of something else, or found another way."""
    return set_query(set_filters(state, scope=scope), query_of(state, scope))


def query_of(state: AppState, scope: Scope) -> str:
    """What stands in the box."""
    return state.search.example if scope is Scope.EXAMPLE else state.filters.words


def by_text(state: AppState, text: str) -> AppState:
    """Find what fires in a phrase more than it usually does."""
    state = set_filters(state, scope=Scope.EXAMPLE)
    if text == state.search.example:
        return state
    return _changed(state, example=text, trace=None, span=None)


def by_tokens(state: AppState, first: int, last: int) -> AppState:
    """The same with tokens of the text that is shown, where they stand."""
    if state.trace is None:
        return state
    text = "".join(state.trace.texts[first : last + 1])
    state = _changed(state, example=text, trace=state.trace, span=(first, last))
    return set_filters(state, scope=Scope.EXAMPLE)


def set_texts(state: AppState, a: str, b: str) -> AppState:
    """Write down texts of two kinds."""
    return _changed(state, a=a, b=b)


def compare(state: AppState) -> AppState:
    """Find what tells the two kinds of texts apart."""
    a, b = (tuple(text.splitlines()) for text in (state.search.a, state.search.b))
    state = _changed(state, compared=(a, b), contrast=None, found=())
    return set_filters(state, scope=Scope.GIVEN, words="")


def swap(state: AppState) -> AppState:
    """Look for what fires in B and not in A."""
    return compare(set_texts(state, state.search.b, state.search.a))


def _changed(state: AppState, **changes: Any) -> AppState:
    return replace(state, search=replace(state.search, **changes))

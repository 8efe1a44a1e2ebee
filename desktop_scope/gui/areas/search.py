"""Finding features: the list of them, and what is to be computed for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from desktop_scope.engine.requests import Request
from desktop_scope.engine.types import Prompt, Trace
from desktop_scope.evidence.meaning.labels import Meanings
from desktop_scope.evidence.requests import LearnMeanings, RankFeatures, ReadExample, Scope
from desktop_scope.evidence.types import Ranking
from desktop_scope.experiments.contrast import MEASURE, Contrast, ContrastTexts, as_found
from desktop_scope.gui.areas.base import Area
from desktop_scope.gui.state import AppState, Selection


def _wanted(state: AppState) -> Iterator[Request]:
    if state.workspace is None or state.model is None or state.opened is None:
        return
    search, scope = state.search, state.filters.scope
    yield _rank_request(state)
    if scope is Scope.EXAMPLE and search.trace is None and search.example.strip():
        yield ReadExample(Prompt(search.example, chat=False))
    if search.compared is not None and search.contrast is None:
        yield ContrastTexts(*search.compared)
    if search.by_meaning and not _learnt(state):
        done = 0 if search.meanings is None else search.meanings.done
        yield LearnMeanings(state.revision, done)


def _learnt(state: AppState) -> bool:
    at = state.search.meanings
    return at is not None and at.revision == state.revision and at.finished


def _tenths(state: AppState) -> int:
    """How much can be found by meaning: lists are made again as it grows."""
    at = state.search.meanings
    return 0 if at is None or not at.total else 1 + 10 * at.done // at.total


def _rank_request(state: AppState) -> RankFeatures:
    filters, search, trace = state.filters, state.search, state.trace
    token, listed = state.selection.token, 0
    # The token matters only where one token's features are listed.
    if filters.scope is Scope.TOKEN and trace is not None and token is not None:
        listed = min(token, trace.n_tokens - 1)
    request = RankFeatures(
        scope=filters.scope,
        trace=trace,
        token=listed,
        by=filters.by,
        layers=filters.layers,
        words=filters.words,
        max_density=filters.max_density,
        shown=state.shown,
        min_score=filters.min_score,
        on_list=filters.on_list,
        of_kind=filters.of_kind,
        revision=state.revision,
        learnt=_tenths(state) if filters.scope is Scope.ALL else 0,
    )
    if filters.scope is Scope.EXAMPLE:
        # The words in the box are the phrase, not what labels are to hold.
        return replace(request, trace=search.trace, span=search.span, words="")
    if filters.scope is Scope.GIVEN:
        return replace(request, given=search.found, measure=MEASURE)
    return request


def _ranked(state: AppState, ranking: Ranking) -> AppState:
    state = replace(state, ranking=ranking)
    if state.selection.feature is None and ranking.rows:
        first = Selection(state.selection.token, ranking.rows[0].feature)
        return replace(state, selection=first)
    return state


def _read(state: AppState, trace: Trace) -> AppState:
    own = [n for n in range(trace.n_tokens) if trace.own[n]]
    return _changed(state, trace=trace, span=(own[0], own[-1]) if own else None)


def _compared(state: AppState, contrast: Contrast) -> AppState:
    return _changed(state, contrast=contrast, found=tuple(map(as_found, contrast.rows)))


def _not_compared(state: AppState) -> AppState:
    return _changed(state, compared=None)


def _learning(state: AppState, meanings: Meanings) -> AppState:
    return _changed(state, meanings=meanings)


def _not_learnt(state: AppState) -> AppState:
    return _changed(state, meanings=Meanings(state.revision, installed=False))


def _not_read(state: AppState) -> AppState:
    return _changed(state, example="")


def _changed(state: AppState, **changes: Any) -> AppState:
    return replace(state, search=replace(state.search, **changes))


AREA = Area(
    wanted=_wanted,
    results={
        "rank": _ranked,
        "example": _read,
        "contrast": _compared,
        "meanings": _learning,
    },
    failures={"example": _not_read, "contrast": _not_compared, "meanings": _not_learnt},
)

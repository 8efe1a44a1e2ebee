"""Finding features without a question: levers, interest, and a stroll from one to the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from desktop_scope.engine.requests import Request, ScoreLevers
from desktop_scope.engine.types import FeatureId
from desktop_scope.evidence.requests import ReadInsight, Wander
from desktop_scope.evidence.types import Insight
from desktop_scope.experiments.answer_types import AnswerScore, AnswerTrial, ScoreAnswers
from desktop_scope.gui import actions
from desktop_scope.gui.areas.base import Area
from desktop_scope.gui.state import AppState

_REMEMBERED = 200  # of a stroll: none of them is shown again


def _changed(state: AppState, **changes: Any) -> AppState:
    return replace(state, discovery=replace(state.discovery, **changes))


def _wanted(state: AppState) -> Iterator[Request]:
    if state.model is None or state.opened is None:
        return
    discovery, feature = state.discovery, state.selection.feature
    if feature is not None:
        yield ReadInsight(feature, state.revision + discovery.measured)
    if discovery.turns > discovery.shown:
        yield Wander(discovery.turns, discovery.seen)
    if discovery.scoring is not None:
        yield ScoreLevers(discovery.scoring, discovery.scored)
    if discovery.trial is not None:
        yield ScoreAnswers(discovery.trial)


def _read(state: AppState, insight: Insight) -> AppState:
    return _changed(state, insight=insight)


def _wandered(state: AppState, feature: FeatureId) -> AppState:
    discovery = state.discovery
    seen = (*discovery.seen, feature)[-_REMEMBERED:]
    state = _changed(state, shown=discovery.turns, seen=seen)
    return actions.select(state, feature=feature)


def _not_wandered(state: AppState) -> AppState:
    return _changed(state, shown=state.discovery.turns)


def _scored(state: AppState, scored: int) -> AppState:
    slot = state.discovery.scoring
    left = slot is not None and scored < state.saes[slot].d_sae
    return _changed(
        state,
        scored=scored,
        scoring=slot if left else None,
        measured=state.discovery.measured + 1,
    )


def _not_scored(state: AppState) -> AppState:
    return _changed(state, scoring=None)


def _answered(state: AppState, found: AnswerTrial | AnswerScore) -> AppState:
    if isinstance(found, AnswerTrial):
        return _changed(state, trial=found)
    return _changed(state, trial=None, answer_score=found)


def _not_answered(state: AppState) -> AppState:
    return _changed(state, trial=None)


AREA = Area(
    wanted=_wanted,
    results={
        "insight": _read,
        "wander": _wandered,
        "levers": _scored,
        "answer-score": _answered,
    },
    failures={"wander": _not_wandered, "levers": _not_scored, "answer-score": _not_answered},
)

"""Why one answer rather than another: what might be said, what makes the difference, the check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from desktop_scope.engine.questions import (
    ExplainAnswer,
    Explanation,
    ListRunners,
    Runners,
    Verification,
    VerifyCauses,
)
from desktop_scope.engine.requests import Request
from desktop_scope.engine.types import FeatureId
from desktop_scope.evidence.requests import NameFeatures
from desktop_scope.evidence.types import Label
from desktop_scope.gui.areas.base import Area
from desktop_scope.gui.state import AppState


def _wanted(state: AppState) -> Iterator[Request]:
    why = state.why
    if state.workspace is None or state.model is None or why.prompt is None:
        return
    yield ListRunners(why.prompt, why.before)
    if why.question is None:
        return
    yield ExplainAnswer(why.question, why.method)
    if not why.is_current:
        return
    if why.doubted:
        yield VerifyCauses(why.question, why.doubted)
    if state.opened is not None:
        features = dict.fromkeys(cause.feature for cause in why.causes)
        yield NameFeatures(tuple(features), state.revision)


def _runners(state: AppState, runners: Runners) -> AppState:
    """What was left open becomes what is likeliest."""
    why, ids = state.why, runners.ids
    answer = why.answer or ids[:1]
    said = runners.texts[ids.index(answer[0])] if answer[0] in ids else None
    other = next((i for i, text in zip(ids, runners.texts, strict=True)
                  if (i,) != answer and text not in (answer, said)), ids[-1])  # fmt: skip
    instead = why.instead or (other,)
    return replace(state, why=replace(why, runners=runners, answer=answer, instead=instead))


def _explained(state: AppState, explanation: Explanation) -> AppState:
    return replace(state, why=replace(state.why, explanation=explanation, verification=None))


def _named(state: AppState, labels: Mapping[FeatureId, Label]) -> AppState:
    return replace(state, why=replace(state.why, labels=labels))


def _verified(state: AppState, verification: Verification) -> AppState:
    return replace(state, why=replace(state.why, verification=verification))


AREA = Area(
    wanted=_wanted,
    results={"runners": _runners, "why": _explained, "names": _named, "verify": _verified},
)

"""Why one answer rather than another: what might be said, what makes the difference, the check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from desktop_scope.engine.questions import (
    ExplainAnswer,
    Explanation,
    FeatureGraph,
    FollowPath,
    ListRunners,
    Runners,
    Verification,
    VerifyCauses,
)
from desktop_scope.engine.requests import Request
from desktop_scope.engine.types import FeatureId
from desktop_scope.evidence.requests import NameFeatures
from desktop_scope.evidence.types import Label, Source
from desktop_scope.experiments.graph_layout import Drawing, DrawPath
from desktop_scope.gui.areas.base import Area
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.why import WhyState


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
    path = why.on_path(frozenset(pin.feature for pin in state.pins))
    if path:
        yield FollowPath(why.question, path, why.method)
    if path and why.graph is not None:
        yield DrawPath(why.graph, _labels(why), tuple(sae.layer for sae in state.saes), why.grouped)


def _labels(why: WhyState) -> tuple[tuple[FeatureId, str], ...]:
    """What the features of the path are called."""
    assert why.graph is not None
    features = dict.fromkeys(cause.feature for cause in why.graph.causes)
    known = ((feature, why.labels.get(feature)) for feature in features)
    return tuple(
        (feature, label.text if label is not None and label.source is not Source.NONE else "")
        for feature, label in known
    )


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
    why = replace(state.why, explanation=explanation, verification=None, graph=None, drawing=None)
    return replace(state, why=why)


def _named(state: AppState, labels: Mapping[FeatureId, Label]) -> AppState:
    return replace(state, why=replace(state.why, labels=labels))


def _verified(state: AppState, verification: Verification) -> AppState:
    return replace(state, why=replace(state.why, verification=verification))


def _followed(state: AppState, graph: FeatureGraph) -> AppState:
    return replace(state, why=replace(state.why, graph=graph))


def _drawn(state: AppState, drawing: Drawing) -> AppState:
    return replace(state, why=replace(state.why, drawing=drawing))


AREA = Area(
    wanted=_wanted,
    results={
        "runners": _runners,
        "why": _explained,
        "names": _named,
        "verify": _verified,
        "path": _followed,
        "drawing": _drawn,
    },
)

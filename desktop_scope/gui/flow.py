"""What is to be computed, and what to make of what comes back. Pure functions, no Qt.

``wanted`` says for a state which requests should have been carried out; when a state replaces
another, those that are new are submitted and those that vanished are cancelled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from desktop_scope.engine.requests import (
    Generate,
    LoadModel,
    MeasureDamage,
    ProbeFeature,
    Request,
    TracePrompt,
)
from desktop_scope.engine.types import Generation, Loaded, Trace
from desktop_scope.engine.worker import Done, Event, Failed, Partial, Progress
from desktop_scope.evidence.requests import (
    FollowFeature,
    OpenCatalogue,
    RankFeatures,
    ReadCard,
    ReadLens,
    Scope,
)
from desktop_scope.evidence.types import Opened, Ranking
from desktop_scope.gui.state import AppState, JobStatus, Message, Selection

_SPARE_CORES = 1  # for the window
_MOST_MESSAGES = 3


@dataclass(frozen=True)
class Plan:
    """What follows from a change of state."""

    submit: tuple[Request, ...] = ()
    cancel: tuple[str, ...] = ()  # kinds


def wanted(state: AppState) -> dict[str, Request]:
    """The requests whose results this state needs, by kind."""
    requests: list[Request] = []
    if state.workspace is not None:
        requests.append(
            LoadModel(state.workspace, state.device, state.dtype, _SPARE_CORES, state.attempt)
        )
    if state.workspace is None or state.model is None:
        return {request.kind: request for request in requests}
    requests.append(OpenCatalogue(state.workspace))
    feature, token, trace = state.selection.feature, state.selection.token, state.trace
    if state.prompt.text.strip():
        requests.append(_trace_request(state))
        if state.asked:
            runs = ((), state.interventions) if state.interventions else ((),)
            requests.append(Generate(state.prompt, runs, state.sampling))
    if state.interventions:
        requests.append(MeasureDamage(state.interventions))
    if trace is not None and token is not None and token < trace.n_tokens:
        requests.append(ReadLens(trace, token))
    if state.opened is not None:
        if feature is not None:
            requests.append(ReadCard(feature))
            if trace is not None:
                requests.append(FollowFeature(trace, feature))
            if state.probe_text.strip():
                requests.append(ProbeFeature(feature, state.probe_text))
        requests.append(_rank_request(state))
    return {request.kind: request for request in requests}


def _trace_request(state: AppState) -> TracePrompt:
    answer = state.shown_answer
    if answer is None or not answer.finished:
        return TracePrompt(state.prompt)
    return TracePrompt(state.prompt, answer.ids, answer.interventions)


def _rank_request(state: AppState) -> RankFeatures:
    filters, trace, token = state.filters, state.trace, state.selection.token
    listed = 0  # the token matters only where one token's features are listed
    if filters.scope is Scope.TOKEN and trace is not None and token is not None:
        listed = min(token, trace.n_tokens - 1)
    return RankFeatures(
        scope=filters.scope,
        trace=trace,
        token=listed,
        by=filters.by,
        layers=filters.layers,
        words=filters.words,
        max_density=filters.max_density,
        n_features=filters.n_features,
    )


def plan(old: AppState, new: AppState) -> Plan:
    """What a change of state asks for."""
    before, after = wanted(old), wanted(new)
    return Plan(
        submit=tuple(r for kind, r in after.items() if r != before.get(kind)),
        cancel=tuple(kind for kind in before if kind not in after),
    )


def started(state: AppState, ticket: int, kind: str) -> AppState:
    """A request was submitted; it takes the place of an older one of its kind."""
    others = tuple(job for job in state.jobs if job.kind != kind)
    return replace(state, jobs=(*others, JobStatus(ticket, kind)))


def apply(state: AppState, event: Event) -> AppState:
    """The state after an event.

    What comes back counts only while the state still wants it: not once a newer request of that
    kind was submitted, nor when it was cancelled but its last events were on their way already.
    """
    job = next((job for job in state.jobs if job.ticket == event.ticket), None)
    if job is None:
        return state
    is_wanted = wanted(state).get(job.kind) == event.request
    if isinstance(event, Progress):
        update = replace(job, text=event.text, done=event.done, total=event.total)
        return replace(state, jobs=tuple(update if j is job else j for j in state.jobs))
    if isinstance(event, Partial):
        return _answers(state, event.payload) if is_wanted else state
    state = replace(state, jobs=tuple(j for j in state.jobs if j is not job))
    if not is_wanted:
        return state
    if isinstance(event, Done):
        return _RESULTS[job.kind](state, event.payload)
    if isinstance(event, Failed):
        message = Message(event.error.message, event.error.hint, event.details)
        return say(state, message)
    return state


def say(state: AppState, message: Message) -> AppState:
    """Add a message; the oldest makes room, one said before is not repeated."""
    others = tuple(m for m in state.messages if m != message)
    return replace(state, messages=(*others, message)[-_MOST_MESSAGES:])


def _loaded(state: AppState, loaded: Loaded) -> AppState:
    return replace(
        state, model=loaded.model, saes=loaded.saes, opened=None, trace=None, ranking=None
    )


def _opened(state: AppState, opened: Opened) -> AppState:
    for note in opened.notes:
        state = say(state, Message(note, is_error=False))
    return replace(state, opened=opened)


def _traced(state: AppState, trace: Trace) -> AppState:
    token, old = state.selection.token, state.trace
    fits = token is not None and token < trace.n_tokens
    # A new prompt starts at its last token; the same prompt with an answer stays where it was.
    if not fits or old is None or old.prompt != trace.prompt:
        own = [i for i in range(trace.n_prompt) if trace.own[i]]
        token = own[-1] if own else trace.n_tokens - 1
    return replace(state, trace=trace, selection=replace(state.selection, token=token))


def _ranked(state: AppState, ranking: Ranking) -> AppState:
    state = replace(state, ranking=ranking)
    if state.selection.feature is None and ranking.rows:
        first = Selection(state.selection.token, ranking.rows[0].feature)
        return replace(state, selection=first)
    return state


def _answers(state: AppState, runs: tuple[Generation, ...]) -> AppState:
    return replace(state, answer=runs[0], steered=runs[1] if len(runs) > 1 else None)


def _result(field: str) -> Callable[[AppState, Any], AppState]:
    return lambda state, payload: replace(state, **{field: payload})


_RESULTS: Mapping[str, Callable[[AppState, Any], AppState]] = {
    "load": _loaded,
    "open": _opened,
    "trace": _traced,
    "rank": _ranked,
    "generate": _answers,
    "card": _result("card"),
    "follow": _result("path"),
    "lens": _result("lens"),
    "probe": _result("probe"),
    "damage": _result("damage"),
}

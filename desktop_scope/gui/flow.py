"""What is to be computed, and what to make of what comes back. Pure functions, no Qt.

``wanted`` says for a state which requests should have been carried out; when a state replaces
another, those that are new are submitted and those that vanished are cancelled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from desktop_scope.engine.requests import (
    CheckSae,
    Generate,
    LoadModel,
    MeasureDamage,
    ProbeFeature,
    Request,
    TracePrompt,
    Workspace,
)
from desktop_scope.engine.types import FeatureId, Generation, Health, Loaded, SaeInfo, Trace
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
from desktop_scope.gui import actions, doctor
from desktop_scope.gui.state import AppState, JobStatus, Message, Selection
from desktop_scope.library.browsing import Browse, KeepShelf, LookAround, ReadMore
from desktop_scope.library.entries import Library
from desktop_scope.library.folders import Recent
from desktop_scope.library.identifying import Identify
from desktop_scope.library.room import MeasureRoom

_SPARE_CORES = 1  # for the window
_MOST_MESSAGES = 3
# What somebody waits for; an SAE is examined only while none of it runs.
_AWAITED = frozenset({"load", "trace", "generate", "probe", "damage"})


@dataclass(frozen=True)
class Plan:
    """What follows from a change of state."""

    submit: tuple[Request, ...] = ()
    cancel: tuple[str, ...] = ()  # kinds


def wanted(state: AppState) -> dict[str, Request]:
    """The requests whose results this state needs, by kind."""
    requests = _library_requests(state)
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
            requests.append(ReadCard(feature, len(state.health)))
            if trace is not None:
                requests.append(FollowFeature(trace, feature, len(state.health)))
            if state.probe_text.strip():
                requests.append(ProbeFeature(feature, state.probe_text))
        requests.append(_rank_request(state))
        if state.unchecked and not state.busy(*_AWAITED):
            requests.append(CheckSae(state.unchecked[0], state.workspace))
    return {request.kind: request for request in requests}


def _library_requests(state: AppState) -> list[Request]:
    workspace, browsing, model = state.workspace, state.browsing, state.model_entry
    opened = None
    if model is not None and workspace is not None and workspace.model is not None:
        opened = Recent(workspace.model, workspace.saes)
    requests: list[Request] = []
    if workspace is not None or state.folders or state.looks:
        requests.append(KeepShelf(state.folders, opened))
    if state.given:
        waits = state.model is None and not state.busy("load")
        requests.append(Identify(state.given, workspace, model, waits, state.gifts))
    if not state.looks:
        return requests
    shown = browsing.model or model
    own = workspace.saes if workspace and model and shown and shown.path == model.path else ()
    version, library = state.library_version, state.library
    requests += [
        LookAround(state.folders, state.looks),
        Browse(version, library, state.shelf, shown, browsing.words, own),
    ]
    if state.listing.unread and not state.busy("scan", "browse"):
        requests.append(ReadMore(version, library, state.listing.unread))
    if browsing.model is not None and _is_measured(browsing.model.path):
        requests.append(MeasureRoom(browsing.model.path, browsing.dtype, browsing.device))
    return requests


def _is_measured(path: Path) -> bool:
    """Of a GGUF file it shows only once it is unpacked."""
    return path.suffix.lower() != ".gguf"


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
        revision=len(state.health),
    )


def plan(old: AppState, new: AppState) -> Plan:
    """What a change of state asks for."""
    before, after = wanted(old), wanted(new)
    if any(kind in _AWAITED and after[kind] != before.get(kind) for kind in after):
        after.pop("check", None)
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
        partly = _PARTLY.get(job.kind)
        return partly(state, event.payload) if is_wanted and partly else state
    state = replace(state, jobs=tuple(j for j in state.jobs if j is not job))
    if not is_wanted:
        return state
    if isinstance(event, Done):
        return _RESULTS[job.kind](state, event.payload)
    if isinstance(event, Failed):
        message = Message(event.error.message, event.error.hint, event.details)
        return say(_FAILURES.get(job.kind, _as_it_is)(state), _with_way_back(state, job, message))
    return state


def say(state: AppState, message: Message) -> AppState:
    """Add a message; the oldest makes room, one said before is not repeated."""
    others = tuple(m for m in state.messages if m != message)
    return replace(state, messages=(*others, message)[-_MOST_MESSAGES:])


def _as_it_is(state: AppState) -> AppState:
    return state


def _with_way_back(state: AppState, job: JobStatus, message: Message) -> Message:
    """After a model or SAEs that could not be opened: what was open before, at one click."""
    if job.kind != "load" or state.last is None or state.last == state.workspace:
        return message
    return replace(message, action="Open again what was open before", workspace=state.last)


def _still_there(state: AppState, saes: tuple[SaeInfo, ...]) -> AppState:
    """The state without features that none of these SAEs has."""

    def there(feature: FeatureId | None) -> bool:
        return feature is not None and (
            feature.sae < len(saes) and feature.index < saes[feature.sae].d_sae
        )

    selection = state.selection
    if not there(selection.feature):
        selection = replace(selection, feature=None)
    return replace(
        state,
        selection=selection,
        pins=tuple(pin for pin in state.pins if there(pin.feature)),
        rack=tuple(dial for dial in state.rack if there(dial.feature)),
        back=tuple(s for s in state.back if s.feature is None or there(s.feature)),
        forward=tuple(s for s in state.forward if s.feature is None or there(s.feature)),
        card=state.card if state.card and there(state.card.feature) else None,
        path=None,
    )


def _loaded(state: AppState, loaded: Loaded) -> AppState:
    return replace(
        _still_there(state, loaded.saes),
        model=loaded.model,
        saes=loaded.saes,
        last=state.workspace,
        opened=None,
        health=(),
        unchecked=(),
        trace=None,
        ranking=None,
    )


def _opened(state: AppState, opened: Opened) -> AppState:
    for note in opened.notes:
        state = say(state, Message(note, is_error=False))
    unknown = tuple(slot for slot, maxima in enumerate(opened.max_active) if np.isnan(maxima).all())
    return replace(state, opened=opened, unchecked=unknown)


def _checked(state: AppState, health: Health) -> AppState:
    others = tuple(one for one in state.health if one.slot != health.slot)
    left = tuple(slot for slot in state.unchecked if slot != health.slot)
    state = replace(state, health=(*others, health), unchecked=left)
    return doctor.report(state)


def _not_checked(state: AppState) -> AppState:
    return replace(state, unchecked=state.unchecked[1:])


def _scanned(state: AppState, library: Library) -> AppState:
    return replace(state, library=library, library_version=state.library_version + 1)


def _scanned_partly(state: AppState, library: Library) -> AppState:
    # Listing takes longer than finding: without patience nothing would ever be listed.
    return state if state.busy("browse") else _scanned(state, library)


def _identified(state: AppState, workspace: Workspace) -> AppState:
    state = replace(state, given=())
    return state if workspace == state.workspace else actions.open_workspace(state, workspace)


def _not_identified(state: AppState) -> AppState:
    return replace(state, given=())


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
    "check": _checked,
    "shelf": _result("shelf"),
    "scan": _scanned,
    "details": _scanned,
    "browse": _result("listing"),
    "room": _result("room"),
    "identify": _identified,
}
_PARTLY: Mapping[str, Callable[[AppState, Any], AppState]] = {
    "generate": _answers,
    "scan": _scanned_partly,
}
_FAILURES: Mapping[str, Callable[[AppState], AppState]] = {
    "check": _not_checked,
    "identify": _not_identified,
}

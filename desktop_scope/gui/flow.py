"""What is to be computed, and what to make of what comes back. Pure functions, no Qt.

``wanted`` says for a state which requests should have been carried out; when a state replaces
another, those that are new are submitted and those that vanished are cancelled. What each kind of
request is about is said in ``areas``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from desktop_scope.engine.requests import Request
from desktop_scope.engine.worker import Done, Event, Failed, Partial, Progress
from desktop_scope.gui.actions import say
from desktop_scope.gui.areas import AREAS
from desktop_scope.gui.state import AppState, JobStatus, Message

_RESULTS = {kind: take for area in AREAS for kind, take in area.results.items()}
_PARTLY = {kind: take for area in AREAS for kind, take in area.partly.items()}
_FAILURES = {kind: take for area in AREAS for kind, take in area.failures.items()}


@dataclass(frozen=True)
class Plan:
    """What follows from a change of state."""

    submit: tuple[Request, ...] = ()
    cancel: tuple[str, ...] = ()  # kinds


def wanted(state: AppState) -> dict[str, Request]:
    """The requests whose results this state needs, by kind."""
    requests = [request for area in AREAS for request in area.wanted(state)]
    if any(job.awaited for job in state.jobs):
        requests = [request for request in requests if not request.patient]
    return {request.kind: request for request in requests}


def plan(old: AppState, new: AppState) -> Plan:
    """What a change of state asks for."""
    before, after = wanted(old), wanted(new)
    fresh = [request for kind, request in after.items() if request != before.get(kind)]
    if any(request.awaited for request in fresh):
        fresh = [request for request in fresh if not request.patient]
        after = {kind: request for kind, request in after.items() if not request.patient}
    return Plan(tuple(fresh), tuple(kind for kind in before if kind not in after))


def started(state: AppState, ticket: int, request: Request) -> AppState:
    """A request was submitted; it takes the place of an older one of its kind."""
    others = tuple(job for job in state.jobs if job.kind != request.kind)
    return replace(state, jobs=(*others, JobStatus(ticket, request.kind, request.awaited)))


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
        failed = _FAILURES.get(job.kind)
        return say(failed(state) if failed else state, _with_way_back(state, job, message))
    return state


def _with_way_back(state: AppState, job: JobStatus, message: Message) -> Message:
    """After a model or SAEs that could not be opened: what was open before, at one click."""
    if job.kind != "load" or state.last is None or state.last == state.workspace:
        return message
    return replace(message, action="Open again what was open before", workspace=state.last)

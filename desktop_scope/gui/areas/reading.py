"""Reading a prompt: its trace, the features that it lights up, and what is known of one of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from desktop_scope.engine.lenses import LensKind
from desktop_scope.engine.requests import (
    ProbeFeature,
    RecordTrace,
    Request,
    TracePrompt,
    recorded_length,
)
from desktop_scope.engine.types import Trace
from desktop_scope.evidence.requests import FollowFeature, ReadCard, ReadLens
from desktop_scope.gui.actions import say
from desktop_scope.gui.areas.base import Area, result
from desktop_scope.gui.grid_actions import followed
from desktop_scope.gui.state import AppState, Message


def _wanted(state: AppState) -> Iterator[Request]:
    if state.workspace is None or state.model is None:
        return
    feature, token, trace = state.selection.feature, state.selection.token, state.trace
    if state.prompt.text.strip():
        yield _trace_request(state)
    if trace is not None and token is not None and token < trace.n_tokens:
        lens = state.grid.lens if state.grid.lens_ready else LensKind.LOGIT
        yield ReadLens(trace, token, lens)
    if trace is not None and state.model.device == "cuda":
        length = recorded_length(trace.n_tokens)
        if length is not None:
            yield RecordTrace(length, state.workspace, state.attempt)
    if state.opened is None:
        return
    if feature is not None:
        yield ReadCard(feature, state.revision)
        if trace is not None:
            shown = followed(state) or feature
            yield FollowFeature(trace, shown, state.revision, state.shown)
        if state.probe_text.strip():
            yield ProbeFeature(feature, state.probe_text)


def _trace_request(state: AppState) -> TracePrompt:
    answer = state.shown_answer
    if answer is None or not answer.finished:
        return TracePrompt(state.shown_prompt)
    return TracePrompt(state.shown_prompt, answer.ids, answer.interventions)


def _traced(state: AppState, trace: Trace) -> AppState:
    token, old = state.selection.token, state.trace
    fits = token is not None and token < trace.n_tokens
    # A new prompt starts at its last token; the same prompt with an answer stays where it was.
    if not fits or old is None or old.prompt != trace.prompt:
        own = [i for i in range(trace.n_prompt) if trace.own[i]]
        token = own[-1] if own else trace.n_tokens - 1
    return replace(state, trace=trace, selection=replace(state.selection, token=token))


def _recorded(state: AppState, trouble: str) -> AppState:
    return say(state, Message(trouble, is_error=False)) if trouble else state


AREA = Area(
    wanted=_wanted,
    results={
        "trace": _traced,
        "record": _recorded,
        "card": result("card"),
        "follow": result("path"),
        "lens": result("lens"),
        "probe": result("probe"),
    },
)

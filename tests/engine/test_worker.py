"""The worker: one after another, the newest request wins, every outcome is an event."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from queue import Queue

import pytest

from desktop_scope.engine.requests import Request
from desktop_scope.engine.worker import (
    Done,
    Event,
    Failed,
    Job,
    Partial,
    Progress,
    Stopped,
    Worker,
    silent_job,
)
from desktop_scope.errors import Cancelled, ScopeError


@dataclass(frozen=True)
class Small(Request):
    kind = "small"
    replaces = frozenset({"small"})
    name: str = ""


@dataclass(frozen=True)
class Other(Request):
    kind = "other"
    replaces = frozenset({"other"})


@dataclass(frozen=True)
class Everything(Request):
    kind = "everything"
    replaces = frozenset({"everything", "small", "other"})


class Bench:
    """A worker whose requests wait until the test lets them go on."""

    def __init__(self) -> None:
        self.events: Queue[Event] = Queue()
        self.begun: Queue[Request] = Queue()
        self.go = threading.Semaphore(0)
        self.outcome: Exception | None = None
        self.worker = Worker("test worker", self._handle, self.events.put)

    def _handle(self, request: Request, job: Job) -> str:
        self.begun.put(request)
        assert self.go.acquire(timeout=10)
        job.check()
        if self.outcome:
            raise self.outcome
        return f"result of {request.kind}"

    def next_event(self) -> Event:
        return self.events.get(timeout=10)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    for _ in range(10):
        bench.go.release()
    assert bench.worker.stop(timeout=10)


def test_a_request_is_carried_out_and_its_result_comes_back(bench):
    ticket = bench.worker.submit(Small())
    bench.go.release()
    event = bench.next_event()
    assert isinstance(event, Done)
    assert (event.ticket, event.request, event.payload) == (ticket, Small(), "result of small")


def test_requests_run_in_the_order_in_which_they_came(bench):
    requests = (Everything(), Small(), Other())  # none of them replaces one before
    tickets = [bench.worker.submit(request) for request in requests]
    for _ in requests:
        bench.go.release()
    events = [bench.next_event() for _ in requests]
    assert [event.ticket for event in events] == tickets
    assert [event.payload for event in events] == [f"result of {r.kind}" for r in requests]


def test_tickets_are_unique_also_among_several_workers(bench):
    other = Bench()
    tickets = [b.worker.submit(Small()) for b in (bench, other, bench, other)]
    assert len(set(tickets)) == 4
    for _ in range(2):
        other.go.release()
    assert other.worker.stop(timeout=10)


def test_a_newer_request_of_the_same_kind_stops_the_running_one(bench):
    old = bench.worker.submit(Small("old"))
    assert bench.begun.get(timeout=10) == Small("old")
    new = bench.worker.submit(Small("new"))
    bench.go.release()
    bench.go.release()
    first, second = bench.next_event(), bench.next_event()
    assert (type(first), first.ticket) == (Stopped, old)
    assert (type(second), second.ticket) == (Done, new)


def test_of_many_waiting_requests_of_a_kind_only_the_newest_is_begun(bench):
    bench.worker.submit(Other())
    bench.begun.get(timeout=10)  # keeps the worker busy
    tickets = [bench.worker.submit(Small(str(n))) for n in range(5)]
    bench.go.release()
    bench.go.release()
    events = [bench.next_event() for _ in range(6)]
    assert [type(e) for e in events] == [Done, Stopped, Stopped, Stopped, Stopped, Done]
    assert events[-1].ticket == tickets[-1]
    assert bench.begun.get(timeout=10) == Small("4")


def test_kinds_do_not_disturb_each_other(bench):
    first = bench.worker.submit(Small())
    bench.begun.get(timeout=10)
    second = bench.worker.submit(Other())
    bench.go.release()
    bench.go.release()
    events = [bench.next_event(), bench.next_event()]
    assert [(type(e), e.ticket) for e in events] == [(Done, first), (Done, second)]


def test_a_request_may_replace_other_kinds(bench):
    bench.worker.submit(Small())
    bench.begun.get(timeout=10)
    bench.worker.submit(Other())
    bench.worker.submit(Everything())
    bench.go.release()
    bench.go.release()
    assert [type(bench.next_event()) for _ in range(3)] == [Stopped, Stopped, Done]


def test_cancelling_a_kind_leaves_the_others(bench):
    bench.worker.submit(Small())
    bench.begun.get(timeout=10)
    other = bench.worker.submit(Other())
    bench.worker.cancel("small")
    bench.go.release()
    bench.go.release()
    assert isinstance(bench.next_event(), Stopped)
    assert bench.next_event().ticket == other


def test_cancelling_without_a_kind_cancels_everything(bench):
    bench.worker.submit(Small())
    bench.begun.get(timeout=10)
    bench.worker.submit(Other())
    bench.worker.cancel()
    bench.go.release()
    assert [type(bench.next_event()) for _ in range(2)] == [Stopped, Stopped]


def test_an_error_for_people_comes_back_with_its_hint_and_no_details(bench):
    bench.outcome = ScopeError("The prompt is empty.", "Type something.")
    bench.worker.submit(Small())
    bench.go.release()
    event = bench.next_event()
    assert isinstance(event, Failed)
    assert (event.error.message, event.error.hint) == ("The prompt is empty.", "Type something.")
    assert event.details == ""


def test_a_bug_comes_back_with_its_traceback_and_the_worker_lives_on(bench):
    bench.outcome = ZeroDivisionError("oops")
    bench.worker.submit(Small())
    bench.go.release()
    event = bench.next_event()
    assert isinstance(event, Failed)
    assert "oops" in event.error.message
    assert "Traceback" in event.details
    assert "_handle" in event.details
    bench.outcome = None
    bench.worker.submit(Small())
    bench.go.release()
    assert isinstance(bench.next_event(), Done)


def test_what_raises_cancelled_by_itself_is_silent(bench):
    bench.outcome = Cancelled()
    bench.worker.submit(Small())
    bench.go.release()
    assert isinstance(bench.next_event(), Stopped)


def test_stopping_ends_the_running_request_and_begins_no_other(bench):
    bench.worker.submit(Small())
    bench.begun.get(timeout=10)
    bench.worker.submit(Other())
    assert not bench.worker.stop(timeout=0)  # still in the middle of it
    bench.go.release()
    assert bench.worker.stop(timeout=10)
    assert isinstance(bench.next_event(), Stopped)
    assert bench.begun.empty()


def test_an_idle_worker_stops_at_once(bench):
    assert bench.worker.stop(timeout=10)
    assert bench.events.empty()


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves on."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_progress_is_reported_at_most_30_times_a_second_and_at_the_end(clock):
    events: list[Event] = []
    job = Job(7, Small(), events.append)
    for step in range(1000):  # within one second
        job.progress(step, 999, "Working")
        clock[0] += 0.001
    assert all(isinstance(event, Progress) and event.ticket == 7 for event in events)
    assert 25 <= len(events) <= 32
    assert (events[0].done, events[-1].done, events[-1].total) == (0, 999, 999)


def test_partial_results_are_sent_beside_progress_and_made_only_when_due(clock):
    events: list[Event] = []
    made: list[int] = []
    job = Job(7, Small(), events.append)
    for step in range(200):
        job.progress(step, 1000, "Answering")
        job.partial(lambda step=step: made.append(step))
        clock[0] += 0.010
    partials = [event for event in events if isinstance(event, Partial)]
    assert len(partials) == len(made)
    assert 45 <= len(partials) <= 62  # in two seconds
    assert len(events) > 1.5 * len(partials)


def test_reporting_progress_also_checks_for_cancel():
    job = silent_job()
    job.progress(1, 2, "Working")
    job.cancel()
    with pytest.raises(Cancelled):
        job.progress(2, 2, "Working")
    with pytest.raises(Cancelled):
        job.check()

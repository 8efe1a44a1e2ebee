"""One thread, one queue: requests go in, events come out.

The life of a request: ``submit`` gives it a ticket and cancels what it replaces; the thread
runs ``handle(request, job)``; the job's ``check`` raises Cancelled as soon as it was cancelled;
every outcome is an event. Nothing here knows of torch or Qt.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from desktop_scope.engine.requests import Request
from desktop_scope.errors import Cancelled, ScopeError

_REPORTS_PER_SECOND = 30
_tickets = itertools.count(1)


@dataclass(frozen=True)
class Event:
    """Something that happened to a request."""

    ticket: int
    request: Request


@dataclass(frozen=True)
class Progress(Event):
    """``done`` of ``total`` steps; total 0 means unknown."""

    done: int
    total: int
    text: str


@dataclass(frozen=True, eq=False)
class Partial(Event):
    """A result under way."""

    payload: Any


@dataclass(frozen=True, eq=False)
class Done(Event):
    """The result."""

    payload: Any


@dataclass(frozen=True)
class Failed(Event):
    """It did not work; ``details`` is a traceback when it was not the user's to mend."""

    error: ScopeError
    details: str = ""


@dataclass(frozen=True)
class Stopped(Event):
    """It was cancelled; nobody needs to be told."""


class _Clock:
    """Says when the next report of one sort may be sent."""

    def __init__(self) -> None:
        self._last = -math.inf

    def due(self) -> bool:
        now = time.monotonic()
        if now - self._last < 1 / _REPORTS_PER_SECOND:
            return False
        self._last = now
        return True


class Job:
    """What a running request may say, and how it learns that it is to stop."""

    def __init__(self, ticket: int, request: Request, emit: Callable[[Event], None]) -> None:
        self.ticket = ticket
        self.request = request
        self._emit = emit
        self._cancelled = threading.Event()
        self._next_progress = _Clock()
        self._next_partial = _Clock()

    def cancel(self) -> None:
        """Ask it to stop; takes effect at its next check."""
        self._cancelled.set()

    def check(self) -> None:
        """Raise Cancelled when it was asked to stop."""
        if self._cancelled.is_set():
            raise Cancelled

    def progress(self, done: int, total: int, text: str) -> None:
        """Report a step, and check; at most 30 reports a second are sent, the last one always."""
        self.check()
        if self._next_progress.due() or done == total:
            self._emit(Progress(self.ticket, self.request, done, total, text))

    def partial(self, payload: Callable[[], Any]) -> None:
        """Send a result under way, made only when one is due (30 a second)."""
        if self._next_partial.due():
            self._emit(Partial(self.ticket, self.request, payload()))


def silent_job(request: Request | None = None) -> Job:
    """A job for callers without a worker: it cannot be cancelled and reports to nobody."""
    return Job(0, request or Request(), lambda event: None)


class Worker:
    """Runs requests one after another on a thread of its own.

    Args:
        name: The thread's name.
        handle: Does the work; called on the thread.
        emit: Receives every event; called on the thread.
    """

    def __init__(
        self,
        name: str,
        handle: Callable[[Request, Job], Any],
        emit: Callable[[Event], None],
    ) -> None:
        self._handle = handle
        self._emit = emit
        self._queue: deque[Job] = deque()
        self._running: Job | None = None
        self._stopping = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)
        self._thread.start()

    def submit(self, request: Request) -> int:
        """Queue a request, cancel what it replaces, and return its ticket."""
        job = Job(next(_tickets), request, self._emit)
        with self._wake:
            self._cancel(request.replaces)
            self._queue.append(job)
            self._wake.notify()
        return job.ticket

    def cancel(self, *kinds: str) -> None:
        """Cancel unfinished requests of these kinds; of every kind when none is named."""
        with self._wake:
            self._cancel(frozenset(kinds) or None)

    def _cancel(self, kinds: frozenset[str] | None) -> None:
        for job in (*self._queue, *filter(None, [self._running])):
            if kinds is None or job.request.kind in kinds:
                job.cancel()

    def stop(self, timeout: float | None = None) -> bool:
        """Cancel everything and end the thread; True when it ended in time."""
        with self._wake:
            self._stopping = True
            self._cancel(None)
            self._wake.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _loop(self) -> None:
        while True:
            with self._wake:
                self._running = None
                while not self._queue and not self._stopping:
                    self._wake.wait()
                if self._stopping:
                    return
                job = self._running = self._queue.popleft()
            self._emit(self._run(job))

    def _run(self, job: Job) -> Event:
        try:
            job.check()
            return Done(job.ticket, job.request, self._handle(job.request, job))
        except Cancelled:
            return Stopped(job.ticket, job.request)
        except ScopeError as error:
            return Failed(job.ticket, job.request, error)
        except Exception as error:  # a bug: reported with its traceback, the window lives on
            message = f"Something unexpected went wrong: {error or type(error).__name__}."
            hint = "Please report it with the details; you can go on working."
            return Failed(
                job.ticket, job.request, ScopeError(message, hint), traceback.format_exc()
            )

"""Holds the state, and joins it with the workers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal, Slot

from desktop_scope.engine.requests import Request
from desktop_scope.engine.worker import Event, Job, Worker
from desktop_scope.gui import actions, flow
from desktop_scope.gui.state import AppState

_FIELDS = tuple(field.name for field in fields(AppState))
_WORKERS = ("engine", "lookup", "search")


class Store(QObject):
    """The one place where the state changes.

    Requests that run the model go to one worker, those that only look things up to another, so
    that a card opens while an answer is being generated; a third goes through this machine's
    folders, which may take minutes.

    Args:
        state: To begin with; nothing is submitted for it until ``start``.
        handle: Carries out requests, on the workers' threads.

    Signals:
        changed: (state, names of the fields that changed).
    """

    changed = Signal(object, object)
    _arrived = Signal(object)

    def __init__(self, state: AppState, handle: Callable[[Request, Job], Any]) -> None:
        super().__init__()
        self.state = state
        self._arrived.connect(self._receive, Qt.ConnectionType.QueuedConnection)
        self._workers = {name: Worker(name, handle, self._arrived.emit) for name in _WORKERS}

    def start(self, **changes: Any) -> None:
        """Begin: submit what the first state needs, with these fields set."""
        self.replace(replace(self.state, **changes))

    def act(self, action: Callable[..., AppState], *args: Any, **more: Any) -> None:
        """Do what a person did: ``action(state, …)`` gives the next state."""
        self.replace(action(self.state, *args, **more))

    def replace(self, state: AppState) -> None:
        """Take a new state, ask for what it needs, and tell the panels."""
        old = self.state
        todo = flow.plan(old, state)
        for kind in todo.cancel:
            for worker in self._workers.values():
                worker.cancel(kind)
        for request in todo.submit:
            state = flow.started(state, self._workers[request.worker].submit(request), request)
        self.state = state
        names = frozenset(n for n in _FIELDS if getattr(old, n) is not getattr(state, n))
        if names:
            self.changed.emit(state, names)

    def cancel(self) -> None:
        """Stop what is running; an answer keeps what was said so far."""
        self.act(actions.stop)
        for worker in self._workers.values():
            worker.cancel()

    def stop_soon(self) -> None:
        """Cancel everything, without waiting."""
        for worker in self._workers.values():
            worker.stop(0)

    def close(self, timeout: float = 10.0) -> bool:
        """Cancel everything and end the workers; True when they ended in time."""
        ended = [worker.stop(timeout) for worker in self._workers.values()]
        return all(ended)

    @Slot(object)
    def _receive(self, event: Event) -> None:
        self.replace(flow.apply(self.state, event))

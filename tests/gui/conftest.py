"""A real window on the real model, which is loaded only once for all tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from desktop_scope.engine.requests import LoadModel, MeasureDamage, Request
from desktop_scope.engine.worker import Job
from desktop_scope.evidence.requests import OpenCatalogue
from desktop_scope.experiments.requests import ReadTopics
from desktop_scope.experiments.types import TopicsRead
from desktop_scope.gui.app import begin, first_state
from desktop_scope.gui.settings import Settings
from desktop_scope.gui.state import AppState
from desktop_scope.gui.store import Store
from desktop_scope.gui.window import Window
from desktop_scope.workbench import Workbench

Handle = Callable[[Request, Job], Any]


def already_loaded(workbench: Workbench) -> Handle:
    """What the window's workers do: everything for real, but for loading it all again.

    And but for what takes long of the cost of a rack, which other tests measure: the quiz, and
    reading what is near.
    """

    def handle(request: Request, job: Job) -> Any:
        if isinstance(request, LoadModel):
            return workbench.engine.loaded
        if isinstance(request, OpenCatalogue):
            return workbench.catalogue.opened()
        if isinstance(request, ReadTopics):
            return TopicsRead(0, 0)
        if isinstance(request, MeasureDamage):
            request = replace(request, near=False, quiz=False)
        return workbench.handle(request, job)

    return handle


def idle(state: AppState) -> bool:
    """Everything asked for has come back."""
    card = state.card
    return card is not None and card.feature == state.selection.feature and state.settled


class User:
    """What tests do with a window."""

    def __init__(self, window: Window, qtbot: QtBot) -> None:
        self.window = window
        self.store = window.store
        self._qtbot = qtbot

    @property
    def state(self) -> AppState:
        return self.store.state

    def leave(self) -> None:
        """Close the window for good: closures hold it, and it would be dressed with later ones."""
        self.window.close()
        assert self.store.close()
        self.window.deleteLater()

    def until(self, ready: Callable[[AppState], bool], timeout: int = 60_000) -> AppState:
        """Wait until the state is as wished."""
        self._qtbot.waitUntil(lambda: ready(self.state), timeout=timeout)
        return self.state

    def settled(self) -> AppState:
        """Wait until nothing is under way."""
        return self.until(idle)

    def panel(self, name: str) -> Any:
        """A panel by its id."""
        return next(p for p in self.window.findChildren(object) if getattr(p, "id", "") == name)


@pytest.fixture
def open_window(qtbot: QtBot) -> Iterator[Callable[[Handle], User]]:
    """Opens windows on the demo pack, and closes them afterwards."""
    users: list[User] = []

    def open_one(handle: Handle) -> User:
        settings = Settings()
        settings.dress()
        window = Window(Store(first_state(), handle), settings)
        if settings.places is None:
            window.resize(1440, 900)  # whatever the test platform’s screen
        with qtbot.waitExposed(window):
            window.show()
        users.append(User(window, qtbot))
        begin(window)
        return users[-1]

    yield open_one
    for user in users:
        user.leave()


@pytest.fixture
def user(open_window: Callable[[Handle], User], workbench: Workbench) -> User:
    """Someone before the window, which has done its first work."""
    user = open_window(already_loaded(workbench))
    user.settled()
    return user

"""Taking steering along, from the menu to the message."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from desk import Desk

from desktop_scope.engine.requests import Workspace
from desktop_scope.engine.types import FeatureId, Prompt
from desktop_scope.engine.worker import Failed
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.types import Label, Source
from desktop_scope.exports.types import ExportModel, ExportVector
from desktop_scope.gui import actions, export_actions
from desktop_scope.gui.commands import COMMANDS
from desktop_scope.gui.state import AppState

TAKE = [command for command in COMMANDS if command.id in ("file.vector", "file.model")]


@pytest.fixture
def desk() -> Desk:
    desk = Desk(AppState(prompt=Prompt("one two", chat=False)))
    desk.replace(replace(desk.state, workspace=Workspace((Path("pack"),))))
    desk.settle()
    desk.act(actions.add_dial, FeatureId(0, 3), Label("dogs", Source.CURATED, "high"), 20.0)
    desk.settle()
    return desk


def test_what_the_dials_do_is_written_once_and_told(desk):
    desk.act(export_actions.export_vector, Path("dogs.gguf"))
    (request,) = [r for r in desk.requests.values() if isinstance(r, ExportVector)]
    assert request.interventions == desk.state.interventions
    assert request.texts == ("one two",)
    desk.settle()
    message = desk.state.messages[-1]
    assert (message.text, message.is_error) == ("Wrote dogs.gguf.", False)
    assert "1.0e-06 nats" in message.hint
    assert desk.state.export.request is None
    desk.act(export_actions.export_model, Path("dogs"))
    desk.settle()
    message = desk.state.messages[-1]
    assert message.text == "Wrote dogs."
    assert "More. That changes" in message.hint


def test_what_cannot_be_written_is_told_and_not_tried_again(desk):
    desk.act(export_actions.export_model, Path("there"))
    (ticket,) = [t for t, r in desk.requests.items() if isinstance(r, ExportModel)]
    desk.deliver(Failed(ticket, desk.requests[ticket], ScopeError("there exists already.")))
    assert desk.state.messages[-1].text == "there exists already."
    desk.settle()
    assert len([r for r in desk.requests.values() if isinstance(r, ExportModel)]) == 1


def test_without_a_dial_there_is_nothing_to_take_along(desk):
    assert len(TAKE) == 2
    assert all(command.enabled(desk.state) for command in TAKE)
    desk.replace(replace(desk.state, rack=()))
    assert not any(command.enabled(desk.state) for command in TAKE)

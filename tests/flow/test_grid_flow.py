"""The grid of layers and tokens: what it asks for, and what of the answers counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from desk import Desk

from desktop_scope.engine.lenses import LensKind, ReadLensGrid
from desktop_scope.engine.requests import Workspace
from desktop_scope.engine.types import FeatureId, Prompt
from desktop_scope.engine.worker import Failed
from desktop_scope.errors import ScopeError
from desktop_scope.gui import actions, flow, grid_actions
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.grid import Quantity


@pytest.fixture
def desk() -> Desk:
    desk = Desk(AppState(prompt=Prompt("one two three four", chat=False)))
    desk.replace(replace(desk.state, workspace=Workspace((Path("pack"),))))
    desk.settle()
    return desk


def asked(desk) -> set[str]:
    return {request.kind for request in desk.last_plan.submit}


@pytest.mark.parametrize("quantity", [Quantity.STRENGTH, Quantity.ACTIVE, Quantity.LENGTH])
def test_what_is_known_already_is_not_asked_for(desk, quantity):
    desk.act(grid_actions.show, quantity)
    assert asked(desk) == set()


def test_no_quantity_needs_the_prompt_to_be_run_again(desk):
    trace = desk.state.trace
    for quantity in Quantity:
        desk.act(grid_actions.show, quantity)
        assert "trace" not in asked(desk)
        desk.settle()
    assert desk.state.trace is trace
    assert desk.state.grid.errors.trace is trace


def test_the_lens_is_asked_again_until_all_layers_are_read(desk):
    desk.act(grid_actions.show, Quantity.SURE)
    firsts = []
    while desk.state.jobs:
        desk.finish(desk.state.jobs[0].ticket)
        firsts.append(desk.state.grid.read.first)
    assert firsts == [2, 1, 0]
    read = desk.state.grid.read_of(desk.state.trace)
    assert read.entropy[:, 0].tolist() == [0, 1, 2]
    desk.act(grid_actions.show, Quantity.OPEN)  # the same reading shows it
    assert asked(desk) == set()
    desk.act(grid_actions.show, Quantity.STRENGTH)
    desk.act(grid_actions.show, Quantity.SURE)
    assert asked(desk) == set()


def test_another_text_is_read_anew(desk):
    desk.act(grid_actions.show, Quantity.SURE)
    desk.settle()
    old = desk.state.trace
    desk.act(actions.set_prompt, Prompt("another text", chat=False))
    desk.settle()
    assert desk.state.grid.read.trace is desk.state.trace is not old
    assert desk.state.grid.read_of(old) is None


def test_a_word_is_looked_for_once_there_is_one(desk):
    desk.act(grid_actions.show, Quantity.WORD)
    assert asked(desk) == set()
    desk.act(grid_actions.look_for, " dog ")
    (request,) = desk.last_plan.submit
    assert request == ReadLensGrid(desk.state.trace, LensKind.LOGIT, "dog")
    desk.settle()
    assert desk.state.grid.read.word == "dog"
    desk.act(grid_actions.look_for, "cat")
    (job,) = desk.state.jobs
    trouble = ScopeError("“cat” is more than one token.", "Try another.")
    desk.deliver(Failed(job.ticket, desk.requests[job.ticket], trouble, ""))
    assert desk.state.grid.word == ""
    assert desk.state.messages[-1].text == trouble.message
    assert desk.state.jobs == ()


def test_a_tuned_lens_is_fitted_first_and_then_used(desk):
    desk.act(grid_actions.show, Quantity.SURE)
    desk.settle()
    desk.act(grid_actions.read_with, LensKind.TUNED)
    assert asked(desk) == {"fit lens"}
    desk.finish(desk.state.jobs[0].ticket)
    assert desk.state.grid.fit.done == 1
    assert flow.wanted(desk.state)["lens"].lens is LensKind.LOGIT  # meanwhile
    desk.settle()
    assert desk.state.grid.fit.ready
    assert desk.state.grid.read.kind is LensKind.TUNED
    assert flow.wanted(desk.state)["lens"].lens is LensKind.TUNED


def test_fitting_can_be_stopped(desk):
    desk.act(grid_actions.read_with, LensKind.TUNED)
    desk.act(actions.stop)
    assert desk.state.grid.lens is LensKind.LOGIT
    assert "fit lens" in desk.last_plan.cancel


def test_another_prompt_is_read_and_followed_beside_this_one(desk):
    trace = desk.state.trace
    desk.act(grid_actions.show, Quantity.CHANGE)
    assert asked(desk) == set()
    desk.act(grid_actions.compare_with, "one two five four")
    assert asked(desk) == {"other"}
    desk.settle()
    grid = desk.state.grid
    assert grid.other.prompt == Prompt("one two five four", chat=False)
    assert grid.other_path.trace is grid.other
    assert desk.state.trace is trace


def test_choosing_a_member_keeps_the_family_that_is_shown(desk):
    first, other = FeatureId(1, 2), FeatureId(0, 1)
    family = (SimpleNamespace(feature=first), SimpleNamespace(feature=other))
    path = SimpleNamespace(feature=first, family=family)
    desk.act(lambda state: replace(state, path=path))
    desk.act(grid_actions.choose, 1, 4, other, stay=True)
    assert desk.state.selection.feature == other
    assert desk.state.selection.token == 1
    assert desk.state.grid.layer == 4
    assert flow.wanted(desk.state)["follow"].feature == first
    assert flow.wanted(desk.state)["card"].feature == other
    assert "follow" not in asked(desk)
    desk.act(grid_actions.choose, 1, 4, other, stay=False)
    assert flow.wanted(desk.state)["follow"].feature == other
    desk.act(lambda state: replace(state, path=path))
    desk.act(grid_actions.choose, 2, 4, other, stay=True)
    desk.act(actions.select, token=3)  # elsewhere: the grid lets go
    assert flow.wanted(desk.state)["follow"].feature == other
    assert desk.state.grid.layer is None

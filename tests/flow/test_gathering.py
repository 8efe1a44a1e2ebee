"""Evidence is gathered while nobody waits, slice by slice, and shown as soon as it is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from desk import Desk

from desktop_scope.engine.requests import Workspace
from desktop_scope.engine.types import Prompt
from desktop_scope.engine.worker import Done, Failed
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.gathering import (
    SAMPLE,
    Gather,
    GatherPlan,
    LeaveGathering,
    Standing,
    WeighText,
)
from desktop_scope.evidence.requests import OpenCatalogue
from desktop_scope.gui import actions
from desktop_scope.gui.areas import gathering
from desktop_scope.gui.state import AppState

OPEN = Workspace((Path("pack"),))


@pytest.fixture
def desk() -> Desk:
    desk = Desk(AppState())
    desk.replace(replace(desk.state, workspace=OPEN))
    desk.settle()
    return desk


def ticket_of(desk: Desk, kind: type) -> int:
    return max(t for t, request in desk.requests.items() if isinstance(request, kind))


def asked(desk: Desk, kind: type) -> list:
    return [request for request in desk.requests.values() if isinstance(request, kind)]


def slice_done(desk: Desk, **standing: object) -> None:
    ticket = ticket_of(desk, Gather)
    desk.deliver(Done(ticket, desk.requests[ticket], Standing(**standing)))


def test_slice_follows_slice_until_it_is_done_and_the_evidence_is_opened_anew(desk):
    desk.act(gathering.choose_texts, (Path("a.txt"),))
    desk.act(gathering.start)
    plan = GatherPlan((Path("a.txt"),))
    assert asked(desk, Gather) == [Gather(OPEN, plan, 0)]
    slice_done(desk, tokens=5, share=0.5)
    assert asked(desk, Gather)[-1] == Gather(OPEN, plan, 1)
    assert desk.state.gathering.standing.tokens == 5
    opened, revision = len(asked(desk, OpenCatalogue)), desk.state.revision
    slice_done(desk, tokens=9, share=1.0, done=True)
    assert len(asked(desk, Gather)) == 2
    assert asked(desk, OpenCatalogue)[opened:] == [OpenCatalogue(OPEN, 1)]
    ticket = ticket_of(desk, OpenCatalogue)
    again = replace(desk.state.opened, revision=1)
    desk.deliver(Done(ticket, desk.requests[ticket], again))
    assert desk.state.revision == revision + 1  # cards are read again


def test_what_a_person_does_goes_first_and_gathering_goes_on_afterwards(desk):
    desk.act(gathering.start)
    slice_done(desk, tokens=5)
    desk.act(actions.set_prompt, Prompt("two words", chat=False))
    assert desk.last_plan.cancel == ("gather",)
    n = len(asked(desk, Gather))
    desk.settle("gather")
    assert asked(desk, Gather)[n:] == [Gather(OPEN, GatherPlan(), 1)]


def test_a_pause_keeps_what_there_is_and_a_cancel_throws_it_away(desk):
    for keep in (True, False):
        desk.act(gathering.start)
        desk.act(gathering.leave, keep)
        assert asked(desk, LeaveGathering)[-1] == LeaveGathering(OPEN, GatherPlan(), keep)
        desk.finish(ticket_of(desk, LeaveGathering))
        assert desk.state.gathering.leaving is None
        assert not desk.state.busy("leave")
        assert gathering.under_way(desk.state) is None


def test_the_cost_is_found_out_only_while_somebody_looks(desk):
    desk.act(gathering.limit_tokens, 1000)
    assert not asked(desk, WeighText)
    desk.act(gathering.show_cost, True)
    desk.settle()
    assert asked(desk, WeighText) == [WeighText(OPEN, GatherPlan(most_tokens=1000))]
    assert desk.state.gathering.cost.tokens == 9
    desk.act(gathering.limit_tokens, None)
    assert asked(desk, WeighText)[-1] == WeighText(OPEN, GatherPlan())


def test_a_sample_is_gathered_by_itself_until_somebody_stops_it(desk):
    desk.replace(replace(desk.state, opened=replace(desk.state.opened, lacks_sample=True)))
    assert asked(desk, Gather) == [Gather(OPEN, SAMPLE, 0)]
    assert desk.state.settled  # nobody needs to wait for it
    desk.act(actions.stop)
    assert desk.last_plan.cancel == ("gather",)
    assert gathering.under_way(desk.state) is None


def test_a_run_that_was_interrupted_goes_on_by_itself():
    desk = Desk(AppState())
    desk.replace(replace(desk.state, workspace=OPEN))
    desk.settle("open")
    ticket = ticket_of(desk, OpenCatalogue)
    plan = GatherPlan((Path("a.txt"),), 500)
    opened = replace(desk.result_of(ticket), interrupted=plan)
    desk.deliver(Done(ticket, desk.requests[ticket], opened))
    desk.settle("gather")
    assert asked(desk, Gather) == [Gather(OPEN, plan, 0)]


def test_a_failure_is_told_once_and_ends_it(desk):
    desk.act(gathering.start)
    ticket = ticket_of(desk, Gather)
    trouble = ScopeError("There is no room.", "Make some.")
    desk.deliver(Failed(ticket, desk.requests[ticket], trouble))
    assert [message.text for message in desk.state.messages] == ["There is no room."]
    assert gathering.under_way(desk.state) is None
    assert not desk.state.busy("gather")


def test_another_model_is_not_gathered_from_unasked(desk):
    desk.act(gathering.start)
    desk.replace(replace(desk.state, workspace=Workspace((Path("other pack"),))))
    desk.settle()
    assert [request.workspace for request in asked(desk, Gather)] == [OPEN]

"""When the library is scanned, what was dropped is opened, and the open SAEs are examined."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from desk import Desk, health

from desktop_scope.engine.health import Tried, Verdict
from desktop_scope.engine.requests import CheckSae, Placement, TracePrompt, Workspace
from desktop_scope.engine.types import FeatureActs, FeatureId, Prompt
from desktop_scope.engine.worker import Done, Failed, Partial, Stopped
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.types import Label, Source
from desktop_scope.gui import actions, doctor, flow
from desktop_scope.gui.state import AppState
from desktop_scope.library.entries import Library, ModelEntry

MODEL = Path("model")
TWO = Workspace((Path("sae"), Path("other")), MODEL)


def opened(workspace: Workspace) -> Desk:
    desk = Desk(AppState(prompt=Prompt("one two", chat=False)))
    desk.replace(replace(desk.state, workspace=workspace))
    return desk


def job(desk: Desk, kind: str) -> int:
    return next(job.ticket for job in desk.state.jobs if job.kind == kind)


def step(desk: Desk, kind: str) -> None:
    desk.finish(job(desk, kind))


def until_check(desk: Desk) -> None:
    """Let everything come back but the check."""
    desk.settle(until="check")


# ---- the check


def test_saes_without_evidence_are_examined_one_after_another():
    desk = opened(TWO)
    until_check(desk)
    assert desk.requests[job(desk, "check")] == CheckSae(0, TWO)
    step(desk, "check")
    until_check(desk)
    assert desk.requests[job(desk, "check")] == CheckSae(1, TWO)
    step(desk, "check")
    desk.settle()
    assert [one.slot for one in desk.state.health] == [0, 1]
    assert not desk.state.messages


def test_the_saes_of_a_pack_are_examined_only_when_asked():
    desk = opened(Workspace((Path("pack"),)))
    desk.settle()
    assert desk.state.health == ()
    desk.act(actions.check, 0)
    desk.settle()
    assert [one.slot for one in desk.state.health] == [0]


def test_nothing_is_examined_before_the_prompt_is_traced():
    desk = opened(TWO)
    while not desk.state.busy("trace"):
        step(desk, desk.state.jobs[0].kind)
    desk.settle(until="trace")
    assert not desk.state.busy("check")
    step(desk, "trace")
    assert desk.state.busy("check")


def test_a_new_prompt_cancels_the_check_which_comes_again():
    desk = opened(TWO)
    until_check(desk)
    old = job(desk, "check")
    desk.act(actions.set_prompt, Prompt("something else", chat=False))
    assert desk.last_plan.cancel == ("check",)
    assert any(isinstance(request, TracePrompt) for request in desk.last_plan.submit)
    desk.deliver(Stopped(old, desk.requests[old]))
    assert not desk.state.busy("check")
    step(desk, "trace")
    assert desk.requests[job(desk, "check")] == CheckSae(0, TWO)


def test_a_look_at_another_feature_lets_the_check_run_on():
    desk = opened(TWO)
    until_check(desk)
    desk.act(actions.select, token=1)
    assert desk.last_plan.cancel == ()
    assert desk.state.busy("check")


def test_a_check_that_fails_is_said_once_and_the_next_one_goes_on():
    desk = opened(TWO)
    until_check(desk)
    ticket = job(desk, "check")
    desk.deliver(Failed(ticket, desk.requests[ticket], ScopeError("It broke.", "Sorry.")))
    assert [message.text for message in desk.state.messages] == ["It broke."]
    until_check(desk)
    assert desk.requests[job(desk, "check")] == CheckSae(1, TWO)
    desk.settle()
    assert [one.slot for one in desk.state.health] == [1]


def test_what_a_check_has_shown_asks_for_card_and_list_again():
    desk = opened(TWO)
    until_check(desk)
    step(desk, "check")
    assert {"card", "rank", "follow"} <= {request.kind for request in desk.last_plan.submit}


@pytest.mark.parametrize("verdict", [Verdict.AMBER, Verdict.RED])
def test_a_misplaced_sae_is_said_with_its_correction(verdict: Verdict):
    better = Tried("blocks.1.hook_mlp_out", "blocks.1.hook_mlp_out", "none", False, True, 0.1, 5)
    desk = opened(TWO)
    until_check(desk)
    ticket = job(desk, "check")
    desk.deliver(Done(ticket, desk.requests[ticket], health(0, verdict, better)))
    (message,) = desk.state.messages
    assert "sae: it fits so and so" in message.text
    assert message.is_error == (verdict is Verdict.RED)
    assert message.action == "Attach it at blocks.1.hook_mlp_out instead"
    move = Placement("sae", better.hook_name, better.hook_out, "none", False, True)
    assert message.workspace == replace(TWO, moved=(move,))
    assert doctor.light(desk.state, 0) in (doctor.Light.AMBER, doctor.Light.RED)
    desk.act(actions.open_workspace, message.workspace)
    assert not desk.state.messages
    desk.settle()
    assert [one.slot for one in desk.state.health] == [0, 1]


def test_several_misplaced_saes_are_corrected_together():
    better = Tried("blocks.1.hook_mlp_out", "blocks.1.hook_mlp_out", "none", False, True, 0.1, 5)
    desk = opened(TWO)
    for slot in (0, 1):
        until_check(desk)
        ticket = job(desk, "check")
        result = health(slot, Verdict.RED, better)
        desk.deliver(Done(ticket, desk.requests[ticket], result))
    (message,) = desk.state.messages
    assert {move.name for move in message.workspace.moved} == {"sae", "other"}


# ---- the library


def test_nothing_is_scanned_before_somebody_looks():
    desk = opened(TWO)
    desk.settle()
    assert not {"scan", "browse"} & {request.kind for request in desk.requests.values()}
    desk.act(actions.look_around)
    assert desk.state.busy("scan")
    desk.settle()
    scans = [request for request in desk.requests.values() if request.kind == "scan"]
    desk.act(actions.look_around)
    desk.settle()
    assert [r.kind for r in desk.requests.values()].count("scan") == len(scans) + 1


def test_what_is_found_under_way_is_listed_but_not_faster_than_it_can_be():
    desk = opened(TWO)
    desk.settle()
    desk.act(actions.look_around)
    scan = job(desk, "scan")
    step(desk, "browse")
    some = Library(models=(ModelEntry("a", Path("a"), "x", 1, 8, 8, 1),))
    desk.deliver(Partial(scan, desk.requests[scan], some))
    assert desk.state.library is some
    assert desk.state.busy("browse")
    desk.deliver(Partial(scan, desk.requests[scan], Library()))
    assert desk.state.library is some
    step(desk, "scan")  # the whole result always counts
    assert desk.state.library is not some


def test_an_added_folder_is_searched_and_remembered():
    desk = opened(TWO)
    desk.settle()
    desk.act(actions.add_folder, Path("models"))
    kinds = {request.kind: request for request in desk.last_plan.submit}
    assert kinds["scan"].folders == kinds["shelf"].folders == (Path("models"),)


def test_what_is_opened_is_noted_once_it_is_open():
    desk = opened(TWO)
    step(desk, "shelf")
    step(desk, "load")
    shelf = desk.requests[job(desk, "shelf")]
    assert (shelf.opened.model, shelf.opened.saes) == (MODEL, TWO.saes)


def test_what_is_dropped_is_opened_in_place_of_what_was():
    desk = opened(TWO)
    desk.settle()
    desk.act(actions.give, (Path("dropped"),))
    step(desk, "identify")
    assert desk.state.workspace == Workspace((Path("dropped"),), Path("found"))
    assert desk.state.given == ()
    assert desk.state.prompt.text == "one two"
    desk.settle()
    assert desk.state.model is not None


def test_the_same_thing_dropped_again_is_looked_at_again():
    desk = opened(TWO)
    desk.settle()
    for _ in range(2):
        desk.act(actions.give, (Path("notes.txt"),))
        ticket = job(desk, "identify")
        error = ScopeError("It is no model.", "Choose one.")
        desk.deliver(Failed(ticket, desk.requests[ticket], error))
        assert desk.state.workspace == TWO
        assert desk.state.messages[-1].text == "It is no model."


def test_a_pack_that_waits_for_its_model_says_so():
    desk = opened(Workspace((Path("pack"),)))
    ticket = job(desk, "load")
    desk.deliver(Failed(ticket, desk.requests[ticket], ScopeError("The model is missing.")))
    desk.act(actions.give, (Path("model.gguf"),))
    assert desk.requests[job(desk, "identify")].waits


def test_after_a_failure_what_was_open_is_one_click_away():
    desk = opened(TWO)
    desk.settle()
    desk.act(actions.open_workspace, Workspace((Path("broken"),), MODEL))
    ticket = job(desk, "load")
    desk.deliver(Failed(ticket, desk.requests[ticket], ScopeError("It is damaged.")))
    (message,) = desk.state.messages
    assert message.workspace == TWO
    desk.act(actions.open_workspace, message.workspace)
    desk.settle()
    assert desk.state.workspace == TWO
    assert flow.wanted(desk.state)["load"].workspace == TWO


def test_a_dial_of_unknown_reach_turns_in_units_of_what_the_text_shows():
    desk = opened(TWO)
    desk.settle()
    trace = desk.state.trace
    n = trace.n_tokens
    acts = FeatureActs(
        np.array([0, *[2] * n], np.int32), np.array([3, 5], np.int32), np.array([4, 9], np.float32)
    )
    desk.replace(replace(desk.state, trace=replace(trace, acts=(acts, acts))))
    label = Label("no label yet", Source.NONE, "low")
    for index in (3, 7):
        desk.act(actions.add_dial, FeatureId(0, index), label, float("nan"))
    seen, unseen = desk.state.rack
    assert (seen.max_active, seen.known) == (4.0, False)
    assert unseen.max_active == 9.0  # the strongest of any feature of its SAE
    assert desk.state.interventions[0].amount == 4.0

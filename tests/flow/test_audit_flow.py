"""When an audit asks what, and what becomes of it when it is stopped or the model changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from desk import Desk

from desktop_scope.engine.requests import TracePrompt, Workspace
from desktop_scope.engine.types import FeatureId, Prompt
from desktop_scope.engine.worker import Failed
from desktop_scope.errors import ScopeError
from desktop_scope.experiments.audit import AttributeRow, Goal, MeasureCost, ScoreRows, Where
from desktop_scope.experiments.audit_sources import MakeTable, Template
from desktop_scope.gui import actions, audit_actions
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.audit import Step

WORDS = tuple(f"word{n}" for n in range(20))
TEMPLATE = Template("A {} is here, and " + "so " * 60, WORDS, " he", " she")
SHE = FeatureId(1, 2)


@pytest.fixture
def desk() -> Desk:
    """Somebody who has a model open and nothing running."""
    desk = Desk(AppState(prompt=Prompt("one two", chat=False)))
    desk.replace(replace(desk.state, workspace=Workspace((Path("pack"),))))
    desk.settle()
    return desk


def asked(desk: Desk, kind: type) -> list:
    return [request for request in desk.requests.values() if isinstance(request, kind)]


def job(desk: Desk, kind: str) -> int:
    return next(job.ticket for job in desk.state.jobs if job.kind == kind)


def test_an_audit_goes_from_a_template_to_a_verdict(desk):
    desk.act(audit_actions.open_table, TEMPLATE)
    desk.settle()
    assert desk.state.audit.step is Step.BIAS
    rows = [row for request in asked(desk, ScoreRows) for row in request.rows]
    assert [row.word for row in rows] == list(WORDS)  # each once, in slices
    assert len(asked(desk, ScoreRows)) > 1
    assert not asked(desk, AttributeRow)
    desk.act(audit_actions.find_features)
    desk.settle()
    assert [request.row.word for request in asked(desk, AttributeRow)] == list(WORDS[::2])
    desk.act(audit_actions.tick, SHE, on=True)
    desk.act(audit_actions.switch_off)
    desk.settle()
    study = desk.state.audit.study
    assert [control.off for control in study.controls] == [(FeatureId(1, 3),)]
    assert study.whole(study.chosen)
    assert study.chosen in study.costs
    assert desk.state.audit.step is Step.RESULT
    assert not desk.state.audit.running


def test_what_was_measured_is_not_measured_again(desk):
    desk.act(audit_actions.open_table, TEMPLATE)
    desk.act(audit_actions.find_features)
    desk.settle()
    desk.act(audit_actions.find_features)
    desk.settle()
    desk.act(audit_actions.tick, SHE, on=True)
    desk.act(audit_actions.switch_off)
    desk.settle()
    n = len(desk.requests)
    desk.act(audit_actions.go_to, Step.FEATURES)
    desk.act(audit_actions.switch_off)
    desk.settle()
    assert len(desk.requests) == n
    desk.act(audit_actions.change, where=Where.WORDS)
    desk.act(audit_actions.switch_off)
    desk.settle()
    assert not [r for r in list(desk.requests.values())[n:] if isinstance(r, MeasureCost)]


def test_what_a_person_waits_for_goes_first(desk):
    desk.act(audit_actions.open_table, TEMPLATE)
    desk.finish(job(desk, "audit-table"))
    assert desk.state.busy("audit")
    desk.act(actions.set_prompt, Prompt("another", chat=False))
    assert "audit" in desk.last_plan.cancel
    assert isinstance(desk.requests[job(desk, "trace")], TracePrompt)
    desk.finish(job(desk, "trace"))
    assert asked(desk, ScoreRows)[-1] == asked(desk, ScoreRows)[0]  # wanted again by itself
    desk.settle()
    assert not desk.state.audit.running


def test_stopping_keeps_what_was_measured_and_going_on_takes_it_up(desk):
    desk.act(audit_actions.open_table, TEMPLATE)
    desk.finish(job(desk, "audit-table"))
    desk.finish(job(desk, "audit"))
    done = desk.state.audit.study.progress()[0]
    assert 0 < done < len(WORDS)
    desk.act(actions.stop)
    assert "audit" in desk.last_plan.cancel
    desk.settle()
    assert desk.state.audit.study.progress()[0] == done
    desk.act(audit_actions.go_on)
    desk.settle()
    assert desk.state.audit.study.progress()[0] == len(WORDS)


def test_a_table_that_makes_no_sense_is_told_of_and_the_audit_before_stays(desk):
    desk.act(audit_actions.open_table, TEMPLATE)
    desk.settle()
    study = desk.state.audit.study
    desk.act(audit_actions.open_table, replace(TEMPLATE, text="no place for words"))
    error = ScopeError("The template has no {}.", "Write one.")
    ticket = job(desk, "audit-table")
    desk.deliver(Failed(ticket, desk.requests[ticket], error))
    assert desk.state.messages[-1].text == error.message
    assert desk.state.audit.study is study
    desk.act(audit_actions.open_table, TEMPLATE)  # again is again
    assert len(asked(desk, MakeTable)) == 3


def test_a_concept_that_cannot_be_looked_for_leaves_the_audit_running(desk):
    desk.act(audit_actions.open_table, TEMPLATE)
    desk.finish(job(desk, "audit-table"))
    desk.act(audit_actions.look_for, ("one text",), ("another",))
    ticket = job(desk, "concept")
    error = ScopeError("There is 1 text; at least 10 are needed.", "Write more.")
    desk.deliver(Failed(ticket, desk.requests[ticket], error))
    assert not desk.state.audit.concept.asked
    assert desk.state.audit.running
    desk.settle()
    assert desk.state.audit.study.next_request() is None


def test_another_model_is_asked_the_same_questions_afresh(desk):
    desk.act(audit_actions.open_table, TEMPLATE)
    desk.act(audit_actions.find_features)
    desk.settle()
    desk.act(audit_actions.tick, SHE, on=True)
    desk.act(actions.compute_in, dtype="bfloat16")
    desk.settle()
    audit = desk.state.audit
    assert audit.study.goal is Goal.SCORES
    assert audit.study.whole(audit.chosen)
    assert not audit.ticked


def test_pages_that_have_nothing_to_show_are_not_reached(desk):
    for step in (Step.BIAS, Step.FEATURES, Step.RESULT):
        desk.act(audit_actions.go_to, step)
        assert desk.state.audit.step is Step.CHOOSE
    desk.act(audit_actions.switch_off)
    desk.act(audit_actions.find_features)
    assert desk.state.audit.study is None

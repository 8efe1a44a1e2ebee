"""Flow, births and comparing, without a window: what is asked, and what becomes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from desktop_scope.engine.flow_types import CheckFlow, FollowFlow, Way
from desktop_scope.engine.requests import Workspace
from desktop_scope.engine.types import FeatureActs, FeatureId, Prompt
from desktop_scope.engine.worker import Failed
from desktop_scope.errors import ScopeError
from desktop_scope.experiments.birth import FindBirth
from desktop_scope.experiments.compare_types import (
    By,
    CompareReadings,
    MeasureSecond,
    OpenBeside,
    Reading,
)
from desktop_scope.gui import actions, compare_actions, flow_actions
from desktop_scope.gui.compare_words import broken, note, sentence
from desktop_scope.gui.flow_words import check_words, ribbons
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.compare import What
from tests.flow.desk import Desk

PROMPT = Prompt("Dogs bark", chat=False)
FEATURE = FeatureId(1, 2)


@pytest.fixture
def desk() -> Desk:
    desk = Desk(AppState(prompt=PROMPT))
    desk.replace(replace(desk.state, workspace=Workspace((Path("pack"), Path("other")))))
    desk.settle()
    return desk


def asked(desk: Desk, kind: type) -> list:
    return [request for request in desk.requests.values() if isinstance(request, kind)]


def fire(desk: Desk, token: int) -> None:
    """Let the feature fire there."""
    trace = desk.state.trace
    ends = np.zeros(trace.n_tokens + 1, np.int32)
    ends[token + 1 :] = 1
    acts = FeatureActs(ends, np.array([FEATURE.index], np.int32), np.ones(1, np.float32))
    desk.replace(replace(desk.state, trace=replace(trace, acts=(trace.acts[0], acts))))


def test_what_is_silent_is_followed_by_weights_only(desk):
    desk.act(actions.select, feature=FEATURE)
    desk.act(flow_actions.follow)
    desk.settle()
    assert not asked(desk, FollowFlow)
    desk.act(flow_actions.set_way, Way.WEIGHTS)
    desk.settle()
    (request,) = asked(desk, FollowFlow)
    assert request.question.way is Way.WEIGHTS
    assert desk.state.flow.is_current


def test_flow_is_followed_where_the_feature_fires_and_checked_on_request(desk):
    fire(desk, 1)
    desk.act(actions.select, feature=FEATURE, token=2)
    desk.act(flow_actions.follow)
    desk.settle()
    assert asked(desk, FollowFlow)[-1].question.token is None  # silent there: where it is strongest
    desk.act(actions.select, token=1)
    desk.act(flow_actions.follow)
    desk.settle()
    question = asked(desk, FollowFlow)[-1].question
    assert (question.token, question.feature, question.reach) == (1, FEATURE, 1)
    assert not asked(desk, CheckFlow)
    desk.act(flow_actions.check)
    desk.settle()
    check = desk.state.flow.checked
    assert check is not None
    assert "signs 100 % of 1" in check_words(check)
    (ribbon,) = ribbons(desk.state, desk.state.flow.flow, 0)
    assert ribbon.value == "+2.00 (+1.00)"
    desk.act(flow_actions.set_reach, 2)
    desk.settle()
    assert desk.state.flow.checked is None
    desk.act(flow_actions.go_to, desk.state.flow.flow.edges[0])
    assert desk.state.selection == actions.Selection(1, FeatureId(0, 3))


def test_flow_that_fails_is_not_asked_for_again_and_again(desk):
    fire(desk, 1)
    desk.act(actions.select, feature=FEATURE)
    desk.act(flow_actions.follow)
    desk.settle(until="flow")
    ticket = max(desk.requests)
    ticket = next(t for t, r in desk.requests.items() if isinstance(r, FollowFlow))
    desk.deliver(Failed(ticket, desk.requests[ticket], ScopeError("No.", "Do.")))
    desk.settle()
    assert len(asked(desk, FollowFlow)) == 1
    assert desk.state.messages[-1].text == "No."


def test_a_birth_is_looked_for_on_request_of_the_feature_or_of_texts(desk):
    desk.act(actions.select, feature=FEATURE)
    desk.settle()
    assert not asked(desk, FindBirth)
    desk.act(flow_actions.find_birth)
    desk.settle()
    assert asked(desk, FindBirth) == [FindBirth(FEATURE)]
    assert desk.state.flow.birth.found.born == 1
    desk.act(flow_actions.change_birth, own_texts=True, having="a\n\nb")
    assert flow_actions.birth_request(desk.state) is None
    desk.act(flow_actions.change_birth, lacking="c")
    desk.act(flow_actions.find_birth)
    desk.settle()
    assert asked(desk, FindBirth)[-1] == FindBirth(None, ("a", "b"), ("c",))


def test_two_prompts_are_compared_once_asked(desk):
    desk.act(compare_actions.compare)
    assert desk.state.compare.asked is None
    desk.act(compare_actions.change, other="Cats bark")
    desk.settle()
    assert not asked(desk, CompareReadings)
    desk.act(compare_actions.compare)
    desk.settle()
    expected = CompareReadings(Reading(PROMPT), Reading(Prompt("Cats bark", False)))
    assert asked(desk, CompareReadings) == [expected]
    assert desk.state.compare.is_current
    assert "1 features differ" in note(desk.state)[0]
    desk.act(compare_actions.set_by, By.WHOLES)
    desk.settle()
    assert asked(desk, CompareReadings)[-1].by is By.WHOLES
    desk.act(compare_actions.go_to, desk.state.compare.found.rows[0])
    assert desk.state.selection.feature == FEATURE


def test_answers_are_compared_once_both_are_there(desk):
    desk.act(compare_actions.choose, What.ANSWERS)
    assert compare_actions.readings(desk.state) is None
    assert "steering rack" in sentence(desk.state)[1]
    desk.act(actions.add_dial, FEATURE, None, 1.0)
    desk.act(actions.change_dial, desk.state.rack[0].key, strength=1.0)
    desk.act(actions.ask)
    desk.settle()
    plain, steered = compare_actions.readings(desk.state)
    assert plain == Reading(PROMPT, (5, 6))
    assert steered == Reading(PROMPT, (5, 6), desk.state.interventions)


def test_a_second_model_is_opened_on_request_with_its_memory_told_before(desk):
    desk.act(compare_actions.choose, What.MODELS)
    desk.settle()
    assert asked(desk, MeasureSecond)
    assert not asked(desk, OpenBeside)
    assert desk.state.compare.room is not None
    assert "GB are free" in note(desk.state)[0]
    desk.act(compare_actions.open_beside)
    desk.settle()
    assert desk.state.compare.beside is not None
    assert "Open beside: model" in note(desk.state)[0]
    desk.act(compare_actions.compare)
    desk.settle()
    assert asked(desk, CompareReadings)[-1].b.beside
    found = desk.state.compare.found
    assert "fit both alike" in broken(desk.state, found)
    worse = replace(found, fvu=np.array([[0.1, 0.1], [0.1, 0.4]], np.float32))
    assert "worse at layer 0" in broken(desk.state, worse)
    desk.act(compare_actions.close_beside)
    desk.settle()
    assert desk.state.compare.beside is None
    assert desk.state.compare.found is None
    assert not desk.state.jobs


def test_a_second_model_that_cannot_be_opened_is_not_tried_again(desk):
    desk.act(compare_actions.choose, What.MODELS)
    desk.settle()
    desk.act(compare_actions.open_beside)
    ticket = next(t for t, r in desk.requests.items() if isinstance(r, OpenBeside))
    desk.deliver(Failed(ticket, desk.requests[ticket], ScopeError("Too large.", "Smaller.")))
    desk.settle()
    assert len(asked(desk, OpenBeside)) == 1
    assert not desk.state.compare.opening
    assert desk.state.messages[-1].text == "Too large."

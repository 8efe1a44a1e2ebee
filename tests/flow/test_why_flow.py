"""Asking why, without a window: what is computed, in which order, and what becomes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from desktop_scope.engine.questions import ExplainAnswer, Method, VerifyCauses
from desktop_scope.engine.requests import Workspace
from desktop_scope.engine.types import FeatureId, Mode, Prompt
from desktop_scope.evidence.types import Label, Source
from desktop_scope.gui import actions, why_actions
from desktop_scope.gui.state import AppState
from desktop_scope.gui.why_words import about_words
from tests.flow.desk import Desk

PROMPT = Prompt("Dogs bark", chat=False)
PACK = Path("pack")


@pytest.fixture
def desk() -> Desk:
    desk = Desk(AppState(prompt=PROMPT))
    desk.replace(replace(desk.state, workspace=Workspace((PACK,))))
    desk.settle()
    return desk


def asked(desk: Desk, kind: type) -> list:
    return [request for request in desk.requests.values() if isinstance(request, kind)]


def test_nothing_is_asked_of_itself(desk):
    assert not asked(desk, ExplainAnswer)
    assert not desk.state.why.causes


def test_what_is_left_open_becomes_what_the_model_finds_likeliest(desk):
    desk.act(why_actions.ask_about, None)
    desk.settle()
    why = desk.state.why
    assert (why.answer, why.instead) == ((5,), (6,))
    assert why.is_current
    assert why.causes[0].feature == FeatureId(0, 3)


def test_a_token_of_the_answer_is_asked_about_with_what_stands_before_it(desk):
    desk.act(actions.ask)
    desk.settle()
    trace = desk.state.trace
    last = trace.n_tokens - 1
    desk.act(why_actions.ask_about, last)
    desk.settle()
    why = desk.state.why
    assert why.before == tuple(trace.ids[trace.n_prompt : last])
    assert why.answer == (trace.ids[last],)
    assert why.instead not in ((), why.answer)


def test_typed_words_and_another_method_are_asked_anew(desk):
    desk.act(why_actions.ask_words, answer=" she")
    desk.settle()
    desk.act(why_actions.ask_words, instead=" he")
    desk.act(why_actions.set_method, Method.RELP)
    assert not desk.state.why.is_current  # what is shown is of another question
    desk.settle()
    request = asked(desk, ExplainAnswer)[-1]
    assert (request.question.answer, request.question.instead) == (" she", " he")
    assert request.method == Method.RELP
    assert desk.state.why.is_current


def test_a_check_is_of_what_is_listed_and_goes_with_the_question(desk):
    desk.act(why_actions.ask_about, None)
    desk.settle()
    desk.act(why_actions.verify)
    desk.settle()
    assert asked(desk, VerifyCauses)[-1].causes == desk.state.why.causes
    assert desk.state.why.verification is not None
    desk.act(why_actions.ask_words, answer=" she")
    desk.settle()
    assert desk.state.why.verification is None
    assert len(asked(desk, VerifyCauses)) == 1


def test_causes_go_to_the_rack_switched_off(desk):
    desk.act(why_actions.ask_about, None)
    desk.settle()
    feature = desk.state.why.causes[0].feature
    labels = {feature: Label("dogs", Source.AUTOMATIC, "high")}
    desk.replace(replace(desk.state, why=replace(desk.state.why, labels=labels)))
    desk.act(why_actions.switch_off, (feature,))
    assert [(d.feature, d.mode) for d in desk.state.rack] == [(feature, Mode.ABLATE)]


def test_another_workspace_forgets_the_question(desk):
    desk.act(why_actions.ask_about, None)
    desk.settle()
    desk.act(actions.open_workspace, Workspace((Path("other"),)))
    desk.settle()
    assert desk.state.why.question is None
    assert not desk.state.why.causes


def test_a_card_asks_what_its_feature_has_to_do_with_the_answer(desk):
    desk.act(why_actions.ask_of, FeatureId(0, 3))
    desk.settle()
    why = desk.state.why
    assert why.is_current
    assert about_words(desk.state) == (
        "Feature 0/3 contributes 2.00 nats for “a”, on “…b”: "
        "100 % of what the features of its layer do."
    )
    question = why.question
    desk.act(why_actions.ask_words, instead=(9,))
    desk.act(why_actions.ask_of, FeatureId(0, 4))  # the question that was asked stays
    desk.settle()
    assert desk.state.why.question == replace(question, instead=(9,))
    assert "does not fire on this text" in about_words(desk.state)


def test_the_feature_that_was_asked_from_is_on_the_path(desk):
    desk.act(why_actions.ask_of, FeatureId(0, 3))
    desk.settle()
    why = replace(desk.state.why, share=0.0)
    (cause,) = why.on_path(frozenset())
    assert cause.feature == FeatureId(0, 3)
    assert why.on_path(frozenset({FeatureId(0, 3)})) == (cause,)  # once
    few = replace(why.explanation, causes=())
    assert replace(why, explanation=few).on_path(frozenset()) == (cause,)

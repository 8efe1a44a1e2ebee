"""A chat of several turns: two columns that go on each from its own answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from desk import Desk

from desktop_scope.engine.requests import Generate, TracePrompt, Watch, Workspace
from desktop_scope.engine.types import FeatureId, Generation, Prompt, Role, Turn
from desktop_scope.engine.worker import Done, Partial
from desktop_scope.evidence.types import Label, Source
from desktop_scope.gui import actions, chat_actions
from desktop_scope.gui.state import AppState

DOG = FeatureId(0, 3)
LABEL = Label("dogs", Source.CURATED, "high")


@pytest.fixture
def desk() -> Desk:
    """A steered answer has just been given."""
    desk = Desk(AppState(prompt=Prompt("one")))
    desk.replace(replace(desk.state, workspace=Workspace((Path("pack"),))))
    desk.settle()
    desk.act(actions.add_dial, DOG, LABEL, 5.0)
    say(desk, "one")
    return desk


def say(desk: Desk, text: str) -> Generate:
    """Ask, and let each column answer in its own words."""
    desk.act(actions.set_prompt, replace(desk.state.prompt, text=text))
    desk.act(actions.ask)
    (job,) = [job for job in desk.state.jobs if job.kind == "generate"]
    request = desk.requests[job.ticket]
    assert isinstance(request, Generate)
    answers = tuple(
        Generation(prompt, run, (5, 6), ("a", "b"), f"{name} {text}", finished=True)
        for name, (prompt, run) in zip(("plain", "steered"), request.questions, strict=False)
    )
    desk.deliver(Partial(job.ticket, request, answers))
    desk.deliver(Done(job.ticket, request, answers))
    desk.settle()
    return request


def turns(*said: str) -> tuple[Turn, ...]:
    roles = (Role.USER, Role.ASSISTANT)
    return tuple(Turn(roles[n % 2], text) for n, text in enumerate(said))


def test_the_columns_go_on_each_from_its_own_answers(desk):
    desk.act(chat_actions.reply)
    assert desk.state.prompt == Prompt("", True, turns("one", "plain one"))
    assert desk.state.steered_prompt.turns == turns("one", "steered one")
    request = say(desk, "two")
    assert request.prompt == Prompt("two", True, turns("one", "plain one"))
    assert request.prompts == (
        request.prompt,
        Prompt("two", True, turns("one", "steered one")),
    )
    desk.act(chat_actions.reply)
    request = say(desk, "three")
    assert request.prompts[0].turns == turns("one", "plain one", "two", "plain two")
    assert request.prompts[1].turns == turns("one", "steered one", "two", "steered two")
    assert len(request.runs) == 2
    assert desk.state.answer.prompt == desk.state.prompt
    assert desk.state.steered.prompt == desk.state.steered_prompt


def test_a_single_prompt_is_asked_of_both_columns_alike(desk):
    request = say(desk, "two")
    assert request.prompts == ()
    assert [prompt for prompt, _ in request.questions] == [Prompt("two")] * 2


def test_the_tokens_shown_are_those_of_the_columns_own_conversation(desk):
    desk.act(chat_actions.reply)
    say(desk, "two")
    desk.act(actions.show, show_steered=True)
    (request,) = [r for r in desk.last_plan.submit if isinstance(r, TracePrompt)]
    assert request.prompt == desk.state.steered_prompt
    assert request.interventions == desk.state.interventions
    desk.settle()
    assert desk.state.trace.prompt == desk.state.steered_prompt


def test_an_earlier_turn_can_be_changed(desk):
    desk.act(chat_actions.reply)
    say(desk, "two")
    desk.act(chat_actions.reply)
    assert chat_actions.asked_before(desk.state.prompt) == ("one", "two")
    desk.act(chat_actions.go_back_to, 1)
    assert desk.state.prompt == Prompt("two", True, turns("one", "plain one"))
    assert desk.state.steered_prompt.turns == turns("one", "steered one")
    assert desk.state.answer is None
    request = say(desk, "two, but shorter")
    assert request.prompts[1].turns == turns("one", "steered one")
    before = desk.state
    desk.act(chat_actions.go_back_to, 7)
    assert desk.state is before


def test_dials_that_come_later_go_on_from_what_was_said_without_them(desk):
    desk.act(actions.clear_rack)
    say(desk, "one")
    desk.act(chat_actions.reply)
    desk.act(actions.add_dial, DOG, LABEL, 5.0)
    request = say(desk, "two")
    assert request.prompts == ()
    assert request.prompt.turns == turns("one", "plain one")


def test_nothing_can_be_replied_to_before_the_answers_are_there(desk):
    desk.act(chat_actions.reply)
    assert not chat_actions.can_reply(desk.state)
    before = desk.state
    desk.act(chat_actions.reply)
    assert desk.state is before
    say(desk, "two")
    assert chat_actions.can_reply(desk.state)
    desk.act(actions.change_dial, DOG, strength=2.0)  # its answer is on the way
    desk.replace(replace(desk.state, steered=None))
    assert not chat_actions.can_reply(desk.state)


def test_raw_text_has_no_turns_to_reply_to(desk):
    desk.act(actions.set_prompt, Prompt("one", chat=False))
    desk.act(actions.ask)
    desk.settle()
    assert not chat_actions.can_reply(desk.state)


def test_a_system_prompt_leads_both_columns_and_outlives_a_new_chat(desk):
    desk.act(chat_actions.reply)
    desk.act(chat_actions.set_system, " Be brief. ")
    system = Turn(Role.SYSTEM, "Be brief.")
    assert desk.state.prompt.turns == (system, *turns("one", "plain one"))
    assert desk.state.steered_prompt.turns == (system, *turns("one", "steered one"))
    assert chat_actions.asked_before(desk.state.prompt) == ("one",)
    desk.act(chat_actions.begin_anew)
    assert desk.state.prompt == Prompt("", True, (system,))
    assert desk.state.steered_prompt == desk.state.prompt
    desk.act(chat_actions.set_system, "")
    assert desk.state.prompt.turns == ()


def test_another_prompt_is_another_conversation(desk):
    desk.act(chat_actions.reply)
    say(desk, "two")
    desk.act(actions.set_prompt, Prompt("an example"))
    assert desk.state.prompt.turns == desk.state.steered_prompt.turns == ()


def test_a_conversation_of_old_can_be_had_again(desk):
    desk.act(chat_actions.reply)
    say(desk, "two")
    old = desk.state.history[0]
    desk.act(chat_actions.begin_anew)
    desk.act(actions.set_prompt, old)
    assert desk.state.prompt == desk.state.steered_prompt == old


def test_answering_again_throws_other_dice(desk):
    before = desk.state
    desk.act(chat_actions.ask_again)
    assert desk.state is before  # at temperature 0 it would say the same
    desk.act(actions.set_sampling, temperature=0.8)
    desk.settle()
    desk.act(chat_actions.ask_again)
    (request,) = [r for r in desk.last_plan.submit if isinstance(r, Generate)]
    assert request.sampling.seed == 1
    assert request.sampling.temperature == 0.8


def test_whoever_looks_at_another_feature_sees_it_on_the_next_tokens(desk):
    desk.act(actions.toggle_pin, FeatureId(0, 5), LABEL, 3.0)
    desk.act(actions.select, feature=DOG)
    (request,) = [r for r in desk.last_plan.submit if isinstance(r, Watch)]
    assert request.features == (DOG, FeatureId(0, 5))
    assert not any(isinstance(r, Generate) for r in desk.last_plan.submit)

"""What a change of state asks for, and what comes of the answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from desk import Desk, small_trace

from desktop_scope.engine.requests import (
    Generate,
    LoadModel,
    MeasureDamage,
    ProbeFeature,
    TracePrompt,
    Watch,
    Workspace,
)
from desktop_scope.engine.types import FeatureId, Intervention, Loaded, Mode, Prompt
from desktop_scope.engine.worker import Done, Failed, Partial, Progress, Stopped
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.requests import (
    FollowFeature,
    OpenCatalogue,
    RankFeatures,
    ReadCard,
    ReadInsight,
    ReadLens,
    Scope,
)
from desktop_scope.evidence.types import Label, Opened, Source
from desktop_scope.gui import actions, flow
from desktop_scope.gui.state import AppState, Message, Selection, shown_tokens

DOG = FeatureId(17, 3988)
WORKSPACE = Workspace((Path("pack"),))
LABEL = Label("dogs", Source.CURATED, "high")


@pytest.fixture
def desk() -> Desk:
    """Loaded, and a prompt traced; everything has come back."""
    desk = Desk(AppState(prompt=Prompt("one two three four", chat=False)))
    desk.replace(replace(desk.state, workspace=WORKSPACE))
    desk.settle()
    return desk


def answering(desk: Desk):
    """The answer under way."""
    (job,) = [job for job in desk.state.jobs if job.kind == "generate"]
    return job


def kinds(requests) -> set[str]:
    return {request.kind for request in requests}


def test_nothing_is_wanted_without_a_pack():
    assert flow.wanted(AppState(prompt=Prompt("dog"))) == {}


def test_only_the_model_is_wanted_until_it_is_there():
    state = AppState(workspace=WORKSPACE, prompt=Prompt("dog"), asked=True)
    assert kinds(flow.wanted(state).values()) == {"load", "shelf"}


def test_a_window_spares_a_core(desk):
    assert flow.wanted(desk.state)["load"].spare_cores == 1


def test_a_start_brings_everything_that_is_shown(desk):
    assert desk.state.model is not None
    assert desk.state.trace.prompt == desk.state.prompt
    assert desk.state.ranking is not None
    assert desk.state.card.feature == desk.state.selection.feature
    assert desk.state.lens
    assert desk.state.jobs == ()


def test_an_unchanged_state_asks_for_nothing(desk):
    assert flow.plan(desk.state, desk.state) == flow.Plan()


def test_on_a_gpu_traces_are_recorded_once_nobody_waits(desk):
    assert "record" not in flow.wanted(desk.state)
    desk.replace(replace(desk.state, model=replace(desk.state.model, device="cuda")))
    assert kinds(desk.last_plan.submit) == {"record"}
    assert flow.wanted(desk.state)["record"].length == 32
    desk.act(actions.set_prompt, Prompt("five", chat=False))
    assert "record" in desk.last_plan.cancel
    desk.settle()
    assert desk.state.messages == ()
    desk.act(actions.set_prompt, Prompt("five " * 40, chat=False))
    desk.settle()
    assert flow.wanted(desk.state)["record"].length == 64


def test_a_device_that_cannot_record_is_reported_once(desk):
    desk.replace(replace(desk.state, model=replace(desk.state.model, device="cuda")))
    ticket = next(job.ticket for job in desk.state.jobs if job.kind == "record")
    desk.deliver(Done(ticket, desk.requests[ticket], "It cannot."))
    assert [m.text for m in desk.state.messages] == ["It cannot."]
    assert desk.state.jobs == ()


def test_a_new_prompt_asks_for_its_trace_alone(desk):
    desk.act(actions.set_prompt, Prompt("five six", chat=False))
    assert desk.last_plan.submit == (TracePrompt(Prompt("five six", chat=False)),)


def test_an_emptied_prompt_cancels_its_trace(desk):
    desk.act(actions.set_prompt, Prompt("five six", chat=False))
    desk.act(actions.set_prompt, Prompt("  ", chat=False))
    assert desk.last_plan == flow.Plan(cancel=("trace",))


def test_editing_the_prompt_cancels_the_answer(desk):
    desk.act(actions.ask)
    watch = Watch((desk.state.selection.feature,))
    assert desk.last_plan.submit == (
        watch,
        Generate(desk.state.prompt, ((),), desk.state.sampling),
    )
    desk.act(actions.set_prompt, Prompt("five six", chat=False))
    assert desk.last_plan.cancel == ("watch", "generate")
    assert desk.state.answer is None


def test_an_answer_that_was_on_its_way_when_the_prompt_changed_is_dropped(desk):
    """A queued event cannot be called back."""
    desk.act(actions.ask)
    job = answering(desk)
    late = desk.result_of(job.ticket)
    desk.act(actions.set_prompt, Prompt("five six", chat=False))
    for kind in (Partial, Done):
        desk.deliver(kind(job.ticket, desk.requests[job.ticket], late))
        assert desk.state.answer is None


def test_selecting_a_token_asks_for_its_lens_alone(desk):
    desk.act(actions.select, token=1)
    assert desk.last_plan.submit == (ReadLens(desk.state.trace, 1),)


def test_selecting_a_token_lists_its_features_where_one_tokens_features_are_listed(desk):
    desk.act(actions.set_filters, scope=Scope.TOKEN)
    desk.act(actions.select, token=1)
    assert kinds(desk.last_plan.submit) == {"lens", "rank"}
    assert flow.wanted(desk.state)["rank"].token == 1


def test_selecting_a_feature_asks_for_its_card_and_its_path(desk):
    desk.act(actions.select, feature=DOG)
    card, path, insight = desk.last_plan.submit
    assert (card, path) == (ReadCard(DOG), FollowFeature(desk.state.trace, DOG))
    assert insight == ReadInsight(DOG)


def test_a_text_of_ones_own_is_tried_on_every_feature_selected(desk):
    desk.act(actions.try_text, "a dog")
    feature = desk.state.selection.feature
    assert desk.last_plan.submit == (ProbeFeature(feature, "a dog"),)
    desk.act(actions.select, feature=DOG)
    assert ProbeFeature(DOG, "a dog") in desk.last_plan.submit
    desk.act(actions.try_text, "")
    assert desk.last_plan.cancel == ("probe",)


def test_other_filters_ask_for_another_list_alone(desk):
    desk.act(actions.set_filters, words="dog", layers=(3, 7))
    (request,) = desk.last_plan.submit
    assert isinstance(request, RankFeatures)
    assert (request.words, request.layers) == ("dog", (3, 7))


def test_pins_history_and_messages_ask_for_nothing(desk):
    before = desk.state
    desk.act(actions.toggle_pin, DOG, LABEL, 40.0)
    desk.replace(actions.say(desk.state, Message("Hello")))
    assert flow.plan(before, desk.state) == flow.Plan()


def test_turning_a_dial_measures_its_cost(desk):
    desk.act(actions.add_dial, DOG, LABEL, 40.0)
    assert desk.last_plan.submit == (MeasureDamage((Intervention(DOG, 40.0),)),)
    desk.act(actions.change_dial, DOG, strength=-0.5)
    assert desk.last_plan.submit == (MeasureDamage((Intervention(DOG, -20.0),)),)
    desk.act(actions.change_dial, DOG, mode=Mode.ABLATE)
    assert desk.last_plan.submit == (MeasureDamage((Intervention(DOG, mode=Mode.ABLATE),)),)
    desk.act(actions.change_dial, DOG, enabled=False)
    assert desk.last_plan.cancel == ("damage",)


def test_turning_a_dial_while_an_answer_is_shown_answers_again_with_and_without(desk):
    desk.act(actions.ask)
    desk.settle()
    desk.act(actions.add_dial, DOG, LABEL, 40.0)
    runs = ((), (Intervention(DOG, 40.0),))
    generate = Generate(desk.state.prompt, runs, desk.state.sampling)
    assert desk.last_plan.submit == (MeasureDamage(runs[1]), generate)  # its first figures soon
    desk.settle()
    assert desk.state.answer.interventions == ()
    assert desk.state.steered.interventions == runs[1]


def test_a_dial_that_does_nothing_takes_no_part(desk):
    desk.act(actions.add_dial, DOG, LABEL, 40.0)
    desk.act(actions.change_dial, DOG, strength=0.0)
    assert desk.state.interventions == ()


def test_a_finished_answer_is_traced_with_its_prompt(desk):
    desk.act(actions.ask)
    desk.settle()
    answer = desk.state.answer
    assert answer.finished
    assert flow.wanted(desk.state)["trace"] == TracePrompt(desk.state.prompt, answer.ids)
    assert desk.state.trace.n_tokens == desk.state.trace.n_prompt + len(answer.ids)


def test_the_steered_answer_is_traced_with_its_interventions_when_it_is_shown(desk):
    desk.act(actions.add_dial, DOG, LABEL, 40.0)
    desk.act(actions.ask)
    desk.settle()
    desk.act(actions.show, show_steered=True)
    (request,) = desk.last_plan.submit
    assert request.interventions == desk.state.interventions


def test_stopping_keeps_what_was_said_so_far(desk):
    desk.act(actions.ask)
    job = answering(desk)
    (answer,) = desk.result_of(job.ticket)
    desk.deliver(Partial(job.ticket, desk.requests[job.ticket], (replace(answer, finished=False),)))
    desk.act(actions.stop)
    assert "generate" in desk.last_plan.cancel
    assert desk.state.answer.finished
    assert desk.state.answer.ids == answer.ids
    assert flow.wanted(desk.state)["trace"].answer == answer.ids


def test_a_new_prompt_starts_at_the_last_token_of_the_users_own(desk):
    desk.act(actions.set_prompt, Prompt("five six seven"))
    desk.settle()
    trace = desk.state.trace
    assert desk.state.selection.token == max(i for i in range(trace.n_prompt) if trace.own[i])


def test_an_answer_leaves_the_selected_token_where_it_was(desk):
    desk.act(actions.select, token=2)
    desk.act(actions.ask)
    desk.settle()
    assert desk.state.trace.n_tokens > desk.state.trace.n_prompt
    assert desk.state.selection.token == 2


def test_progress_is_shown_with_its_job(desk):
    desk.act(actions.ask)
    job = answering(desk)
    desk.deliver(Progress(job.ticket, desk.requests[job.ticket], 3, 64, "Answering"))
    job = answering(desk)
    assert (job.kind, job.done, job.total, job.text) == ("generate", 3, 64, "Answering")
    assert desk.state.busy("generate")


def test_a_failure_adds_its_message_once(desk):
    for _ in range(2):
        desk.act(actions.set_prompt, Prompt("five", chat=False))
        job = desk.state.jobs[-1]
        error = ScopeError("The prompt is too long.", "Shorten it.")
        desk.deliver(Failed(job.ticket, desk.requests[job.ticket], error, "Traceback"))
        desk.act(actions.set_prompt, Prompt("six", chat=False))
    message = Message("The prompt is too long.", "Shorten it.", "Traceback")
    assert desk.state.messages == (message,)


def test_a_cancelled_request_ends_silently(desk):
    desk.act(actions.set_prompt, Prompt("five", chat=False))
    job = desk.state.jobs[-1]
    desk.deliver(Stopped(job.ticket, desk.requests[job.ticket]))
    assert desk.state.jobs == ()
    assert desk.state.messages == ()


def test_messages_make_room_for_newer_ones_and_can_be_dismissed():
    state = AppState()
    for text in "abcd":
        state = actions.say(state, Message(text, "hint"))
    assert [message.text for message in state.messages] == ["b", "c", "d"]
    assert [m.text for m in actions.dismiss(state, "c", "hint").messages] == ["b", "d"]


def test_notes_of_the_catalogue_are_told_but_are_no_errors(desk):
    desk.act(actions.load_again)
    desk.settle(until="open")
    job = next(job for job in desk.state.jobs if job.kind == "open")
    opened = Opened(tuple(np.ones((2, 8), np.float32)), ("The labels could not be saved.",))
    desk.deliver(Done(job.ticket, desk.requests[job.ticket], opened))
    (message,) = desk.state.messages
    assert not message.is_error
    assert desk.state.opened


def test_loading_again_begins_anew(desk):
    desk.act(actions.load_again)
    (request,) = desk.last_plan.submit
    assert isinstance(request, LoadModel)
    assert (request.workspace, request.attempt) == (WORKSPACE, 1)
    desk.settle()
    assert desk.state.opened
    assert desk.state.trace is not None
    assert OpenCatalogue(WORKSPACE) in desk.requests.values()


def test_back_and_forward_lead_through_what_was_looked_at(desk):
    first = desk.state.selection
    desk.act(actions.select, feature=DOG)
    desk.act(actions.select, token=1)
    desk.act(actions.go_back)
    assert desk.state.selection == Selection(first.token, DOG)
    desk.act(actions.go_back)
    assert desk.state.selection == first
    desk.act(actions.go_back)  # as far as it goes
    assert desk.state.selection == first
    desk.act(actions.go_forward)
    desk.act(actions.go_forward)
    assert desk.state.selection == Selection(1, DOG)
    desk.act(actions.go_forward)
    assert desk.state.selection == Selection(1, DOG)


def test_looking_elsewhere_forgets_what_was_ahead(desk):
    desk.act(actions.select, token=1)
    desk.act(actions.go_back)
    desk.act(actions.select, token=2)
    assert desk.state.forward == ()


def test_going_back_keeps_to_tokens_that_the_text_still_has(desk):
    desk.act(actions.select, feature=DOG)
    desk.act(actions.set_prompt, Prompt("one", chat=False))
    desk.settle()
    desk.act(actions.go_back)
    assert desk.state.selection.token < desk.state.trace.n_tokens


def test_selecting_what_is_selected_is_no_step(desk):
    desk.act(actions.select, **vars(desk.state.selection))
    assert desk.state.back == ()


def test_pins_toggle_and_the_oldest_makes_room():
    state = AppState()
    for index in range(actions.MOST_PINS + 2):
        state = actions.toggle_pin(state, FeatureId(0, index), LABEL, 1.0)
    assert [pin.feature.index for pin in state.pins] == list(range(2, actions.MOST_PINS + 2))
    state = actions.toggle_pin(state, FeatureId(0, 5), LABEL, 1.0)
    assert FeatureId(0, 5) not in [pin.feature for pin in state.pins]


def test_a_feature_has_one_dial_at_most():
    state = actions.add_dial(AppState(), DOG, LABEL, 40.0)
    assert actions.add_dial(state, DOG, LABEL, 40.0) is state
    assert actions.remove_dial(state, DOG).rack == ()
    assert actions.clear_rack(state).rack == ()


def test_questions_are_remembered_newest_first_and_once():
    state = AppState()
    for text in ("one", "two", "one", "  "):
        state = actions.ask(actions.set_prompt(state, Prompt(text)))
    assert [prompt.text for prompt in state.history] == ["one", "two"]
    assert not state.asked  # nothing was typed


def test_a_chats_template_is_left_out_unless_asked_for():
    chat, raw = (
        small_trace(TracePrompt(Prompt("one two"), (7,))),
        small_trace(TracePrompt(Prompt("one two", chat=False))),
    )
    assert shown_tokens(chat, show_template=True).tolist() == list(range(chat.n_tokens))
    hidden = shown_tokens(chat, show_template=False).tolist()
    assert hidden == [i for i in range(chat.n_tokens) if chat.own[i] or i >= chat.n_prompt]
    assert shown_tokens(raw, show_template=False).tolist() == list(range(raw.n_tokens))


def test_what_other_saes_do_not_have_is_let_go(desk):
    for feature in (DOG, FeatureId(0, 5)):
        desk.act(actions.toggle_pin, feature, LABEL, 40.0)
        desk.act(actions.add_dial, feature, LABEL, 40.0)
    desk.act(actions.select, feature=DOG)
    job = desk.state
    desk.act(actions.load_again)
    (load,) = (j for j in desk.state.jobs if j.kind == "load")
    fewer = Loaded(job.model, job.saes[:1])
    desk.deliver(Done(load.ticket, desk.requests[load.ticket], fewer))
    assert desk.state.selection.feature is None
    assert [pin.feature for pin in desk.state.pins] == [FeatureId(0, 5)]
    assert [dial.feature for dial in desk.state.rack] == [FeatureId(0, 5)]
    assert all(s.feature is None or s.feature.sae < 1 for s in desk.state.back)

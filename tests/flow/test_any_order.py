"""Whatever a person does and in whatever order the answers come, stale ones never win."""

from __future__ import annotations

from pathlib import Path

from desk import Desk
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from desktop_scope.engine.requests import Workspace
from desktop_scope.engine.types import FeatureId, Mode, Prompt
from desktop_scope.engine.worker import Done, Failed, Partial, Progress, Stopped
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.requests import RankBy, Scope
from desktop_scope.evidence.types import Label, Source
from desktop_scope.gui import actions, flow
from desktop_scope.gui.state import AppState

LABEL = Label("a feature", Source.AUTOMATIC, "low")
PROMPTS = st.builds(Prompt, st.sampled_from(["", "one", "one two", "one two three"]), st.booleans())
FEATURES = st.builds(FeatureId, st.integers(0, 1), st.integers(0, 2))


class Person(RuleBasedStateMachine):
    """Uses the window, while events of any age arrive."""

    @initialize(prompt=PROMPTS)
    def open_the_window(self, prompt):
        self.desk = Desk(AppState())
        self.desk.replace(AppState(prompt=prompt, workspace=Workspace((Path("pack"),))))

    @rule(prompt=PROMPTS)
    def types(self, prompt):
        self.desk.act(actions.set_prompt, prompt)

    @rule()
    def asks(self):
        self.desk.act(actions.ask)

    @rule()
    def stops(self):
        self.desk.act(actions.stop)

    @rule(token=st.integers(0, 8))
    @precondition(lambda self: self.desk.state.trace is not None)
    def selects_a_token(self, token):
        self.desk.act(actions.select, token=min(token, self.desk.state.trace.n_tokens - 1))

    @rule(feature=FEATURES)
    def selects_a_feature(self, feature):
        self.desk.act(actions.select, feature=feature)

    @rule(action=st.sampled_from([actions.go_back, actions.go_forward]))
    def walks_back_or_forward(self, action):
        self.desk.act(action)

    @rule(
        scope=st.sampled_from(Scope), by=st.sampled_from(RankBy), words=st.sampled_from(["", "d"])
    )
    def filters(self, scope, by, words):
        self.desk.act(actions.set_filters, scope=scope, by=by, words=words)

    @rule(feature=FEATURES, strength=st.sampled_from([-1.0, 0.0, 2.0]), mode=st.sampled_from(Mode))
    def turns_a_dial(self, feature, strength, mode):
        self.desk.act(actions.add_dial, feature, LABEL, 10.0)
        self.desk.act(actions.change_dial, feature, strength=strength, mode=mode)

    @rule()
    def clears_the_rack(self):
        self.desk.act(actions.clear_rack)

    @rule(steered=st.booleans())
    def shows_the_other_answer(self, steered):
        self.desk.act(actions.show, show_steered=steered)

    @rule()
    def loads_again(self):
        self.desk.act(actions.load_again)

    @rule(data=st.data())
    def a_request_is_done(self, data):
        """Any that was ever submitted: replaced and cancelled ones too."""
        self.desk.finish(self.any_ticket(data))

    @rule(data=st.data(), done=st.integers(0, 9))
    def a_request_reports(self, data, done):
        ticket = self.any_ticket(data)
        request = self.desk.requests[ticket]
        self.desk.deliver(Progress(ticket, request, done, 9, "Working"))
        if request.kind == "generate":
            self.desk.deliver(Partial(ticket, request, self.desk.result_of(ticket)))

    @rule(data=st.data(), fails=st.booleans())
    def a_request_that_nobody_waits_for_ends(self, data, fails):
        ticket = self.any_ticket(data)
        request = self.desk.requests[ticket]
        live = {job.ticket for job in self.desk.state.jobs}
        if ticket in live and flow.wanted(self.desk.state).get(request.kind) == request:
            return
        before = self.desk.state.messages
        error = ScopeError("It did not work.")
        event = Failed(ticket, request, error) if fails else Stopped(ticket, request)
        self.desk.deliver(event)
        assert self.desk.state.messages == before

    def any_ticket(self, data) -> int:
        return data.draw(st.sampled_from(sorted(self.desk.requests)))

    @invariant()
    def an_answer_belongs_to_the_prompt(self):
        state = self.desk.state
        assert state.answer is None or state.answer.prompt == state.prompt
        assert state.steered is None or state.steered.prompt == state.steered_prompt

    @invariant()
    def every_job_is_the_newest_of_its_kind(self):
        desk = self.desk
        for job in desk.state.jobs:
            same = [t for t, request in desk.requests.items() if request.kind == job.kind]
            assert job.ticket == max(same)

    @invariant()
    def a_replaced_request_changes_nothing(self):
        desk, before = self.desk, self.desk.state
        live = {job.ticket for job in before.jobs}
        for ticket in [t for t in desk.requests if t not in live][-3:]:
            event = Done(ticket, desk.requests[ticket], desk.result_of(ticket))
            assert flow.apply(before, event) is before

    @invariant()
    def once_all_is_back_the_window_shows_what_was_asked_for(self):
        desk = self.desk.copy()
        desk.settle()
        state, wanted = desk.state, flow.wanted(desk.state)
        assert state.jobs == ()
        assert state.model is not None
        if "trace" in wanted:
            assert state.trace.prompt == state.prompt
            assert state.trace.interventions == wanted["trace"].interventions
            assert state.trace.n_tokens - state.trace.n_prompt == len(wanted["trace"].answer)
        if "lens" in wanted:
            words = f"{state.selection.token} of {state.trace.prompt.text}"
            assert state.lens[0].texts == (words,)
        if "card" in wanted:
            assert state.card.feature == state.selection.feature
        if "follow" in wanted:
            assert state.path.feature == state.selection.feature
            assert state.path.trace is state.trace
        if "damage" in wanted:
            assert state.damage.interventions == state.interventions
        if "generate" in wanted:
            assert state.answer.finished
            assert (state.steered is not None) == bool(state.interventions)


Person.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAnyOrder = Person.TestCase

"""What a person tries out about the steering rack."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from desk import Desk, small_trace

from desktop_scope.engine.cost_types import Damage, Quiz, Word
from desktop_scope.engine.requests import (
    Generate,
    MakeVector,
    MeasureDamage,
    ReadVector,
    TracePrompt,
    Workspace,
)
from desktop_scope.engine.types import (
    FeatureActs,
    FeatureId,
    Firing,
    Generation,
    Mode,
    Prompt,
    Rule,
    Trigger,
    Vector,
)
from desktop_scope.engine.worker import Done, Failed, Partial
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.types import Label, Source
from desktop_scope.experiments.requests import FACTORS, RunControls, SweepStrengths, TestRule
from desktop_scope.experiments.types import (
    Controls,
    Interval,
    RuleExample,
    Sweep,
    SweepPoint,
    TopicsRead,
)
from desktop_scope.gui import actions, lab_actions, rack_actions
from desktop_scope.gui.rule_marks import fires_at, fires_so_far
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.dials import Unit
from desktop_scope.gui.states.steering import View

DOG, CAT = FeatureId(0, 3), FeatureId(0, 4)
LABEL = Label("dogs", Source.CURATED, "high")


@pytest.fixture
def desk() -> Desk:
    """A dial of maximum 20, turned to 1.5."""
    desk = Desk(AppState(prompt=Prompt("one two", chat=False)))
    desk.replace(replace(desk.state, workspace=Workspace((Path("pack"),))))
    desk.settle()
    desk.act(actions.add_dial, DOG, LABEL, 20.0)
    desk.act(actions.change_dial, DOG, strength=1.5)
    desk.settle()
    return desk


def job_of(desk: Desk, kind: str):
    (job,) = [job for job in desk.state.jobs if job.kind == kind]
    return job


def sweep_of(desk: Desk, *factors: float, safe=(-1.0, 2.0), finished: bool = True) -> Sweep:
    same = Interval(1.0, 0.5, 1.5)
    points = tuple(SweepPoint(f, same, same, same, same, same, "a", Word.SAFE) for f in factors)
    return Sweep(desk.state.interventions, (), ("dog",), 0.4, points, safe, None, finished)


def swept(desk: Desk, *factors: float, **more) -> None:
    desk.act(lab_actions.sweep, (), 0.4, False)
    job = job_of(desk, "sweep")
    desk.deliver(Done(job.ticket, desk.requests[job.ticket], sweep_of(desk, *factors, **more)))


# ---- sweep


def test_a_sweep_is_shown_as_it_grows_and_ends(desk):
    desk.act(lab_actions.sweep, ("dog", "puppy"), 0.6, False)
    (request,) = desk.last_plan.submit
    assert request == SweepStrengths(
        desk.state.interventions, FACTORS, words=("dog", "puppy"), limit=0.6
    )
    ticket = job_of(desk, "sweep").ticket
    desk.deliver(Partial(ticket, request, sweep_of(desk, 0.0, finished=False)))
    assert len(desk.state.lab.sweep.points) == 1
    assert desk.state.lab.sweeping is request
    desk.deliver(Done(ticket, request, sweep_of(desk, 0.0, 1.0)))
    assert len(desk.state.lab.sweep.points) == 2
    assert desk.state.lab.sweeping is None


def test_a_search_has_no_strengths_of_its_own(desk):
    desk.act(lab_actions.sweep, (), 0.4, True)
    assert desk.last_plan.submit[0].factors == ()


def test_a_sweep_waits_for_an_answer_and_goes_on_afterwards(desk):
    desk.act(lab_actions.sweep, (), 0.4, False)
    desk.act(actions.ask)
    assert "sweep" in desk.last_plan.cancel
    desk.settle(until="sweep")
    assert desk.state.answer.finished
    assert any(job.kind == "sweep" for job in desk.state.jobs)


def test_a_sweep_can_be_stopped_and_keeps_what_it_found(desk):
    desk.act(lab_actions.sweep, (), 0.4, False)
    job = job_of(desk, "sweep")
    request = desk.requests[job.ticket]
    desk.deliver(Partial(job.ticket, request, sweep_of(desk, 0.0, finished=False)))
    desk.act(actions.stop)
    assert desk.last_plan.cancel == ("sweep",)
    assert desk.state.lab.sweep.points
    desk.act(lab_actions.sweep, (), 0.4, False)
    desk.act(lab_actions.stop_studies)
    assert desk.state.lab.sweeping is None


def test_a_sweep_that_fails_is_not_tried_again(desk):
    desk.act(lab_actions.sweep, (), 0.4, False)
    job = job_of(desk, "sweep")
    desk.deliver(Failed(job.ticket, desk.requests[job.ticket], ScopeError("No words.")))
    assert desk.state.lab.sweeping is None
    assert desk.state.messages[-1].text == "No words."


def test_nothing_is_swept_without_a_dial(desk):
    desk.act(actions.clear_rack)
    desk.act(lab_actions.sweep, (), 0.4, False)
    desk.act(lab_actions.control, (), "", 5)
    assert (desk.state.lab.sweeping, desk.state.lab.controlling) == (None, None)


def test_a_point_of_a_sweep_can_be_taken(desk):
    swept(desk, 0.0, 0.5, 1.0)
    assert lab_actions.factor_of(desk.state.lab.sweep, desk.state.interventions) == 1.0
    desk.act(lab_actions.take_factor, 0.5)
    assert desk.state.rack[0].strength == pytest.approx(0.75)
    assert lab_actions.factor_of(desk.state.lab.sweep, desk.state.interventions) == 0.5
    assert lab_actions.strength_of_one(desk.state.lab.sweep, desk.state.rack) == 1.5


def test_the_safe_range_is_in_the_dials_own_multiples(desk):
    swept(desk, -1.0, 0.0, 1.0, 2.0, safe=(-0.5, 1.2))
    (dial,) = desk.state.rack
    assert lab_actions.safe_strengths(desk.state, dial) == pytest.approx((-0.75, 1.8))
    desk.act(actions.change_dial, DOG, strength=-0.2)  # the same feature: it holds as before
    (dial,) = desk.state.rack
    assert lab_actions.safe_strengths(desk.state, dial) == pytest.approx((-0.75, 1.8))


@pytest.mark.parametrize("change", ["other", "mode", "place", "second"])
def test_what_was_swept_is_not_told_of_something_else(desk, change):
    swept(desk, 0.0, 1.0)
    if change == "other":
        desk.act(actions.clear_rack)
        desk.act(actions.add_dial, CAT, LABEL, 20.0)
    elif change == "mode":
        desk.act(rack_actions.set_mode, DOG, Mode.CLAMP)
    elif change == "place":
        where = replace(desk.state.rack[0].where, prompt=False)
        desk.act(actions.change_dial, DOG, where=where)
    else:
        desk.act(actions.add_dial, CAT, LABEL, 20.0)
    sweep, rack = desk.state.lab.sweep, desk.state.rack
    assert lab_actions.factor_of(sweep, desk.state.interventions) is None
    if change != "second":
        assert lab_actions.safe_strengths(desk.state, rack[0]) is None
    before = rack
    desk.act(lab_actions.take_factor, 0.5)
    assert desk.state.rack == before


def test_several_dials_are_safe_together_or_not_at_all(desk):
    desk.act(actions.add_dial, CAT, LABEL, 10.0)
    desk.settle()
    swept(desk, 0.0, 1.0, safe=(-1.0, 2.0))
    _dog, cat = desk.state.rack
    assert lab_actions.safe_strengths(desk.state, cat) == pytest.approx((-1.0, 2.0))
    desk.act(lab_actions.take_factor, 2.0)
    assert [dial.strength for dial in desk.state.rack] == pytest.approx([3.0, 2.0])
    desk.act(actions.change_dial, CAT, strength=0.1)
    assert lab_actions.safe_strengths(desk.state, desk.state.rack[0]) is None


# ---- controls


def test_controls_run_with_what_was_asked_for(desk):
    desk.act(lab_actions.control, ("dog",), "Bark.", 3)
    request = RunControls(desk.state.interventions, words=("dog",), instruction="Bark.", draws=3)
    assert desk.last_plan.submit == (request,)
    controls = Controls(desk.state.interventions, (), ("dog",), (), "It did it.")
    desk.deliver(Done(job_of(desk, "controls").ticket, request, controls))
    assert desk.state.lab.controls.verdict == "It did it."
    assert desk.state.lab.controlling is None


def test_words_are_separated_by_commas():
    assert lab_actions.words_in(" dog, small puppy ,, ") == ("dog", "small puppy")
    assert lab_actions.words_in("") == ()


# ---- rules


RULE = Rule((Trigger(DOG, 2.0), Trigger(CAT, 5.0)), within=2)


def test_a_rule_is_tried_on_ones_own_texts(desk):
    desk.act(lab_actions.test_rule, RULE, "a dog\n\n my dog ", "a cat")
    said = (("a dog", True), ("my dog", True), ("a cat", False))
    examples = tuple(RuleExample(*one) for one in said)
    assert desk.last_plan.submit == (TestRule(RULE, examples),)


def test_a_rule_without_texts_is_not_tried(desk):
    desk.act(lab_actions.test_rule, RULE, " \n ", "")
    assert desk.last_plan.submit == ()
    assert "no texts" in desk.state.messages[-1].text


def test_where_a_rule_would_fire_is_told_by_hand():
    """Strengths of dogs 0 3 0 0 1 9 and of cats 0 0 0 6 0 0, each within two tokens."""
    trace = small_trace(TracePrompt(Prompt("a b c d e", chat=False)))
    acts = FeatureActs(
        np.array([0, 0, 1, 1, 2, 3, 4], np.int32),
        np.array([3, 4, 3, 3], np.int32),
        np.array([3, 6, 1, 9], np.float32),
    )
    trace = replace(trace, acts=(acts, acts))
    assert fires_at(RULE, trace).tolist() == [False, True, True, True, True, True]
    alone = replace(RULE, within=1)
    assert fires_at(alone, trace).tolist() == [False, True, False, True, False, True]
    did = replace(trace, firings=(Firing(alone, (2,), 6),))
    assert np.flatnonzero(fires_at(alone, did)).tolist() == [2]  # what it did counts


def test_where_a_rule_fires_is_told_while_the_answer_streams():
    answer = Generation(
        Prompt("a"), (), (7, 8, 9), ("x", "y", "z"), "xyz", False,
        firings=(Firing(RULE, (1, 4, 6), 7),),
    )  # fmt: skip
    assert fires_so_far(RULE, answer, n_prompt=4).tolist() == [True, False, True]
    assert not fires_so_far(replace(RULE, within=1), answer, 4).any()


# ---- vectors


def test_a_vector_becomes_a_dial(desk):
    desk.act(rack_actions.look_at, View.VECTOR)
    hook = "blocks.0.hook_resid_post"
    desk.act(lab_actions.make_vector, " kinder ", "good\n", "bad\nworse", hook)
    texts = (Prompt("bad", chat=False), Prompt("worse", chat=False))
    request = MakeVector("kinder", (Prompt("good", chat=False),), texts, hook)
    assert desk.last_plan.submit == (request,)
    vector = Vector("kinder", hook, np.ones(8, np.float32).tobytes())
    opened = replace(desk.state.opened, median_norm=(50.0,))
    desk.replace(replace(desk.state, opened=opened))
    desk.deliver(Done(job_of(desk, "vector").ticket, request, vector))
    dial = desk.state.rack[-1]
    assert (dial.key, dial.vector, dial.unit) == ("kinder", vector, Unit.PUSH)
    assert dial.push == pytest.approx(0.4)
    assert desk.state.steering.view is View.DIALS
    assert desk.state.interventions[-1].vector == vector
    desk.act(lab_actions.add_vectors, (replace(vector, data=np.zeros(8, np.float32).tobytes()),))
    assert len(desk.state.rack) == 2  # of the same name: replaced


def test_a_vector_comes_from_a_file(desk):
    desk.act(lab_actions.read_vector, Path("v.npy"), "blocks.0.hook_resid_post")
    assert desk.last_plan.submit == (ReadVector(Path("v.npy"), "blocks.0.hook_resid_post"),)
    job = job_of(desk, "read vector")
    desk.deliver(Failed(job.ticket, desk.requests[job.ticket], ScopeError("Too short.")))
    assert desk.state.lab.making is None


def test_a_rule_looks_at_as_many_features_as_one_likes(desk):
    desk.act(rack_actions.set_ruled, DOG, True)
    cat = FeatureId(0, 5)
    desk.act(rack_actions.add_trigger, DOG, cat, 8.0)
    desk.act(rack_actions.add_trigger, DOG, cat, 8.0)  # once is enough
    first, second = desk.state.rack[0].rule.triggers
    assert (first.feature, second) == (DOG, (cat, 2.0))
    desk.act(rack_actions.set_threshold, DOG, cat, 3.5)
    assert desk.state.interventions[0].rule.triggers[1] == (cat, 3.5)
    desk.act(rack_actions.remove_trigger, DOG, DOG)
    desk.act(rack_actions.remove_trigger, DOG, cat)  # the last one stays
    assert desk.state.rack[0].rule.triggers == ((cat, 3.5),)
    desk.act(rack_actions.set_ruled, DOG, False)
    before = desk.state
    for action, *more in (
        (rack_actions.add_trigger, cat, 8.0),
        (rack_actions.remove_trigger, cat),
        (rack_actions.set_threshold, cat, 1.0),
    ):
        desk.act(action, DOG, *more)
        assert desk.state == before


def test_a_turn_of_a_dial_is_undone_as_a_whole(desk):
    before = desk.state.rack
    for n, strength in enumerate((0.2, 0.3, 0.4)):
        desk.act(rack_actions.turn, {DOG: strength}, n > 0)
        assert desk.state.rack[0].strength == strength
    desk.act(rack_actions.turn, {DOG: 0.9}, False)
    desk.act(rack_actions.undo)
    assert desk.state.rack[0].strength == 0.4
    desk.act(rack_actions.undo)
    assert desk.state.rack == before


# ---- cost


def test_the_cost_comes_before_the_answer_and_the_quiz_after_it(desk):
    desk.act(actions.ask)
    desk.act(actions.change_dial, DOG, strength=0.7)
    kinds = [request.kind for request in desk.last_plan.submit]
    assert kinds.index("damage") < kinds.index("generate")
    first = desk.requests[job_of(desk, "damage").ticket]
    assert first == MeasureDamage(desk.state.interventions, quiz=False, near=True)
    desk.finish(job_of(desk, "damage").ticket)
    assert not any(job.kind == "damage" for job in desk.state.jobs)  # the answer is waited for
    desk.finish(job_of(desk, "generate").ticket)
    job = job_of(desk, "damage")
    assert desk.requests[job.ticket].quiz
    quizzed = Damage(desk.state.interventions, 0.1, 0.1, 9, quiz=Quiz(()))
    desk.deliver(Done(job.ticket, desk.requests[job.ticket], quizzed))
    desk.act(actions.set_sampling, max_new_tokens=9)
    assert [r.kind for r in desk.last_plan.submit] == ["generate"]  # it is not asked again


def test_what_is_near_is_found_out_when_nobody_waits_and_measured_then(desk):
    desk.act(lambda state: replace(state, lab=replace(state.lab, topics=None)))
    desk.act(actions.change_dial, DOG, strength=0.7)
    first = desk.requests[job_of(desk, "damage").ticket]
    assert not first.near
    assert not any(job.kind == "topics" for job in desk.state.jobs)
    desk.settle()
    assert desk.state.lab.topics == TopicsRead(56, 56)
    last = [request for request in desk.requests.values() if request.kind == "damage"][-1]
    assert last.near
    desk.act(actions.change_dial, DOG, strength=0.8)  # known from now on
    assert desk.requests[job_of(desk, "damage").ticket].near
    failed = replace(desk.state.lab, topics=None)
    desk.act(lambda state: replace(state, lab=failed))
    desk.settle("topics")
    job = job_of(desk, "topics")
    desk.deliver(Failed(job.ticket, desk.requests[job.ticket], ScopeError("Damaged.")))
    desk.settle()
    assert not desk.state.jobs  # it is not tried for ever


def test_the_first_figures_are_shown_at_once(desk):
    desk.act(actions.change_dial, DOG, strength=0.7)
    job = job_of(desk, "damage")
    coarse = Damage(desk.state.interventions, 0.2, 0.1, 9, finished=False)
    desk.deliver(Partial(job.ticket, desk.requests[job.ticket], coarse))
    assert desk.state.damage is coarse
    assert isinstance(desk.requests[job.ticket], MeasureDamage)
    assert not any(isinstance(r, Generate) for r in desk.last_plan.submit)

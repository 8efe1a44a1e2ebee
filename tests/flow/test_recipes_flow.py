"""What a person does with recipes and with the rack as a whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from desk import Desk

from desktop_scope.engine.requests import Generate, MeasureDamage, Workspace
from desktop_scope.engine.types import FeatureId, Mode, Prompt
from desktop_scope.engine.worker import Failed
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.types import Label, Source
from desktop_scope.experiments.recipe_file import (
    FORMAT,
    FeatureMark,
    ModelMark,
    Recipe,
    RecipeDial,
    SaeMark,
)
from desktop_scope.experiments.recipes import DeleteRecipe, Offer, Origin, ReadRecipes, SaveRecipe
from desktop_scope.gui import actions, rack_actions, recipe_actions
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.steering import View
from desktop_scope.library.identifying import Identify

DOG, CAT = FeatureId(0, 3), FeatureId(0, 4)
LABEL = Label("dogs", Source.CURATED, "high")
MARK = SaeMark("pack", "blocks.0.hook_resid_post", 8)
RECIPE = Recipe(
    FORMAT,
    "Dogs",
    ModelMark("model", 2, 8),
    (
        RecipeDial("dogs", 1.5, 20.0, FeatureMark(MARK, 3), median_norm=100.0),
        RecipeDial("cats", 1.0, 30.0, FeatureMark(MARK, 4), mode=Mode.ABLATE),
    ),
    prompts=("Who are you?",),
)
OFFER = Offer(RECIPE, Origin.PACK, (DOG, CAT), (LABEL, LABEL), (None, None))


@pytest.fixture
def desk() -> Desk:
    desk = Desk(AppState(prompt=Prompt("one two", chat=False)))
    desk.replace(replace(desk.state, workspace=Workspace((Path("pack"),))))
    desk.settle()
    return desk


def test_the_gallery_is_read_when_it_is_looked_at(desk):
    assert not any(isinstance(r, ReadRecipes) for r in desk.requests.values())
    desk.act(recipe_actions.look)
    assert [r.kind for r in desk.last_plan.submit] == ["recipes"]
    desk.settle()
    assert [offer.recipe.name for offer in desk.state.recipes.offers] == ["Dogs"]


def test_a_recipe_takes_the_racks_place_and_can_be_undone(desk):
    desk.act(actions.add_dial, FeatureId(0, 1), LABEL, 5.0)
    before = desk.state.rack
    desk.act(rack_actions.look_at, View.RECIPES)
    desk.act(recipe_actions.use, OFFER)
    dog, cat = desk.state.rack
    assert (dog.feature, dog.mode, dog.strength, dog.max_active) == (DOG, Mode.ADD, 1.5, 20.0)
    assert (dog.push, dog.amount) == (0.3, 30.0)
    assert (cat.feature, cat.mode) == (CAT, Mode.ABLATE)
    assert desk.state.steering.view is View.DIALS
    assert desk.last_plan.submit == (MeasureDamage(desk.state.interventions),)
    desk.act(rack_actions.undo)
    assert desk.state.rack == before
    desk.act(rack_actions.redo)
    assert desk.state.rack == (dog, cat)
    desk.act(actions.clear_rack)
    assert desk.state.steering.redo == ()


def test_what_a_recipe_was_tried_on_is_asked_at_one_click(desk):
    desk.act(recipe_actions.try_on, OFFER, "Who are you?")
    (asked,) = [r for r in desk.last_plan.submit if isinstance(r, Generate)]
    assert asked.prompt == Prompt("Who are you?")
    assert asked.runs == ((), desk.state.interventions)
    desk.settle()
    assert desk.state.steered.finished


def test_a_recipe_that_does_not_go_with_what_is_open_says_so(desk):
    desk.act(recipe_actions.use, replace(OFFER, trouble="Made for another model. Open that."))
    assert desk.state.rack == ()
    assert "another model" in desk.state.messages[-1].text


def test_a_warning_is_told_once_it_is_used(desk):
    desk.act(recipe_actions.use, replace(OFFER, note="Made with others."))
    assert desk.state.messages[-1].text == "Made with others."
    assert not desk.state.messages[-1].is_error


def test_what_is_saved_is_what_acts(desk):
    desk.act(recipe_actions.use, OFFER)
    desk.act(actions.change_dial, CAT, enabled=False)
    desk.settle()
    desk.act(recipe_actions.save, " Mine ", "It barks. ")
    (request,) = desk.last_plan.submit
    assert isinstance(request, SaveRecipe)
    saved = request.recipe
    assert (saved.name, saved.about, saved.kl) == ("Mine", "It barks.", 0.1)
    assert saved.dials == RECIPE.dials[:1]
    looks = desk.state.recipes.looks
    desk.settle()
    assert desk.state.recipes.saving is None
    assert desk.state.recipes.looks == looks + 1  # it is among the offers now
    assert "Saved" in desk.state.messages[-1].text
    desk.act(recipe_actions.save, "Mine", "It barks.")  # the same again
    assert isinstance(desk.last_plan.submit[0], SaveRecipe)


def test_a_cost_that_was_measured_for_something_else_is_not_saved(desk):
    desk.act(recipe_actions.use, OFFER)
    desk.settle()
    desk.act(actions.change_dial, DOG, strength=0.5)
    assert recipe_actions.recipe_of(desk.state, "Mine", "").kl is None


def test_nothing_is_saved_without_a_name_or_a_dial(desk):
    desk.act(recipe_actions.save, "Mine", "")
    assert desk.last_plan.submit == ()
    desk.act(recipe_actions.use, OFFER)
    desk.act(recipe_actions.save, "  ", "")
    assert desk.state.recipes.saving is None


def test_what_cannot_be_saved_is_said_and_not_tried_again(desk):
    desk.act(recipe_actions.share, RECIPE, Path("nowhere.json"))
    (job,) = [job for job in desk.state.jobs if job.kind == "save recipe"]
    error = ScopeError("No room.")
    desk.deliver(Failed(job.ticket, desk.requests[job.ticket], error))
    assert desk.state.recipes.saving is None
    assert desk.state.messages[-1].text == "No room."


def test_a_recipe_of_ones_own_can_be_deleted(desk):
    desk.act(recipe_actions.delete, replace(OFFER, origin=Origin.OWN, path=Path("mine.json")))
    assert desk.last_plan.submit == (DeleteRecipe(Path("mine.json")),)
    desk.settle()
    assert desk.state.recipes.deleting is None


def test_a_recipe_that_is_dropped_on_the_window_is_used(desk):
    desk.act(actions.give, (Path("dogs.recipe.json"),))
    assert isinstance(desk.last_plan.submit[0], Identify)
    ticket = next(job.ticket for job in desk.state.jobs if job.kind == "identify")
    desk.replace(desk.state)
    workspace = desk.state.workspace
    desk.results[ticket] = OFFER
    desk.finish(ticket)
    assert [dial.feature for dial in desk.state.rack] == [DOG, CAT]
    assert desk.state.workspace == workspace
    assert desk.state.given == ()


def test_another_mode_begins_at_a_strength_that_makes_sense(desk):
    desk.act(actions.add_dial, DOG, LABEL, 5.0)
    desk.act(rack_actions.set_mode, DOG, Mode.PROJECT)
    (dial,) = desk.state.rack
    assert (dial.mode, dial.amount) == (Mode.PROJECT, 0.0)
    desk.act(rack_actions.set_mode, DOG, Mode.STOP)
    (dial,) = desk.state.rack
    assert dial.rule.triggers == ((DOG, 1.25),)
    assert dial.acts
    desk.act(rack_actions.set_ruled, DOG, False)
    assert not desk.state.rack[0].acts


def test_a_rule_shows_the_feature_that_it_looks_at(desk):
    desk.act(actions.add_dial, DOG, LABEL, 5.0)
    desk.act(actions.select, feature=CAT)
    desk.act(rack_actions.set_ruled, DOG, True)
    assert desk.state.rack[0].rule.triggers[0] == (DOG, 1.25)
    assert desk.state.selection.feature == DOG
    assert desk.state.interventions[0].rule is desk.state.rack[0].rule

"""What a person does with recipes, each as a pure function from one state to the next."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from desktop_scope.engine.types import Prompt
from desktop_scope.evidence.types import Source
from desktop_scope.experiments.recipe_file import FORMAT, ModelMark, Recipe, RecipeDial
from desktop_scope.experiments.recipes import (
    Offer,
    mark_of,
    rule_mark_of,
    vector_mark_of,
    vector_of,
)
from desktop_scope.gui import actions, rack_actions
from desktop_scope.gui.state import AppState, Message
from desktop_scope.gui.states.dials import Dial
from desktop_scope.gui.states.steering import View


def look(state: AppState) -> AppState:
    """See which recipes there are."""
    recipes = replace(state.recipes, looks=state.recipes.looks + 1)
    return replace(state, recipes=recipes)


def use(state: AppState, offer: Offer) -> AppState:
    """Put a recipe into the rack, in place of what is there."""
    if offer.trouble:
        return actions.say(state, Message(offer.trouble))
    rack = tuple(_dial_of(state, offer, n) for n in range(len(offer.recipe.dials)))
    state = actions.set_rack(state, rack)
    state = replace(state, recipes=replace(state.recipes, used=offer))
    if offer.note:
        state = actions.say(state, Message(offer.note, is_error=False))
    return rack_actions.look_at(state, View.DIALS)


def try_on(state: AppState, offer: Offer, prompt: str) -> AppState:
    """Use a recipe, and ask what it was tried on."""
    state = use(state, offer)
    return actions.ask(actions.set_prompt(state, Prompt(prompt)))


def open_file(state: AppState, path: Path) -> AppState:
    """Use a recipe that is a file."""
    return actions.give(state, (path,))


def save(state: AppState, name: str, about: str, path: Path | None = None) -> AppState:
    """Save the rack as a recipe: among the user's own, or somewhere else."""
    recipe = recipe_of(state, name, about)
    if recipe is None:
        return state
    recipes = replace(state.recipes, saving=(recipe, path), saves=state.recipes.saves + 1)
    return replace(state, recipes=recipes)


def share(state: AppState, recipe: Recipe, path: Path) -> AppState:
    """Save a recipe of the gallery as a file for others."""
    recipes = replace(state.recipes, saving=(recipe, path), saves=state.recipes.saves + 1)
    return replace(state, recipes=recipes)


def delete(state: AppState, offer: Offer) -> AppState:
    """Delete one of the user's own."""
    return replace(state, recipes=replace(state.recipes, deleting=offer.path))


def recipe_of(state: AppState, name: str, about: str) -> Recipe | None:
    """What is in action in the rack, with what is known of its cost."""
    model, dials = state.model, tuple(d for d in state.rack if d.acts)
    if model is None or not dials or not name.strip():
        return None
    damage = state.damage
    measured = damage is not None and damage.interventions == state.interventions
    return Recipe(
        FORMAT,
        name.strip(),
        ModelMark(model.id, model.n_layers, model.d_model),
        tuple(_recipe_dial_of(state, dial) for dial in dials),
        about=about.strip(),
        kl=damage.kl if damage is not None and measured else None,
        prompts=(state.prompt.text,) if state.asked and state.prompt.chat else (),
    )


def _dial_of(state: AppState, offer: Offer, n: int) -> Dial:
    one, feature, label = offer.recipe.dials[n], offer.features[n], offer.labels[n]
    known = one.median_norm or (math.nan if feature is None else state.norm_of(feature.sae))
    return Dial(
        feature,
        label,
        one.max_active,
        strength=one.strength,
        mode=one.mode,
        median_norm=known,
        where=one.where,
        rule=offer.rules[n],
        vector=vector_of(one.vector) if one.vector is not None else None,
        message=one.message,
    )


def _recipe_dial_of(state: AppState, dial: Dial) -> RecipeDial:
    return RecipeDial(
        dial.label.text if dial.label.source is not Source.NONE else "",
        dial.strength,
        dial.max_active,
        None if dial.feature is None else mark_of(dial.feature, state.saes),
        None if dial.vector is None else vector_mark_of(dial.vector),
        dial.mode,
        dial.median_norm if math.isfinite(dial.median_norm) else 0.0,
        dial.where,
        None if dial.rule is None else rule_mark_of(dial.rule, state.saes),
        dial.message,
    )

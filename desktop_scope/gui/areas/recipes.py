"""Recipes: which there are, saving one's own, and files that are given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from desktop_scope.engine.requests import Request
from desktop_scope.experiments.recipes import DeleteRecipe, Offer, ReadRecipes, SaveRecipe
from desktop_scope.gui import recipe_actions
from desktop_scope.gui.actions import say
from desktop_scope.gui.areas.base import Area
from desktop_scope.gui.state import AppState, Message


def _wanted(state: AppState) -> Iterator[Request]:
    recipes = state.recipes
    if state.workspace is not None and state.opened is not None and recipes.looks:
        yield ReadRecipes(state.workspace, recipes.looks)
    if recipes.saving is not None:
        yield SaveRecipe(*recipes.saving, recipes.saves)
    if recipes.deleting is not None:
        yield DeleteRecipe(recipes.deleting)


def _read(state: AppState, offers: tuple[Offer, ...]) -> AppState:
    return replace(state, recipes=replace(state.recipes, offers=offers))


def _saved(state: AppState, path: Path) -> AppState:
    state = say(_not_saved(state), Message(f"Saved as {path}.", is_error=False))
    return recipe_actions.look(state)


def _not_saved(state: AppState) -> AppState:
    return replace(state, recipes=replace(state.recipes, saving=None))


def _deleted(state: AppState, _nothing: None) -> AppState:
    return recipe_actions.look(_not_deleted(state))


def _not_deleted(state: AppState) -> AppState:
    return replace(state, recipes=replace(state.recipes, deleting=None))


AREA = Area(
    wanted=_wanted,
    results={"recipes": _read, "save recipe": _saved, "delete recipe": _deleted},
    failures={"save recipe": _not_saved, "delete recipe": _not_deleted},
)

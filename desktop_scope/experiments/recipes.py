"""Recipes ready for use: a pack's, a person's own, and files of others, fitted to what is open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from desktop_scope import paths
from desktop_scope.engine.requests import Request, Workspace
from desktop_scope.engine.types import FeatureId, Loaded, Rule, SaeInfo, Trigger, Vector
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.types import Label, Source
from desktop_scope.experiments.pack_recipes import pack_recipes
from desktop_scope.experiments.recipe_file import (
    FeatureMark,
    Recipe,
    RuleMark,
    SaeMark,
    TriggerMark,
    VectorMark,
    read_recipe,
    write_recipe,
)
from desktop_scope.library.matching import same_model
from desktop_scope.library.pack import is_pack, read_pack

if TYPE_CHECKING:
    from desktop_scope.evidence.catalogue import Catalogue  # which needs torch

_ENDING = ".recipe.json"


class Origin(StrEnum):
    """Where a recipe comes from."""

    PACK = "came with the pack"
    OWN = "yours"
    FILE = "from a file"


@dataclass(frozen=True)
class Offer:
    """A recipe, and how it goes with what is open.

    Attributes:
        features: Of its dials; None for vectors. Empty where it does not go with what is open.
        labels: What its dials are called.
        rules: When they act.
        trouble: Why it cannot be used, and what to do.
        note: What the user should know before using it.
        path: Of a recipe that is a file of its own.
    """

    recipe: Recipe
    origin: Origin
    features: tuple[FeatureId | None, ...] = ()
    labels: tuple[Label, ...] = ()
    rules: tuple[Rule | None, ...] = ()
    trouble: str = ""
    note: str = ""
    path: Path | None = None


@dataclass(frozen=True)
class ReadRecipes(Request):
    """Every recipe there is: the open packs' and the user's own.

    Attributes:
        looks: A higher number reads them anew.
    """

    kind = "recipes"
    replaces = frozenset({"recipes"})

    workspace: Workspace
    looks: int


@dataclass(frozen=True)
class SaveRecipe(Request):
    """Save a recipe as a file.

    Attributes:
        path: Where to; None for among the user's own.
        attempt: Tells it from the same one saved before.
    """

    kind = "save recipe"
    replaces = frozenset({"save recipe"})

    recipe: Recipe
    path: Path | None
    attempt: int


@dataclass(frozen=True)
class DeleteRecipe(Request):
    """Delete one of the user's own recipes."""

    kind = "delete recipe"
    replaces = frozenset({"delete recipe"})

    path: Path


def own_folder() -> Path:
    """Where the user's own recipes lie."""
    return paths.config_dir() / "recipes"


def read_recipes(request: ReadRecipes, catalogue: Catalogue, loaded: Loaded) -> tuple[Offer, ...]:
    """Every recipe, the packs' first.

    Raises:
        ScopeError: A pack's recipes are damaged.
    """
    return (*_of_packs(request.workspace, catalogue, loaded), *_own(catalogue, loaded))


def open_recipe(path: Path, catalogue: Catalogue, loaded: Loaded) -> Offer:
    """A recipe from a file, which must go with what is open.

    Raises:
        ScopeError: It cannot be read, or was made for something else.
    """
    offer = _offer(read_recipe(path), Origin.FILE, catalogue.label, loaded, path)
    if offer.trouble:
        raise ScopeError(offer.trouble)
    return offer


def save_recipe(request: SaveRecipe) -> Path:
    """Save a recipe; returns where.

    Raises:
        ScopeError: It makes no sense, or cannot be written there.
    """
    path = request.path or own_folder() / file_name_of(request.recipe.name)
    write_recipe(request.recipe, path)
    return path


def delete_recipe(request: DeleteRecipe) -> None:
    """Delete one of the user's own.

    Raises:
        ScopeError: It is none of these, or cannot be deleted.
    """
    if request.path.parent != own_folder():
        raise ScopeError(f"{request.path.name} is not among your recipes.")
    try:
        request.path.unlink(missing_ok=True)
    except OSError as error:
        raise ScopeError(f"{request.path} cannot be deleted: {error.strerror}.") from error


def _of_packs(workspace: Workspace, catalogue: Catalogue, loaded: Loaded) -> Iterator[Offer]:
    for folder in filter(is_pack, workspace.saes):
        pack = read_pack(folder)
        maxima = {
            info.name.removeprefix(f"{pack.name}/"): known
            for info, known in zip(loaded.saes, catalogue.opened().max_active, strict=True)
        }
        for recipe in pack_recipes(folder, pack, maxima):
            yield _offer(recipe, Origin.PACK, catalogue.label, loaded)


def _own(catalogue: Catalogue, loaded: Loaded) -> Iterator[Offer]:
    for path in sorted(own_folder().glob(f"*{_ENDING}")):
        try:
            recipe = read_recipe(path)
        except ScopeError:  # told when it is opened by itself; the others are not kept from use
            continue
        yield _offer(recipe, Origin.OWN, catalogue.label, loaded, path)


def _offer(
    recipe: Recipe,
    origin: Origin,
    label: Callable[[FeatureId], Label],
    loaded: Loaded,
    path: Path | None = None,
) -> Offer:
    try:
        fitting = Fitting(recipe, loaded)
        features = tuple(dial.feature and fitting.find(dial.feature) for dial in recipe.dials)
        rules = tuple(dial.when and fitting.rule(dial.when) for dial in recipe.dials)
    except ScopeError as error:
        return Offer(recipe, origin, trouble=str(error), path=path)
    labels = tuple(
        Label(dial.label, Source.CURATED, "high")
        if dial.label or feature is None
        else label(feature)
        for dial, feature in zip(recipe.dials, features, strict=True)
    )
    return Offer(recipe, origin, features, labels, rules, note=fitting.note, path=path)


class Fitting:
    """Finds the features of a recipe among those of the open SAEs.

    Raises:
        ScopeError: It was made for another model.
    """

    def __init__(self, recipe: Recipe, loaded: Loaded) -> None:
        here, made_for = loaded.model, recipe.model
        size = (made_for.n_layers, made_for.d_model)
        if (here.n_layers, here.d_model) != size or not same_model(here.id, made_for.id):
            raise ScopeError(
                f"The recipe “{recipe.name}” was made for {made_for.id}; {here.id} is open.",
                "Open the model that it was made for.",
            )
        self._name = recipe.name
        self._saes = loaded.saes
        self._others: set[str] = set()  # SAEs that are called otherwise here

    @property
    def note(self) -> str:
        """What the user should know of what was found so far."""
        if not self._others:
            return ""
        others = ", ".join(sorted(self._others))
        return f"It was made with {others}: its features may mean something else here."

    def find(self, mark: FeatureMark) -> FeatureId:
        """A feature.

        Raises:
            ScopeError: No SAE of that place and width is open.
        """
        wanted = mark.sae
        alike = [
            slot
            for slot, info in enumerate(self._saes)
            if (info.hook_out, info.d_sae) == (wanted.hook, wanted.d_sae)
        ]
        same = [slot for slot in alike if self._saes[slot].name == wanted.name]
        if not alike:
            raise ScopeError(
                f"The recipe “{self._name}” needs the SAE “{wanted.name}” at {wanted.hook} with "
                f"{wanted.d_sae:,} features, which is not open.",
                "Open it first.",
            )
        if not same:
            self._others.add(f"“{wanted.name}”")
        return FeatureId((same or alike)[0], mark.index)

    def rule(self, mark: RuleMark) -> Rule:
        """A rule."""
        triggers = (Trigger(self.find(trigger.feature), trigger.above) for trigger in mark.any)
        return Rule(tuple(triggers), mark.within)


def mark_of(feature: FeatureId, saes: Sequence[SaeInfo]) -> FeatureMark:
    """A feature as a file names it."""
    info = saes[feature.sae]
    return FeatureMark(SaeMark(info.name, info.hook_out, info.d_sae), feature.index)


def rule_mark_of(rule: Rule, saes: Sequence[SaeInfo]) -> RuleMark:
    """A rule as a file says it."""
    marks = (
        TriggerMark(mark_of(trigger.feature, saes), trigger.above) for trigger in rule.triggers
    )
    return RuleMark(tuple(marks), rule.within)


def vector_of(mark: VectorMark) -> Vector:
    """A vector from a file."""
    return Vector(mark.name, mark.hook, np.array(mark.values, np.float32).tobytes())


def vector_mark_of(vector: Vector) -> VectorMark:
    """A vector as a file says it."""
    return VectorMark(vector.name, vector.hook_name, tuple(vector.values.tolist()))


def file_name_of(name: str) -> str:
    """A file name for a recipe of this name."""
    plain = "".join(char if char.isalnum() else "-" for char in name.lower())
    return ("-".join(filter(None, plain.split("-")))[:80] or "recipe") + _ENDING

"""The gallery of recipes, and what is done with recipe files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from desktop_scope.experiments.recipe_file import Recipe
from desktop_scope.experiments.recipes import Offer


@dataclass(frozen=True)
class RecipesState:
    """Recipes.

    Attributes:
        looks: At the gallery; each reads it anew.
        saving: A recipe that is to be saved, and where; None among the user's own.
        saves: How often something was saved.
        deleting: One of the user's own that is to be deleted.
        offers: What the gallery shows.
        used: What was put into the rack last.
    """

    looks: int = 0
    saving: tuple[Recipe, Path | None] | None = None
    saves: int = 0
    deleting: Path | None = None
    offers: tuple[Offer, ...] = ()
    used: Offer | None = None

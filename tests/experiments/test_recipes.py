"""Recipes: the pack's as recorded, one's own as files, and what does not go together."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from desktop_scope import paths
from desktop_scope.engine.requests import Workspace
from desktop_scope.engine.types import Mode, Positions
from desktop_scope.errors import ScopeError
from desktop_scope.experiments.recipe_file import (
    FORMAT,
    FeatureMark,
    ModelMark,
    Recipe,
    RecipeDial,
    RuleMark,
    SaeMark,
    TriggerMark,
    VectorMark,
    is_recipe,
    read_recipe,
    write_recipe,
)
from desktop_scope.experiments.recipes import (
    DeleteRecipe,
    Offer,
    Origin,
    ReadRecipes,
    SaveRecipe,
    delete_recipe,
    open_recipe,
    read_recipes,
    save_recipe,
    vector_mark_of,
    vector_of,
)
from desktop_scope.workbench import Workbench

DOGS = FeatureMark(
    SaeMark("SmolLM2-135M-Instruct, one SAE per layer/layer_17", "blocks.17.hook_resid_post", 4096),
    3988,
)
RECIPE = Recipe(
    FORMAT,
    "Dogs, mostly",
    ModelMark("HuggingFaceTB/SmolLM2-135M-Instruct", 30, 576),
    (
        RecipeDial("dogs", 2.2, 40.84, DOGS, median_norm=188.3),
        RecipeDial(
            "dogs",
            1.5,
            40.84,
            DOGS,
            mode=Mode.CLAMP,
            where=Positions(prompt=False, tokens=(3, 4)),
            when=RuleMark((TriggerMark(DOGS, 2.5),), 4),
        ),
        RecipeDial(
            "warmer", 0.5, 40.0, vector=VectorMark("warmer", "blocks.3.hook_resid_post", (0.1, -2))
        ),
    ),
    about="It speaks of dogs.",
    kl=0.8,
    prompts=("Who are you?",),
)


@pytest.fixture(scope="module")
def offers(workbench: Workbench) -> tuple[Offer, ...]:
    return _offers(workbench)


def _offers(workbench: Workbench) -> tuple[Offer, ...]:
    request = ReadRecipes(Workspace((paths.demo_pack(),)), 1)
    return read_recipes(request, workbench.catalogue, workbench.engine.loaded)


@pytest.fixture(scope="module")
def recorded() -> dict:
    return json.loads((paths.demo_pack() / "recipes.json").read_text())


# ---- what the pack brings


def test_the_packs_recipes_are_those_recorded(offers, recorded, workbench):
    turned = [offer for offer in offers if offer.recipe.dials[0].mode is Mode.ADD]
    assert len(turned) == len(recorded["recipes"]) == 15
    for offer, one in zip(turned, recorded["recipes"], strict=True):
        assert (offer.recipe.name, offer.recipe.about) == (one["name"], one["story"])
        assert offer.recipe.kl == one["kl_neutral"]
        assert offer.recipe.prompts == tuple(one["prompts"])
        assert one["breaks"] in offer.recipe.limits
        for feature, dial, f in zip(
            offer.features, offer.recipe.dials, one["features"], strict=True
        ):
            assert workbench.engine.infos[feature.sae].layer == f["layer"]
            assert feature.index == f["feature"]
            assert (dial.strength, dial.max_active) == (f["strength"], f["max_active"])
            assert dial.push == pytest.approx(f["push_fraction_of_median_norm"], abs=0.002)


def test_amnesia_switches_one_feature_off_in_each_of_24_layers(offers, recorded):
    for name, concept in (("Forget space", "space24"), ("Forget dogs", "dog24")):
        (offer,) = [offer for offer in offers if offer.recipe.name == name]
        costs = recorded["ablations"]["kl_on_neutral_texts"]
        (cost,) = [one for one in costs if one["ablate"] == concept]
        assert [list(feature) for feature in offer.features] == cost["features"]
        assert {dial.mode for dial in offer.recipe.dials} == {Mode.ABLATE}
        assert offer.recipe.kl == cost["kl"]
        assert [feature.sae for feature in offer.features] == list(range(5, 29))


def test_what_was_counted_is_told_with_its_controls(offers):
    (space,) = [offer for offer in offers if offer.recipe.name == "Forget space"]
    assert "18 words about space as it is, 2 with this, 17 to 18" in space.recipe.limits[0]
    (thanks,) = [offer for offer in offers if offer.recipe.name == "No more thanks"]
    assert "too little to tell" in thanks.recipe.limits[0]


def test_a_set_without_labels_takes_the_catalogues(offers, workbench):
    (space,) = [offer for offer in offers if offer.recipe.name == "Forget space"]
    assert space.labels[18] == workbench.catalogue.label(space.features[18])


# ---- files


def test_a_recipe_comes_back_from_its_file(tmp_path):
    path = tmp_path / "a.recipe.json"
    write_recipe(RECIPE, path)
    assert is_recipe(path)
    assert read_recipe(path) == RECIPE
    assert list(tmp_path.iterdir()) == [path]


def test_a_vector_comes_back_from_its_file():
    vector = vector_of(VectorMark("v", "blocks.0.hook_resid_post", (0.25, -1.5, 3.0)))
    np.testing.assert_array_equal(vector.values, np.float32([0.25, -1.5, 3.0]))
    assert vector_of(vector_mark_of(vector)) == vector


def test_saved_recipes_are_among_the_offers_until_they_are_deleted(workbench):
    path = save_recipe(SaveRecipe(RECIPE, None, 1))
    assert path.name == "dogs-mostly.recipe.json"
    (own,) = [offer for offer in _offers(workbench) if offer.origin is Origin.OWN]
    assert (own.recipe, own.path) == (RECIPE, path)
    assert own.rules[1].triggers[0].above == 2.5
    delete_recipe(DeleteRecipe(path))
    assert all(offer.origin is Origin.PACK for offer in _offers(workbench))
    delete_recipe(DeleteRecipe(path))  # gone already


def test_only_ones_own_recipes_can_be_deleted(tmp_path):
    path = tmp_path / "precious.json"
    path.write_text("{}")
    with pytest.raises(ScopeError, match="not among your recipes"):
        delete_recipe(DeleteRecipe(path))
    assert path.exists()


def test_a_damaged_recipe_of_ones_own_keeps_no_other_from_use(workbench):
    save_recipe(SaveRecipe(RECIPE, None, 1)).with_name("b.recipe.json").write_text("{")
    assert sum(offer.origin is Origin.OWN for offer in _offers(workbench)) == 1


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ScopeError, match="cannot be written"):
        write_recipe(RECIPE, tmp_path / "file" / "a.json")


def changed(**fields: object) -> dict:
    return {**msgspec.to_builtins(RECIPE), **fields}


def with_dial(**fields: object) -> dict:
    dial = msgspec.to_builtins(RECIPE.dials[0])
    return changed(dials=[{**dial, **fields}])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "truncated"),
        ("[1]", "object"),
        ("[" * 100_000, "not a recipe"),
        (changed(name=3), "name"),
        (changed(name=" "), "no name"),
        (changed(dials=[]), "0 dials"),
        (changed(format="desktop-scope-recipe/2"), "newer"),
        (changed(format="something/1"), "format"),
        (changed(surprise=1), "surprise"),
        (with_dial(mode="explode"), "explode"),
        (with_dial(strength="much"), "strength"),
        (with_dial(strength=1e9), "turned to"),
        (with_dial(max_active=0), "turned to"),
        (with_dial(median_norm=-1), "median norm"),
        (with_dial(feature=None), "either a feature or a vector"),
        (with_dial(feature={"sae": msgspec.to_builtins(DOGS.sae), "index": 4096}), "4096"),
        (with_dial(when={"any": []}), "without a trigger"),
        (with_dial(feature=None, vector={"name": "v", "hook": "h", "values": []}), "empty"),
        (with_dial(feature=None, vector={"name": "v", "hook": "h", "values": [0]}), "empty"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, content, says):
    path = tmp_path / "bad.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ScopeError, match=says):
        read_recipe(path)


def test_numbers_that_are_none_are_refused(tmp_path):
    path = tmp_path / "bad.json"
    for number in ("NaN", "Infinity", "1e999"):
        path.write_text(json.dumps(with_dial(strength=0.125)).replace("0.125", number))
        with pytest.raises(ScopeError):
            read_recipe(path)


def test_a_missing_or_huge_file_is_refused(tmp_path):
    with pytest.raises(ScopeError, match="cannot be read"):
        read_recipe(tmp_path / "none.json")
    path = tmp_path / "huge.json"
    path.write_bytes(b" " * (5 * 1024**2))
    with pytest.raises(ScopeError, match="too large"):
        read_recipe(path)
    assert not is_recipe(path)


# ---- what goes together


def open_changed(workbench: Workbench, path: Path, recipe: Recipe) -> Offer:
    write_recipe(recipe, path)
    return open_recipe(path, workbench.catalogue, workbench.engine.loaded)


def test_a_recipe_for_another_model_is_refused(workbench, tmp_path):
    other = msgspec.structs.replace(RECIPE, model=ModelMark("google/gemma-3-270m", 18, 640))
    with pytest.raises(ScopeError, match="made for google/gemma-3-270m"):
        open_changed(workbench, tmp_path / "a.json", other)


def with_sae(**fields: object) -> Recipe:
    sae = msgspec.structs.replace(DOGS.sae, **fields)
    dial = msgspec.structs.replace(RECIPE.dials[0], feature=FeatureMark(sae, 8))
    return msgspec.structs.replace(RECIPE, dials=(dial,))


@pytest.mark.parametrize("other", [{"hook": "blocks.17.hook_mlp_out"}, {"d_sae": 16384}])
def test_a_recipe_whose_sae_is_not_open_is_refused(workbench, tmp_path, other):
    with pytest.raises(ScopeError, match="not open"):
        open_changed(workbench, tmp_path / "a.json", with_sae(**other))


def test_an_sae_of_another_name_is_used_with_a_warning(workbench, tmp_path):
    offer = open_changed(workbench, tmp_path / "a.json", with_sae(name="somebody's"))
    assert offer.features == ((17, 8),)
    assert "somebody's" in offer.note
    assert open_changed(workbench, tmp_path / "b.json", RECIPE).note == ""


def test_a_gallery_tells_why_a_recipe_cannot_be_used(workbench):
    save_recipe(SaveRecipe(RECIPE, None, 1))
    loaded = workbench.engine.loaded
    bare = replace(loaded, saes=loaded.saes[:3])
    request = ReadRecipes(Workspace(), 1)
    (own,) = read_recipes(request, workbench.catalogue, bare)
    assert "not open" in own.trouble
    assert own.features == ()

"""The recipes and the sets of features switched off that were tried on a pack's model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from desktop_scope.engine.types import Floats, Mode, Positions
from desktop_scope.errors import ScopeError
from desktop_scope.experiments.recipe_file import (
    FORMAT,
    FeatureMark,
    ModelMark,
    Recipe,
    RecipeDial,
    SaeMark,
)
from desktop_scope.library.pack import Pack

_FILE = "recipes.json"


class _Feature(msgspec.Struct, frozen=True):
    layer: int
    feature: int
    label: str
    strength: float
    max_active: float


class _Recipe(msgspec.Struct, frozen=True):
    name: str
    story: str
    features: tuple[_Feature, ...]
    prompts: tuple[str, ...]
    max_new_tokens: int
    kl_neutral: float
    breaks: str


class _Switched(msgspec.Struct, frozen=True):
    """One answer with features switched off; ``metric`` counts words or lines of the concept."""

    concept: str
    variant: str
    prompt: str
    features: tuple[tuple[int, int], ...]
    metric: float


class _Cost(msgspec.Struct, frozen=True):
    features: tuple[tuple[int, int], ...]
    kl: float


class _Ablations(msgspec.Struct, frozen=True):
    sets: tuple[_Switched, ...]
    kl_on_neutral_texts: tuple[_Cost, ...] = ()


class _File(msgspec.Struct, frozen=True):
    recipes: tuple[_Recipe, ...]
    ablations: _Ablations | None = None


# Made here, once: two threads that first meet a type of msgspec at the same time crash it.
_DECODER = msgspec.json.Decoder(_File)

# By concept and variant: the name, the sentence, and what was counted.
_OFF = {
    ("space", "all24"): (
        "Forget space",
        "One feature per layer switched off: it no longer knows what the solar system is.",
        "words about space",
    ),
    ("dog", "all24"): (
        "Forget dogs",
        "One feature per layer switched off: asked about dogs, it talks of something else.",
        "words about dogs",
    ),
    ("poem", "single (16, 157)"): (
        "No more poems",
        "A single feature switched off: asked for a poem, it writes prose.",
        "line breaks",
    ),
    ("poem", "all24"): (
        "No more poems, 24 layers",
        "One feature per layer switched off: less sure than the single feature.",
        "line breaks",
    ),
    ("grat", "all24"): (
        "No more thanks",
        "One feature per layer switched off; whether that does anything is not clear.",
        "words of thanks",
    ),
}


def pack_recipes(folder: Path, pack: Pack, maxima: Mapping[str, Floats]) -> tuple[Recipe, ...]:
    """What a pack brings; nothing where it brings none.

    Args:
        folder: The pack's.
        pack: What it says of itself.
        maxima: Strongest activations, by SAE as its file is called and feature.

    Raises:
        ScopeError: The file makes no sense.
    """
    path = folder / _FILE
    if not path.is_file():
        return ()
    try:
        file = _DECODER.decode(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ScopeError(
            f"The recipes in {path} cannot be read: {error}.", "Get the pack again."
        ) from error
    turned = tuple(_turned(one, pack) for one in file.recipes)
    return (*turned, *_switched_off(file.ablations, pack, maxima))


def _turned(one: _Recipe, pack: Pack) -> Recipe:
    dials = tuple(
        _dial(pack, f.layer, f.feature, f.label, f.strength, f.max_active, Mode.ADD)
        for f in one.features
    )
    return Recipe(
        FORMAT,
        one.name,
        _model(pack),
        dials,
        about=one.story,
        kl=one.kl_neutral,
        prompts=one.prompts,
        limits=(
            one.breaks,
            f"Tried on {len(one.prompts)} prompts, {one.max_new_tokens} tokens each, which also "
            "served to find it.",
        ),
    )


def _switched_off(
    ablations: _Ablations | None, pack: Pack, maxima: Mapping[str, Floats]
) -> Iterator[Recipe]:
    if ablations is None:
        return
    by_set: dict[tuple[str, str], list[_Switched]] = defaultdict(list)
    for answer in ablations.sets:
        by_set[answer.concept, answer.variant].append(answer)
    for (concept, variant), (name, about, counted) in _OFF.items():
        answers = by_set[concept, variant]
        if not answers:
            continue
        features = answers[0].features
        cost = (c.kl for c in ablations.kl_on_neutral_texts if c.features == features)
        dials = tuple(
            _dial(pack, layer, index, "", 1.0, _maximum(maxima, layer, index), Mode.ABLATE)
            for layer, index in features
        )
        yield Recipe(
            FORMAT,
            name,
            _model(pack),
            dials,
            about=about,
            kl=next(cost, None),
            prompts=tuple(answer.prompt for answer in answers),
            limits=(_tally(by_set, concept, answers, counted),),
        )


def _maximum(maxima: Mapping[str, Floats], layer: int, index: int) -> float:
    """What turning it instead of switching it off would be counted in."""
    known = maxima.get(_sae_name(layer))
    return 1.0 if known is None else float(known[index])


def _sae_name(layer: int) -> str:
    return f"layer_{layer:02}"


def _tally(
    by_set: dict[tuple[str, str], list[_Switched]],
    concept: str,
    answers: Sequence[_Switched],
    counted: str,
) -> str:
    """What was counted: as it was, with the set, and with sets for other things."""
    others = [
        sum(answer.metric for answer in found)
        for (one, variant), found in by_set.items()
        if one == concept and variant.startswith("control")
    ]
    was = sum(answer.metric for answer in by_set[concept, "none"])
    control = f", {min(others):g} to {max(others):g} with sets for other things" if others else ""
    few = ". That is too little to tell" if was < len(answers) else ""
    return (
        f"Over {len(answers)} prompts it counted {was:g} {counted} as it is, "
        f"{sum(answer.metric for answer in answers):g} with this{control}{few}."
    )


def _model(pack: Pack) -> ModelMark:
    return ModelMark(pack.model.id, pack.model.n_layers, pack.model.d_model)


def _dial(
    pack: Pack,
    layer: int,
    index: int,
    label: str,
    strength: float,
    max_active: float,
    mode: Mode,
) -> RecipeDial:
    sae = SaeMark(
        f"{pack.name}/{_sae_name(layer)}", f"blocks.{layer}.hook_resid_post", pack.saes.d_sae
    )
    return RecipeDial(
        label,
        strength,
        max_active,
        FeatureMark(sae, index),
        mode=mode,
        where=Positions(first=mode is Mode.ADD),  # as they were tried
        median_norm=pack.token_mask.median_norm[layer],
    )

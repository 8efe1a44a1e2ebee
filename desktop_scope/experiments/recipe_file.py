"""A recipe as a small JSON file: what to turn how far, for which model and autoencoders.

Version 1 is what the types below say. A strength is in multiples of ``max_active``, so that the
push is the same wherever the file is opened; features are named by what their SAE writes and by
its width, since the order of the open SAEs differs from one machine to the next.
"""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from desktop_scope.engine.types import Mode, Positions
from desktop_scope.errors import ScopeError, reason_of
from desktop_scope.library.parts import part_of, remove

FORMAT = "desktop-scope-recipe/1"
_FAMILY = FORMAT.partition("/")[0]
_MOST_BYTES = 4 * 1024**2
_MOST_DIALS = 512
_LARGEST = 1e6  # multiples, units: more is a slip of the pen
_GET_AGAIN = "Ask for the file again, or save the recipe anew."


class SaeMark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The SAE of a feature.

    Attributes:
        name: As its file gives it.
        hook: What it writes; of several hooks, the first.
    """

    name: str
    hook: str
    d_sae: int


class FeatureMark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A feature, wherever its SAE may be open."""

    sae: SaeMark
    index: int


class TriggerMark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A feature is stronger than this, in its own units."""

    feature: FeatureMark
    above: float


class RuleMark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a dial acts: one of these within the last tokens."""

    any: tuple[TriggerMark, ...]
    within: int = 1


class VectorMark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A direction of somebody's own."""

    name: str
    hook: str
    values: tuple[float, ...]


class RecipeDial(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One dial.

    Attributes:
        feature: None where a vector takes its place.
        strength: Multiples of ``max_active`` where the mode adds or clamps, else a factor.
        max_active: What a strength of 1 means, residual units.
        median_norm: Of what its SAE writes, for the push; 0 where it was not known.
    """

    label: str
    strength: float
    max_active: float
    feature: FeatureMark | None = None
    vector: VectorMark | None = None
    mode: Mode = Mode.ADD
    median_norm: float = 0.0
    where: Positions = Positions()
    when: RuleMark | None = None
    message: str = ""

    @property
    def push(self) -> float:
        """The added vector's length over the median residual norm; nan where nothing is added."""
        if self.mode is not Mode.ADD or not self.median_norm:
            return math.nan
        return abs(self.strength) * self.max_active / self.median_norm


class ModelMark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The model of a recipe."""

    id: str
    n_layers: int
    d_model: int


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to turn how far, and what is known about it.

    Attributes:
        about: One plain sentence.
        kl: What it costs on neutral texts, nats per token, where that was measured.
        prompts: What it was tried on.
        limits: What is known of where it ends, in plain sentences.
    """

    format: str
    name: str
    model: ModelMark
    dials: tuple[RecipeDial, ...]
    about: str = ""
    kl: float | None = None
    prompts: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()

    @property
    def pushes(self) -> tuple[float, ...]:
        """The push of every dial that adds something and is known."""
        return tuple(dial.push for dial in self.dials if math.isfinite(dial.push))


# Made here, once: two threads that first meet a type of msgspec at the same time crash it.
_RECIPE = msgspec.json.Decoder(Recipe)
_HEAD = msgspec.json.Decoder(msgspec.defstruct("_Head", [("format", str, "")]))


def is_recipe(path: Path) -> bool:
    """Whether a file calls itself a recipe, of whatever version."""
    try:
        if path.suffix.lower() != ".json" or path.stat().st_size > _MOST_BYTES:
            return False
        return str(_HEAD.decode(path.read_bytes()).format).startswith(_FAMILY)
    except (OSError, ValueError, RecursionError):
        return False


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        ScopeError: It is missing, damaged, of another version, or makes no sense.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ScopeError(f"{path.name} is too large for a recipe.", _GET_AGAIN)
        data = path.read_bytes()
        version = _HEAD.decode(data).format
        if version.startswith(f"{_FAMILY}/") and version != FORMAT:
            raise ScopeError(
                f"{path.name} is a recipe of the version “{version}”, which this program does not "
                "know.",
                "A newer Desktop Scope may read it.",
            )
        recipe = _RECIPE.decode(data)
    except OSError as error:
        raise ScopeError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    except (ValueError, RecursionError) as error:
        raise ScopeError(f"{path.name} is not a recipe: {error}.", _GET_AGAIN) from error
    if trouble := _trouble(recipe):
        raise ScopeError(f"{path.name} makes no sense: {trouble}.", _GET_AGAIN)
    return recipe


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Save a recipe; a file of that name is replaced.

    Raises:
        ScopeError: It makes no sense, or the file cannot be written.
    """
    if trouble := _trouble(recipe):
        raise ScopeError(f"That recipe cannot be saved: {trouble}.")
    try:
        part = part_of(path)
        try:
            part.write_bytes(msgspec.json.format(msgspec.json.encode(recipe)) + b"\n")
            part.replace(path)
        finally:
            remove(part)
    except (OSError, UnicodeEncodeError) as error:  # the latter for paths that are no text
        raise ScopeError(
            f"{path} cannot be written: {reason_of(error)}.", "Choose another place."
        ) from error


def _trouble(recipe: Recipe) -> str:
    """What is wrong with a recipe; empty if nothing is."""
    if recipe.format != FORMAT:
        return f"its format is “{recipe.format}”, where “{FORMAT}” belongs"
    if not recipe.name.strip():
        return "it has no name"
    if not 0 < len(recipe.dials) <= _MOST_DIALS:
        return f"it has {len(recipe.dials)} dials, where 1 to {_MOST_DIALS} are possible"
    for number, dial in enumerate(recipe.dials, 1):
        if trouble := _dial_trouble(dial):
            return f"dial {number} {trouble}"
    return ""


def _dial_trouble(dial: RecipeDial) -> str:
    if (dial.feature is None) == (dial.vector is None):
        return "needs either a feature or a vector"
    if not abs(dial.strength) <= _LARGEST or not 0 < dial.max_active <= _LARGEST:
        return f"is turned to {dial.strength:g} times {dial.max_active:g}"
    if not 0 <= dial.median_norm <= _LARGEST:
        return f"has a median norm of {dial.median_norm:g}"
    marks = [dial.feature] if dial.feature else []
    if dial.when is not None:
        if not dial.when.any or dial.when.within < 1:
            return "has a rule without a trigger"
        if not all(math.isfinite(trigger.above) for trigger in dial.when.any):
            return "has a rule with a threshold that is no number"
        marks += [trigger.feature for trigger in dial.when.any]
    for mark in marks:
        if not 0 <= mark.index < mark.sae.d_sae:
            return f"names the feature {mark.index} of an SAE with {mark.sae.d_sae}"
    if dial.vector is not None:
        values = dial.vector.values
        if not values or not all(abs(value) <= _LARGEST for value in values) or not any(values):
            return "has a vector that is empty, or not made of numbers"
    return ""

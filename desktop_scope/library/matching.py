"""Which SAEs belong to which model, and how sure that is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

from desktop_scope.engine.hook_points import HookPoint, Site
from desktop_scope.library.entries import Library, ModelEntry, SaeDetails, SaeEntry

# Organisations that were renamed on the hub, and models that went without one at first.
_ORGS = {"fnlp": "openmoss-team"}
_BARE = {"gpt2": "openai-community/gpt2"}
_BARE |= {f"gpt2-{size}": f"openai-community/gpt2-{size}" for size in ("medium", "large", "xl")}
# Gemma 3's base models are called …-pt, but the smallest is not, except by its SAEs' makers.
_BASE_SUFFIX = "-pt"

# Parts of a name that tell how the weights are stored, or how the model was trained on.
_STORED = re.compile(
    r"[-_.](?:i?q\d(?:_\w+)?|(?:bf|fp?)(?:8|16|32)|gguf|awq|gptq|bnb|[48]bit|hf)(?![a-z0-9])"
)
_VARIANTS = {"base", "chat", "instruct", "it", "pt"}
_MAKERS = {"meta"}  # Meta-Llama-3.1-8B is Llama-3.1-8B


class Match(IntEnum):
    """How an SAE goes with a model, the surest first."""

    DECLARED = 0  # it says that it was made for this model
    RELATED = 1  # made for a model of this family and size: the base of a chat model, a copy
    BY_SIZE = 2  # its width and layer are possible; nothing else is known, or another is named
    UNKNOWN = 3  # its file was not read yet


@dataclass(frozen=True)
class Fit:
    """One SAE file that may be used with a model.

    Attributes:
        reason: For people; one sentence.
    """

    sae: SaeEntry
    match: Match
    reason: str


def fits(model: ModelEntry, library: Library) -> tuple[Fit, ...]:
    """What may be used with a model, the surest first; what cannot be is left out."""
    found = (fit(model, sae) for sae in library.saes)
    return tuple(sorted(filter(None, found), key=lambda one: one.match))


def fit(model: ModelEntry, sae: SaeEntry) -> Fit | None:
    """How an SAE file goes with a model; None when it cannot be used with it."""
    if sae.problem:
        return None
    if not sae.details:
        return _unread(model, sae)
    if not all(_possible(model, one) for one in sae.details):
        return None
    declared = next(filter(None, (one.model for one in sae.details)), None) or sae.model
    if not declared:
        return Fit(sae, Match.BY_SIZE, "Its width and layer are possible; it names no model.")
    match = _by_name(model.id, declared)
    return Fit(sae, match, _REASONS[match].format(declared))


_REASONS = {
    Match.DECLARED: "Made for this model.",
    Match.RELATED: "Made for {}, of the same family and size.",
    Match.BY_SIZE: "Its width and layer are possible, but it was made for {}.",
}


def _unread(model: ModelEntry, sae: SaeEntry) -> Fit | None:
    if not sae.model:
        return Fit(sae, Match.UNKNOWN, "Its file was not read yet.")
    match = _by_name(model.id, sae.model)
    return None if match is Match.BY_SIZE else Fit(sae, match, _REASONS[match].format(sae.model))


def _by_name(here: str, declared: str) -> Match:
    if same_model(here, declared):
        return Match.DECLARED
    return Match.RELATED if _family(here) == _family(declared) else Match.BY_SIZE


def same_model(one: str, other: str) -> bool:
    """Whether two Hugging Face ids name the same model."""
    return _normal(one) == _normal(other)


@cache
def _normal(model_id: str) -> str:
    name = model_id.strip().casefold()
    org, slash, rest = _BARE.get(name, name).rpartition("/")
    return f"{_ORGS.get(org, org)}{slash}{rest.removesuffix(_BASE_SUFFIX)}"


@cache
def _family(model_id: str) -> tuple[str, ...]:
    """Family, generation and size: the name without org, maker and variant."""
    name = _STORED.sub("", model_id.casefold().rpartition("/")[2])
    return tuple(part for part in re.split("[-_]", name) if part not in _VARIANTS | _MAKERS)


def _possible(model: ModelEntry, one: SaeDetails) -> bool:
    """Whether all places that are read and written exist and have the right width."""
    return _has(model, one.reads, one.d_in) and _has(model, one.writes, one.d_out)


def _has(model: ModelEntry, names: Iterable[str], width: int) -> bool:
    hooks = [HookPoint.parse(name) for name in names]
    widths = [model.d_heads if hook.site is Site.Z else model.d_model for hook in hooks]
    fits_width = not all(widths) or sum(widths) == width
    return fits_width and all(not model.n_layers or hook.layer < model.n_layers for hook in hooks)

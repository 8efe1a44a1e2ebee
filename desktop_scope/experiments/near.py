"""Texts that have to do with what is steered, from the features' own evidence.

Where a feature fires midway, and where the features fire that write nearly the same: what turning
"violence" down does to martial arts shows there, and not on texts about parking rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from desktop_scope.engine.cost_types import Passages
from desktop_scope.engine.types import FeatureId, Intervention
from desktop_scope.evidence.catalogue import Catalogue
from desktop_scope.evidence.types import Example

_TEXTS = 6  # of each sort
_BEFORE, _AFTER = 16, 12  # tokens around an example's peak
_HALF = "\u27e8"  # opens what stands for half a character, which is no text


def near_passages(
    catalogue: Catalogue, interventions: Sequence[Intervention]
) -> tuple[Passages, ...]:
    """What is known of texts near to what is steered; nothing where there is no evidence."""
    features = list(dict.fromkeys(item.feature for item in interventions if item.feature))
    if not features:
        return ()
    own = list(dict.fromkeys(text for f in features for text in _midway(catalogue, f)))
    beside = list(
        dict.fromkeys(
            text
            for f in features
            for neighbour in catalogue.card(f).neighbours
            if neighbour.feature not in features
            for text in _midway(catalogue, neighbour.feature, 2)
        )
    )
    names = ", ".join(catalogue.card(f).name for f in features[:3])
    more = " and others" if len(features) > 3 else ""
    fire = "fires" if len(features) == 1 else "fire"
    sets = (
        (f"in which {names}{more} {fire} midway", _some(own)),
        (f"in which features close to {names}{more} fire", _some(beside)),
    )
    return tuple(
        Passages(f"{len(texts)} passages {title}", texts) for title, texts in sets if texts
    )


def _some(texts: Sequence[str]) -> tuple[str, ...]:
    """A few, spread evenly: so that no feature's take all the room."""
    step = max(len(texts) / _TEXTS, 1.0)
    return tuple(texts[int(k * step)] for k in range(min(len(texts), _TEXTS)))


def _midway(catalogue: Catalogue, feature: FeatureId, most: int = _TEXTS) -> Iterator[str]:
    examples = [one for one in catalogue.examples(feature) if one.band == "mid"]
    for example in examples[:most]:
        text = _around_peak(example)
        if text and _HALF not in text:
            yield text


def _around_peak(example: Example) -> str:
    start = max(example.peak - _BEFORE, 0)
    return "".join(example.texts[start : example.peak + _AFTER]).strip()

"""How finely the model is looked at: the sizes of the dictionaries that are open at each site.

The first n features of a Matryoshka SAE are a dictionary of their own, one for each of its
prefixes; so are SAEs of different width that read and write the same place. A size that is chosen
for all sites means at each of them the finest dictionary that is not larger, else the smallest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from desktop_scope.engine.types import FeatureId, SaeInfo


class Rung(NamedTuple):
    """One dictionary: the first features of one SAE.

    Attributes:
        slot: Of the SAE, among those open.
        size: So many features.
    """

    slot: int
    size: int

    def has(self, feature: FeatureId) -> bool:
        """Whether a feature is one of them."""
        return feature.sae == self.slot and feature.index < self.size


def ladder(saes: Sequence[SaeInfo], slot: int) -> tuple[Rung, ...]:
    """The dictionaries at the site of an SAE, coarse ones first."""
    site = _site(saes[slot])
    rungs = [rung for n, info in enumerate(saes) if _site(info) == site for rung in _rungs(n, info)]
    return tuple(sorted(rungs, key=lambda rung: (rung.size, rung.slot)))


def sizes(saes: Sequence[SaeInfo]) -> tuple[int, ...]:
    """What can be chosen, coarse first; nothing where every site has one dictionary only."""
    here = _sizes_by_site(saes).values()
    return tuple(sorted({size for found in here if len(found) > 1 for size in found}))


def several_at_once(saes: Sequence[SaeInfo]) -> bool:
    """Whether SAEs of different width share a site: then all of them together are a choice too."""
    widths: dict[object, set[int]] = {}
    for info in saes:
        widths.setdefault(_site(info), set()).add(info.d_sae)
    return any(len(found) > 1 for found in widths.values())


def shown_at(saes: Sequence[SaeInfo], size: int | None) -> tuple[int, ...]:
    """How many features of each SAE are looked at; nothing where it is all of them.

    Args:
        size: The one that was chosen; None for everything.
    """
    if size is None:
        return ()
    chosen = {
        site: max((one for one in found if one <= size), default=min(found))
        for site, found in _sizes_by_site(saes).items()
    }
    shown = []
    for slot, info in enumerate(saes):
        wanted = chosen[_site(info)]
        shown.append(wanted if Rung(slot, wanted) in _rungs(slot, info) else 0)
    whole = all(n == info.d_sae for n, info in zip(shown, saes, strict=True))
    return () if whole else tuple(shown)


def is_shown(shown: Sequence[int], feature: FeatureId) -> bool:
    """Whether a feature is among those looked at."""
    return not shown or feature.index < shown[feature.sae]


def birth(rungs: Sequence[Rung], feature: FeatureId) -> int:
    """The place in its ladder of the first dictionary that has a feature."""
    return next(n for n, rung in enumerate(rungs) if rung.has(feature))


def _rungs(slot: int, info: SaeInfo) -> list[Rung]:
    return [Rung(slot, size) for size in info.prefixes or (info.d_sae,)]


def _sizes_by_site(saes: Sequence[SaeInfo]) -> dict[tuple[str, str], set[int]]:
    found: dict[tuple[str, str], set[int]] = {}
    for info in saes:
        found.setdefault(_site(info), set()).update(info.prefixes or (info.d_sae,))
    return found


def _site(info: SaeInfo) -> tuple[str, str]:
    return info.hook_name, info.hook_out


@dataclass(frozen=True)
class SizeLoss:
    """What one dictionary loses of a text; see ``engine.size_losses`` for the measures.

    Attributes:
        slot: Of its SAE.
        size: So many features of it, the first ones.
        l0: Mean number of active features per token.
        ce: Nats per token with what is written replaced by the reconstruction.
    """

    slot: int
    size: int
    l0: float
    fvu: float
    ce: float


@dataclass(frozen=True)
class SiteLosses:
    """What the dictionaries at one site lose of a text; coarse ones first.

    Attributes:
        slots: Their SAEs, ascending.
        n_tokens: That were encoded and count for the variance.
        ce: The model's own loss, nats per token; with the mean in place of what is written there,
            and with nothing.
        trouble: Why nothing could be measured, for people; empty if it was.
    """

    slots: tuple[int, ...]
    n_tokens: int = 0
    ce: float = math.nan
    ce_mean: float = math.nan
    ce_zero: float = math.nan
    sizes: tuple[SizeLoss, ...] = ()
    trouble: str = ""

    def recovered(self, loss: SizeLoss, zero: bool = False) -> float:
        """The share of the loss that a dictionary wins back: 1 is all of it, 0 no more than the
        mean (or nothing) in its place; nan where replacing it by that does no harm.
        """
        worst = self.ce_zero if zero else self.ce_mean
        return (worst - loss.ce) / (worst - self.ce) if worst > self.ce else math.nan

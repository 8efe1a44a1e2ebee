"""How features are written for people: ``17/3988``, or ``mlp_out:17/3988`` where sites differ.

Several SAEs at one site are told apart by what differs: the width first, then the number of
features that are active on a token, then their order.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from desktop_scope.engine.hook_points import HookPoint, Site
from desktop_scope.engine.types import FeatureId, SaeInfo
from desktop_scope.errors import ScopeError

if TYPE_CHECKING:
    from desktop_scope.engine.sae_weights import SaeWeights  # which needs torch

_NAME = re.compile(r"(?:(?P<id>[^:/]+):)?(?P<layer>\d{1,6})/(?P<index>\d{1,9})")


def infos_of(saes: Sequence[SaeWeights]) -> tuple[SaeInfo, ...]:
    """What is to be said of each SAE, with ids that tell them apart."""
    infos = [_info(weights) for weights in saes]
    if len({_site(info) for info in infos}) > 1:
        infos = [replace(info, id=_site(info)) for info in infos]
    for part in (_width, _l0):
        infos = _told_apart(infos, part)
    shared, seen = Counter(info.place for info in infos), Counter[str]()
    for n, info in enumerate(infos):
        seen[info.place] += 1
        if shared[info.place] > 1:
            infos[n] = replace(info, id=f"{info.id}-{seen[info.place]}".strip("-"))
    return tuple(infos)


def _info(weights: SaeWeights) -> SaeInfo:
    return SaeInfo(
        id="",
        name=weights.name,
        format=weights.format,
        architecture=str(weights.architecture),
        layer=weights.reads[0].layer,
        hook_name=weights.reads[0].name,
        hook_out=weights.writes[0].name,
        d_in=weights.d_in,
        d_sae=weights.d_sae,
        prefixes=weights.prefixes,
        declared_l0=weights.declared_l0,
    )


def _told_apart(infos: list[SaeInfo], part: Callable[[SaeInfo], str]) -> list[SaeInfo]:
    """Put ``part`` into the ids of the SAEs that still share theirs, where it differs."""
    shared = Counter(info.place for info in infos)
    words = {place: {part(i) for i in infos if i.place == place} for place in shared}
    return [
        replace(info, id="-".join(filter(None, [info.id, part(info)])))
        if len(words[info.place]) > 1
        else info
        for info in infos
    ]


def _site(info: SaeInfo) -> str:
    site = HookPoint.parse(info.hook_out).site
    return {Site.EMBED: "embed", Site.Z: "z"}.get(site, site.rpartition("hook_")[2])


def _width(info: SaeInfo) -> str:
    return f"{info.d_sae >> 10}k" if info.d_sae >= 1024 else str(info.d_sae)


def _l0(info: SaeInfo) -> str:
    return "" if info.declared_l0 is None else f"l0_{info.declared_l0:.0f}"


def _ranges(layers: set[int]) -> str:
    """``layers 0 to 11, 20``."""
    parts: list[list[int]] = []
    for layer in sorted(layers):
        if parts and layer == parts[-1][-1] + 1:
            parts[-1].append(layer)
        else:
            parts.append([layer])
    said = [f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in parts]
    return f"layers {', '.join(said)}" if said else ""


def feature_name(saes: Sequence[SaeInfo], feature: FeatureId) -> str:
    """``17/3988``."""
    return f"{saes[feature.sae].place}/{feature.index}"


def parse_feature(saes: Sequence[SaeInfo], text: str) -> FeatureId:
    """Read ``LAYER/INDEX`` or ``SAE:LAYER/INDEX``.

    Raises:
        ScopeError: It is not that, or there is no such SAE or feature, or more than one SAE.
    """
    found = _NAME.fullmatch(text.strip())
    if found is None:
        raise ScopeError(f"“{text}” is not a feature.", "Write it as LAYER/INDEX: 17/3988.")
    layer, index, id_ = int(found["layer"]), int(found["index"]), found["id"]
    there = [n for n, info in enumerate(saes) if info.layer == layer]
    named = [n for n in there if id_ is None or saes[n].id == id_]
    if not named:
        known = ", ".join(saes[n].place for n in there) or _ranges({info.layer for info in saes})
        raise ScopeError(
            f"There is no feature {text}: no such SAE is open.",
            f"There are: {known}." if known else "Open an SAE first.",
        )
    if len(named) > 1:
        known = ", ".join(saes[n].place for n in named)
        raise ScopeError(f"Layer {layer} has several SAEs: {known}.", "Name one before the layer.")
    if index >= saes[named[0]].d_sae:
        raise ScopeError(
            f"There is no feature {text}.",
            f"The features of that SAE go from 0 to {saes[named[0]].d_sae - 1}.",
        )
    return FeatureId(named[0], index)

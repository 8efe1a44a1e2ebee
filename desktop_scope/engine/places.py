"""Where else an SAE could have been meant to be attached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from desktop_scope.engine.families import Parts
from desktop_scope.engine.hook_points import HookPoint, Site, resid_post
from desktop_scope.engine.sae_weights import InputNorm, SaeWeights


def places_around(weights: SaeWeights, parts: Parts) -> list[SaeWeights]:
    """The same SAE at the hooks around its own, and with its input treated otherwise.

    None for one that reads or writes several layers.
    """
    if len(weights.reads) > 1 or len(weights.writes) > 1:
        return []
    return [*_at(weights, _neighbours(weights, parts)), *_treated_otherwise(weights)]


def places_along(weights: SaeWeights, parts: Parts) -> list[SaeWeights]:
    """The same SAE at the same site of every other layer, but for those beside it."""
    read, write = weights.reads[0], weights.writes[0]
    far = [n for n in range(len(parts.blocks)) if abs(n - read.layer) > 1]
    pairs = [(HookPoint(n, read.site), HookPoint(n, write.site)) for n in far]
    return _at(weights, [pair for pair in pairs if all(point in parts.taps for point in pair)])


def _at(weights: SaeWeights, pairs: Sequence[tuple[HookPoint, HookPoint]]) -> list[SaeWeights]:
    return [replace(weights, reads=(read,), writes=(write,)) for read, write in pairs]


def _treated_otherwise(weights: SaeWeights) -> list[SaeWeights]:
    if weights.d_in != weights.d_out:
        return []
    changed = [replace(weights, norm=norm) for norm in InputNorm if norm is not weights.norm]
    return [
        *changed,
        replace(weights, centred=not weights.centred),
        replace(weights, subtract_b_dec=not weights.subtract_b_dec),
    ]


def _neighbours(weights: SaeWeights, parts: Parts) -> list[tuple[HookPoint, HookPoint]]:
    """Other hooks of the same width, in its layer and the ones beside it."""
    read, write = weights.reads[0], weights.writes[0]
    layers = [n for n in range(read.layer - 1, read.layer + 2) if 0 <= n < len(parts.blocks)]
    sites = [
        site
        for site in parts.sites()
        if parts.width(site) == weights.d_in and site is not Site.EMBED
    ]
    if read == write:
        spots = {HookPoint(layer, site) for layer in layers for site in sites}
        spots |= {HookPoint(0, Site.EMBED)} if read.layer == 0 else set()
        spots = {_named_once(point) for point in spots} - {_named_once(read)}
        return [(point, point) for point in _different(sorted(spots), read, parts)]
    shifted = [
        (HookPoint(layer, read.site), HookPoint(layer, write.site))
        for layer in layers
        if layer != read.layer
    ]
    ins = _different([HookPoint(read.layer, site) for site in sites], read, parts)
    outs = _different([HookPoint(write.layer, site) for site in sites], write, parts)
    return [*shifted, *((point, write) for point in ins), *((read, point) for point in outs)]


def _different(points: Sequence[HookPoint], own: HookPoint, parts: Parts) -> list[HookPoint]:
    """Each place once: a model without post-norms has two names for some."""
    taps, different = [parts.tap(own)], []
    for point in points:
        if point in parts.taps and (tap := parts.tap(point)) not in taps:
            taps.append(tap)
            different.append(point)
    return different


def _named_once(point: HookPoint) -> HookPoint:
    """The stream before a block is the stream after the one before."""
    if point.site is Site.RESID_PRE and point.layer:
        return resid_post(point.layer - 1)
    return point

"""Do parents fire where their children do? For random features of the demo pack, on their evidence.

The parents were chosen on a sample of the corpus (see ``evidence.kinship``). Here each child's own
examples are read, which are its strongest and some of its mid-range places in the whole corpus, and
on the tokens of their windows where the child fires it is counted how often its parent does; and
how often a feature does that was drawn at random among those of the same dictionary which fire
about as often anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from desktop_scope import paths
from desktop_scope.engine.requests import LoadModel, Workspace
from desktop_scope.engine.sizes import birth, ladder
from desktop_scope.engine.types import FeatureId
from desktop_scope.engine.worker import silent_job
from desktop_scope.evidence.kinship.measuring import advance, begin
from desktop_scope.evidence.kinship.types import Basis, ReadFamily
from desktop_scope.evidence.requests import OpenCatalogue
from desktop_scope.workbench import Workbench

_N, _SEED = 50, 7
_NEAREST = 10  # in density, of which one is drawn
_AIM = 0.8


class Kinship(NamedTuple):
    """One child on its evidence tokens."""

    child: FeatureId
    share: float  # on which its parent fires; nan without a known parent
    chance: float  # on which another feature fires, about as dense


def measure(bench: Workbench, n: int, seed: int) -> list[Kinship]:
    """Draw features that are not of the coarsest dictionary, and read their examples."""
    rng = np.random.default_rng(seed)
    engine, catalogue, job = bench.engine, bench.catalogue, silent_job()
    found: list[Kinship] = []
    while len(found) < n:
        slot = int(rng.integers(len(engine.saes)))
        child = FeatureId(slot, int(rng.integers(engine.saes[slot].d_sae)))
        rungs = ladder(engine.infos, slot)
        if birth(rungs, child) == 0:
            continue
        line = catalogue.families.family(ReadFamily(child)).line
        if line[-1].basis is not Basis.SAMPLE:
            found.append(Kinship(child, math.nan, math.nan))
            continue
        seen = begin(engine, child, catalogue.evidence[slot].stretches(child.index))
        advance(engine, seen, job, math.inf)
        parent = line[-2].feature.index
        density = catalogue.evidence[slot].density[: seen.rung.size]
        near = np.argsort(abs(np.log(density + 1e-9) - math.log(density[parent] + 1e-9)))
        other = int(rng.choice(near[near != parent][:_NEAREST]))
        shares = seen.together[[parent, other]] / max(seen.fires, 1)
        found.append(Kinship(child, *shares.tolist()))
    return found


def run() -> dict[str, float]:
    """Measure."""
    bench, workspace = Workbench(), Workspace((paths.demo_pack(),))
    bench.handle(LoadModel(workspace, device="cpu", dtype="float32"), silent_job())
    bench.handle(OpenCatalogue(workspace), silent_job())
    every = measure(bench, _N, _SEED)
    known = [one for one in every if not math.isnan(one.share)]
    share, chance = (
        np.array([getattr(one, name) for one in known]) for name in Kinship._fields[1:]
    )
    figures = {"features": float(_N), "with_a_parent": float(len(known))}
    for name, values in (("parent", share), ("random", chance)):
        for quarter in (0.1, 0.25, 0.5, 0.75, 0.9):
            figures[f"{name}_share_quantile_{quarter:g}"] = float(np.quantile(values, quarter))
        figures[f"{name}_fires_on_80_percent"] = float((values >= _AIM).mean())
    figures |= _by_layer(bench, known)
    figures["parent_over_random_ratio"] = float(share.mean() / chance.mean())
    return figures


def _by_layer(bench: Workbench, known: Sequence[Kinship]) -> dict[str, float]:
    """Median share of each third of the layers, and of each dictionary."""
    n_layers, found = bench.engine.model.info.n_layers, {}
    layers = [bench.engine.infos[one.child.sae].layer for one in known]
    for third in range(3):
        begin_, end = n_layers * third // 3, n_layers * (third + 1) // 3
        part = [one.share for one, at in zip(known, layers, strict=True) if begin_ <= at < end]
        found[f"layers_{begin_}_to_{end - 1}_median"] = float(np.median(part))
        found[f"layers_{begin_}_to_{end - 1}_features"] = float(len(part))
    for low, high in ((256, 1024), (1024, 4096)):
        part = [one.share for one in known if low <= one.child.index < high]
        found[f"first_in_{high}_median"] = float(np.median(part)) if part else math.nan
        found[f"first_in_{high}_features"] = float(len(part))
    return found

"""What the window says of sizes and what they lose."""

from __future__ import annotations

import math

from desktop_scope.engine.sizes import SiteLosses
from desktop_scope.engine.types import SaeInfo
from desktop_scope.gui.state import AppState
from desktop_scope.gui.widgets.loss_chart import Chart, Series

FVU = "FVU"
CE = "CE recovered"
ABOUT = (
    "FVU, the fraction of variance unexplained: how much of what flows through this layer, over\n"
    "the tokens of this text, the first features leave out. 0 % would be a perfect copy.\n"
    "CE recovered: the reconstruction really takes the place of the stream, its error left out,\n"
    "and the model reads on. Of the loss that the text’s mean in its place costs, the share that\n"
    "is won back: 100 % as good as the model itself. A short text may by chance come out above."
)
_CHOSEN_AMONG_ALL = {"topk", "abstopk", "groupmax"}


def by_size(site: SiteLosses) -> tuple[list[str], list[Chart]]:
    """One site: the sizes as places."""
    fvu = tuple(loss.fvu for loss in site.sizes)
    won = tuple(site.recovered(loss) for loss in site.sizes)
    charts = [Chart(FVU, (Series("", fvu),), 0.0), Chart(CE, (Series("", won),), 1.0)]
    return [f"{loss.size:,}" for loss in site.sizes], charts


def by_layer(state: AppState, sites: tuple[SiteLosses, ...]) -> tuple[list[str], list[Chart]]:
    """All sites: those measured as places, a line for each size."""
    measured = in_order(sites)
    sizes = sorted({loss.size for site in measured for loss in site.sizes})
    at = [{loss.size: (site, loss) for loss in site.sizes} for site in measured]

    def line(size: int, what: str) -> Series:
        found = [
            (loss.fvu if what == FVU else site.recovered(loss)) if site is not None else math.nan
            for site, loss in (one.get(size, (None, None)) for one in at)
        ]
        return Series(f"{size:,}", tuple(found))

    charts = [
        Chart(what, tuple(line(size, what) for size in sizes), ideal)
        for what, ideal in ((FVU, 0.0), (CE, 1.0))
    ]
    return [state.saes[site.slots[0]].place for site in measured], charts


def in_order(sites: tuple[SiteLosses, ...]) -> list[SiteLosses]:
    """The sites that could be measured, as the model reaches them."""
    return sorted((site for site in sites if site.sizes), key=lambda site: site.slots)


def caution(saes: tuple[SaeInfo, ...], site: SiteLosses | None) -> str:
    """What is to be known of the sizes that are there, and how they were cut off."""
    if site is None:
        return ""
    if len(site.sizes) == 1:
        return (
            "One size only: open a nested (Matryoshka) autoencoder, or others of another width at "
            "the same place, to compare what they lose and to see families."
        )
    nested = [saes[slot] for slot in site.slots if len(saes[slot].prefixes) > 1]
    if any(info.architecture in _CHOSEN_AMONG_ALL for info in nested):
        return (
            "≈ A fixed number of features is active here, chosen among all; those beyond a size "
            "are then left out, as when the SAE was trained."
        )
    return ""

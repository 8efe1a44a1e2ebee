"""``zoom``: what each size of the dictionaries loses of a text, layer by layer."""

from __future__ import annotations

import argparse
from typing import Any

from desktop_scope.cli.common import (
    add_model_arguments,
    add_prompt_arguments,
    columns,
    known,
    open_workbench,
    terminal_job,
)
from desktop_scope.cli.trace import parse_layers
from desktop_scope.engine.requests import MeasureSizes, TracePrompt
from desktop_scope.engine.sizes import SiteLosses, ladder, sizes
from desktop_scope.engine.types import Prompt, SaeInfo

NAME = "zoom"
HELP = "What each size of the dictionaries loses of a text: FVU and CE recovered."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    add_prompt_arguments(parser)
    parser.add_argument("--layers", default="", help="such as 3,7-12; all by default")
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure one layer after another."""
    engine, job = open_workbench(options, evidence=False).engine, terminal_job()
    infos = engine.infos
    layers = parse_layers(options.layers, engine.model.info.n_layers)
    trace = engine.trace(TracePrompt(Prompt(options.prompt, options.chat)), job)
    found, done = [], set[int]()
    for slot, info in enumerate(infos):
        if info.layer in layers and slot not in done:
            site = engine.sizes(MeasureSizes(trace, slot), job)
            done |= {rung.slot for rung in ladder(infos, slot)}
            found.append(_as_json(infos, site))
    return {
        "model": engine.model.info.id,
        "n_tokens": trace.n_tokens,
        "sizes": list(sizes(infos)),
        "layers": found,
    }


def _as_json(infos: tuple[SaeInfo, ...], site: SiteLosses) -> dict[str, Any]:
    info = infos[site.slots[0]]
    return {
        "layer": info.layer,
        "hook_name": info.hook_out,
        "trouble": site.trouble,
        "n_encoded": site.n_tokens,
        "ce": known(site.ce),
        "ce_mean": known(site.ce_mean),
        "ce_zero": known(site.ce_zero),
        "sizes": [
            {
                "size": loss.size,
                "sae": infos[loss.slot].id,
                "architecture": infos[loss.slot].architecture,
                "l0": loss.l0,
                "fvu": known(loss.fvu),
                "ce": known(loss.ce),
                "ce_recovered": known(site.recovered(loss)),
                "ce_recovered_zero": known(site.recovered(loss, zero=True)),
            }
            for loss in site.sizes
        ],
    }


def table(result: dict[str, Any]) -> str:
    """For people."""
    lines = [f"{result['model']}, {result['n_tokens']} tokens"]
    if not result["sizes"]:
        lines.append("One size only: no nested SAEs, and none of another width at the same place.")
    rows = [["layer", "features", "L0", "FVU", "CE", "CE recovered", "(over zero)"]]
    for site in result["layers"]:
        if site["trouble"]:
            lines.append(f"{site['hook_name']}: {site['trouble']}")
        rows += [
            [
                str(site["layer"]),
                f"{size['size']:,}",
                f"{size['l0']:.1f}",
                _share(size["fvu"]),
                "–" if size["ce"] is None else f"{size['ce']:.3f}",
                _share(size["ce_recovered"]),
                _share(size["ce_recovered_zero"]),
            ]
            for size in site["sizes"]
        ]
    return "\n".join(
        [
            *lines,
            columns(rows, right=frozenset(range(len(rows[0])))),
            "FVU: variance of the stream that is not explained, of this text's tokens.",
            "CE recovered: of the loss that the mean (or zero) in the stream's place costs, the "
            "share won back\nwhen the reconstruction stands there instead, its error left out.",
        ]
    )


def _share(figure: float | None) -> str:
    return "–" if figure is None else f"{figure:.1%}"

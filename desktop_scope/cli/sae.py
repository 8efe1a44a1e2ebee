"""``sae check`` and ``sae convert``: does it fit its model; the same SAE in another format."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop_scope.cli.common import (
    add_device_arguments,
    columns,
    model_for,
    terminal_job,
)
from desktop_scope.engine.requests import CheckSae, LoadModel, Placement, Workspace
from desktop_scope.errors import ScopeError

if TYPE_CHECKING:
    from desktop_scope.engine.engine import Engine
    from desktop_scope.engine.health import Health
    from desktop_scope.engine.model import LanguageModel
    from desktop_scope.engine.types import SaeInfo

NAME = "sae"
HELP = "Check that an SAE fits its model, or convert it to another format."
_N_TRIED = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Two verbs of its own."""
    verbs = parser.add_subparsers(dest="action", required=True, metavar="check|convert")
    check = verbs.add_parser("check", help="measure L0, FVU and CE recovered, here and elsewhere")
    check.add_argument("path", type=Path, help="an SAE file or folder")
    check.add_argument("--hook", help="attach it here instead, such as blocks.12.hook_resid_post")
    convert = verbs.add_parser("convert", help="between our compact format and SAELens's native")
    convert.add_argument("path", type=Path, help="an SAE file or folder")
    convert.add_argument("out", type=Path, help="a .safetensors file (compact) or a folder")
    convert.add_argument("--to", choices=("compact", "saelens"), required=True)
    for child in (check, convert):
        child.add_argument("--json", action="store_true", help="one JSON object, not a table")
        add_device_arguments(child)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Check or convert."""
    return _check(options) if options.action == "check" else _convert(options)


def _check(options: argparse.Namespace) -> dict[str, Any]:
    found = []
    engine, workspace = _open(options, options.path, options.hook)
    for slot, info in enumerate(engine.infos):
        health = engine.check(CheckSae(slot, workspace), terminal_job())
        found.append(_as_json(info, health))
    return {"model": engine.model.info.id, **found[0], "saes": found}


def _open(
    options: argparse.Namespace,
    path: Path,
    hook: str | None = None,
    model: LanguageModel | None = None,
) -> tuple[Engine, Workspace]:
    from desktop_scope.engine.devices import import_torch

    import_torch()
    from desktop_scope.formats import open_sae
    from desktop_scope.library.opening import open_engine, sae_paths

    opened = [weights for one in sae_paths(path) for weights in open_sae(one)]
    moved = []
    for w in opened if hook else ():
        if w.reads != w.writes:
            raise ScopeError(
                f"{w.name} is a transcoder: it reads and writes different hooks.",
                "--hook is for autoencoders.",
            )
        moved.append(Placement(w.name, str(hook), str(hook), w.norm, w.centred, w.subtract_b_dec))
    workspace = Workspace((path,), model_for(options.model, opened), tuple(moved))
    request = LoadModel(workspace, device=options.device, dtype=options.dtype)
    return open_engine(request, terminal_job(), model), workspace


def _as_json(info: SaeInfo, health: Health) -> dict[str, Any]:
    return {
        "name": info.name,
        "format": info.format,
        "architecture": info.architecture,
        "hook_name": health.hook_name,
        "hook_out": health.hook_out,
        "d_in": info.d_in,
        "d_sae": info.d_sae,
        "n_tokens": health.n_tokens,
        "l0": health.l0,
        "declared_l0": info.declared_l0,
        "fvu": _finite(health.fvu),
        "ce_recovered": _finite(health.ce_recovered),
        "verdict": health.verdict.value,
        "reason": health.reason,
        "best": health.best.hook_name if health.best else health.hook_name,
        "tried": [
            {
                "hook_name": t.hook_name,
                "hook_out": t.hook_out,
                "norm": t.norm,
                "centred": t.centred,
                "subtract_b_dec": t.subtract_b_dec,
                "fvu": _finite(t.fvu),
                "l0": t.l0,
            }
            for t in health.tried
        ],
    }


def _finite(figure: float) -> float | None:
    return figure if math.isfinite(figure) else None


def _convert(options: argparse.Namespace) -> dict[str, Any]:
    from desktop_scope.formats import open_sae
    from desktop_scope.formats.converting import convert

    opened = open_sae(options.path)
    if len(opened) != 1:
        raise ScopeError(
            f"{options.path} holds {len(opened)} SAEs.", "Name the file or folder of one of them."
        )
    out = convert(opened[0], options.out, options.to)
    before, _ = _open(options, options.path)
    after, _ = _open(options, out, model=before.model)
    fvus = [engine.fvu(0, terminal_job()) for engine in (before, after)]
    return {
        "file": str(out),
        "to": options.to,
        "fvu_before": fvus[0],
        "fvu_after": fvus[1],
        "fvu_difference": fvus[1] - fvus[0],
    }


def table(result: dict[str, Any]) -> str:
    """For people."""
    if "file" in result:
        return (
            f"Wrote {result['file']}.\nVariance unexplained on the built-in text: "
            f"{result['fvu_before']:.4%} before, {result['fvu_after']:.4%} after "
            f"({result['fvu_difference']:+.4%})."
        )
    return "\n\n".join(_one(sae, result["model"]) for sae in result["saes"])


def _one(sae: dict[str, Any], model: str) -> str:
    declared = f" (declared {sae['declared_l0']:.0f})" if sae["declared_l0"] else ""
    where = sae["hook_name"]
    if sae["hook_out"] != where:
        where += f" → {sae['hook_out']}"
    lines = [
        f"{sae['name']}: {sae['format']}, {sae['architecture']}, {sae['d_sae']:,} features",
        f"at {where} of {model}, on {sae['n_tokens']:,} tokens: L0 {sae['l0']:.1f}{declared}, "
        f"FVU {_share(sae['fvu'])}, CE recovered {_share(sae['ce_recovered'])}",
        f"{sae['verdict'].upper()}: {sae['reason']}.",
    ]
    if sae["tried"]:
        lines.append("Elsewhere")
        lines.append(
            columns(
                [
                    [
                        f"  {t['hook_name']}"
                        + ("" if t["hook_out"] == t["hook_name"] else f" → {t['hook_out']}"),
                        "" if t["norm"] == "none" else t["norm"],
                        "centred" if t["centred"] else "",
                        "b_dec subtracted" if t["subtract_b_dec"] else "",
                        f"FVU {_share(t['fvu'])}",
                        f"L0 {t['l0']:.1f}",
                    ]
                    for t in sae["tried"][:_N_TRIED]
                ]
            )
        )
    return "\n".join(lines)


def _share(figure: float | None) -> str:
    return "–" if figure is None else f"{figure:.1%}"

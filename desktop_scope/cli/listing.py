"""``list``: models, SAEs and packs found on this machine, and what goes with what."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from desktop_scope import paths
from desktop_scope.cli.common import columns, terminal_job
from desktop_scope.library.entries import Library, ModelEntry, PackEntry, SaeEntry, as_text
from desktop_scope.library.matching import Match, fit
from desktop_scope.wording import counted

NAME = "list"
HELP = "Models, SAEs and packs found on this machine."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to show, and where to look now and from now on."""
    parser.add_argument("words", nargs="*", help="show only what contains all of these words")
    for name, text in (
        ("--folder", "look there too, this once; may be repeated"),
        ("--add", "look there too from now on"),
        ("--forget", "look there no more"),
    ):
        parser.add_argument(name, action="append", default=[], type=Path, metavar="DIR", help=text)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Look, without reading weights."""
    from desktop_scope.library import folders, inventory
    from desktop_scope.library.requests import ReadDetails, ScanLibrary

    extra = tuple(folders.existing_folder(folder) for folder in options.folder)
    for folder in options.forget:
        folders.forget_folder(folder)
    for folder in options.add:
        folders.add_folder(folder)
    job = terminal_job()
    found = inventory.scan_library(ScanLibrary(extra), job)
    found = found.with_saes(inventory.read_details(ReadDetails(found.saes), job))
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    shown = found.matching(" ".join(options.words))
    return {
        "models": [_model(model) for model in shown.models],
        "saes": [row for sae in shown.saes for row in _saes(sae, found.models)],
        "packs": [_pack(pack) for pack in shown.packs],
        "unreadable": [as_text(path) for path in found.unreadable],
        "links": [as_text(path) for path in found.links],
        "demo_model": _has_demo_model(found),
    }


def _model(model: ModelEntry) -> dict[str, Any]:
    return {
        "id": model.id,
        "path": as_text(model.path),
        "architecture": model.architecture,
        "n_layers": model.n_layers,
        "d_model": model.d_model,
        "bytes": model.bytes,
        "problem": model.problem or None,
    }


def _saes(sae: SaeEntry, models: tuple[ModelEntry, ...]) -> Iterator[dict[str, Any]]:
    """One object for each SAE of an entry; one without figures if it cannot be opened."""
    common = {"path": as_text(sae.path), "problem": sae.problem or None}
    if not sae.details:
        unknown = dict.fromkeys(("hook_name", "layer", "d_in", "d_sae", "architecture"))
        lists: dict[str, Any] = {"reads": [], "writes": [], "models": []}
        about = {"id": sae.id, "format": ", ".join(sae.formats), "model": sae.model or None}
        yield about | unknown | lists | common
    fits = [(fit(model, sae), model.id) for model in models]
    surest_first = sorted(((one, name) for one, name in fits if one), key=lambda f: f[0].match)
    for one in sae.details:
        yield {
            "id": f"{sae.id}/{one.name}" if len(sae.details) > 1 else sae.id,
            "format": one.format,
            "hook_name": one.hook_name,
            "layer": one.layer,
            "d_in": one.d_in,
            "d_sae": one.d_sae,
            "architecture": one.architecture,
            "reads": one.reads,
            "writes": one.writes,
            "model": one.model or sae.model or None,
            "models": [
                {"id": name, "match": how.match.name.lower(), "reason": how.reason}
                for how, name in surest_first
            ],
            **common,
        }


def _pack(pack: PackEntry) -> dict[str, Any]:
    return {
        "id": pack.id,
        "path": as_text(pack.path),
        "model": pack.model,
        "n_saes": pack.n_saes,
        "n_features": pack.n_features,
        "problem": pack.problem or None,
    }


def _has_demo_model(library: Library) -> bool:
    from desktop_scope.library.pack import read_pack

    wanted = read_pack(paths.demo_pack()).model.id
    return any(model.id == wanted and not model.problem for model in library.models)


def table(result: dict[str, Any]) -> str:
    """For people."""
    sections = (
        ("Models", [_model_row(model) for model in result["models"]]),
        ("Packs", [_pack_row(pack) for pack in result["packs"]]),
        ("SAEs", [_sae_row(sae) for sae in result["saes"]]),
    )
    texts = [f"{title}\n{columns(rows) if rows else 'none'}" for title, rows in sections]
    return "\n\n".join([*texts, *_notes(result)])


def _model_row(model: dict[str, Any]) -> list[str]:
    size = (
        f"{counted(model['n_layers'], 'layer')} × {model['d_model']}" if model["n_layers"] else ""
    )
    weight = f"{model['bytes'] / 1e9:.2f} GB"
    return [model["id"], model["architecture"], size, weight, model["problem"] or model["path"]]


def _pack_row(pack: dict[str, Any]) -> list[str]:
    return [pack["id"], counted(pack["n_saes"], "SAE"), pack["problem"] or pack["path"]]


def _sae_row(sae: dict[str, Any]) -> list[str]:
    if sae["problem"]:
        return [sae["id"], "", "", sae["problem"]]
    n_more = len(sae["reads"]) - 1
    hooks = f"{sae['hook_name']} and {n_more} more" if n_more else sae["hook_name"]
    return [sae["id"], f"{sae['architecture']} {sae['d_sae']}", hooks, _goes_with(sae)]


def _goes_with(sae: dict[str, Any]) -> str:
    """The model with which it surely goes, or may go."""
    if sae["models"] and sae["models"][0]["match"] != Match.BY_SIZE.name.lower():
        return f"for {sae['models'][0]['id']}"
    if sae["model"]:
        return f"for {sae['model']}, which is not here"
    if sae["models"]:
        return f"may fit {sae['models'][0]['id']} by its size"
    return "fits no model here"


def _notes(result: dict[str, Any]) -> list[str]:
    """What people should do or know."""
    notes = []
    if not result["demo_model"]:
        notes.append("Get the demo model with: desktop-scope demo --fetch-only")
    if result["unreadable"]:
        n = len(result["unreadable"])
        notes.append(f"Folders that cannot be read: {n}; the first is {result['unreadable'][0]}")
    if result["links"]:
        n = len(result["links"])
        notes.append(
            f"Links to folders, not followed: {n}; the first is {result['links'][0]}. "
            "Look there with --folder or --add."
        )
    return notes

"""``search``: features by their labels, by what they promote, or by texts that light them up."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from desktop_scope.cli.common import (
    add_model_arguments,
    columns,
    feature_json,
    known,
    open_workbench,
    place,
    terminal_job,
)
from desktop_scope.errors import ScopeError
from desktop_scope.experiments.contrast import Contrast, Contrasted, ContrastTexts
from desktop_scope.workbench import Workbench

NAME = "search"
HELP = "Find features by label, by the word they make likelier, or by texts that light them up."
_MOST_BYTES = 20_000_000  # of a file of texts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument("query", nargs="?", default="")
    parser.add_argument("--by", choices=("label", "promotes"), default="label")
    parser.add_argument(
        "--text",
        type=Path,
        metavar="FILE",
        help="a text per line, or a folder with a text per file: what lights up in them",
    )
    parser.add_argument(
        "--against", type=Path, metavar="FILE", help="and does not light up in these"
    )
    parser.add_argument("--layer", type=int, help="only this layer")
    parser.add_argument("--limit", type=int, default=20)
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Search."""
    if options.limit < 1:
        raise ScopeError("--limit must be at least 1.", "Try --limit 20.")
    if options.text is not None:
        return _by_contrast(options)
    if options.against is not None:
        raise ScopeError("--against needs --text.", "Say --text FILE --against FILE.")
    if not options.query.strip():
        raise ScopeError("There is nothing to search for.", "Type a word.")
    bench = open_workbench(options)
    catalogue = bench.catalogue
    layers, n_layers = None, bench.engine.model.info.n_layers
    if options.layer is not None:
        layers = range(options.layer, options.layer + 1)
        if not 0 <= options.layer < n_layers:
            raise ScopeError(
                f"There is no layer {options.layer}.", f"Layers go from 0 to {n_layers - 1}."
            )
    limit = options.limit
    start = time.perf_counter()
    if options.by == "label":
        hits = catalogue.search(options.query, layers, limit)
    else:
        hits = catalogue.promoting(options.query, layers, limit)
    return {
        "query": options.query,
        "results": [
            feature_json(bench.engine.infos, h.feature, h.label) | {"score": h.score} for h in hits
        ],
        "seconds": time.perf_counter() - start,
    }


def _by_contrast(options: argparse.Namespace) -> dict[str, Any]:
    if options.against is None:
        raise ScopeError("Texts are compared with others.", "Say --text FILE --against FILE.")
    a, b = read_texts(options.text), read_texts(options.against)
    bench = open_workbench(options)
    start = time.perf_counter()
    found: Contrast = bench.handle(ContrastTexts(a, b), terminal_job())
    held = found.held_out
    return {
        "results": [_contrasted(bench, row) for row in found.rows[: options.limit]],
        "against": [_contrasted(bench, row) for row in found.others[: options.limit]],
        "texts": found.n_a,
        "texts_against": found.n_b,
        "tested": found.n_tested,
        "reliable": found.n_reliable,
        "held_out": held
        and {"auroc": held.auroc, "low": held.low, "high": held.high, "splits": held.n_splits},
        "verdict": found.verdict,
        "notes": list(found.notes),
        "seconds": time.perf_counter() - start,
    }


def _contrasted(bench: Workbench, row: Contrasted) -> dict[str, Any]:
    label = bench.catalogue.label(row.feature)
    return feature_json(bench.engine.infos, row.feature, label) | {
        "score": row.auroc,
        "low": row.low,
        "high": row.high,
        "p": row.p,
        "q": row.q,
        "reliable": row.reliable,
        "mean": row.mean_a,
        "mean_against": row.mean_b,
        "share": row.share_a,
        "share_against": row.share_b,
        "held_out": known(row.held_out),
        "picked": row.picked,
    }


def read_texts(path: Path) -> tuple[str, ...]:
    """The texts of a file, one per line, or of a folder, one per file.

    Raises:
        ScopeError: There are none, or they cannot be read.
    """
    try:
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.is_file())
            texts = [_text(file) for file in files if not file.name.startswith(".")]
        else:
            texts = _text(path).splitlines()
    except OSError as error:
        raise ScopeError(
            f"{path} cannot be read: {error.strerror}.", "Give a file with one text per line."
        ) from error
    found = tuple(text.strip() for text in texts if text.strip())
    if not found:
        raise ScopeError(f"There is no text in {path}.", "Write one text per line.")
    return found


def _text(file: Path) -> str:
    if file.stat().st_size > _MOST_BYTES:
        raise ScopeError(f"{file} is very large.", "Take a part of it.")
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ScopeError(f"{file} is not text in UTF-8.", "Save it as UTF-8.") from error


def table(result: dict[str, Any]) -> str:
    """For people."""
    if "verdict" in result:
        return _contrast_table(result)
    if not result["results"]:
        return f"Nothing found for “{result['query']}”. Try the beginning of a word."
    rows = [
        [f"{place(r)}/{r['index']}", f"{r['score']:.2f}", f"{r['label']} ({r['label_source']})"]
        for r in result["results"]
    ]
    return columns(rows, right=frozenset({0, 1}))


def _contrast_table(result: dict[str, Any]) -> str:
    lines = [result["verdict"]]
    if held := result["held_out"]:
        lines.append(
            f"The best feature of one half of the texts, on the other half: AUROC "
            f"{held['auroc']:.2f} ({held['low']:.2f} to {held['high']:.2f} over "
            f"{held['splits']} divisions); 0.5 is chance."
        )
    lines += result["notes"]
    head = ["feature", "AUROC", "95 %", "q", "held out", "label"]
    rows = [
        [
            f"{place(r)}/{r['index']}",
            f"{r['score']:.2f}",
            f"{r['low']:.2f}–{r['high']:.2f}",
            f"{r['q']:.1e}",
            "–" if r["held_out"] is None else f"{r['held_out']:.2f}",
            r["label"],
        ]
        for r in result["results"]
    ]
    table_ = columns([head, *rows], right=frozenset({0, 1, 2, 3, 4})) if rows else ""
    return "\n".join([*lines, *filter(None, ["", table_])])

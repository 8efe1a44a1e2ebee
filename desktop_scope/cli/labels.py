"""``labels``: score them, import and export them."""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from desktop_scope.cli.common import (
    add_model_arguments,
    columns,
    feature_json,
    open_workbench,
    terminal_job,
)
from desktop_scope.engine.feature_names import parse_feature
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.asking.requests import AskOpenModel, AskServer
from desktop_scope.evidence.marks.requests import MarkFeatures
from desktop_scope.evidence.marks.types import Change
from desktop_scope.evidence.types import PASSING_SCORE

NAME = "labels"
HELP = "Score labels on held-out text, import, export, or ask a language model for them."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument("action", choices=("score", "import", "export", "ask"))
    parser.add_argument(
        "path", nargs="?", help="a file to import or to export to; ask: a feature, such as 17/3988"
    )
    parser.add_argument("--layer", type=int, help="score: tell of this layer only")
    parser.add_argument("--again", action="store_true", help="score: do not use what is known")
    parser.add_argument("--sae", help="import: into this one, as `list` names it, such as 17")
    parser.add_argument(
        "--any-model", action="store_true", help="import: although it is for another model"
    )
    parser.add_argument("--judge", action="store_true", help="ask: judge the label that is shown")
    parser.add_argument(
        "--server",
        default="",
        help="ask: an OpenAI-compatible server on this machine, such as http://127.0.0.1:8080, "
        "instead of the open model",
    )
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Do it."""
    if options.action != "score" and options.path is None:
        what = "a feature, such as 17/3988" if options.action == "ask" else "a file"
        raise ScopeError(f"`labels {options.action}` needs {what}.", "Name one.")
    return _ACTIONS[options.action](options)


def _score(options: argparse.Namespace) -> dict[str, Any]:
    bench, job = open_workbench(options), terminal_job()
    catalogue = bench.catalogue
    for court in catalogue.courts:
        if options.again:
            court.again()
        court.run(job)
    groups: dict[str, list[float]] = defaultdict(list)
    for slot, evidence in enumerate(catalogue.evidence):
        if options.layer in (None, bench.engine.infos[slot].layer):
            evidence.refresh()
            for index, score in enumerate(evidence.scores.tolist()):
                groups[evidence.label(index).source].append(score)
    if not groups:
        raise ScopeError(f"There is no layer {options.layer}.", "See `desktop-scope list`.")
    return {
        "scores": [_row(source, np.array(scores)) for source, scores in groups.items()],
        "tried_in": sorted({court.held_out for court in catalogue.courts}),
    }


def _row(source: str, scores: np.ndarray) -> dict[str, Any]:
    known = scores[~np.isnan(scores)]
    return {
        "source": source,
        "labels": len(scores),
        "scored": len(known),
        "median": float(np.median(known)) if len(known) else None,
        "passing": int((known >= PASSING_SCORE).sum()),
        **{f"from_{least:.1f}": int((known >= least).sum()) for least in (0.7, 0.8, 0.9)},
    }


def _import(options: argparse.Namespace) -> dict[str, Any]:
    from desktop_scope.evidence.marks.importing import import_labels

    bench = open_workbench(options)
    done = import_labels(bench.catalogue, (Path(options.path),), options.sae, options.any_model)
    return {"imported": done.imported, "skipped": done.skipped, "reasons": list(done.reasons)}


def _export(options: argparse.Namespace) -> dict[str, Any]:
    from desktop_scope.evidence.marks.exporting import export_marks
    from desktop_scope.evidence.marks.store import MarkStore

    marks = MarkStore()
    try:
        return {"exported": export_marks(marks, Path(options.path)), "file": options.path}
    finally:
        marks.close()


def _ask(options: argparse.Namespace) -> dict[str, Any]:
    """What a model says is kept, as it is in the window."""
    bench = open_workbench(options)
    feature = parse_feature(bench.engine.infos, options.path)
    request: AskOpenModel | AskServer = AskOpenModel(feature, options.judge, 1)
    if options.server:
        request = AskServer(feature, options.judge, 1, options.server)
    asked = bench.handle(request, terminal_job())
    changes = tuple(Change(n, feature, *mark) for n, mark in enumerate(asked.marks, 1))
    bench.handle(MarkFeatures(changes), terminal_job())
    label = bench.catalogue.label(feature)
    return feature_json(bench.engine.infos, feature, label) | {
        "said": asked.message,
        "score": label.score,
    }


_ACTIONS = {"score": _score, "import": _import, "export": _export, "ask": _ask}


def table(result: dict[str, Any]) -> str:
    """For people."""
    if "said" in result:
        return str(result["said"])
    if "exported" in result:
        return f"Wrote {result['exported']:,} marks to {result['file']}."
    if "imported" in result:
        said = f"Imported {result['imported']:,}, skipped {result['skipped']:,}."
        return "\n".join([said, *(f"  {reason}" for reason in result["reasons"])])
    head = ["source", "labels", "scored", "median", f"from {PASSING_SCORE}", "0.7", "0.8", "0.9"]
    rows = [
        [
            row["source"],
            f"{row['labels']:,}",
            f"{row['scored']:,}",
            "–" if row["median"] is None else f"{row['median']:.2f}",
            *(f"{row[name]:,}" for name in ("passing", "from_0.7", "from_0.8", "from_0.9")),
        ]
        for row in result["scores"]
    ]
    tried_in = [f"Tried in {text}." for text in result["tried_in"]]
    return "\n".join([columns([head, *rows], right=frozenset(range(1, 8))), *tried_in])

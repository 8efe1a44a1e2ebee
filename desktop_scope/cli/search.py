"""``search``: features by the words of their labels, or by what they promote."""

from __future__ import annotations

import argparse
import time
from typing import Any

from desktop_scope.cli.common import (
    add_model_arguments,
    columns,
    feature_json,
    open_workbench,
    place,
)
from desktop_scope.errors import ScopeError

NAME = "search"
HELP = "Find features by label, or by the word they make likelier."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument("query")
    parser.add_argument("--by", choices=("label", "promotes"), default="label")
    parser.add_argument("--layer", type=int, help="only this layer")
    parser.add_argument("--limit", type=int, default=20)
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Search."""
    if not options.query.strip():
        raise ScopeError("There is nothing to search for.", "Type a word.")
    if options.limit < 1:
        raise ScopeError("--limit must be at least 1.", "Try --limit 20.")
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


def table(result: dict[str, Any]) -> str:
    """For people."""
    if not result["results"]:
        return f"Nothing found for “{result['query']}”. Try the beginning of a word."
    rows = [
        [f"{place(r)}/{r['index']}", f"{r['score']:.2f}", f"{r['label']} ({r['label_source']})"]
        for r in result["results"]
    ]
    return columns(rows, right=frozenset({0, 1}))

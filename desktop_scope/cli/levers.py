"""``levers``: which features of one autoencoder make likelier what they promote."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from desktop_scope.cli.common import (
    add_model_arguments,
    columns,
    feature_json,
    open_workbench,
    place,
    terminal_job,
)
from desktop_scope.engine.feature_names import parse_feature
from desktop_scope.engine.types import FeatureId

NAME = "levers"
HELP = "Measure which features of one autoencoder are levers; what is measured is kept."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument("layer", help="whose features: LAYER, or SAE_ID:LAYER")
    parser.add_argument("--limit", type=int, default=20, help="so many are listed")
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure what is missing, and list the strongest."""
    bench, job = open_workbench(options), terminal_job()
    infos = bench.engine.infos
    slot = parse_feature(infos, f"{options.layer}/0").sae
    discovery, n = bench.catalogue.discovery, infos[slot].d_sae
    while discovery.score_levers(slot, job) < n:
        pass
    book = discovery.levers(slot)
    best = np.argsort(-np.nan_to_num(book.merit(), nan=-np.inf))[: max(options.limit, 0)]
    rows = []
    for index in best.tolist():
        lever, feature = book.of(index), FeatureId(slot, index)
        if lever is not None:
            rows.append(
                feature_json(infos, feature, bench.catalogue.label(feature))
                | {
                    "output_score": lever.output_score,
                    "promoted_logratio": lever.promoted_logratio,
                    "kl": lever.kl,
                    "below": lever.below,
                }
            )
    return {"measured": n, "push": lever.push if rows else None, "results": rows}


def table(result: dict[str, Any]) -> str:
    """For people."""
    rows = [("feature", "log ratio", "output score", "KL", "label")]
    for row in result["results"]:
        figures = (f"{row[name]:.3g}" for name in ("promoted_logratio", "output_score", "kl"))
        rows.append((f"{place(row)}/{row['index']}", *figures, row["label"]))
    return columns(rows, right=frozenset({1, 2, 3}))

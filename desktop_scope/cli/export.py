"""``export``: steering as a control vector, or as a changed copy of the model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from desktop_scope.cli.common import add_model_arguments, open_workbench, terminal_job
from desktop_scope.cli.settings import add_steering_arguments, interventions_of
from desktop_scope.engine.cost_types import judge
from desktop_scope.exports.types import Exported, ExportModel, ExportVector
from desktop_scope.exports.words import about

NAME = "export"
HELP = "Take steering along: as a control vector, or as part of a model's weights."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument(
        "what",
        choices=("vector", "model"),
        help="vector: additions, for llama.cpp (.gguf) or as .safetensors; model: a copy with "
        "additions as biases, or with directions (0:project) taken out of all layers",
    )
    add_steering_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, help="the file, or the new folder")
    parser.add_argument(
        "--text", action="append", default=[], help="compare on this text too; may be repeated"
    )
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Write, read again, compare."""
    bench = open_workbench(options)
    items = interventions_of(options, bench)
    kind = ExportVector if options.what == "vector" else ExportModel
    done: Exported = bench.handle(kind(items, options.out, tuple(options.text)), terminal_job())
    damage, judgement = done.damage, judge(done.damage)
    return {
        "out": str(options.out),
        "files": [str(path) for path in done.files],
        "checked": done.apart,
        "tokens": done.n_tokens,
        "beyond": done.beyond,
        "notes": list(done.notes),
        "said": list(about(done)),
        "cost": {
            "word": judgement.word.value,
            "reasons": list(judgement.reasons),
            "kl": damage.kl,
            "nll_delta": damage.nll_delta,
            "quiz": damage.quiz and [damage.quiz.steered, damage.quiz.plain],
        },
    }


def table(result: dict[str, Any]) -> str:
    """For people."""
    return "\n".join([f"Wrote {result['out']}", *result["said"]])

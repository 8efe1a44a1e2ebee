"""``bench``: the project's own measurements, as ratios against a reference in the same run."""

from __future__ import annotations

import argparse
import importlib
from typing import Any

NAME = "bench"
HELP = "Measure speed, as ratios against a reference in the same run."
BENCHES = ("trace", "generate", "gui", "search", "load")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument("which", nargs="?", choices=BENCHES, help="all when left out")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run one bench or all of them."""
    chosen = [options.which] if options.which else list(BENCHES)
    return {name: importlib.import_module(f"desktop_scope.bench.{name}").run() for name in chosen}


def table(result: dict[str, Any]) -> str:
    """For people."""
    lines = []
    for name, figures in result.items():
        lines.append(name)
        lines += [
            f"  {key:<36} {value:.4g}" if isinstance(value, float) else f"  {key:<36} {value}"
            for key, value in figures.items()
        ]
    return "\n".join(lines)

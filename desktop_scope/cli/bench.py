"""``bench``: the project's own measurements, as ratios against a reference in the same run."""

from __future__ import annotations

import argparse
import importlib
from typing import Any

from desktop_scope.errors import ScopeError

NAME = "bench"
HELP = "Measure speed, as ratios against a reference in the same run."
BENCHES = ("trace", "why", "generate", "gui", "map", "search", "load", "index", "families")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    from desktop_scope.bench.shapes import SHAPES

    parser.add_argument("which", nargs="?", choices=BENCHES, help="all when left out")
    parser.add_argument(
        "--shape", choices=SHAPES, help="trace a model of this shape with random weights"
    )
    parser.add_argument("--layers", type=int, help="so many layers of the shape")
    parser.add_argument("--device", default="auto", help="of the shape: auto, cpu, cuda or mps")
    parser.add_argument("--dtype", default="auto", help="of the shape: auto, float32 or bfloat16")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run one bench or all of them."""
    if options.shape:
        from desktop_scope.bench import shapes

        if options.which not in (None, "trace") or (options.layers or 1) < 1:
            raise ScopeError("--shape is for bench trace.", "bench trace --shape gemma-2-2b")
        figures = shapes.run(options.shape, options.layers, options.device, options.dtype)
        return {"trace": figures}
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

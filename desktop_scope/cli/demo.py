"""``demo``: get the demo model if it is missing, then open the window on the demo pack."""

from __future__ import annotations

import argparse
from typing import Any

from desktop_scope.cli import window
from desktop_scope.cli.common import terminal_job

NAME = "demo"
HELP = "Get the demo model if it is missing, then open the window on the demo pack."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument("--fetch-only", action="store_true", help="do not open the window")


def run(options: argparse.Namespace) -> dict[str, Any] | int:
    """Fetch and convert; then the window unless only fetching was asked for."""
    from desktop_scope.library.demo_model import demo_model, demo_sha256
    from desktop_scope.library.fetch import fetch_gguf

    job = terminal_job()
    folder = demo_model(job.progress, job.check, find=fetch_gguf)
    if not options.fetch_only:
        return window.run(options)
    return {"model": str(folder), "gguf_sha256": demo_sha256(), "ready": True}


def table(result: dict[str, Any]) -> str:
    """For people."""
    return f"The demo model is ready in {result['model']}."

"""The command line: every verb works without a screen; no verb opens the window.

Exit codes: 0 done, 2 bad usage or bad input, 1 a bug.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

import desktop_scope
from desktop_scope.cli import (
    audit,
    bench,
    compare,
    demo,
    export,
    feature,
    flow,
    index,
    labels,
    lens,
    levers,
    listing,
    sae,
    screenshot,
    search,
    steer,
    sweep,
    trace,
    why,
    window,
    zoom,
)
from desktop_scope.cli.common import clear_progress
from desktop_scope.engine.devices import prepare_process
from desktop_scope.errors import ScopeError

VERBS = (
    demo,
    listing,
    sae,
    index,
    labels,
    trace,
    zoom,
    lens,
    feature,
    levers,
    search,
    steer,
    sweep,
    why,
    flow,
    compare,
    audit,
    export,
    screenshot,
    bench,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    prepare_process()
    options = _parser().parse_args(arguments)
    try:
        try:
            result = options.run(options)
        finally:
            clear_progress()
    except ScopeError as error:
        print(f"desktop-scope: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    if isinstance(result, int):
        return result
    try:
        print(json.dumps(result, ensure_ascii=False) if options.json else options.table(result))
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="desktop-scope",
        description=desktop_scope.__doc__,
        epilog="With no verb the window opens.",
    )
    parser.add_argument("--version", action="version", version=desktop_scope.__version__)
    parser.set_defaults(run=window.run, json=False)
    verbs = parser.add_subparsers(metavar="VERB")
    for verb in VERBS:
        child = verbs.add_parser(verb.NAME, help=verb.HELP, description=verb.HELP)
        verb.add_arguments(child)
        child.add_argument("--json", action="store_true", help="one JSON object instead of a table")
        child.set_defaults(run=verb.run, table=verb.table)
    return parser

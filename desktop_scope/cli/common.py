"""What several verbs share: opening the workbench, progress, plain tables."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence

from desktop_scope import paths
from desktop_scope.engine.requests import LoadModel, Request
from desktop_scope.engine.types import FeatureId
from desktop_scope.engine.worker import Event, Job, Progress
from desktop_scope.evidence.requests import OpenCatalogue
from desktop_scope.evidence.types import Label
from desktop_scope.workbench import Workbench


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of every verb that runs the model."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--dtype", default="auto", help="auto, float32 or bfloat16")


def add_prompt_arguments(parser: argparse.ArgumentParser) -> None:
    """A prompt, and whether it is a chat."""
    parser.add_argument("prompt", help="what the model reads")
    parser.add_argument("--chat", action="store_true", help="as a user turn of a chat")


def terminal_job() -> Job:
    """A job whose progress goes to standard error, where that is a terminal."""

    def show(event: Event) -> None:
        if isinstance(event, Progress) and sys.stderr.isatty():
            share = f" {event.done}/{event.total}" if event.total else ""
            print(f"\r\033[K{event.text}{share}", end="", file=sys.stderr, flush=True)

    return Job(0, Request(), show)


def open_workbench(options: argparse.Namespace, evidence: bool = True) -> Workbench:
    """The demo pack with its model, and its evidence unless that is not needed."""
    bench, job = Workbench(), terminal_job()
    bench.handle(LoadModel(paths.demo_pack(), device=options.device, dtype=options.dtype), job)
    if evidence:
        bench.handle(OpenCatalogue(paths.demo_pack()), job)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    return bench


def feature_json(feature: FeatureId, label: Label) -> dict[str, object]:
    """How a feature is named in every JSON object."""
    return {
        "layer": feature.layer,
        "index": feature.index,
        "label": label.text,
        "label_source": label.source.value,
        "label_confidence": label.confidence,
    }


def visible(token: str) -> str:
    """A token with its spaces and line breaks to be seen."""
    return token.replace(" ", "·").replace("\n", "⏎").replace("\t", "⇥")


def columns(rows: Iterable[Sequence[object]], right: frozenset[int] = frozenset()) -> str:
    """Rows as aligned columns; those in ``right`` are aligned to the right."""
    table = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    )

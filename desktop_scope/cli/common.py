"""What several verbs share: opening the workbench, progress, plain tables."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop_scope import paths
from desktop_scope.engine.requests import LoadModel, Request, Workspace
from desktop_scope.engine.types import FeatureId, SaeInfo
from desktop_scope.engine.worker import Event, Job, Progress
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.requests import OpenCatalogue
from desktop_scope.evidence.types import Label
from desktop_scope.workbench import Workbench

if TYPE_CHECKING:
    from desktop_scope.engine.sae_weights import SaeWeights


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of every verb that runs a model with SAEs."""
    parser.add_argument(
        "--saes",
        action="append",
        default=[],
        type=Path,
        metavar="PATH",
        help="an SAE, a folder of them, or a pack; may be repeated",
    )
    parser.add_argument(
        "--sae-dtype", default="float32", help="of the encoders: float32, bfloat16 or float16"
    )
    add_device_arguments(parser)


def add_device_arguments(parser: argparse.ArgumentParser) -> None:
    """Which model, where, and in which numbers."""
    parser.add_argument("--model", help="a folder, a GGUF file, or an id that `list` shows")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps or spread")
    parser.add_argument(
        "--dtype", default="auto", help="auto, float32, bfloat16, float16, 8bit or 4bit"
    )


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


def workspace_of(options: argparse.Namespace) -> Workspace:
    """What ``--model`` and ``--saes`` name; the demo pack where neither is given."""
    saes = tuple(options.saes)
    if options.model is None:
        return Workspace(saes or (paths.demo_pack(),))
    return Workspace(saes, model_path(options.model))


def model_for(text: str | None, saes: Sequence[SaeWeights]) -> Path | None:
    """The model that ``--model`` names, else the one on this machine that SAEs were made for.

    None where that is the demo pack's.

    Raises:
        ScopeError: There is none.
    """
    if text is not None:
        return model_path(text)
    wanted = next((weights.model for weights in saes if weights.model), None)
    if wanted is None:
        raise ScopeError(
            "The SAE does not say which model it was made for.", "Name one: --model PATH_OR_ID."
        )
    return model_path(wanted)


def model_path(text: str) -> Path:
    """A model on this machine: by its path, or by its id.

    Raises:
        ScopeError: There is none.
    """
    path = Path(text)
    if path.exists():
        return path
    from desktop_scope.library.inventory import find_model

    found = find_model(text)
    if found is None:
        raise ScopeError(
            f"There is no model “{text}” on this machine.",
            "See `desktop-scope list`, or give the path of its folder or GGUF file.",
        )
    if found.problem:
        raise ScopeError(f"{found.id} cannot be opened: {found.problem}", "Get it again.")
    return found.path


def open_workbench(options: argparse.Namespace, evidence: bool = True) -> Workbench:
    """The demo pack with its model, and its evidence unless that is not needed."""
    bench, job = Workbench(), terminal_job()
    workspace = workspace_of(options)
    request = LoadModel(workspace, options.device, options.dtype, sae_dtype=options.sae_dtype)
    bench.handle(request, job)
    if evidence:
        bench.handle(OpenCatalogue(workspace), job)
    return bench


def clear_progress() -> None:
    """Take the last report of a terminal_job off the screen."""
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def feature_json(infos: Sequence[SaeInfo], feature: FeatureId, label: Label) -> dict[str, object]:
    """How a feature is named in every JSON object."""
    return {
        "sae": infos[feature.sae].id,
        "layer": infos[feature.sae].layer,
        "index": feature.index,
        "label": label.text,
        "label_source": label.source.value,
        "label_confidence": label.confidence,
    }


def place(feature: dict[str, Any]) -> str:
    """Which SAE a feature of a JSON object is of: ``17``, or ``mlp_out:17``."""
    return f"{feature['sae']}:{feature['layer']}" if feature["sae"] else str(feature["layer"])


def known(figure: float) -> float | None:
    """For JSON, which has no nan."""
    return None if math.isnan(figure) else figure


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

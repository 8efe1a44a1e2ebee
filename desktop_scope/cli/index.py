"""``index``: gathers evidence about the features of any SAEs from text."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop_scope.cli.common import (
    add_model_arguments,
    open_workbench,
    terminal_job,
)
from desktop_scope.errors import ScopeError
from desktop_scope.wording import counted

if TYPE_CHECKING:
    from desktop_scope.engine.engine import Engine
    from desktop_scope.engine.worker import Job
    from desktop_scope.evidence.building.corpus import Corpus

NAME = "index"
HELP = "Gather evidence about the features of SAEs from text; goes on where it was interrupted."
_FAMILY_TOKENS = 80_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument(
        "--corpus",
        nargs="+",
        action="extend",
        default=[],
        type=Path,
        metavar="PATH",
        help="files or folders of .txt, .md, .jsonl or .parquet (field “text”)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where the evidence goes; by default where the app finds it again",
    )
    parser.add_argument(
        "--most-tokens", type=int, metavar="N", help="stop after so many; all by default"
    )
    parser.add_argument(
        "--together",
        action="store_true",
        help="only which features fire together: for a pack, which has all other evidence",
    )
    parser.add_argument(
        "--families",
        type=Path,
        metavar="OUT.safetensors",
        help="only the families of nested SAEs, into a file that belongs into their pack",
    )
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Gather the evidence."""
    if options.most_tokens is not None and options.most_tokens < 1:
        raise ScopeError("--most-tokens must be at least 1.", "Try --most-tokens 1000000.")
    engine = open_workbench(options, evidence=False).engine
    if not engine.saes:
        raise ScopeError("No SAE is open.", "Name one: --saes PATH.")
    from desktop_scope.evidence.building.builder import build
    from desktop_scope.evidence.building.corpus import default_corpus, text_corpus

    job = terminal_job()
    if options.corpus:
        corpus, note = text_corpus(options.corpus, engine.model, job), ""
    else:
        corpus, note = default_corpus(engine.model)
    if options.families is not None:
        return _families(engine, corpus, options, job)
    built = build(
        engine, corpus, job, options.out, options.most_tokens, only_together=options.together
    )
    labelled = None if options.together else _label(engine, built.folders, job)
    return {
        "features": built.features,
        "tokens": built.tokens,
        "seconds": built.seconds,
        "labelled": labelled,
        "folders": [str(folder) for folder in built.folders],
        "notes": [note] if note else [],
    }


def _families(
    engine: Engine, corpus: Corpus, options: argparse.Namespace, job: Job
) -> dict[str, Any]:
    """Count which coarse features fire where finer ones do."""
    from desktop_scope.evidence.kinship.book import write_kin
    from desktop_scope.evidence.kinship.counting import count_kin

    if not all(len(info.prefixes) > 1 for info in engine.infos):
        raise ScopeError("These SAEs are not nested.", "--families is for Matryoshka SAEs.")
    begun = time.monotonic()
    counts = count_kin(engine, corpus.rows(), options.most_tokens or _FAMILY_TOKENS, job)
    write_kin(options.families, counts, {"text": corpus.key, "model": engine.model.info.id})
    return {
        "features": sum(info.d_sae for info in engine.infos),
        "tokens": counts[0].n_tokens,
        "seconds": time.monotonic() - begun,
        "labelled": None,
        "folders": [str(options.families)],
        "notes": [],
    }


def _label(engine: Engine, folders: Sequence[Path], job: Job) -> int:
    """Make the automatic labels; how many features have one that says something."""
    from desktop_scope.evidence.catalogue import own_labels
    from desktop_scope.evidence.own import OwnEvidence

    labelled = 0
    for sae, folder in zip(engine.saes, folders, strict=True):
        book = own_labels(OwnEvidence(folder, sae.d_sae, engine.model.texts), job)
        labelled += sae.d_sae - int(book.of_kind("various").sum())
        book.close()
    return labelled


def table(result: dict[str, Any]) -> str:
    """For people."""
    folders = result["folders"]
    where = (
        folders[0] if len(folders) == 1 else f"{len(folders)} folders of {Path(folders[0]).parent}"
    )
    labelled = result["labelled"]
    what = "Evidence about" if labelled is not None else "What fires together with"
    lines = [
        f"{what} {result['features']:,} features from {counted(result['tokens'], 'token')} in "
        f"{result['seconds']:.0f} s, in {where}."
    ]
    if labelled is not None:
        lines.append(f"{labelled:,} of them have a label that says something.")
    return "\n".join([*lines, *result["notes"]])

"""``lens``: what each layer would say next, at every token of a text."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from desktop_scope.cli.common import (
    add_model_arguments,
    add_prompt_arguments,
    columns,
    known,
    open_workbench,
    terminal_job,
    visible,
    workspace_of,
)
from desktop_scope.cli.trace import parse_layers
from desktop_scope.engine.lenses import FitLens, LensFit, LensGrid, LensKind, ReadLensGrid
from desktop_scope.engine.requests import TracePrompt
from desktop_scope.engine.types import Prompt, Trace
from desktop_scope.errors import ScopeError

if TYPE_CHECKING:
    from desktop_scope.workbench import Workbench

NAME = "lens"
HELP = "What each layer would say next, at every token: logit lens or tuned lens."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    add_prompt_arguments(parser)
    parser.add_argument(
        "--tuned",
        action="store_true",
        help="the tuned lens; it is fitted the first time, in about a minute, and kept",
    )
    parser.add_argument("--word", default="", help="a word whose rank is wanted: one token")
    parser.add_argument("--layers", default="", help="such as 3,7-12; all by default")
    parser.add_argument("--token", type=int, help="that the table shows; the last by default")
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Read the prompt through a lens."""
    bench = open_workbench(options, evidence=False)
    model = bench.engine.model
    layers = parse_layers(options.layers, model.info.n_layers)
    kind = LensKind.TUNED if options.tuned else LensKind.LOGIT
    fit = fitted(bench, options) if options.tuned else None
    trace = bench.engine.trace(TracePrompt(Prompt(options.prompt, options.chat)), terminal_job())
    token = trace.n_tokens - 1 if options.token is None else options.token
    if not 0 <= token < trace.n_tokens:
        raise ScopeError(
            f"There is no token {token}.", f"The tokens go from 0 to {trace.n_tokens - 1}."
        )
    start = time.perf_counter()
    read = read_all(bench, trace, kind, options.word)
    return {
        "model": model.info.id,
        "lens": kind.value,
        "word": options.word,
        "token": token,
        "tokens": [{"index": i, "text": text} for i, text in enumerate(trace.texts)],
        "layers": [{"layer": n, "by_token": _tokens(read, n, trace)} for n in layers],
        "fit": None if fit is None else _fit(fit),
        "seconds": time.perf_counter() - start,
    }


def fitted(bench: Workbench, options: argparse.Namespace) -> LensFit:
    """Fit the tuned lens, or take the one that was kept."""
    job, workspace = terminal_job(), workspace_of(options)
    fit: LensFit = bench.handle(FitLens(workspace), job)
    while not fit.ready:
        fit = bench.handle(FitLens(workspace, done=fit.done), job)
    return fit


def read_all(bench: Workbench, trace: Trace, kind: LensKind, word: str) -> LensGrid:
    """All layers at all tokens."""
    job = terminal_job()
    read: LensGrid = bench.handle(ReadLensGrid(trace, kind, word), job)
    while read.first:
        read = read.above(bench.handle(ReadLensGrid(trace, kind, word, read.first), job))
    return read


def _tokens(read: LensGrid, layer: int, trace: Trace) -> list[dict[str, Any]]:
    found = []
    for token in range(trace.n_tokens):
        both = zip(read.top[layer, token].tolist(), read.probs[layer, token].tolist(), strict=True)
        found.append(
            {
                "top": [{"token": read.texts[i], "probability": p} for i, p in both],
                "entropy": float(read.entropy[layer, token]),
                "rank": int(read.rank[layer, token]) if read.word else None,
                "word_probability": known(float(read.chance[layer, token])),
            }
        )
    return found


def _fit(fit: LensFit) -> dict[str, Any]:
    return {
        "logit_kl": fit.logit_kl,
        "tuned_kl": fit.tuned_kl,
        "n_fitted": fit.n_fitted,
        "n_held_out": fit.n_held_out,
        "seconds": fit.seconds,
        "note": fit.note,
    }


def table(result: dict[str, Any]) -> str:
    """For people: one token, the last layer on top."""
    token, word = result["token"], result["word"]
    titles = ["layer", "would say", "", "entropy", *([f"rank of “{word}”"] if word else [])]
    rows: list[list[object]] = [titles]
    for layer in reversed(result["layers"]):
        cell = layer["by_token"][token]
        first, *others = cell["top"]
        also = " ".join(visible(one["token"]) for one in others)
        said = f"{visible(first['token'])} {first['probability']:.0%}"
        rank = [f"{cell['rank']:,}"] if word else []
        rows.append([layer["layer"], said, also, f"{cell['entropy']:.2f}", *rank])
    text = visible(result["tokens"][token]["text"])
    lines = [f"After token {token}, “{text}”, read with the {result['lens']}:", ""]
    lines.append(columns(rows, right=frozenset({0, 3, 4})))
    fit = result["fit"]
    if fit is not None:
        below = range(len(fit["tuned_kl"]) - 1)
        means = [sum(fit[k][n] for n in below) / len(below) for k in ("logit_kl", "tuned_kl")]
        lines += [
            "",
            f"The lens was fitted on {fit['n_fitted']:,} tokens. On {fit['n_held_out']:,} others, "
            f"KL from the model, mean over the layers: {means[0]:.2f} nats with the logit lens, "
            f"{means[1]:.2f} with this one.",
        ]  # fmt: skip
        lines += [fit["note"]] if fit["note"] else []
    return "\n".join(lines)

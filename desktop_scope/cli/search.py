"""``search``: features by their labels, by what they promote, or by texts that light them up."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from desktop_scope.cli.common import (
    add_model_arguments,
    columns,
    feature_json,
    known,
    open_workbench,
    place,
    terminal_job,
)
from desktop_scope.engine.types import Prompt
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.marks.types import STARS
from desktop_scope.evidence.meaning.embedder import HOW_TO_GET
from desktop_scope.evidence.requests import (
    LearnMeanings,
    Match,
    RankFeatures,
    ReadExample,
    Scope,
)
from desktop_scope.evidence.types import Ranking
from desktop_scope.experiments.contrast import Contrast, Contrasted, ContrastTexts, as_found
from desktop_scope.workbench import Workbench

NAME = "search"
HELP = "Find features by label, by the word they make likelier, or by texts that light them up."

_MATCH = {"label": Match.BOTH, "words": Match.WORDS, "meaning": Match.MEANING}
_MOST_BYTES = 20_000_000  # of a file of texts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument("query", nargs="?", default="")
    parser.add_argument(
        "--by",
        choices=(*_MATCH, "promotes"),
        default="label",
        help="label: its words, and its meaning as far as meanings were learnt; meaning: learn "
        "the rest first; promotes: the word that features make likelier",
    )
    parser.add_argument(
        "--text",
        type=Path,
        metavar="FILE",
        help="what fires in this text more than it usually does; with --against: a text per "
        "line, or a folder with a text per file",
    )
    parser.add_argument(
        "--against", type=Path, metavar="FILE", help="what tells the texts from these"
    )
    parser.add_argument("--layer", type=int, help="only this layer")
    parser.add_argument(
        "--max-density", type=float, default=1.0, help="only what fires on at most this share"
    )
    parser.add_argument(
        "--min-score", type=float, default=0.0, help="only labels that scored at least so high"
    )
    parser.add_argument("--kind", default="", help="only labels of this kind, such as topic")
    parser.add_argument("--list", dest="on_list", default="", help="only what is on your list")
    parser.add_argument(
        "--starred", action="store_const", const=STARS, dest="on_list", help="only your stars"
    )
    parser.add_argument("--limit", type=int, default=20)
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Search."""
    if options.limit < 1:
        raise ScopeError("--limit must be at least 1.", "Try --limit 20.")
    if options.text is None and options.against is not None:
        raise ScopeError("--against needs --text.", "Say --text FILE --against FILE.")
    if options.text is None and not options.query.strip():
        raise ScopeError("There is nothing to search for.", "Type a word.")
    texts = () if options.text is None else read_texts(options.text)
    others = () if options.against is None else read_texts(options.against)
    bench = open_workbench(options)
    request, start = _request(options, bench), time.perf_counter()
    if others:
        result = _by_contrast(bench, request, texts, others)
    elif texts:
        result = _by_example(bench, request, "\n".join(texts))
    else:
        if options.by in ("label", "meaning"):
            _learn(bench, all_=options.by == "meaning")
        result = _listed(bench, bench.catalogue.rank(request))
    return {"query": options.query, **result, "seconds": time.perf_counter() - start}


def _request(options: argparse.Namespace, bench: Workbench) -> RankFeatures:
    """The filters; the query where there is one."""
    n_layers = bench.engine.model.info.n_layers
    layers = (0, n_layers - 1)
    if options.layer is not None:
        layers = (options.layer, options.layer)
        if not 0 <= options.layer < n_layers:
            raise ScopeError(
                f"There is no layer {options.layer}.", f"Layers go from 0 to {n_layers - 1}."
            )
    return RankFeatures(
        scope=Scope.PROMOTES if options.by == "promotes" else Scope.ALL,
        layers=layers,
        words=options.query,
        max_density=options.max_density,
        limit=options.limit,
        min_score=options.min_score,
        on_list=options.on_list,
        of_kind=options.kind,
        match=_MATCH.get(options.by, Match.BOTH),
    )


def _learn(bench: Workbench, all_: bool) -> None:
    """Make labels searchable by meaning: all of them, or those that were learnt before.

    Raises:
        ScopeError: All are asked for, and there is no sentence model.
    """
    job = terminal_job()
    at = bench.handle(LearnMeanings(), job)
    if all_ and not at.installed:
        raise ScopeError("The sentence model is not installed.", HOW_TO_GET)
    while all_ and not at.finished:
        job.progress(at.done, at.total, "Reading the labels for their meaning (first time only)")
        at = bench.handle(LearnMeanings(done=at.done), job)


def _listed(bench: Workbench, ranking: Ranking) -> dict[str, Any]:
    infos = bench.engine.infos
    results = []
    for row in ranking.rows:
        assert row.found is not None
        feature = feature_json(infos, row.feature, row.label)
        results.append(feature | {"score": row.found.value, "why": row.found.detail})
    measure = ranking.measure and ranking.measure.title
    return {"results": results, "measure": measure, "notes": list(ranking.notes)}


def _by_example(bench: Workbench, request: RankFeatures, text: str) -> dict[str, Any]:
    trace = bench.handle(ReadExample(Prompt(text, chat=False)), terminal_job())
    span = (0, trace.n_tokens - 1)
    request = replace(request, scope=Scope.EXAMPLE, trace=trace, span=span)
    tokens = int((~trace.masked).sum())
    return {"tokens": tokens, **_listed(bench, bench.catalogue.rank(request))}


def _by_contrast(
    bench: Workbench, request: RankFeatures, a: tuple[str, ...], b: tuple[str, ...]
) -> dict[str, Any]:
    found: Contrast = bench.handle(ContrastTexts(a, b), terminal_job())
    held = found.held_out

    def kept(rows: tuple[Contrasted, ...]) -> list[dict[str, Any]]:
        figures = {row.feature: row for row in rows}
        given = tuple(map(as_found, rows))
        ranking = bench.catalogue.rank(replace(request, scope=Scope.GIVEN, given=given))
        return [
            feature_json(bench.engine.infos, row.feature, row.label)
            | _figures(figures[row.feature])
            for row in ranking.rows
        ]

    return {
        "verdict": found.verdict,
        "results": kept(found.rows),
        "against": kept(found.others),
        "texts": found.n_a,
        "texts_against": found.n_b,
        "tested": found.n_tested,
        "reliable": found.n_reliable,
        "held_out": held
        and {"auroc": held.auroc, "low": held.low, "high": held.high, "splits": held.n_splits},
        "notes": list(found.notes),
    }


def _figures(row: Contrasted) -> dict[str, Any]:
    return {
        "score": row.auroc,
        "low": row.low,
        "high": row.high,
        "p": row.p,
        "q": row.q,
        "reliable": row.reliable,
        "mean": row.mean_a,
        "mean_against": row.mean_b,
        "share": row.share_a,
        "share_against": row.share_b,
        "held_out": known(row.held_out),
        "picked": row.picked,
    }


def read_texts(path: Path) -> tuple[str, ...]:
    """The texts of a file, one per line, or of a folder, one per file.

    Raises:
        ScopeError: There are none, or they cannot be read.
    """
    try:
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.is_file())
            texts = [_text(file) for file in files if not file.name.startswith(".")]
        else:
            texts = _text(path).splitlines()
    except OSError as error:
        raise ScopeError(
            f"{path} cannot be read: {error.strerror}.", "Give a file with one text per line."
        ) from error
    found = tuple(text.strip() for text in texts if text.strip())
    if not found:
        raise ScopeError(f"There is no text in {path}.", "Write one text per line.")
    return found


def _text(file: Path) -> str:
    if file.stat().st_size > _MOST_BYTES:
        raise ScopeError(f"{file} is very large.", "Take a part of it.")
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ScopeError(f"{file} is not text in UTF-8.", "Save it as UTF-8.") from error


def table(result: dict[str, Any]) -> str:
    """For people."""
    if "verdict" in result:
        return _contrast_table(result)
    if not result["results"]:
        nothing = f"Nothing found for “{result['query']}”. Try the beginning of a word."
        return "\n".join([nothing, *result["notes"]])
    measure, rows = result["measure"], []
    for r in result["results"]:
        figure = [f"{r['score']:.2f}"] if measure else []
        rows.append([f"{place(r)}/{r['index']}", *figure, f"{r['label']} ({r['label_source']})"])
    head = ["feature", *([measure] if measure else []), "label"]
    right = frozenset(range(len(head) - 1))
    return "\n".join([columns([head, *rows], right), *result["notes"]])


def _contrast_table(result: dict[str, Any]) -> str:
    lines = [result["verdict"]]
    if held := result["held_out"]:
        lines.append(
            "The best feature of one half of the texts, on the other half: AUROC "
            f"{held['auroc']:.2f} ({held['low']:.2f} to {held['high']:.2f} over "
            f"{held['splits']} divisions); 0.5 is chance."
        )
    lines += result["notes"]
    if not result["results"]:
        return "\n".join(lines)
    rows = [
        [
            f"{place(r)}/{r['index']}",
            f"{r['score']:.2f}",
            f"{r['low']:.2f}–{r['high']:.2f}",
            f"{r['q']:.1e}",
            "–" if r["held_out"] is None else f"{r['held_out']:.2f}",
            r["label"],
        ]
        for r in result["results"]
    ]
    head = ["feature", "AUROC", "95 %", "q", "held out", "label"]
    return "\n".join([*lines, "", columns([head, *rows], right=frozenset({0, 1, 2, 3, 4}))])

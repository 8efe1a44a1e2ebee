"""``compare``: two prompts, two answers, or two models with the same SAEs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop_scope.cli.common import (
    add_model_arguments,
    add_prompt_arguments,
    columns,
    feature_json,
    known,
    model_path,
    open_workbench,
    place,
    terminal_job,
    visible,
)
from desktop_scope.cli.settings import add_steering_arguments, interventions_of
from desktop_scope.engine.requests import Generate
from desktop_scope.engine.types import Prompt, Sampling
from desktop_scope.errors import ScopeError
from desktop_scope.experiments.compare_types import (
    By,
    CompareReadings,
    Comparison,
    OpenBeside,
    Reading,
    Second,
)

if TYPE_CHECKING:
    from desktop_scope.workbench import Workbench

NAME = "compare"
HELP = "Which features differ between two prompts, a plain and a steered answer, or two models."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    add_prompt_arguments(parser)
    parser.add_argument("--against", metavar="PROMPT", help="another prompt")
    parser.add_argument(
        "--second-model", metavar="PATH_OR_ID", help="another model, opened beside the first one"
    )
    parser.add_argument(
        "--second-dtype", metavar="DTYPE", help="of the second model; alone: the same model in it"
    )
    parser.add_argument(
        "--by",
        choices=[str(by) for by in By],
        default=str(By.TOKENS),
        help="compare tokens that both have, or means over each as a whole",
    )
    parser.add_argument("--top", type=int, default=20, help="features to list")
    parser.add_argument("--max-new-tokens", type=int, default=40, help="of the answers compared")
    add_steering_arguments(parser)
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Read both sides, and compare."""
    steers = bool(options.set or options.vector)
    seconds = options.second_model is not None or options.second_dtype is not None
    if sum((options.against is not None, steers, seconds)) != 1:
        raise ScopeError(
            "One thing is to be compared with the prompt.",
            "Give one of --against PROMPT, --set …, --second-model PATH or --second-dtype DTYPE.",
        )
    if options.top < 1:
        raise ScopeError("--top counts features.", "Try --top 20.")
    bench = open_workbench(options)
    a, b = _sides(options, bench, steers)
    found = bench.handle(CompareReadings(a, b, By(options.by)), terminal_job())
    return _json(bench, found, options.top)


def _sides(options: argparse.Namespace, bench: Workbench, steers: bool) -> tuple[Reading, Reading]:
    prompt, job = Prompt(options.prompt, options.chat), terminal_job()
    if options.against is not None:
        return Reading(prompt), Reading(Prompt(options.against, options.chat))
    if steers:
        items = interventions_of(options, bench)
        sampling = Sampling(options.max_new_tokens)
        plain, steered = bench.engine.generate(Generate(prompt, ((), items), sampling), job)
        return Reading(prompt, plain.ids), Reading(prompt, steered.ids, items)
    path = None if options.second_model is None else Path(model_path(options.second_model))
    second = Second(path, options.second_dtype or options.dtype, options.device)
    bench.handle(OpenBeside(second), job)
    return Reading(prompt), Reading(prompt, beside=True)


def _json(bench: Workbench, found: Comparison, top: int) -> dict[str, Any]:
    infos = bench.engine.infos
    return {
        "by": str(found.by),
        "a": {"model": found.models[0], "tokens": list(found.texts[0])},
        "b": {"model": found.models[1], "tokens": list(found.texts[1])},
        "pairs": found.pairs.tolist(),
        "ranking": "largest difference, as a share of the feature’s maximum",
        "n_features": len(found.sae),
        "features": [
            feature_json(infos, row.feature, bench.catalogue.label(row.feature))
            | {
                "a": row.a,
                "b": row.b,
                "difference": row.b - row.a,
                "share": row.share,
                "mean_share": row.mean,
                "tokens": list(row.tokens),
                "token_text": found.texts[row.side][row.tokens[row.side]],
            }
            for row in found.rows[:top]
        ],
        "saes": [
            {
                "sae": info.id,
                "layer": info.layer,
                "fvu_a": known(float(found.fvu[0, slot])),
                "fvu_b": known(float(found.fvu[1, slot])),
            }
            for slot, info in enumerate(infos)
        ],
        "layers": [
            {"layer": layer, "moved": known(float(moved))}
            for layer, moved in enumerate(found.moved)
        ],
        "notes": list(found.notes),
        "seconds": found.seconds,
    }


def table(result: dict[str, Any]) -> str:
    """For people."""
    lines = [f"A: {_said(result['a'])}", f"B: {_said(result['b'])}"]
    if result["by"] == By.TOKENS and not result["notes"]:
        lines.append(f"All {len(result['pairs'])} tokens are aligned.")
    lines += [*result["notes"], ""]
    rows: list[list[object]] = [["feature", "on", "A", "B", "difference", "of max", "label"]]
    for f in result["features"]:
        rows.append(
            [
                f"{place(f)}/{f['index']}",
                visible(f["token_text"]),
                f"{f['a']:.2f}",
                f"{f['b']:.2f}",
                f"{f['difference']:+.2f}",
                f"{f['share']:+.0%}",
                f"{f['label']} ({f['label_source']})",
            ]
        )
    lines += [columns(rows, right=frozenset({2, 3, 4, 5})), ""]
    rows = [["layer", "moved", "unexplained of A", "of B"]]
    for sae in result["saes"]:
        moved = result["layers"][sae["layer"]]["moved"]
        rows.append([place(sae), *map(_share, (moved, sae["fvu_a"], sae["fvu_b"]))])
    lines += [
        columns(rows, right=frozenset({0, 1, 2, 3})),
        "moved: how far the stream is from where it was, as a share of its length, on the aligned "
        "tokens",
    ]
    return "\n".join(lines)


def _share(figure: float | None) -> str:
    return "–" if figure is None else f"{100 * figure:.2f} %"


def _said(side: dict[str, Any]) -> str:
    text = "".join(map(visible, side["tokens"]))
    return f"{side['model']}: {text}"

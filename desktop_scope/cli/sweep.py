"""``sweep``: effect against cost over strengths, and controls."""

from __future__ import annotations

import argparse
import math
from typing import Any

from desktop_scope.cli.common import (
    add_model_arguments,
    add_prompt_arguments,
    columns,
    known,
    open_workbench,
    terminal_job,
)
from desktop_scope.cli.settings import add_steering_arguments, interventions_of
from desktop_scope.engine.types import Intervention, Prompt
from desktop_scope.errors import ScopeError
from desktop_scope.experiments.requests import FACTORS, RunControls, SweepStrengths
from desktop_scope.experiments.types import Interval
from desktop_scope.wording import counted

NAME = "sweep"
HELP = "Effect against cost over strengths, the safe range, and controls."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    add_prompt_arguments(parser)
    add_steering_arguments(parser)
    parser.add_argument(
        "--strengths",
        default=",".join(f"{factor:g}" for factor in FACTORS),
        metavar="A,B,C",
        help="multiples of what --set says: with 1max they are multiples of the maximum; "
        "“best” looks for the strongest effect within --limit",
    )
    parser.add_argument(
        "--limit", type=float, default=0.4, help="what it may cost: KL in nats per token"
    )
    parser.add_argument("--words", default="", metavar="A,B", help="what tells the effect")
    parser.add_argument("--max-new-tokens", type=int, default=30)
    parser.add_argument(
        "--controls", type=int, default=0, metavar="N", help="and N random features beside it"
    )
    parser.add_argument("--seed", type=int, default=0)
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Sweep the prompt and the built-in ones."""
    factors = parse_factors(options.strengths)
    bench, job = open_workbench(options), terminal_job()
    from desktop_scope.experiments.effect import built_in_prompts

    items = interventions_of(options, bench)
    prompts = (Prompt(options.prompt, options.chat), *built_in_prompts(bench.engine))
    words = tuple(word.strip() for word in options.words.split(",") if word.strip())
    request = SweepStrengths(
        items, factors, prompts, words, options.limit, options.max_new_tokens, options.seed
    )
    sweep = bench.handle(request, job)
    result = {
        "words": list(sweep.words),
        "prompts": [prompt.text for prompt in sweep.prompts],
        "limit": sweep.limit,
        "points": [
            {
                "strength": point.factor,
                **_figures(
                    effect=point.effect,
                    said=point.said,
                    kl=point.kl,
                    nll_delta=point.nll_delta,
                    repetition=point.repetition,
                ),
                "word": point.word.value,
                "text": point.text,
            }
            for point in sweep.points
        ],
        "safe_range": list(sweep.safe) if sweep.safe else None,
        "best": sweep.best,
    }
    if options.controls:
        result["controls"] = _controls(options, items, prompts, words, bench, job)
    return result


def parse_factors(text: str) -> tuple[float, ...]:
    """``0,0.5,1`` → numbers; none for ``best``.

    Raises:
        ScopeError: They are none.
    """
    if text.strip() == "best":
        return ()
    try:
        factors = tuple(float(part) for part in text.split(","))
    except ValueError:
        factors = (math.nan,)
    if not all(map(math.isfinite, factors)):
        raise ScopeError(f"“{text}” are no strengths.", "Write --strengths 0,0.5,1,2 or best.")
    return factors


def _controls(
    options: argparse.Namespace,
    items: tuple[Intervention, ...],
    prompts: tuple[Prompt, ...],
    words: tuple[str, ...],
    bench: Any,
    job: Any,
) -> dict[str, Any]:
    request = RunControls(
        items,
        prompts,
        words,
        draws=options.controls,
        n_tokens=options.max_new_tokens,
        seed=options.seed,
    )
    controls = bench.handle(request, job)
    rows = [
        {
            "control": row.control.value,
            "title": row.title,
            **_figures(effect=row.effect, said=row.said),
            "kl": known(row.kl),
            "behind": None if row.behind is None else list(row.behind),
            "n": row.n,
            "text": row.text,
        }
        for row in controls.rows
    ]
    return {"rows": rows, "verdict": controls.verdict}


def _figures(**intervals: Interval) -> dict[str, Any]:
    """Means, and beside each its interval."""
    found: dict[str, Any] = {}
    for name, (mean, low, high) in intervals.items():
        found |= {name: mean, f"{name}_interval": [low, high]}
    return found


def table(result: dict[str, Any]) -> str:
    """For people."""
    rows: list[list[object]] = [["strength", "effect", "", "KL", "", "repeats", "cost", "answer"]]
    for p in result["points"]:
        rows.append(
            [
                f"{p['strength']:g}", f"{p['effect']:+.2f}", _span(p["effect_interval"]),
                f"{p['kl']:.2f}", _span(p["kl_interval"]), f"{p['repetition']:.0%}", p["word"],
                " ".join(p["text"].split())[:60],
            ]
        )  # fmt: skip
    low, high = result["safe_range"] or (0.0, 0.0)
    best = result["best"]
    lines = [
        f"Effect: nats by which these became likelier: {', '.join(result['words'])}",
        f"Over {counted(len(result['prompts']), 'prompt')}; in brackets 95 % bootstrap intervals",
        "",
        columns(rows, right=frozenset({0, 1, 3, 5})),
        "",
        f"Safe from {low:.2g} to {high:.2g} times what was set.",
        f"No strength has its effect within KL {result['limit']:g}."
        if best is None
        else f"Strongest effect within KL {result['limit']:g}: at {best:.3g}.",
    ]
    if "controls" in result:
        made: list[list[object]] = [["", "effect", "", "KL", "behind", ""]]
        for row in result["controls"]["rows"]:
            behind = row["behind"]
            made.append(
                [
                    row["title"], f"{row['effect']:+.2f}", _span(row["effect_interval"]),
                    "–" if row["kl"] is None else f"{row['kl']:.2f}",
                    "" if behind is None else f"{behind[0]:+.2f}",
                    "" if behind is None else _span(behind[1:]),
                ]
            )  # fmt: skip
        lines += ["", columns(made, right=frozenset({1, 3, 4})), "", result["controls"]["verdict"]]
    return "\n".join(lines)


def _span(interval: list[float]) -> str:
    return f"[{interval[0]:.2f}, {interval[1]:.2f}]"

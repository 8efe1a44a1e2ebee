"""``feature``: all that is known of one feature."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import asdict
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
    visible,
)
from desktop_scope.cli.family import family_json, family_lines
from desktop_scope.engine.feature_names import parse_feature
from desktop_scope.engine.types import SaeInfo
from desktop_scope.evidence.types import Card, Insight
from desktop_scope.experiments.answer_types import AnswerTrial, ScoreAnswers
from desktop_scope.workbench import Workbench

NAME = "feature"
HELP = "All that is known of one feature."
_N_SHOWN = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument("feature", help="LAYER/INDEX, such as 17/3988")
    parser.add_argument(
        "--answer-score",
        action="store_true",
        help="also: do whole answers move towards its own words when it is pushed in?",
    )
    parser.add_argument(
        "--push", type=float, default=0.4, help="as a share of the stream's usual length"
    )
    parser.add_argument(
        "--image", type=Path, metavar="OUT.png", help="save the card as a picture for slides"
    )
    parser.add_argument(
        "--family",
        action="store_true",
        help="also: what it comes from in coarser dictionaries, and what it splits into",
    )
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Read the card."""
    bench = open_workbench(options)
    card = bench.catalogue.card(parse_feature(bench.engine.infos, options.feature))
    insight = bench.catalogue.discovery.insight(card.feature)
    result = _as_json(bench.engine.infos, card) | _insight_json(insight)
    if options.image is not None:
        from desktop_scope.gui.screenshot import save_card

        save_card(options.image, card, insight)
        result["image"] = str(options.image)
    if options.family:
        result["family_by_size"] = family_json(bench, card.feature)
    if options.answer_score:
        result["answer_score"] = _answer_score(bench, AnswerTrial(card.feature, options.push))
    return result


def _insight_json(insight: Insight) -> dict[str, Any]:
    lever, interest = insight.lever, insight.interest
    return {
        "lever": None if lever is None else asdict(lever),
        "interest": None if interest is None else asdict(interest),
    }


def _answer_score(bench: Workbench, trial: AnswerTrial) -> dict[str, Any]:
    job, found = terminal_job(), trial
    while isinstance(found, AnswerTrial):
        found = bench.handle(ScoreAnswers(found), job)
    score = asdict(found)
    for name in ("over_plain", "over_control"):
        score[name] = getattr(found, name)._asdict()
    del score["feature"]
    return score | {"moves": found.moves}


def _as_json(infos: Sequence[SaeInfo], card: Card) -> dict[str, Any]:
    return feature_json(infos, card.feature, card.label) | {
        "hook_name": card.hook_name,
        "density": known(card.density),
        "mean_active": known(card.mean_active),
        "max_active": known(card.max_active),
        "top_tokens": [{"token": t.text, "share": t.share} for t in card.top_tokens],
        "promotes": [{"token": t.text, "effect": t.effect} for t in card.promotes],
        "suppresses": [{"token": t.text, "effect": t.effect} for t in card.suppresses],
        "examples": [
            {
                "tokens": list(e.texts),
                "values": e.values.tolist(),
                "peak": e.peak,
                "value": e.value,
                "band": e.band,
            }
            for e in card.examples
        ],
        "histogram": card.histogram.tolist(),
        "similar": [
            feature_json(infos, n.feature, n.label) | {"cosine": n.cosine} for n in card.neighbours
        ],
        "fires_with": [
            feature_json(infos, c.feature, c.label)
            | {
                "jaccard": c.jaccard,
                "lift": c.lift,
                "together": c.together,
                "fires": c.fires,
                "correlation": known(c.correlation),
            }
            for c in card.cofiring
        ],
        "fires_with_tokens": card.cofiring_tokens,
        "family": [
            feature_json(infos, n.feature, n.label)
            | {"cosine": known(n.cosine), "correlation": known(n.correlation)}
            for n in card.family
        ],
    }


def table(result: dict[str, Any]) -> str:
    """For people."""
    lines = [
        f"{result['label']}  ({result['label_source']}, {result['label_confidence']} confidence)",
        f"{result['hook_name']}, feature {result['index']}: {_how_often(result)}",
        "",
        "promotes    " + " ".join(visible(t["token"]) for t in result["promotes"]),
        "suppresses  " + " ".join(visible(t["token"]) for t in result["suppresses"]),
        "",
    ]
    for band, title in (("top", "Strongest examples"), ("mid", "Mid-range examples")):
        lines.append(title)
        examples = [e for e in result["examples"] if e["band"] == band]
        lines += [f"  {e['value']:6.1f}  {_marked(e)}" for e in examples[:_N_SHOWN]]
    lines += ["", "Similar features"]
    lines.append(
        columns(
            [f"  {place(n)}/{n['index']}", f"{n['cosine']:.2f}", n["label"]]
            for n in result["similar"]
        )
    )
    heading = "Fires together with (share of their tokens, times as often as chance)"
    lines += ["", heading, *_company(result), "", *_levers(result)]
    if "family_by_size" in result:
        lines += ["", *family_lines(result["family_by_size"])]
    return "\n".join(lines)


def _levers(result: dict[str, Any]) -> list[str]:
    """What turning it up does."""
    lever, score, lines = result["lever"], result.get("answer_score"), []
    if lever is not None:
        lines.append(
            f"next word    pushed in by {lever['push']:g}: what it promotes becomes "
            f"{math.exp(min(lever['promoted_logratio'], 20)):,.1f} times as likely, more than "
            f"{lever['below']:.0%} of the {lever['n_known']:,} features measured in its layer"
        )
    if score is not None:
        low, high = (100 * score["over_control"][end] for end in ("low", "high"))
        lines += [
            f"whole answer pushed in by {score['push']:g}: {score['pushed']:.1%} of the words are "
            f"its own, {score['plain']:.1%} without, {score['control']:.1%} with another feature",
            f"             over that one by {low:.1f} to {high:.1f} of 100 words: "
            + ("it moves whole answers" if score["moves"] else "no effect to be seen"),
            "             its own words: " + ", ".join(score["words"][:12]),
        ]
    if "image" in result:
        lines.append(f"Wrote {result['image']}.")
    return lines


def _company(result: dict[str, Any]) -> list[str]:
    """What fires together, as far as it was measured."""
    n_tokens = result["fires_with_tokens"]
    if not n_tokens:
        return ["Not measured yet: `desktop-scope index --together --most-tokens 25000` does it."]
    if not result["fires_with"]:
        return [f"Nothing more often than chance, on {n_tokens:,} tokens."]
    rows = (
        [f"  {place(c)}/{c['index']}", f"{c['jaccard']:.2f}", f"×{c['lift']:.0f}", c["label"]]
        for c in result["fires_with"]
    )
    return [columns(rows)]


def _how_often(result: dict[str, Any]) -> str:
    if result["density"] is None:
        return "how often it fires is not known"
    return f"fires on {result['density']:.3%} of tokens, at most {result['max_active']:.1f}"


def _marked(example: dict[str, Any]) -> str:
    """The example with its peak in brackets."""
    texts = [text.replace("\n", "⏎") for text in example["tokens"]]
    texts[example["peak"]] = f"[{texts[example['peak']]}]"
    return "".join(texts)

"""``feature``: all that is known of one feature."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from desktop_scope.cli.common import (
    add_model_arguments,
    columns,
    feature_json,
    known,
    open_workbench,
    place,
    visible,
)
from desktop_scope.engine.feature_names import parse_feature
from desktop_scope.engine.types import SaeInfo
from desktop_scope.evidence.types import Card

NAME = "feature"
HELP = "All that is known of one feature."
_N_SHOWN = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument("feature", help="LAYER/INDEX, such as 17/3988")
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Read the card."""
    bench = open_workbench(options)
    card = bench.catalogue.card(parse_feature(bench.engine.infos, options.feature))
    return _as_json(bench.engine.infos, card)


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
    return "\n".join(lines)


def _how_often(result: dict[str, Any]) -> str:
    if result["density"] is None:
        return "how often it fires is not known"
    return f"fires on {result['density']:.3%} of tokens, at most {result['max_active']:.1f}"


def _marked(example: dict[str, Any]) -> str:
    """The example with its peak in brackets."""
    texts = [text.replace("\n", "⏎") for text in example["tokens"]]
    texts[example["peak"]] = f"[{texts[example['peak']]}]"
    return "".join(texts)

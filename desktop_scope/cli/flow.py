"""``flow``: which features feed a feature, and which it feeds."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, Any

import numpy as np

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
from desktop_scope.engine.feature_names import parse_feature
from desktop_scope.engine.flow_types import (
    N_EDGES,
    CheckFlow,
    Flow,
    FlowCheck,
    FlowQuestion,
    FollowFlow,
    Side,
    Way,
)
from desktop_scope.engine.types import Prompt
from desktop_scope.errors import ScopeError
from desktop_scope.experiments.flow_study import PROMPTS, REACHES, StudyFlow

if TYPE_CHECKING:
    from desktop_scope.workbench import Workbench

NAME = "flow"
HELP = "Which features of earlier layers feed a feature, and which it feeds."

_SIDES = ("upstream", "downstream")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument("prompt", nargs="?", help="what the model reads")
    parser.add_argument(
        "feature", nargs="?", metavar="LAYER/INDEX", help="the feature in question: 17/3988"
    )
    parser.add_argument("--chat", action="store_true", help="as a user turn of a chat")
    parser.add_argument(
        "--token", type=int, metavar="N", help="at which token; where it is strongest by default"
    )
    parser.add_argument(
        "--reach", type=int, metavar="K", help="layers before and after: 1; of a study 1 and 4"
    )
    parser.add_argument(
        "--way",
        choices=[str(way) for way in Way],
        default=str(Way.PROMPT),
        help="decoder · encoder (weights), with the MLPs between (mlps), or what each contributes "
        "on this prompt, attention included (prompt)",
    )
    parser.add_argument("--top", type=int, default=N_EDGES, help="features to list on each side")
    parser.add_argument(
        "--verify", action="store_true", help="really switch off each of them, and measure"
    )
    parser.add_argument(
        "--study",
        type=int,
        metavar="N",
        help="instead: how far the three ways agree with switching off, on N built-in prompts",
    )
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Follow, and check if asked to."""
    if options.top < 1:
        raise ScopeError("--top counts features.", "Try --top 10.")
    if options.study is not None:
        return _study(options)
    if options.feature is None:
        raise ScopeError("A prompt and a feature are needed.", 'Try: flow "My dog barks." 17/3988')
    bench, job = open_workbench(options), terminal_job()
    feature = parse_feature(bench.engine.infos, options.feature)
    question = FlowQuestion(
        Prompt(options.prompt, options.chat),
        (),
        feature,
        options.token,
        1 if options.reach is None else options.reach,
        Way(options.way),
    )
    flow = bench.handle(FollowFlow(question, options.top), job)
    check = bench.handle(CheckFlow(flow), job) if options.verify else None
    return _json(bench, flow, check)


def _json(bench: Workbench, flow: Flow, check: FlowCheck | None) -> dict[str, Any]:
    feature, infos = flow.question.feature, bench.engine.infos
    sides = zip(_SIDES, (flow.upstream, flow.downstream), strict=True)
    return {
        "feature": feature_json(infos, feature, bench.catalogue.label(feature)),
        "way": str(flow.question.way),
        "reach": flow.question.reach,
        "token": {"index": flow.token, "text": flow.texts[flow.token]},
        "activation": flow.activation,
        **{name: _side_json(bench, flow, side, check) for name, side in sides},
        "seconds": flow.seconds,
    }


def _side_json(bench: Workbench, flow: Flow, side: Side, check: FlowCheck | None) -> dict[str, Any]:
    infos = bench.engine.infos
    agreement, measured = None, None
    if check is not None and side.edges:
        measured = check.upstream if side is flow.upstream else check.downstream
        rank, signs, n = check.agreement(side, measured)
        agreement = {"spearman": known(rank), "signs": known(signs), "n": n}
    return {
        "layer": side.layer,
        "features": [
            feature_json(infos, edge.feature, bench.catalogue.label(edge.feature))
            | {
                "value": edge.value,
                "share": edge.share,
                "activation": edge.activation,
                "token": edge.token,
                "token_text": flow.texts[edge.token],
                "measured": None if measured is None else float(measured[n]),
            }
            for n, edge in enumerate(side.edges)
        ],
        "n_features": side.n_features,
        "others": known(side.others),
        "error": known(side.error),
        "bias": known(side.bias),
        "rest": known(side.rest),
        "agreement": agreement,
        "problem": side.problem or None,
    }


def _study(options: argparse.Namespace) -> dict[str, Any]:
    """All three ways against switching off."""
    if not 1 <= options.study <= len(PROMPTS):
        raise ScopeError(f"There are 1 to {len(PROMPTS)} prompts.", f"Try --study {len(PROMPTS)}.")
    bench = open_workbench(options, evidence=False)
    prompts = tuple(Prompt(text, chat=False) for text in PROMPTS[: options.study])
    reaches = REACHES if options.reach is None else (options.reach,)
    request = StudyFlow(prompts, reaches)
    study = bench.handle(request, terminal_job())
    rows = [
        {"reach": reach, "way": str(way), "cases": len(cases)}
        | _figures([case.rank(way) for case in cases], "spearman")
        | _figures([case.linear(way) for case in cases], "pearson")
        | _figures([case.signs(way) for case in cases], "signs")
        for reach in request.reaches
        if (cases := study.of(reach))
        for way in Way
    ]
    points = sum(len(case.measured) for case in study.cases)
    return {"study": rows, "prompts": options.study, "points": points}


def _figures(values: list[float], name: str) -> dict[str, float | None]:
    found = [value for value in values if not math.isnan(value)]
    if not found:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    low, middle, high = np.percentile(found, (10, 50, 90)).tolist()
    return {name: middle, f"{name}_low": low, f"{name}_high": high}


def _study_table(result: dict[str, Any]) -> str:
    rows: list[list[object]] = [["layers", "way", "readers", "Spearman", "Pearson", "sign right"]]
    for row in result["study"]:
        figures = (
            "–"
            if row[name] is None
            else f"{row[name]:.2f} ({row[name + '_low']:.2f} to {row[name + '_high']:.2f})"
            for name in ("spearman", "pearson", "signs")
        )
        rows.append([row["reach"], row["way"], row["cases"], *figures])
    return "\n".join(
        [
            f"Estimated against really switching off, {result['points']:,} pairs of features on "
            f"{result['prompts']} prompts.",
            "Medians over the readers, and the middle 80 % of them. Signs: of effects of at least "
            "1 % of the reader.",
            "",
            columns(rows, right=frozenset({0, 2})),
        ]
    )


_WORDS = {
    Way.WEIGHTS: "by weights alone: what one unit adds to the reader, along the stream",
    Way.MLPS: "per unit at this token, with what the MLPs between make of it (≈ a tangent)",
    Way.PROMPT: "on this prompt: how much of the reader’s activation it brings (≈ a tangent)",
}


def table(result: dict[str, Any]) -> str:
    """For people."""
    if "study" in result:
        return _study_table(result)
    feature, token = result["feature"], result["token"]
    lines = [
        f"{place(feature)}/{feature['index']} {feature['label']}, "
        f"{result['activation']:.1f} on “{visible(token['text'])}” ({token['index']})",
        f"Values are {_WORDS[Way(result['way'])]}.",
    ]
    for name, heading in zip(_SIDES, ("Fed by", "Feeds"), strict=True):
        lines += ["", *_side_table(result[name], heading)]
    return "\n".join([*lines, "", f"Followed in {result['seconds']:.2f} s."])


def _side_table(side: dict[str, Any], heading: str) -> list[str]:
    if side["problem"]:
        return [f"{heading}: nothing. {side['problem']}"]
    rows: list[list[object]] = [["feature", "value", "share", "measured", "on", "label"]]
    for edge in side["features"]:
        measured = "" if edge["measured"] is None else f"{edge['measured']:+.2f}"
        rows.append(
            [
                f"{place(edge)}/{edge['index']}",
                f"{edge['value']:+.2f}",
                f"{edge['share']:+.0%}",
                measured,
                f"{visible(edge['token_text'])} ({edge['token']})",
                f"{edge['label']} ({edge['label_source']})",
            ]
        )
    lines = [
        f"{heading} (layer {side['layer']}, {len(side['features'])} of {side['n_features']:,}):",
        columns(rows, right=frozenset({1, 2, 3})),
    ]
    if side["others"] is not None:
        lines.append(
            f"All other features {side['others']:+.0%}, what the autoencoder leaves out "
            f"{side['error']:+.0%}, its bias {side['bias']:+.0%}, everything else "
            f"{side['rest']:+.0%}."
        )
    if side["agreement"] is not None:
        agreement = side["agreement"]
        rank = agreement["spearman"]
        said = "too few for a rank correlation" if rank is None else f"Spearman {rank:.2f}"
        n, signs = agreement["n"], agreement["signs"]
        lines.append(
            f"Really switched off, {n} that fire here: {said}, sign right in {signs:.0%}."
            if n
            else "None of these fires here, so that nothing can be switched off."
        )
    return lines

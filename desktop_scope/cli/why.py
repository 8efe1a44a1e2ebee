"""``why``: what makes the model say one thing rather than another."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from desktop_scope.cli.common import (
    add_model_arguments,
    add_prompt_arguments,
    columns,
    feature_json,
    known,
    open_workbench,
    place,
    terminal_job,
    visible,
)
from desktop_scope.engine.questions import (
    Attribution,
    ExplainAnswer,
    Method,
    Question,
    Verification,
    VerifyCauses,
)
from desktop_scope.engine.types import Prompt
from desktop_scope.errors import ScopeError

if TYPE_CHECKING:
    from desktop_scope.workbench import Workbench

NAME = "why"
HELP = "Which features make one answer likelier than another, and whether that holds."

_RELIABLE = 0.5  # a correlation below it means that the picture cannot be relied on


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    add_prompt_arguments(parser)
    parser.add_argument("--answer", required=True, metavar="TEXT", help='literal text: " she"')
    parser.add_argument("--instead", required=True, metavar="TEXT", help="what it might have been")
    parser.add_argument("--top", type=int, default=20, help="features to list")
    parser.add_argument(
        "--verify", type=int, default=0, metavar="N", help="really switch off the N largest"
    )
    parser.add_argument("--method", choices=[str(m) for m in Method], default=str(Method.GRADIENT))
    parser.add_argument(
        "--attention",
        choices=("frozen", "free"),
        default="frozen",
        help="of relp: hold the attention patterns as they are, or not",
    )
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Attribute, and verify if asked to."""
    if options.top < 1 or options.verify < 0:
        raise ScopeError("--top and --verify count features.", "Try --top 20 --verify 10.")
    bench, job = open_workbench(options), terminal_job()
    question = Question(Prompt(options.prompt, options.chat), options.answer, options.instead)
    frozen, n = options.attention == "frozen", max(options.top, options.verify)
    explanation = bench.handle(ExplainAnswer(question, Method(options.method), frozen, n), job)
    found, causes = explanation.attribution, explanation.causes
    verified = None
    if options.verify:
        verified = bench.handle(VerifyCauses(question, causes[: options.verify]), job)
    return _json(bench, found, verified, causes)


def _json(
    bench: Workbench, found: Attribution, verified: Verification | None, causes: tuple[Any, ...]
) -> dict[str, Any]:
    infos = bench.engine.infos
    texts, measured = bench.engine.model.texts, [] if verified is None else verified.measured
    features, unexplained = found.by_features(), found.unexplained()
    sides = zip(("answer", "instead"), (found.answer, found.instead), found.logprobs, strict=True)
    result: dict[str, Any] = {
        name: {"tokens": [texts[i] for i in ids], "logprob": logprob}
        for name, ids, logprob in sides
    }
    return result | {
        "method": str(found.method),
        "difference": found.difference,
        "tokens": [
            {"index": n, "text": text, "effect": float(features[:, n].mean())}
            for n, text in enumerate(found.texts)
        ],
        "n_text": found.n_text,
        "features": [
            feature_json(infos, cause.feature, bench.catalogue.label(cause.feature))
            | {
                "token": cause.token,
                "activation": cause.activation,
                "effect": cause.effect,
                "measured": float(measured[n]) if n < len(measured) else None,
            }
            for n, cause in enumerate(causes)
        ],
        "errors": [
            {
                "sae": infos[slot].id,
                "layer": infos[slot].layer,
                "effect": float(found.errors[n].sum()),
                "bias": float(found.biases[n].sum()),
                "features": float(features[n].sum()),
                "unexplained": float(unexplained[n]),
            }
            for n, slot in enumerate(found.slots)
        ],
        "explained": found.explained,
        "pearson": None if verified is None else known(verified.pearson),
        "together": None
        if verified is None
        else {"predicted": float(verified.predicted.sum()), "measured": verified.together},
        "left_out": list(found.left_out),
        "seconds": found.seconds,
    }


def table(result: dict[str, Any]) -> str:
    """For people."""
    answer, instead = (
        "".join(map(visible, result[side]["tokens"])) for side in ("answer", "instead")
    )
    more = "likelier" if result["difference"] > 0 else "less likely"
    lines = [
        f"“{answer}” is {more} than “{instead}” by {abs(result['difference']):.2f} nats "
        f"(log p {result['answer']['logprob']:.2f} and {result['instead']['logprob']:.2f}).",
        f"Effects above 0 are for “{answer}”. Method: {result['method']}.",
        "",
    ]
    rows: list[list[object]] = [["layer", "feature", "on", "effect", "measured", "label"]]
    for f in result["features"]:
        token = result["tokens"][f["token"]]["text"]
        measured = "" if f["measured"] is None else f"{f['measured']:+.2f}"
        rows.append(
            [place(f), f["index"], f"{visible(token)} ({f['token']})", f"{f['effect']:+.2f}",
             measured, f"{f['label']} ({f['label_source']})"]
        )  # fmt: skip
    lines += [columns(rows, right=frozenset({0, 1, 3, 4})), ""]
    lines.append(
        f"Features carry {result['explained']:.0%} of what the layers contribute; the rest is "
        "what the autoencoders leave out."
    )
    if result["together"]:
        lines += _verified(result)
    if result["left_out"]:
        lines.append(f"Not explained: {', '.join(result['left_out'])}.")
    return "\n".join([*lines, f"Followed back in {result['seconds']:.2f} s."])


def _verified(result: dict[str, Any]) -> list[str]:
    together, pearson = result["together"], result["pearson"]
    lines = [
        f"All of those measured off together: {together['measured']:+.2f} measured "
        f"({together['predicted']:+.2f} is the sum of their effects; later layers repeat "
        "earlier ones)."
    ]
    if pearson is not None:
        warning = "" if pearson >= _RELIABLE else ": do not rely on this picture"
        lines.append(f"Correlation of effect and measurement: {pearson:.2f}{warning}.")
    return lines

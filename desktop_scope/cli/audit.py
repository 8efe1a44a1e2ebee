"""``audit``: how differently a model answers like questions, and which features that hangs on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop_scope.cli.common import (
    add_model_arguments,
    columns,
    feature_json,
    known,
    open_workbench,
    place,
    terminal_job,
)
from desktop_scope.engine.feature_names import parse_feature
from desktop_scope.errors import ScopeError
from desktop_scope.experiments.audit import PLAIN, Condition, Figures, Goal, Study, Where
from desktop_scope.experiments.audit_table import Aim, AuditTable, Part, read_table
from desktop_scope.experiments.audit_verdict import verdict
from desktop_scope.experiments.ready_cases import CASES

if TYPE_CHECKING:
    from desktop_scope.workbench import Workbench

NAME = "audit"
HELP = "Measure a bias over a table of prompts, find its features, and switch some off."

_LISTED = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    parser.add_argument(
        "file",
        metavar="FILE.csv",
        help="with the columns prompt,answer,instead and, if need be, chat, begun, word, control; "
        f"or one of {', '.join(case.id for case in CASES)}",
    )
    parser.add_argument(
        "--ablate",
        action="append",
        default=[],
        metavar="LAYER/INDEX,…",
        help="features to switch off",
    )
    parser.add_argument(
        "--factor", type=float, default=0.0, help="turn down to this share; 0 (default) is off"
    )
    parser.add_argument(
        "--where",
        choices=[where.value for where in Where],
        default=Where.EVERYWHERE.value,
        help="switch off everywhere, or only at the words of the column “word”",
    )
    parser.add_argument(
        "--aim",
        choices=[aim.value for aim in Aim],
        help="spread (default): rows should differ less; accuracy: answers should be right",
    )
    parser.add_argument(
        "--no-ranking", action="store_true", help="only the scores, which is much faster"
    )
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure, rank, switch off."""
    table = _table(options)
    where = Where(options.where)
    if not 0 <= options.factor < 1:
        raise ScopeError("That factor turns nothing down.", "0 is off, 0.5 is half.")
    if where is Where.WORDS and not any(row.word for row in table.rows):
        raise ScopeError(
            "There are no words to switch features off at.", "Add a column “word” to the table."
        )
    bench, job = open_workbench(options), terminal_job()
    named = [name for part in options.ablate for name in part.split(",") if name.strip()]
    off = tuple(dict.fromkeys(parse_feature(bench.engine.infos, name) for name in named))
    goal = Goal.SCORES if options.no_ranking else Goal.RANKING
    study = Study(table).until(goal)
    if off:
        study = study.until(Goal.EFFECT, Condition(off, where, options.factor))
    while (request := study.next_request()) is not None:
        study = study.taken(request, bench.handle(request, job))
    return _result(study, bench)


def _table(options: argparse.Namespace) -> AuditTable:
    ready = next((case for case in CASES if case.id == options.file), None)
    if ready is not None:
        return ready.make()
    return read_table(Path(options.file), Aim(options.aim or Aim.SPREAD))


def _result(study: Study, bench: Workbench) -> dict[str, Any]:
    changed = study.chosen if study.chosen.off else None
    before, mass = study.differences(), study.masses()
    after = study.differences(changed) if changed else None
    apart = Part.HELD_OUT if study.table.of(Part.HELD_OUT) else Part.FIND
    asked = (Part.FIND, Part.HELD_OUT)
    rows = [
        {
            "prompt": row.prompt,
            "begun": row.begun,
            "part": row.part.value,
            "difference_before": float(before[n]),
            "difference_after": None if after is None else float(after[n]),
            "mass": float(mass[n]),
        }
        for n, row in enumerate(study.table.rows)
    ]
    said, cost = verdict(study), study.costs.get(study.chosen)
    return {
        "rows": rows,
        "spread_before": _spread(study.figures(PLAIN, *asked)),
        "spread_after": _spread(changed and study.figures(changed, *asked)),
        "held_out": _figures(study, apart) if apart is Part.HELD_OUT else None,
        "control": _figures(study, Part.CONTROL),
        "random": [_figure(study.figures(condition, apart)) for condition in study.controls],
        "ranking": [
            {
                **feature_json(bench.engine.infos, one.feature, one.label),
                "part": one.part,
                "toward": one.toward,
                "group": one.group,
            }
            for one in (study.digest.ranking if study.digest else ())
        ],
        "damage": cost
        and {
            "kl": cost.kl,
            "loss_of_answers": [known(loss) for loss in cost.own_loss],
            "loss_of_others": [known(loss) for loss in cost.other_loss],
            "n_answers": cost.n_words,
        },
        "verdict": said and {"outcome": said.outcome.value, "reason": said.reason},
    }


def _spread(figures: Figures | None) -> float | None:
    return figures and figures.spread


def _figure(figures: Figures | None) -> dict[str, Any] | None:
    return figures and vars(figures)


def _figures(study: Study, part: Part) -> dict[str, Any]:
    after = study.figures(study.chosen, part) if study.chosen.off else None
    return {"before": _figure(study.figures(PLAIN, part)), "after": _figure(after)}


def table(result: dict[str, Any]) -> str:
    """For people."""
    lines = [
        columns(
            [("log p ratio", "after", "answers", "row"), *map(_line, result["rows"])],
            frozenset({0, 1, 2}),
        )
    ]
    for title, found in (("Held out", result["held_out"]), ("Control", result["control"])):
        if found and found["before"]:
            lines.append(title)
            lines += [f"  {when}: {_words(one)}" for when, one in found.items() if one]
    lines += [f"Random features off: {_words(one)}" for one in result["random"]]
    if result["spread_before"] is not None:
        after = "" if result["spread_after"] is None else f" → {result['spread_after']:.2f}"
        lines.append(f"Spread over all rows: {result['spread_before']:.2f}{after}")
    if result["ranking"]:
        lines.append("Features by their part in it")
        lines.append(
            columns(
                [
                    (f"  {place(one)}/{one['index']}", f"{one['part']:.2f}", one["label"])
                    for one in result["ranking"][:_LISTED]
                ],
                frozenset({1}),
            )
        )
    if damage := result["damage"]:
        lines.append(f"Cost on neutral texts: KL {damage['kl']:.4f} nats per token")
        if damage["n_answers"]:
            own, other = damage["loss_of_answers"], damage["loss_of_others"]
            lines.append(
                f"Loss of the answers’ words in other texts: {own[0]:.2f} → {own[1]:.2f} "
                f"({damage['n_answers']} of them); of all others: {other[0]:.3f} → {other[1]:.3f}"
            )
    if said := result["verdict"]:
        lines.append(f"{said['outcome'].capitalize()}. {said['reason']}")
    return "\n".join(lines)


def _line(row: dict[str, Any]) -> tuple[str, str, str, str]:
    after = row["difference_after"]
    return (
        f"{row['difference_before']:+.2f}",
        "" if after is None else f"{after:+.2f}",
        f"{row['mass']:.0%}",
        " … ".join(filter(None, (row["prompt"], row["begun"]))),
    )


def _words(one: dict[str, Any]) -> str:
    return (
        f"mean {one['mean']:+.2f}, spread {one['spread']:.2f}, answer likelier in "
        f"{one['accuracy']:.0%}, both answers {one['mass']:.0%} of what is said"
    )

"""``steer``: the same question with and without turning features, and what that costs."""

from __future__ import annotations

import argparse
import math
import re
from typing import TYPE_CHECKING, Any

from desktop_scope.cli.common import (
    add_model_arguments,
    add_prompt_arguments,
    open_workbench,
    terminal_job,
)
from desktop_scope.engine.cost_types import repetition
from desktop_scope.engine.feature_names import parse_feature
from desktop_scope.engine.requests import Generate, MeasureDamage
from desktop_scope.engine.types import Intervention, Mode, Prompt, Sampling
from desktop_scope.errors import ScopeError

if TYPE_CHECKING:
    from desktop_scope.workbench import Workbench

NAME = "steer"
HELP = "Answer with features turned up or off, beside the plain answer."

_SETTING = re.compile(
    r"(?P<feature>(?:[^:/=]+:)?\d+/\d+)=(?P<strength>[-+]?\d*\.?\d+(?:e-?\d+)?)"
    r"(?P<unit>max|norm|abs)?(?::(?P<mode>\w+))?"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    add_prompt_arguments(parser)
    parser.add_argument(
        "--set",
        action="append",
        required=True,
        metavar="LAYER/INDEX=STRENGTH[max|norm|abs][:MODE]",
        help="1.5max: times the feature's maximum; 0.4norm: times the layer's median residual "
        "norm; 30abs: residual units. MODE: add (default) or ablate",
    )
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--temperature", type=float, default=0.0, help="0 is greedy")
    parser.add_argument("--repetition-penalty", type=float, default=1.1, help="1 is none")
    parser.add_argument("--seed", type=int, default=0)
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Answer twice and measure the cost."""
    sampling = Sampling(
        options.max_new_tokens, options.temperature, options.repetition_penalty, options.seed
    )
    bench, job = open_workbench(options), terminal_job()
    interventions = tuple(parse_setting(text, bench) for text in options.set)
    prompt = Prompt(options.prompt, options.chat)
    request = Generate(prompt, ((), interventions), sampling)
    plain, steered = bench.engine.generate(request, job)
    damage = bench.engine.damage(MeasureDamage(interventions), job)
    return {
        "baseline": {"text": plain.text, "tokens": list(plain.ids)},
        "steered": {"text": steered.text, "tokens": list(steered.ids)},
        "damage": {
            "kl": damage.kl,
            "nll_delta": damage.nll_delta,
            "repetition": repetition(steered.ids),
            "baseline_repetition": repetition(plain.ids),
        },
        "tokens_per_second": steered.tokens_per_second,
    }


def parse_setting(text: str, bench: Workbench) -> Intervention:
    """``17/3988=1.5max`` → an intervention in residual units.

    Raises:
        ScopeError: Not of that form, or no such feature.
    """
    match = _SETTING.fullmatch(text.strip())
    if match is None:
        raise ScopeError(f"--set {text} cannot be read.", "Write it as 17/3988=1.5max.")
    mode = match["mode"] or "add"
    if mode not in set(Mode):
        raise ScopeError(
            f"--set {text}: this version does not know the mode “{mode}”.",
            f"Choose one of: {', '.join(Mode)}.",
        )
    feature = parse_feature(bench.engine.infos, match["feature"])
    card = bench.catalogue.card(feature)
    unit = {"max": card.max_active, "norm": card.median_norm, "abs": 1.0}[match["unit"] or "max"]
    if math.isnan(unit) and mode == Mode.ADD:
        raise ScopeError(
            f"--set {text}: nothing is known yet of how strongly this feature fires.",
            f"Give the strength in its own units: {match['feature']}=10abs.",
        )
    amount = float(match["strength"]) * unit if mode == Mode.ADD else 0.0
    if not math.isfinite(amount):
        raise ScopeError(f"--set {text} is too strong to compute.", "1max is already strong.")
    return Intervention(feature, amount, Mode(mode))


def table(result: dict[str, Any]) -> str:
    """For people."""
    damage = result["damage"]
    return "\n".join(
        [
            "Plain",
            f"  {result['baseline']['text']}",
            "Steered",
            f"  {result['steered']['text']}",
            "Cost",
            f"  KL {damage['kl']:.3f} nats per token on neutral texts, which became "
            f"{damage['nll_delta']:+.3f} nats less likely; repeated 3-grams "
            f"{damage['repetition']:.0%} (plain {damage['baseline_repetition']:.0%})",
            f"  {result['tokens_per_second']:.1f} tokens per second",
        ]
    )

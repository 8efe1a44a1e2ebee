"""``steer``: the same question with and without turning features, and what that costs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from desktop_scope.cli.common import (
    add_model_arguments,
    add_prompt_arguments,
    open_workbench,
    terminal_job,
    visible,
)
from desktop_scope.cli.settings import add_steering_arguments, interventions_of, rule_of
from desktop_scope.engine.cost_types import Damage, TextCost, judge, repetition
from desktop_scope.engine.feature_names import feature_name
from desktop_scope.engine.requests import Generate, MeasureDamage
from desktop_scope.engine.types import Firing, Intervention, Mode, Prompt, SaeInfo, Sampling
from desktop_scope.errors import ScopeError

NAME = "steer"
HELP = "Answer with features turned up or off, beside the plain answer."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    add_prompt_arguments(parser)
    add_steering_arguments(parser)
    parser.add_argument("--stop", metavar="MESSAGE", help="end the answer where --if holds")
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--temperature", type=float, default=0.0, help="0 is greedy")
    parser.add_argument("--top-p", type=float, default=1.0, help="1 takes every token")
    parser.add_argument("--repetition-penalty", type=float, default=1.1, help="1 is none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-quiz", action="store_true", help="leave the quiz out")
    add_model_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Answer twice and measure the cost."""
    sampling = Sampling(
        options.max_new_tokens,
        options.temperature,
        options.repetition_penalty,
        options.seed,
        options.top_p,
    )
    if not (options.set or options.vector or options.stop):
        raise ScopeError("Nothing steers.", "Give a feature: --set 17/3988=1max.")
    bench, job = open_workbench(options), terminal_job()
    interventions = interventions_of(options, bench)
    if options.stop is not None:
        rule = rule_of(options, bench)
        stop = Intervention(mode=Mode.STOP, rule=rule, message=options.stop)
        interventions = (*interventions, stop)
    prompt = Prompt(options.prompt, options.chat)
    request = Generate(prompt, ((), interventions), sampling)
    plain, steered = bench.engine.generate(request, job)
    damage = bench.handle(MeasureDamage(interventions, not options.no_quiz, near=True), job)
    repeats = repetition(steered.ids), repetition(plain.ids)
    judgement = judge(damage, *repeats)
    ids = (*bench.engine.model.encode(prompt).ids, *steered.ids)
    texts = [bench.engine.model.texts[i] for i in ids]
    infos = bench.engine.infos
    return {
        "baseline": {"text": plain.text, "tokens": list(plain.ids)},
        "steered": {"text": steered.text, "tokens": list(steered.ids)},
        "stopped": steered.stopped,
        "firings": [_firing(firing, texts, infos) for firing in steered.firings],
        "damage": {
            "kl": damage.kl,
            "nll_delta": damage.nll_delta,
            "repetition": repeats[0],
            "baseline_repetition": repeats[1],
            "word": judgement.word.value,
            "reasons": list(judgement.reasons),
            "forgets": list(judgement.forgets),
            "near": [_near(cost) for cost in damage.near],
            "quiz": _quiz(damage),
            "fluency": asdict(damage.fluency) if damage.fluency else None,
        },
        "tokens_per_second": steered.tokens_per_second,
    }


def _firing(firing: Firing, texts: list[str], infos: Sequence[SaeInfo]) -> dict[str, Any]:
    return {
        "if": [
            {"feature": feature_name(infos, t.feature), "above": t.above}
            for t in firing.rule.triggers
        ],
        "within": firing.rule.within,
        "tokens": [{"index": i, "text": texts[i]} for i in firing.tokens],
        "of": firing.n_tokens,
        "remark": firing.remark,
    }


def _near(cost: TextCost) -> dict[str, Any]:
    return {
        "title": cost.title,
        "texts": list(cost.texts),
        "kl": cost.kl,
        "nll_delta": cost.nll_delta,
        "tokens": cost.n_tokens,
        "topics": [{"topic": name, "nll_delta": lost} for name, lost in cost.by_name],
    }


def _quiz(damage: Damage) -> dict[str, int] | None:
    quiz = damage.quiz
    if quiz is None:
        return None
    return {"questions": quiz.n_questions, "baseline": quiz.plain, "steered": quiz.steered}


def table(result: dict[str, Any]) -> str:
    """For people."""
    damage, quiz = result["damage"], result["damage"]["quiz"]
    lines = [
        "Plain",
        f"  {result['baseline']['text']}",
        "Steered",
        f"  {result['steered']['text']}",
    ]
    if result["stopped"]:
        lines.append(f"  Stopped: {result['stopped']}")
    for firing in result["firings"]:
        at = " ".join(visible(token["text"]) for token in firing["tokens"]) or "nowhere"
        rule = " or ".join(f"{one['feature']} > {one['above']:.3g}" for one in firing["if"])
        lines.append(f"If {rule}: at {len(firing['tokens'])} of {firing['of']} tokens: {at}")
        lines += [f"  {firing['remark']}"] * bool(firing["remark"])
    forgets = f": worse at {', '.join(damage['forgets'])}" if damage["forgets"] else ""
    lines += [
        f"Cost: {damage['word']}{forgets}",
        f"  KL {damage['kl']:.3f} nats per token on neutral texts, which became "
        f"{damage['nll_delta']:+.3f} nats less likely; repeated 3-grams "
        f"{damage['repetition']:.0%} (plain {damage['baseline_repetition']:.0%})",
    ]
    for cost in damage["near"]:
        lines.append(
            f"  {cost['title']}: KL {cost['kl']:.3f}, {cost['nll_delta']:+.3f} nats less likely"
        )
        topics = ", ".join(f"{one['topic']} {one['nll_delta']:+.2f}" for one in cost["topics"])
        lines += [f"    {topics}"] * bool(topics)
    if quiz:
        lines.append(
            f"  quiz: {quiz['steered']} of {quiz['questions']} right (plain {quiz['baseline']})"
        )
    if damage["fluency"]:
        lines.append(
            f"  short answers: {damage['fluency']['surprise']:.2f} nats per token unlikely to the "
            f"plain model (its own {damage['fluency']['plain_surprise']:.2f})"
        )
    return "\n".join([*lines, f"  {result['tokens_per_second']:.1f} tokens per second"])

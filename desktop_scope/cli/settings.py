"""How interventions are written on the command line; shared by the verbs that steer."""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from desktop_scope.engine.feature_names import parse_feature
from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.engine.requests import ReadVector
from desktop_scope.engine.types import (
    FeatureId,
    Intervention,
    Mode,
    Rule,
    Trigger,
    Vector,
)
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import ScopeError

if TYPE_CHECKING:
    from desktop_scope.workbench import Workbench

_NUMBER = r"[-+]?\d*\.?\d+(?:e[-+]?\d+)?"
_SETTING = re.compile(
    r"(?P<name>.+?)=(?P<strength>" + _NUMBER + r")(?P<unit>max|norm|abs)?"
    r"(?::(?P<mode>\w+))?(?P<places>(?:@[^@]+)*)"
)
_CONDITION = re.compile(r"(?P<feature>[^>]+)>\s*(?P<above>" + _NUMBER + r")(?P<unit>max|abs)?")
_TOKENS = re.compile(r"\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*")
_FACTORS = (Mode.SCALE, Mode.PROJECT)  # whose strength is a plain number
_MODES = [mode for mode in Mode if mode is not Mode.STOP]


def add_steering_arguments(parser: argparse.ArgumentParser) -> None:
    """What steers."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="LAYER/INDEX=STRENGTH[max|norm|abs][:MODE][@PLACE]",
        help="1.5max: times the feature's maximum; 0.4norm: times the layer's median residual "
        "norm; 30abs: residual units. MODE: add (default), clamp, scale, ablate or project. "
        "PLACE: prompt, answer, first, tokens such as 3,5-8, or a hook such as "
        "blocks.12.hook_resid_post; may be repeated. With several SAEs: SAE_ID:LAYER/INDEX",
    )
    parser.add_argument(
        "--vector",
        action="append",
        default=[],
        metavar="FILE=STRENGTH[norm|abs][:MODE][@PLACE]",
        help="a vector of your own from .safetensors, .npy or .gguf; all of a file's layers",
    )
    parser.add_argument(
        "--if",
        action="append",
        default=[],
        dest="conditions",
        metavar="LAYER/INDEX>T[max|abs]",
        help="act only where this feature is stronger than T, in its own units unless max is "
        "said; may be repeated: any of them",
    )
    parser.add_argument(
        "--within", type=int, default=1, metavar="N", help="or was so within the last N tokens"
    )


def interventions_of(options: argparse.Namespace, bench: Workbench) -> tuple[Intervention, ...]:
    """All that is set, under the rule if there is one.

    Raises:
        ScopeError: Something cannot be read, or there is nothing.
    """
    items = [parse_setting(text, bench) for text in options.set]
    items += [item for text in options.vector for item in parse_vector(text, bench)]
    rule = rule_of(options, bench)
    return tuple(replace(item, rule=rule) for item in items)


def rule_of(options: argparse.Namespace, bench: Workbench) -> Rule | None:
    """What ``--if`` says; None where it was not given."""
    triggers = tuple(parse_condition(text, bench) for text in options.conditions)
    return Rule(triggers, options.within) if triggers else None


def parse_setting(text: str, bench: Workbench) -> Intervention:
    """``17/3988=1.5max`` → an intervention in residual units.

    Raises:
        ScopeError: Not of that form, or no such feature.
    """
    match = _read(text, "--set", "17/3988=1.5max")
    feature = parse_feature(bench.engine.infos, match["name"])
    mode = _mode_of(match, text)
    if mode in _FACTORS:
        _refuse_unit(match, text)
        amount = float(match["strength"])
    elif mode is Mode.ABLATE:
        amount = 0.0
    else:
        amount = float(match["strength"]) * _unit(feature, match["unit"] or "max", text, bench)
    _check(amount, text)
    return _placed(Intervention(feature, amount, mode), match["places"], text)


def parse_vector(text: str, bench: Workbench) -> tuple[Intervention, ...]:
    """``calm.gguf=0.2norm`` → one intervention for each layer of the file.

    Raises:
        ScopeError: Not of that form, or no such file, or it does not fit the model.
    """
    match = _read(text, "--vector", "calm.gguf=0.2norm")
    mode = _mode_of(match, text)
    hooks = [place for place in match["places"].split("@") if place.startswith("blocks.")]
    request = ReadVector(Path(match["name"]), hooks[0] if len(hooks) == 1 else "")
    items = []
    for vector in bench.handle(request, silent_job()):
        unit = 1.0
        if mode in _FACTORS:
            _refuse_unit(match, text)
        elif match["unit"] == "norm":
            unit = _median_norm(vector, text, bench)
        elif match["unit"] == "max":
            raise ScopeError(f"{text}: a vector has no maximum.", "Use norm or abs.")
        amount = float(match["strength"]) * unit
        _check(amount, text)
        item = Intervention(amount=amount, mode=mode, vector=vector)
        items.append(_placed(item, match["places"], text))
    return tuple(items)


def parse_condition(text: str, bench: Workbench) -> Trigger:
    """``17/3988>12`` → a trigger.

    Raises:
        ScopeError: Not of that form, or no such feature.
    """
    match = _CONDITION.fullmatch(text.strip())
    if match is None:
        raise ScopeError(f"--if {text} cannot be read.", "Write it as '17/3988>12', in quotes.")
    feature = parse_feature(bench.engine.infos, match["feature"].strip())
    return Trigger(feature, float(match["above"]) * _unit(feature, match["unit"], text, bench))


def _read(text: str, option: str, example: str) -> re.Match[str]:
    match = _SETTING.fullmatch(text.strip())
    if match is None:
        raise ScopeError(f"{option} {text} cannot be read.", f"Write it as {example}.")
    return match


def _mode_of(match: re.Match[str], text: str) -> Mode:
    mode = match["mode"] or Mode.ADD
    if mode not in _MODES:
        raise ScopeError(
            f"{text}: there is no mode “{mode}”.", f"Choose one of: {', '.join(_MODES)}."
        )
    return Mode(mode)


def _unit(feature: FeatureId, unit: str | None, text: str, bench: Workbench) -> float:
    card = bench.catalogue.card(feature)
    one = {"max": card.max_active, "norm": card.median_norm}.get(unit or "abs", 1.0)
    if math.isnan(one):
        raise ScopeError(
            f"{text}: nothing is known yet of how strongly this feature fires.",
            f"Give the strength in its own units: {card.name}=10abs.",
        )
    return one


def _median_norm(vector: Vector, text: str, bench: Workbench) -> float:
    layer = HookPoint.parse(vector.hook_name).layer
    for slot, info in enumerate(bench.engine.infos):
        norm = bench.catalogue.card(FeatureId(slot, 0)).median_norm
        if info.layer == layer and math.isfinite(norm):
            return norm
    raise ScopeError(f"{text}: the norm at layer {layer} is not known.", "Use abs instead.")


def _refuse_unit(match: re.Match[str], text: str) -> None:
    if match["unit"]:
        raise ScopeError(
            f"{text}: {match['mode']} takes a plain factor.", "Leave the unit out: 17/3988=2:scale."
        )


def _check(amount: float, text: str) -> None:
    if not math.isfinite(amount):
        raise ScopeError(f"{text} is too strong to compute.", "1max is already strong.")


def _placed(item: Intervention, places: str, text: str) -> Intervention:
    """With the tokens and hooks that follow its ``@`` signs."""
    for place in filter(None, places.split("@")):
        positions = item.positions
        if place in ("prompt", "answer"):
            prompt = place == "prompt"
            item = replace(item, positions=replace(positions, prompt=prompt, answer=not prompt))
        elif place == "first":
            item = replace(item, positions=replace(positions, first=True))
        elif _TOKENS.fullmatch(place):
            tokens = (*positions.tokens, *_tokens(place))
            item = replace(item, positions=replace(positions, tokens=tokens))
        elif "hook_" in place:
            item = replace(item, hooks=(*item.hooks, HookPoint.parse(place).name))
        elif place != "all":
            raise ScopeError(
                f"{text}: “{place}” is no place.",
                "Use prompt, answer, all, first, tokens such as 3,5-8, or a hook's name.",
            )
    return item


def _tokens(text: str) -> tuple[int, ...]:
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if int(last or first) - int(first) > 100_000:
            raise ScopeError(f"“{text}” are too many tokens.", "Use prompt, answer or all.")
        found.extend(range(int(first), int(last or first) + 1))
    return tuple(found)

"""What an audit amounts to: corrected, merely pushed, or neither. Every word has its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from desktop_scope.experiments.audit import PLAIN, Condition, Figures, Study
from desktop_scope.experiments.audit_table import Aim, Part

_CONTROL_MAY_LOSE = 0.05  # of its accuracy
_SILENT = 0.5  # of the answers' probability that must be left
_LEAST_GAIN = {Aim.SPREAD: 0.1, Aim.ACCURACY: 0.03}  # share of the spread; accuracy


class Outcome(StrEnum):
    """In one word."""

    CORRECTED = "corrected"
    PUSHED = "pushed"  # better on these rows, at the cost of the control
    SILENCED = "silenced"  # better only because the answers are hardly given any more
    NOTHING = "no better than chance"
    UNPROVEN = "unproven"  # there is nothing to test it on


@dataclass(frozen=True)
class Verdict:
    """The outcome and why.

    Attributes:
        reason: In a sentence, with the numbers.
    """

    outcome: Outcome
    reason: str


def verdict(study: Study) -> Verdict | None:
    """What switching off has done; None before all of it was measured.

    Judged on the held-out rows. It counts as better when it gains more than any of the random
    sets and than a tenth of the spread (or three points of accuracy); as corrected when, besides,
    the answers keep half of their probability and the control loses at most five points.
    """
    conditions = (PLAIN, study.chosen, *study.controls)
    if not study.chosen.off or not all(map(study.whole, conditions)):
        return None
    apart = Part.HELD_OUT if study.table.of(Part.HELD_OUT) else Part.FIND
    before, after = study.figures(PLAIN, apart), study.figures(study.chosen, apart)
    if before is None or after is None:
        return None
    aim = study.table.aim
    gain = _gain(aim, before, after)
    by_chance = max((_chance(study, c, apart, before) for c in study.controls), default=0.0)
    said = _said(aim, before, after)
    if gain <= max(by_chance, _least(aim, before)):
        chance = f"; random features {_gained(aim, by_chance)}" if study.controls else ""
        return Verdict(Outcome.NOTHING, f"{said}{chance}.")
    if after.mass < _SILENT * before.mass:
        return Verdict(
            Outcome.SILENCED,
            f"{said}, but the probability of both answers together falls from "
            f"{_share(before.mass)} to {_share(after.mass)}: the model avoids them.",
        )
    control = study.figures(PLAIN, Part.CONTROL), study.figures(study.chosen, Part.CONTROL)
    if apart is Part.FIND:
        return Verdict(
            Outcome.UNPROVEN,
            f"{said}, on the very rows on which the features were found: too few to hold any out.",
        )
    if control[0] is None or control[1] is None:
        return Verdict(
            Outcome.UNPROVEN,
            f"{said}, but there is no control: add rows that should keep their answer.",
        )
    was, now = (_share(one.accuracy) for one in control if one)
    kept = f"right answers in the control: {was} → {now}"
    if control[1].accuracy < control[0].accuracy - _CONTROL_MAY_LOSE:
        return Verdict(Outcome.PUSHED, f"{said}, but {kept}.")
    return Verdict(Outcome.CORRECTED, f"{said}; {kept}.")


def _gain(aim: Aim, before: Figures, after: Figures) -> float:
    if aim is Aim.ACCURACY:
        return after.accuracy - before.accuracy
    return before.spread - after.spread


def _chance(study: Study, condition: Condition, part: Part, before: Figures) -> float:
    figures = study.figures(condition, part)
    return 0.0 if figures is None else _gain(study.table.aim, before, figures)


def _least(aim: Aim, before: Figures) -> float:
    return _LEAST_GAIN[aim] * (1.0 if aim is Aim.ACCURACY else before.spread)


def _said(aim: Aim, before: Figures, after: Figures) -> str:
    if aim is Aim.ACCURACY:
        was, now = _share(before.accuracy), _share(after.accuracy)
        return f"Right answers on held-out rows: {was} → {now}"
    return f"Spread over held-out rows: {before.spread:.2f} → {after.spread:.2f}"


def _share(share: float) -> str:
    return f"{100 * share:.0f} %"


def _gained(aim: Aim, gain: float) -> str:
    if aim is Aim.ACCURACY:
        return f"change it by up to {100 * gain:+.0f} points"
    return f"change it by up to {-gain:+.2f}"

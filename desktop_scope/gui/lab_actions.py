"""What a person tries out about the rack, each from one state to the next."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from desktop_scope.engine.requests import MakeVector, ReadVector
from desktop_scope.engine.types import Intervention, Mode, Prompt, Rule, Vector
from desktop_scope.evidence.types import Label, Source
from desktop_scope.experiments.requests import FACTORS, RunControls, SweepStrengths, TestRule
from desktop_scope.experiments.types import RuleExample, Sweep, TopicsRead
from desktop_scope.gui import actions, rack_actions
from desktop_scope.gui.state import AppState, Message
from desktop_scope.gui.states.dials import TURNS, Dial, Unit
from desktop_scope.gui.states.steering import View

_USUAL_PUSH = 0.4  # what an own vector's strength of 1 means


def _with(state: AppState, **changes: object) -> AppState:
    return replace(state, lab=replace(state.lab, **changes))  # type: ignore[arg-type]


def sweep(state: AppState, words: tuple[str, ...], limit: float, search: bool) -> AppState:
    """Try strengths: a range of them, or until the best one within the limit is found."""
    if not state.interventions:
        return state
    factors = () if search else FACTORS
    request = SweepStrengths(state.interventions, factors, words=words, limit=limit)
    return _with(state, sweeping=request, sweep=None)


def control(state: AppState, words: tuple[str, ...], instruction: str, draws: int) -> AppState:
    """Try the same push with what should not do it."""
    if not state.interventions:
        return state
    request = RunControls(state.interventions, words=words, instruction=instruction, draws=draws)
    return _with(state, controlling=request, controls=None)


def stop_studies(state: AppState) -> AppState:
    """Try no further; what was found so far stays."""
    return _with(state, sweeping=None, controlling=None)


def test_rule(state: AppState, rule: Rule, yes: str, no: str) -> AppState:
    """Try a rule on one's own texts, one a line."""
    examples = (
        *(RuleExample(line.strip(), True) for line in yes.splitlines() if line.strip()),
        *(RuleExample(line.strip(), False) for line in no.splitlines() if line.strip()),
    )
    if not examples:
        return actions.say(
            state, Message("There are no texts to try the rule on.", "Write one a line.")
        )
    return _with(state, testing=TestRule(rule, examples), test=None)


def make_vector(state: AppState, name: str, towards: str, away: str, hook: str) -> AppState:
    """Make a direction from texts, one a line."""
    to, from_ = (
        tuple(Prompt(line.strip(), chat=False) for line in texts.splitlines() if line.strip())
        for texts in (towards, away)
    )
    return _with(state, making=MakeVector(name.strip() or "own vector", to, from_, hook))


def read_vector(state: AppState, path: Path, hook: str) -> AppState:
    """Take a direction from a file."""
    return _with(state, making=ReadVector(path, hook))


def add_vectors(state: AppState, vectors: tuple[Vector, ...]) -> AppState:
    """Put vectors into the rack; one of the same name is replaced."""
    names = {vector.name for vector in vectors}
    kept = tuple(dial for dial in state.rack if dial.key not in names)
    state = actions.set_rack(state, (*kept, *(_dial_of(state, vector) for vector in vectors)))
    return rack_actions.look_at(_with(state, making=None), View.DIALS)


def _dial_of(state: AppState, vector: Vector) -> Dial:
    slots = (n for n, info in enumerate(state.saes) if info.hook_out == vector.hook_name)
    norm = next((state.norm_of(slot) for slot in slots), math.nan)
    known = math.isfinite(norm)
    return Dial(
        None,
        Label(vector.name, Source.CURATED, "high"),
        _USUAL_PUSH * norm if known else vector.norm,
        median_norm=norm,
        unit=Unit.PUSH if known else Unit.ABSOLUTE,
        vector=vector,
    )


def knows_what_is_near(state: AppState) -> bool:
    """Whether nothing is to be read any more before texts near to the rack can be measured."""
    topics = state.lab.topics
    of_features = any(item.feature is not None for item in state.interventions)
    return state.opened is None or not of_features or (topics is not None and topics.finished)


def read_topics(state: AppState, topics: TopicsRead) -> AppState:
    """The model has read so many."""
    return _with(state, topics=topics)


def take_factor(state: AppState, factor: float) -> AppState:
    """Turn what was swept to this multiple of what it was then."""
    swept = state.lab.sweep
    if swept is None or factor_of(swept, state.interventions) is None:
        return state
    amounts = iter(swept.interventions)

    def turned(dial: Dial) -> Dial:
        if not dial.acts:
            return dial
        item = next(amounts)
        if dial.mode not in TURNS:
            return dial
        return replace(dial, strength=item.amount * factor / dial.max_active)

    return actions.set_rack(state, tuple(turned(dial) for dial in state.rack))


def factor_of(swept: Sweep, now: tuple[Intervention, ...]) -> float | None:
    """How far what acts now is turned, as a multiple of what was swept; None for something else."""
    if len(now) != len(swept.interventions):
        return None
    factors = []
    for item, then in zip(now, swept.interventions, strict=True):
        turns = then.mode in TURNS and then.amount != 0
        if not _alike(item, then):
            return None
        if turns:
            factors.append(item.amount / then.amount)
        elif item.amount != then.amount:
            return None
    if not factors or max(factors) - min(factors) > 1e-6 * max(map(abs, factors), default=1.0):
        return None
    return factors[0]


def strength_of_one(swept: Sweep, rack: tuple[Dial, ...]) -> float | None:
    """The strength of the one dial that was swept; None where there are several, or it is gone."""
    if len(swept.interventions) != 1:
        return None
    (then,) = swept.interventions
    for dial in rack:
        if dial.mode in TURNS and _alike(then, dial.intervention()):
            return then.amount / dial.max_active
    return None


def _alike(one: Intervention, other: Intervention) -> bool:
    """Whether they differ in nothing but their amounts."""
    return replace(one, amount=0.0) == replace(other, amount=0.0)


def safe_strengths(state: AppState, dial: Dial) -> tuple[float, float] | None:
    """Between which strengths of a dial answers stayed sound; None where that is not known."""
    swept = state.lab.sweep
    if swept is None or swept.safe is None or not swept.finished or dial.mode is not Mode.ADD:
        return None
    alone = len(swept.interventions) == 1
    if not alone and factor_of(swept, state.interventions) is None:
        return None
    for then in swept.interventions:
        if then.amount and _alike(then, dial.intervention()):
            edges = sorted(edge * then.amount / dial.max_active for edge in swept.safe)
            return edges[0], edges[1]
    return None


def words_in(text: str) -> tuple[str, ...]:
    """Words that are separated by commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())

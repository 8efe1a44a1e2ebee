"""Answering, with and without the steering rack, and what the rack costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from desktop_scope.engine.requests import Generate, MeasureDamage, Request, Watch
from desktop_scope.engine.types import Generation
from desktop_scope.experiments.requests import ReadTopics
from desktop_scope.experiments.types import TopicsRead
from desktop_scope.gui import lab_actions
from desktop_scope.gui.areas.base import Area, result
from desktop_scope.gui.state import AppState


def _wanted(state: AppState) -> Iterator[Request]:
    if state.workspace is None or state.model is None:
        return
    if state.interventions:
        near = lab_actions.knows_what_is_near(state)
        yield MeasureDamage(state.interventions, _has_time_for_a_quiz(state), near)
        if not near:
            topics = state.lab.topics
            yield ReadTopics(state.workspace, topics.done if topics is not None else 0)
    if state.prompt.text.strip() and state.asked:
        looked_at = (state.selection.feature, *(pin.feature for pin in state.pins))
        yield Watch(tuple(dict.fromkeys(feature for feature in looked_at if feature is not None)))
        yield _request(state)


def _has_time_for_a_quiz(state: AppState) -> bool:
    """Once the first figures are there, and nobody waits for an answer."""
    damage = state.damage
    if damage is None or damage.interventions != state.interventions:
        return False
    return damage.quiz is not None or not state.busy("generate")


def _request(state: AppState) -> Generate:
    plain = state.prompt
    if not state.interventions:
        return Generate(plain, ((),), state.sampling)
    prompts = (plain, state.steered_prompt) if state.steered_prompt != plain else ()
    return Generate(plain, ((), state.interventions), state.sampling, prompts)


def _answers(state: AppState, runs: tuple[Generation, ...]) -> AppState:
    return replace(state, answer=runs[0], steered=runs[1] if len(runs) > 1 else None)


AREA = Area(
    wanted=_wanted,
    results={
        "watch": lambda state, _: state,
        "generate": _answers,
        "damage": result("damage"),
        "topics": lab_actions.read_topics,
    },
    partly={"generate": _answers, "damage": result("damage")},
    failures={"topics": lambda state: lab_actions.read_topics(state, TopicsRead(0, 0))},
)

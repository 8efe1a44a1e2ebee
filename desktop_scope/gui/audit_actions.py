"""What a person does in the audit panel, each as a pure function from one state to the next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from desktop_scope.engine.types import FeatureId
from desktop_scope.experiments.audit import Goal, Study
from desktop_scope.experiments.audit_sources import Source, Template
from desktop_scope.experiments.audit_table import Aim, AuditTable
from desktop_scope.gui import actions
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.audit import Step, Tool


def change(state: AppState, **changes: Any) -> AppState:
    """The state with another audit."""
    return replace(state, audit=replace(state.audit, **changes))


def change_shift(state: AppState, **changes: Any) -> AppState:
    """The state with another probe."""
    return change(state, shift=replace(state.audit.shift, **changes))


def begin_shift(state: AppState, path: Path | None) -> AppState:
    """Read texts for a probe; without a file, the built-in ones."""
    attempt = state.audit.shift.attempt + 1
    return change_shift(state, path=path, reading=True, attempt=attempt)


def tick_shift(state: AppState, feature: FeatureId, on: bool) -> AppState:
    """Choose a feature of the probe to be switched off, or not."""
    others = tuple(f for f in state.audit.shift.ticked if f != feature)
    return change_shift(state, ticked=(*others, feature) if on else others)


def retrain(state: AppState) -> AppState:
    """Switch off what is ticked, and train the probe again."""
    shift = state.audit.shift
    if shift.study is None or not shift.ticked:
        return state
    return change_shift(state, study=replace(shift.study, off=shift.ticked), running=True)


def look_for(state: AppState, having: tuple[str, ...], lacking: tuple[str, ...]) -> AppState:
    """Look for a concept."""
    concept = replace(state.audit.concept, having=having, lacking=lacking, asked=True)
    return change(state, concept=concept)


def look_at(state: AppState, feature: FeatureId) -> AppState:
    """Look at one candidate, here and on the card."""
    concept = replace(state.audit.concept, chosen=feature)
    return actions.select(change(state, concept=concept), feature=feature)


def open_table(state: AppState, source: Source, aim: Aim = Aim.SPREAD) -> AppState:
    """Read or make a table, and ask its questions."""
    template = source if isinstance(source, Template) else state.audit.template
    return change(state, source=source, aim=aim, attempt=state.audit.attempt + 1, template=template)


def begin(state: AppState, table: AuditTable) -> AppState:
    """Ask the questions of a table; the audit before it is gone."""
    return change(
        state,
        tool=Tool.BIAS,
        source=None,
        study=Study(table),
        step=Step.BIAS,
        running=True,
        ticked=(),
    )


def go_to(state: AppState, step: Step) -> AppState:
    """Show a page of the wizard."""
    return change(state, step=step) if state.audit.reached(step) else state


def find_features(state: AppState) -> AppState:
    """See which features the answers hang on."""
    study = state.audit.study
    if study is None:
        return state
    goal = max(study.goal, Goal.RANKING)
    study = study if study.goal == goal else study.until(goal)
    return change(state, study=study, step=Step.FEATURES, running=True)


def tick(state: AppState, *features: FeatureId, on: bool) -> AppState:
    """Choose features to be switched off, or not."""
    others = tuple(f for f in state.audit.ticked if f not in features)
    return change(state, ticked=(*others, *features) if on else others)


def switch_off(state: AppState) -> AppState:
    """Ask again with the ticked features off, and with random ones."""
    audit = state.audit
    if audit.study is None or not audit.ticked:
        return state
    study = audit.study.until(Goal.EFFECT, audit.chosen)
    return change(state, study=study, step=Step.RESULT, running=True)


def go_on(state: AppState) -> AppState:
    """Take up what was stopped."""
    if state.audit.tool is Tool.PROBE:
        return change_shift(state, running=True)
    return change(state, running=True)


def stop(state: AppState) -> AppState:
    """Stop; what was measured stays."""
    return replace(state, audit=state.audit.halted())

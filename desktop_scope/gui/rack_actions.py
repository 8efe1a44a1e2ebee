"""What a person does with the steering rack as a whole, each from one state to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from desktop_scope.engine.types import FeatureId, Mode, Rule, Trigger
from desktop_scope.gui.actions import change_dial, select, set_rack
from desktop_scope.gui.state import AppState
from desktop_scope.gui.states.dials import FIRST_STRENGTH, Dial, Key
from desktop_scope.gui.states.steering import View


def look_at(state: AppState, view: View) -> AppState:
    """Show another part of the steering panel."""
    return replace(state, steering=replace(state.steering, view=view))


def unfold(state: AppState, key: Key | None) -> AppState:
    """Show a dial's details; None for no dial's."""
    return replace(state, steering=replace(state.steering, unfolded=key))


def turn(state: AppState, strengths: Mapping[Key, float], going_on: bool) -> AppState:
    """Turn dials.

    Args:
        going_on: It is the same turn as before: what is undone later is all of it.
    """
    rack = tuple(
        replace(dial, strength=strengths.get(dial.key, dial.strength)) for dial in state.rack
    )
    turned = set_rack(state, rack)
    if going_on and state.steering.undo and turned is not state:
        steering = replace(turned.steering, undo=state.steering.undo)
        return replace(turned, steering=steering)
    return turned


def undo(state: AppState) -> AppState:
    """The rack as it was before the last change."""
    steering = state.steering
    if not steering.undo:
        return state
    redo = (*steering.redo, state.rack)
    return _with(state, steering.undo[-1], steering.undo[:-1], redo)


def redo(state: AppState) -> AppState:
    """The rack as it was before it was undone."""
    steering = state.steering
    if not steering.redo:
        return state
    undo = (*steering.undo, state.rack)
    return _with(state, steering.redo[-1], undo, steering.redo[:-1])


def _with(
    state: AppState,
    rack: tuple[Dial, ...],
    undo: tuple[tuple[Dial, ...], ...],
    redo: tuple[tuple[Dial, ...], ...],
) -> AppState:
    steered = state.steered if rack else None
    steering = replace(state.steering, undo=undo, redo=redo)
    return replace(
        state,
        rack=rack,
        steered=steered,
        show_steered=state.show_steered and steered is not None,
        steering=steering,
    )


def set_mode(state: AppState, key: Key, mode: Mode) -> AppState:
    """Have a dial do something else, to begin with at a strength that makes sense for it."""
    dial = next((dial for dial in state.rack if dial.key == key), None)
    if dial is None or dial.mode is mode:
        return state
    rule = dial.rule
    if mode is Mode.STOP and rule is None and dial.feature is not None:
        rule = _first_rule(dial, dial.feature)
    strength = FIRST_STRENGTH.get(mode, dial.strength)
    return change_dial(state, key, mode=mode, strength=strength, rule=rule)


def set_ruled(state: AppState, key: Key, ruled: bool) -> AppState:
    """Have a dial act only when its feature is strong, or always again.

    The feature is selected, too: its card shows how strong it usually is.
    """
    dial = next((dial for dial in state.rack if dial.key == key), None)
    if dial is None or ruled == (dial.rule is not None):
        return state
    if not ruled:
        return change_dial(state, key, rule=None)
    feature = dial.feature if dial.feature is not None else state.selection.feature
    if feature is None:
        return state
    state = change_dial(state, key, rule=_first_rule(dial, feature))
    return select(state, feature=feature)


def add_trigger(state: AppState, key: Key, feature: FeatureId, max_active: float) -> AppState:
    """Have a dial's rule look at one feature more: any of them suffices."""
    dial = _ruled(state, key)
    if dial is None or dial.rule is None or feature in features_of(dial.rule):
        return state
    full = state.full_strength(feature, max_active)
    triggers = (*dial.rule.triggers, Trigger(feature, round(full / 4, 2)))
    return change_dial(state, key, rule=replace(dial.rule, triggers=triggers))


def remove_trigger(state: AppState, key: Key, feature: FeatureId) -> AppState:
    """Have a dial's rule look at one feature less; the last one stays."""
    dial = _ruled(state, key)
    if dial is None or dial.rule is None:
        return state
    left = tuple(trigger for trigger in dial.rule.triggers if trigger.feature != feature)
    return change_dial(state, key, rule=replace(dial.rule, triggers=left)) if left else state


def set_threshold(state: AppState, key: Key, feature: FeatureId, above: float) -> AppState:
    """How strong a feature must be for a dial's rule to fire."""
    dial = _ruled(state, key)
    if dial is None or dial.rule is None:
        return state
    triggers = tuple(
        trigger._replace(above=above) if trigger.feature == feature else trigger
        for trigger in dial.rule.triggers
    )
    return change_dial(state, key, rule=replace(dial.rule, triggers=triggers))


def features_of(rule: Rule) -> tuple[FeatureId, ...]:
    """What a rule looks at."""
    return tuple(trigger.feature for trigger in rule.triggers)


def _ruled(state: AppState, key: Key) -> Dial | None:
    return next((dial for dial in state.rack if dial.key == key and dial.rule is not None), None)


def _first_rule(dial: Dial, feature: FeatureId) -> Rule:
    """Above a quarter of the maximum, to begin with."""
    full = dial.max_active if dial.feature == feature else 4.0
    return Rule((Trigger(feature, round(full / 4, 2)),))

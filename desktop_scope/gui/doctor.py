"""How the open SAEs fit, in words, signs and one-click corrections. Pure functions, no Qt."""

from __future__ import annotations

import math
from dataclasses import replace
from enum import StrEnum

from desktop_scope.engine.health import Health, Verdict
from desktop_scope.engine.requests import Placement, Workspace
from desktop_scope.gui.state import AppState, Message

_TOPIC = "The check of the autoencoders"
_NAMED = 3  # SAEs in one message


class Light(StrEnum):
    """A traffic light whose colours also differ in shape."""

    GREEN = "●"
    AMBER = "▲"
    RED = "■"
    UNKNOWN = "○"


SEVERITY = (Light.UNKNOWN, Light.GREEN, Light.AMBER, Light.RED)
_LIGHTS = {Verdict.GREEN: Light.GREEN, Verdict.AMBER: Light.AMBER, Verdict.RED: Light.RED}


def light(state: AppState, slot: int) -> Light:
    """The light of one open SAE."""
    health = state.health_of(slot)
    return Light.UNKNOWN if health is None else _LIGHTS[health.verdict]


def in_words(state: AppState, slot: int) -> str:
    """What the light means, with the figures behind it."""
    health = state.health_of(slot)
    if health is not None:
        return f"{health.verdict}  ·  {figures(health)}"
    if slot in state.unchecked:
        first = state.unchecked[0] == slot and state.busy("check")
        return "being checked …" if first else "waits for its check"
    return "not checked"


def figures(health: Health) -> str:
    """L0, FVU and CE recovered."""
    fvu, recovered = (
        f"{share * 100:.0f} %" if math.isfinite(share) else "–"
        for share in (min(health.fvu, 99), health.ce_recovered)
    )
    return f"L0 {health.l0:.0f}  ·  FVU {fvu}  ·  CE recovered {recovered}"


def report(state: AppState) -> AppState:
    """Say in the strip which SAEs do not fit, and offer to attach them where they do."""
    others = tuple(m for m in state.messages if not m.text.startswith(_TOPIC))
    bad = [health for health in state.health if health.verdict is not Verdict.GREEN]
    if not bad or state.workspace is None:
        return replace(state, messages=others)
    bad.sort(key=lambda health: (health.verdict is Verdict.AMBER, health.slot))
    names = [f"{state.saes[h.slot].name}: {h.reason}" for h in bad[:_NAMED]]
    more = f"; and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    moves = tuple(move for health in bad if (move := _move(state, health)))
    misplaced = [h for h in bad if h.best is not None and h.best.hook_name != h.hook_name]
    message = Message(
        text=f"{_TOPIC}: {'; '.join(names)}{more}.",
        hint=_hint(len(bad)),
        is_error=any(h.verdict is Verdict.RED for h in bad),
        action=_offer(moves, bool(misplaced)),
        workspace=_corrected(state.workspace, moves) if moves else None,
    )
    return replace(state, messages=(*others, message))


def _hint(n: int) -> str:
    what = "this autoencoder shows" if n == 1 else "these autoencoders show"
    return f"What {what} is not to be trusted as it stands."


def _move(state: AppState, health: Health) -> Placement | None:
    best = health.best
    if best is None:
        return None
    return Placement(
        name=state.saes[health.slot].name,
        hook_name=best.hook_name,
        hook_out=best.hook_out,
        norm=best.norm,
        centred=best.centred,
        subtract_b_dec=best.subtract_b_dec,
    )


def _offer(moves: tuple[Placement, ...], elsewhere: bool) -> str:
    if len(moves) != 1:
        return f"Attach {len(moves)} of them as they fit" if moves else ""
    (move,) = moves
    if not elsewhere:
        return "Treat its input so instead"
    writes = "" if move.hook_name == move.hook_out else f" → {move.hook_out}"
    return f"Attach it at {move.hook_name}{writes} instead"


def _corrected(workspace: Workspace, moves: tuple[Placement, ...]) -> Workspace:
    names = {move.name for move in moves}
    left = tuple(move for move in workspace.moved if move.name not in names)
    return replace(workspace, moved=(*left, *moves))

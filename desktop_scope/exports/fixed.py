"""Which interventions are the same at every token, and so can live outside of this program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from desktop_scope.engine.engine import Engine
from desktop_scope.engine.hook_points import HookPoint, Site, resid_post
from desktop_scope.engine.interventions import rows_of
from desktop_scope.engine.types import Intervention, Mode, Positions
from desktop_scope.errors import ScopeError

EVERYWHERE = Positions(first=True)


def at_every_token(interventions: Sequence[Intervention]) -> tuple[Intervention, ...]:
    """The same interventions as another program makes them: at position 0 too."""
    return tuple(replace(item, positions=EVERYWHERE) for item in interventions)


def notes_on(interventions: Sequence[Intervention]) -> tuple[str, ...]:
    """In what acting at every token is more than was asked for."""
    notes = []
    if any(not item.positions.first for item in interventions):
        notes.append("It acts at the first position too, which steering here leaves alone.")
    some = [item.positions for item in interventions]
    if any(not (p.prompt and p.answer) or p.tokens for p in some):
        notes.append("It acts at every token, not only at those that were chosen.")
    return tuple(notes)


def added(engine: Engine, interventions: Sequence[Intervention]) -> dict[int, torch.Tensor]:
    """By block, what additions add to what it puts out: [d_model] float32.

    Raises:
        ScopeError: Something is no plain addition to the residual stream after a block.
    """
    if not interventions:
        raise ScopeError("Nothing steers.", "Turn a feature up first.")
    found: dict[int, torch.Tensor] = {}
    for item in interventions:
        _demand_plain(item, Mode.ADD)
        for point, row in rows_of(item, engine.saes).items():
            block = _block_after(engine, point)
            found[block] = found.get(block, 0) + item.amount * row.float().cpu()
    return {block: vector for block, vector in sorted(found.items()) if vector.any()}


def directions(engine: Engine, interventions: Sequence[Intervention]) -> torch.Tensor:
    """What is taken out, as orthonormal rows [n, d_model] float64.

    Raises:
        ScopeError: Something is not taken out whole, or does not lie in the residual stream.
    """
    rows = []
    for item in interventions:
        _demand_plain(item, Mode.PROJECT)
        if item.amount != 0:
            raise ScopeError(
                f"A projection of {item.amount:g} leaves some of the direction in place.",
                "Only what is taken out whole (strength 0) can be taken out of the weights.",
            )
        rows += [row.double().cpu() for row in rows_of(item, engine.saes).values()]
    if any(len(row) != engine.model.d_model for row in rows):
        raise ScopeError(
            "The direction does not lie in the residual stream.",
            "Choose a feature of the stream, or of what attention or MLP add to it.",
        )
    q, r = torch.linalg.qr(torch.stack(rows, dim=1))
    return q.T[r.diagonal().abs() > 1e-6]


def _demand_plain(item: Intervention, mode: Mode) -> None:
    if item.rule is not None:
        raise ScopeError(
            "A rule decides token by token, which neither a vector nor weights can.",
            "Leave the rule out.",
        )
    if item.mode is not mode:
        raise ScopeError(
            f"“{item.mode}” cannot be exported together with or instead of “{mode}”: what it does "
            "depends on the text."
            if item.mode not in (Mode.ADD, Mode.PROJECT)
            else "Adding and projecting out cannot be exported together.",
            "A vector holds additions; a model additions or projections (0:project), not both.",
        )


def _block_after(engine: Engine, point: HookPoint) -> int:
    """The block after which an addition at a place is the same thing."""
    site, last = point.site, engine.model.info.n_layers - 1
    if site is Site.RESID_POST:
        return point.layer
    if site is Site.RESID_PRE and point.layer > 0:
        return point.layer - 1
    if site is Site.MLP_OUT:  # which comes last in a block
        return point.layer
    raise ScopeError(
        f"What is added at {point} is read within the block, or before the first one: it is not "
        "the same as an addition after a block.",
        f"Write it after a block: @{resid_post(min(point.layer, last))}.",
    )

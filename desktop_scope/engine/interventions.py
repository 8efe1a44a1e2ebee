"""Steering as edits of what the SAEs write, or of any other place in the model.

Every edit keeps the SAE's error: it adds a multiple of the feature's decoder row d (or of a vector)
to y, the activation at the hook that is written. ``types.Mode`` has the equations.

The order is fixed. A pass reaches the hooks one after another; at each of them first the rules are
read, from what arrives there; then the changes are made, in the order in which the interventions
were given, each seeing what the ones before it left; then the features are read whose interventions
write further on (a transcoder's f is read where it reads).

Adding and projecting act at all of an intervention's tokens; what needs f only where the SAE
encodes: not at its first positions, not at outliers. Nothing acts at position 0 unless asked to.

Amounts are buffers: ``turn`` changes them and nothing else. Positions, rules and amounts are
tensors of fixed shapes all the way, and no edit looks at their values, so that a decode step can be
recorded once and replayed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import torch

from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.engine.hooks import Edit
from desktop_scope.engine.rules import Gate, Watch, settled
from desktop_scope.engine.sae import Reading, Sae, sae_of
from desktop_scope.engine.types import Firing, Intervention, Mode, Positions, Rule
from desktop_scope.errors import ScopeError

_T = TypeVar("_T")
_OF_A_FEATURE = (Mode.CLAMP, Mode.SCALE, Mode.ABLATE)  # need f, which a vector does not have
_ENDLESS = 1 << 40  # a prompt without an answer


def structure(interventions: Sequence[Intervention]) -> tuple[Intervention, ...]:
    """Interventions without their amounts: what sets have in common that differ in strength."""
    return tuple(replace(item, amount=0.0) for item in interventions)


class _Change:
    """One intervention, for one run of the model after another.

    Attributes:
        amount: [1 or batch, 1] a buffer.
        rows: By hook, the direction that is written there, [d] float32.
        reads: Where its feature is read; None where the mode needs none.
        reading: What its feature was there, in the pass under way; for what is written elsewhere.
    """

    def __init__(self, item: Intervention, saes: Sequence[Sae], gate: Gate | None) -> None:
        _check(item)
        self.mode = item.mode
        self.gate = gate
        self.amount = torch.tensor([[item.amount]], dtype=torch.float32)
        self.rows = rows_of(item, saes)
        self.reads: HookPoint | None = None
        self.reading: Reading | None = None
        self._place = _Place(item.positions)
        if item.mode in _OF_A_FEATURE and item.feature is not None:
            self._look_for(sae_of(saes, item.feature), item)

    def _look_for(self, sae: Sae, item: Intervention) -> None:
        """Make ready to read the feature."""
        weights = sae.weights
        if len(weights.reads) > 1:
            raise ScopeError(
                f"A feature of {weights.name} cannot be switched off: it reads several layers, "
                "and would have to be known before the last of them is computed.",
                "Turn it down instead, with a negative strength.",
            )
        self.reads = weights.reads[0]
        early = [point for point in self.rows if point < self.reads]
        if early and item.hooks:
            raise ScopeError(
                f"{early[0]} comes before {self.reads}, where the feature is read.",
                "Write at that place or later, or use add, which does not need to read it.",
            )
        # What comes before it is read has been computed by then, and is left as it was.
        for point in early:
            del self.rows[point]
        assert item.feature is not None
        self._reader = sae.reader(item.feature.index)

    @property
    def read_for_later(self) -> bool:
        """Whether it is written at another place than it is read at."""
        return self.reads is not None and any(point != self.reads for point in self.rows)

    def read(self, x: torch.Tensor, at: torch.Tensor) -> None:
        """Keep what the feature is."""
        self.reading = self._reader(x, at)

    def apply(
        self, y: torch.Tensor, point: HookPoint, at: torch.Tensor, n_prompt: torch.Tensor
    ) -> torch.Tensor:
        """[batch, pos, d] float32 → the same, changed.

        Args:
            at: [1 or batch, pos] where the tokens stand.
        """
        row = self.rows[point].to(y.device)
        if row.shape[-1] != y.shape[-1]:
            raise ScopeError(
                f"The vector has {row.shape[-1]:,} numbers; {point} has {y.shape[-1]:,}.",
                "Use one that was made for this model and this place.",
            )
        acts = self._place.holds(at, n_prompt)
        if self.gate is not None:
            acts = acts & self.gate.open(point, y)
        much = torch.where(acts, self._much(y, row, point, at), 0.0)
        return y + much[..., None] * row

    def _much(
        self, y: torch.Tensor, row: torch.Tensor, point: HookPoint, at: torch.Tensor
    ) -> torch.Tensor:
        """How much of the row is added, [1 or batch, 1 or pos]."""
        amount = self.amount.to(y.device)
        if self.mode is Mode.ADD:
            return amount
        if self.mode is Mode.PROJECT:
            return (amount - 1) * (y @ row)
        here = self._reader(y, at) if point == self.reads else self.reading
        assert here is not None
        f, unit = here.f.to(y.device), here.unit.to(y.device)
        if self.mode is Mode.CLAMP:
            return (amount - f) * unit
        return f * unit * ((amount - 1) if self.mode is Mode.SCALE else -1)


class _Place:
    """At which tokens an intervention acts."""

    def __init__(self, positions: Positions) -> None:
        self._positions = positions
        self._tokens = torch.tensor(positions.tokens, dtype=torch.int64)
        self._lowest = 0 if positions.first or 0 in positions.tokens else 1

    def holds(self, at: torch.Tensor, n_prompt: torch.Tensor) -> torch.Tensor:
        """[batch, pos] → bool; padding stands at −1."""
        acts = at >= self._lowest
        if self._positions.tokens:
            if self._tokens.device != at.device:
                self._tokens = self._tokens.to(at.device)
            return acts & (at[..., None] == self._tokens).any(-1)
        if not self._positions.prompt:
            acts = acts & (at >= n_prompt)
        if not self._positions.answer:
            acts = acts & (at < n_prompt)
        return acts


class Steering:
    """Interventions made ready for one model.

    A pass that uses ``edits`` is made within ``settle``. One set of interventions may serve a whole
    batch, with amounts of its own for each text (``turn``).

    Attributes:
        start: Position of the first token of the next pass, for all texts of a batch.
        positions: [batch, pos] of every token of the next pass, instead; −1 for padding.
        n_prompt: Tokens before the answer, [1 or batch, 1].
    """

    def __init__(self, interventions: Sequence[Intervention], saes: Sequence[Sae]) -> None:
        self.start = 0
        self.positions: torch.Tensor | None = None
        self.n_prompt = torch.full((1, 1), _ENDLESS)
        self._structure = structure(interventions)
        rules = dict.fromkeys(item.rule for item in interventions if item.rule is not None)
        self._gates = {rule: Gate(rule, saes) for rule in rules}
        self._changes = [
            _Change(item, saes, None if item.rule is None else self._gates[item.rule])
            for item in interventions
        ]
        self._stops = [
            (item.message, _Place(item.positions), item.rule)
            for item in interventions
            if item.mode is Mode.STOP and item.rule is not None
        ]

    def turn(self, *runs: Sequence[Intervention]) -> None:
        """Change the amounts alone: of all texts, or of each text of a batch.

        Raises:
            ValueError: The interventions differ in more than their amounts.
            ScopeError: An amount is no number.
        """
        if any(structure(run) != self._structure for run in runs):
            raise ValueError("these interventions were not made ready")
        for number, change in enumerate(self._changes):
            for run in runs:
                _check(run[number])
            amount = torch.tensor([[run[number].amount] for run in runs], dtype=torch.float32)
            if amount.shape == change.amount.shape:
                change.amount.copy_(amount)
            else:
                change.amount = amount

    def to(self, device: torch.device) -> None:
        """Keep the buffers where the model runs, so that no pass moves them there."""
        self.n_prompt = self.n_prompt.to(device)
        for change in self._changes:
            change.amount = change.amount.to(device)

    def edits(self) -> dict[HookPoint, Edit]:
        """By hook, what is done there."""
        points = {watch.point for watch in self.watches}
        for change in self._changes:
            points |= change.rows.keys()
            if change.read_for_later and change.reads is not None:
                points.add(change.reads)
        return {point: self._edit_of(point) for point in sorted(points)}

    def settle(self, run: Callable[[], _T]) -> _T:
        """Make a pass; several, where a rule reads further on than its intervention writes."""
        self.begin()
        return settled(self.watches, run)

    def begin(self) -> None:
        """Before a pass: rules forget what they saw, where it is the first one over a text."""
        if self.start == 0 and self.positions is None:
            for watch in self.watches:
                watch.forget()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Each rule once."""
        return tuple(self._gates)

    @property
    def watches(self) -> list[Watch]:
        """What the rules look at."""
        return [watch for gate in self._gates.values() for watch in gate.watches]

    def _edit_of(self, point: HookPoint) -> Edit:
        watches = [watch for watch in self.watches if watch.point == point]
        writers = [change for change in self._changes if point in change.rows]
        readers = [c for c in self._changes if c.read_for_later and c.reads == point]

        def edit(y: torch.Tensor) -> torch.Tensor | None:
            x, at = y.float(), self._at(y)
            n_prompt = self.n_prompt.to(y.device)
            for watch in watches:
                watch.read(x, at)
            for change in writers:
                x = change.apply(x, point, at, n_prompt)
            for change in readers:
                change.read(x, at)
            return x.to(y.dtype) if writers else None

        return edit

    def _at(self, y: torch.Tensor) -> torch.Tensor:
        if self.positions is not None:
            return self.positions.to(y.device)
        return torch.arange(self.start, self.start + y.shape[1], device=y.device)[None]

    # ---- what the rules did in the pass that was last made

    def fired(self) -> dict[Rule, torch.Tensor]:
        """Whether each rule fired, [batch, pos]."""
        return {rule: gate.fired() for rule, gate in self._gates.items()}

    def firings(self) -> tuple[Firing, ...]:
        """Where each rule fired in a pass over one text alone."""
        return tuple(
            Firing(rule, tuple(fired[0].nonzero()[:, 0].tolist()), fired.shape[1])
            for rule, fired in self.fired().items()
        )

    def stop(self, start: int, fired: Mapping[Rule, torch.Tensor]) -> str:
        """What the first intervention that ends the answer says; empty if none does.

        Args:
            start: Position of the first token of the pass that was made.
            fired: Where each rule fired in it.
        """
        for message, place, rule in self._stops:
            here = fired[rule].cpu()
            at = torch.arange(start, start + here.shape[1])[None]
            if bool((here & place.holds(at, self.n_prompt.cpu())).any()):
                return message or "A rule ended the answer."
        return ""


def rows_of(item: Intervention, saes: Sequence[Sae]) -> dict[HookPoint, torch.Tensor]:
    """By hook, the direction that an intervention writes there, [d] float32."""
    at = [HookPoint.parse(name) for name in dict.fromkeys(item.hooks)]
    if item.mode is Mode.STOP:
        return {}
    if item.vector is not None:
        values = torch.from_numpy(item.vector.values.copy())
        points = at or [HookPoint.parse(item.vector.hook_name)]
        return {point: values / values.norm() for point in points}
    assert item.feature is not None
    sae = sae_of(saes, item.feature)
    writes = sae.weights.writes
    rows = sae.decoder_row(item.feature.index).view(len(writes), -1).to(sae.device)
    if at and len(writes) > 1:
        raise ScopeError(
            f"A feature of {sae.weights.name} writes {len(writes)} places at once, in each its "
            "own direction: it cannot be written elsewhere.",
            "Leave the places out.",
        )
    found = dict.fromkeys(at, rows[0]) or dict(zip(writes, rows, strict=True))
    found = {point: row for point, row in found.items() if row.any()}
    if item.mode is Mode.PROJECT:
        return {point: row / row.norm() for point, row in found.items()}
    return found


def _check(item: Intervention) -> None:
    """Whether an intervention makes sense by itself.

    Raises:
        ScopeError: It does not.
    """
    if not math.isfinite(item.amount):
        raise ScopeError("A strength must be a number.", "NaN and infinity steer nowhere.")
    if item.mode is Mode.STOP:
        if item.rule is None:
            raise ScopeError("Nothing says when to stop.", "Give the rule that ends the answer.")
    elif (item.feature is None) == (item.vector is None):
        raise ScopeError("An intervention is of a feature or a vector.", "Name one of the two.")
    if item.positions.tokens and min(item.positions.tokens) < 0:
        raise ScopeError("Tokens are counted from 0.", "Name those that the text has.")
    if item.vector is None:
        return
    if item.mode in _OF_A_FEATURE:
        raise ScopeError(
            f"A vector cannot be used with “{item.mode}”: only a feature has a value of its own.",
            "Add it, or project it out.",
        )
    if not 0 < item.vector.norm < math.inf:
        raise ScopeError(
            f"The vector {item.vector.name} is empty, or holds NaN or infinity.",
            "Make it anew, from prompts that differ.",
        )

"""Rules while the model runs: IF a feature fires at this token, or did a few tokens ago, THEN …

A trigger is read at its SAE's hook, in the same pass. Where that comes before the place at which an
intervention writes, or is the same, the rule acts at the very token; where it comes later, the
intervention acts from the token after.

In a pass over many tokens such a late trigger is not known yet when it is needed. So the pass is
repeated until what the trigger was taken to be and what it is agree. A token's gate depends on the
tokens before it alone, so each pass puts at least one more token right, and what they agree on is
what going token by token would give; two or three passes do as a rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import torch

from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.engine.sae import Sae, sae_of
from desktop_scope.engine.types import Rule, Trigger
from desktop_scope.errors import ScopeError

_T = TypeVar("_T")
_LONGEST = 1000  # tokens back


class Watch:
    """One trigger in one run of the model.

    Attributes:
        point: Where it is read.
        now: Whether it fires, in the pass under way: [batch, pos].
        taken: What ``now`` was taken to be by a gate that came before it.
        past: The same of the last tokens before the pass, [batch, within].
        settling: Whether the pass is made again if it must.
    """

    def __init__(self, trigger: Trigger, within: int, saes: Sequence[Sae]) -> None:
        sae = sae_of(saes, trigger.feature)
        if len(sae.weights.reads) > 1:
            raise ScopeError(
                f"A feature of {sae.weights.name} cannot be the condition of a rule: it reads "
                "several layers.",
                "Take a feature of an SAE that reads one.",
            )
        self.point = sae.weights.reads[0]
        self.past = torch.zeros(1, within, dtype=torch.bool, device=sae.device)
        self.now = torch.zeros(1, 1, dtype=torch.bool, device=sae.device)
        self.taken: torch.Tensor | None = None
        self.settling = False
        self._above = trigger.above
        self._reader = sae.reader(trigger.feature.index)

    def read(self, x: torch.Tensor, at: torch.Tensor) -> None:
        """See whether it fires in [batch, pos, d_in]."""
        self.now = self._reader(x, at).f > self._above

    def open(self, point: HookPoint, like: torch.Tensor) -> torch.Tensor:
        """Whether what is written at a hook acts, [batch, pos].

        Args:
            like: [batch, pos, …] what is written.
        """
        now, late = self.now, point < self.point
        if late:
            if like.shape[1] > 1 and not self.settling:
                raise RuntimeError("a pass with a late rule is to be made within Steering.settle")
            if now.shape[-1] != like.shape[1] or len(now) not in (1, len(like)):
                now = like.new_zeros(1, like.shape[1], dtype=torch.bool)
            self.taken = now
        batch = max(len(now), len(self.past))
        past = self.past.to(now.device).expand(batch, -1)
        seen = torch.cat([past, now.expand(batch, -1)], dim=1)
        within = seen.unfold(1, past.shape[1], 1).any(-1)  # [batch, pos + 1]
        opened = within[:, :-1] if late else within[:, 1:]
        return opened.to(like.device)

    def forget(self) -> None:
        """Another text begins."""
        self.past = self.past[:1].zero_()

    @property
    def agrees(self) -> bool:
        """Whether it is what it was taken to be."""
        if self.taken is None or self.taken.shape[-1] == 1:  # then only the past was asked
            return True
        return bool((self.taken == self.now).all())

    def remember(self) -> None:
        """The pass is over: its last tokens are the past of the next one."""
        batch = max(len(self.now), len(self.past))
        seen = torch.cat([part.expand(batch, -1) for part in (self.past, self.now)], dim=1)
        past = seen[:, -self.past.shape[1] :]
        if past.shape == self.past.shape:
            self.past.copy_(past)  # in place: a recorded step reads it there
        else:
            self.past = past


class Gate:
    """One rule in one run of the model."""

    def __init__(self, rule: Rule, saes: Sequence[Sae]) -> None:
        check_rule(rule)
        self.rule = rule
        self.watches = [Watch(trigger, rule.within, saes) for trigger in rule.triggers]

    def open(self, point: HookPoint, like: torch.Tensor) -> torch.Tensor:
        """Whether what is written at a hook acts, [batch, pos]."""
        return _any(watch.open(point, like) for watch in self.watches)

    def fired(self) -> torch.Tensor:
        """Whether any trigger fires, in the pass that was last made: [batch, pos]."""
        return _any(watch.now.to(self.watches[0].now.device) for watch in self.watches)


def settled(watches: Sequence[Watch], run: Callable[[], _T]) -> _T:
    """Make a pass, again while a trigger turns out other than it was taken to be."""
    for watch in watches:
        watch.settling = True
    try:
        result = run()
        while not all(watch.agrees for watch in watches):
            result = run()
    finally:
        for watch in watches:
            watch.settling = False
    for watch in watches:
        watch.remember()
    return result


def _any(parts: Iterable[torch.Tensor]) -> torch.Tensor:
    first, *others = parts
    for other in others:
        first = first | other
    return first


def check_rule(rule: Rule) -> None:
    """Whether a rule makes sense by itself.

    Raises:
        ScopeError: It does not.
    """
    if not rule.triggers:
        raise ScopeError("A rule needs a feature to look at.", "Name one, and how strong it is.")
    if not all(math.isfinite(trigger.above) for trigger in rule.triggers):
        raise ScopeError("A rule's threshold must be a number.", "Half of the maximum is usual.")
    if not 1 <= rule.within <= _LONGEST:
        raise ScopeError(
            f"A rule cannot look {rule.within} tokens back.", f"1 to {_LONGEST:,}: 1 is this token."
        )

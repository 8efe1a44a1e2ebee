"""An independent reference for steering: float64, one token after another, everything by hand.

Of tiny models, at the outputs of their blocks. For every token the whole text up to it is run anew,
so that nothing rests on how a cache, a batch or a repeated pass is handled.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from tiny_models import reference
from torch import Tensor

from desktop_scope.engine.sae_weights import InputNorm, SaeWeights
from desktop_scope.engine.types import Intervention, Mode, Rule


def feature_of(weights: SaeWeights, index: int, x: Tensor) -> tuple[float, float]:
    """A JumpReLU feature on one token [d], and the scale that undoes its input's norm."""
    scale = 1.0
    if weights.norm is InputNorm.LAYER_NORM:
        x = x - x.mean()
        std = float(x.std())
        x, scale = x / (std + 1e-5), std
    assert weights.b_enc is not None
    assert weights.threshold is not None
    h = float(x @ weights.W_enc[index].double() + weights.b_enc[index].double())
    return (h if h > float(weights.threshold[index]) else 0.0), scale


class PlainSteering:
    """Runs a tiny model with interventions of SAEs that read and write the outputs of blocks."""

    def __init__(
        self, family: str, saes: Sequence[SaeWeights], items: Sequence[Intervention], n_prompt: int
    ) -> None:
        self.model = copy.deepcopy(reference(family)).double()
        self.saes, self.items, self.n_prompt = saes, items, n_prompt
        self.fires: dict[tuple[Rule, int], list[bool]] = {}

    def logits(self, ids: Sequence[int]) -> Tensor:
        """[T, vocabulary]."""
        self.fires = {
            (item.rule, k): []
            for item in self.items
            if item.rule is not None
            for k in range(len(item.rule.triggers))
        }
        return torch.stack([self._last(ids[: t + 1]) for t in range(len(ids))])

    def fired(self, rule: Rule) -> list[int]:
        """Tokens at which a rule fired, in the run that was last made."""
        sides = [self.fires[rule, k] for k in range(len(rule.triggers))]
        return [t for t, any_ in enumerate(zip(*sides, strict=True)) if any(any_)]

    def _last(self, ids: Sequence[int]) -> Tensor:
        handles = [
            block.register_forward_hook(self._hook(layer))
            for layer, block in enumerate(self.model.model.layers)
        ]
        try:
            with torch.inference_mode():
                return self.model(torch.tensor([list(ids)]), use_cache=False).logits[0, -1]
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, layer: int):
        def hook(_module, _inputs, output):
            whole = output if isinstance(output, Tensor) else output[0]
            x = whole[0].clone()
            last = len(x) - 1
            for (rule, k), seen in self.fires.items():
                trigger = rule.triggers[k]
                weights = self.saes[trigger.feature.sae]
                if weights.reads[0].layer == layer:
                    f, _ = feature_of(weights, trigger.feature.index, x[last])
                    assert len(seen) == last  # read once for every token
                    seen.append(last > 0 and f > trigger.above)
            for item in self.items:
                x = self._changed(item, layer, x)
            return x[None] if isinstance(output, Tensor) else (x[None], *output[1:])

        return hook

    def _changed(self, item: Intervention, layer: int, x: Tensor) -> Tensor:
        if item.mode is Mode.STOP:
            return x
        if item.feature is not None:
            weights = self.saes[item.feature.sae]
            row, home = weights.W_dec[item.feature.index].double(), weights.reads[0].layer
        else:
            values = torch.tensor(item.vector.values).double()
            row, home = values / values.norm(), int(item.vector.hook_name.split(".")[1])
        if layer != home:
            return x
        rows = [
            y + self._change(item, row, y, encoded=t > 0) if self._acts(item, layer, t) else y
            for t, y in enumerate(x)
        ]
        return torch.stack(rows)

    def _change(self, item: Intervention, row: Tensor, y: Tensor, encoded: bool) -> Tensor:
        a, unit = item.amount, row / row.norm()
        if item.mode is Mode.ADD:
            return a * row
        if item.mode is Mode.PROJECT:
            return (a - 1) * (y @ unit) * unit
        f, scale = feature_of(self.saes[item.feature.sae], item.feature.index, y)
        much = {Mode.CLAMP: a - f, Mode.SCALE: (a - 1) * f, Mode.ABLATE: -f}[item.mode]
        return encoded * much * scale * row

    def _acts(self, item: Intervention, layer: int, t: int) -> bool:
        p = item.positions
        if p.tokens:
            placed = t in p.tokens
        else:
            placed = (p.prompt if t < self.n_prompt else p.answer) and (t > 0 or p.first)
        if not placed or item.rule is None:
            return placed
        for k, trigger in enumerate(item.rule.triggers):
            seen = self.fires[item.rule, k]
            late = self.saes[trigger.feature.sae].reads[0].layer > layer
            end = t if late else t + 1
            if any(seen[max(end - item.rule.within, 0) : end]):
                return True
        return False

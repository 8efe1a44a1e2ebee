"""A look at what a model of an untested family computes, before anyone relies on it.

Its blocks may be called like those of another family and still add things up differently. Two
tokens tell: what attention and MLP put out must be what the stream gains, the MLP must read what
its norm makes of the stream, and our logits must be the model's own.
"""

from __future__ import annotations

import torch

from desktop_scope.engine.hook_points import HookPoint, Site
from desktop_scope.engine.hooks import Edit
from desktop_scope.engine.model import LanguageModel
from desktop_scope.errors import ScopeError

_TOLERANCE = 0.02  # of what is added to the stream, or of the logits
_ROUNDINGS = 8  # of the stream, in its number type
_HINT = "Try a model of the Llama, Qwen, Mistral, Gemma, GPT-2 or Pythia families."


def verify(model: LanguageModel) -> None:
    """Check a model unless our tests know its family.

    Leaves a model with hook points between its blocks only, where those within do not add up.

    Raises:
        ScopeError: The model makes its logits in a way that we do not know.
    """
    if model.parts.known:
        return
    ids = torch.tensor([[0, 1]], device=model.device)
    with torch.inference_mode():
        try:
            seen = _activations(model, ids)
            ours, own = model.logits(model.hidden(ids, {}, use_cache=False)), model.own_logits(ids)
        except Exception as error:  # nothing is known of what such a model wants
            raise ScopeError(
                f"{model.info.architecture} cannot be run on plain text: {error}", _HINT
            ) from error
        if not all(_adds_up(model, seen, layer) for layer in range(len(model.parts.blocks))):
            model.parts = model.parts.bare()
    if (ours - own).norm() > _TOLERANCE * own.norm():
        raise ScopeError(
            f"{model.info.architecture} makes its logits in a way that we do not know.", _HINT
        )


def _activations(model: LanguageModel, ids: torch.Tensor) -> dict[HookPoint, torch.Tensor]:
    seen: dict[HookPoint, torch.Tensor] = {}

    def keep(point: HookPoint) -> Edit:
        def edit(x: torch.Tensor) -> None:
            seen[point] = x.float().cpu().clone()

        return edit

    model.hidden(ids, {point: keep(point) for point in model.parts.taps}, use_cache=False)
    return seen


def _adds_up(model: LanguageModel, seen: dict[HookPoint, torch.Tensor], layer: int) -> bool:
    def at(site: Site) -> torch.Tensor | None:
        return seen.get(HookPoint(layer, site))

    def same(stream: torch.Tensor, added: torch.Tensor, sum_: torch.Tensor) -> bool:
        error = (stream + added - sum_).norm(dim=-1)
        limit = _TOLERANCE * added.norm(dim=-1) + rounding * stream.norm(dim=-1)
        return bool((error <= limit).all())

    rounding = _ROUNDINGS * torch.finfo(model.W_U.dtype).eps
    pre, mid, post = at(Site.RESID_PRE), at(Site.RESID_MID), at(Site.RESID_POST)
    attn, mlp, read = at(Site.ATTN_OUT), at(Site.MLP_OUT), at(Site.MLP_IN)
    if pre is None or post is None or attn is None or mlp is None or read is None:
        return True  # nothing within this block is offered
    before = pre if mid is None else mid
    if HookPoint(layer, Site.LN2_NORMALIZED) in seen:
        ln2 = model.parts.tap(HookPoint(layer, Site.LN2_NORMALIZED)).module
        normed = ln2(before.to(model.parts.device(layer), model.W_U.dtype)).float().cpu()
        if not same(torch.zeros_like(read), read, normed):
            return False
    if mid is None:
        return same(pre, attn + mlp, post)
    return same(pre, attn, mid) and same(mid, mlp, post)

"""A model made linear around one text, so that its gradients say how much each part carried.

The rules of RelP (Jafari et al., 2025), applied by hooks while a pass runs; what comes out of the
pass is unchanged, only the way back is:

    norms           z · gain, with the scale 1 / rms (or 1 / std) of each token held as it is
    activations     act(x) → x · (act(x) / x) held
    gated MLPs      a · b → half of the gradient to each of a and b
    attention       the pattern held, so that all goes through the values; or left free

What none of them is (routers of experts apart, which are held, and linear attention, which is
left) is followed by its plain gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention, softmax
from torch.overrides import TorchFunctionMode

from desktop_scope.engine.families import Parts
from desktop_scope.engine.hooks import centred, inverse_scale

_ACTIVATIONS = ("torch.nn.modules.activation", "transformers.activations")
_SOFTMAX = {softmax, torch.softmax, torch.Tensor.softmax}


@contextmanager
def linearised(parts: Parts, frozen_attention: bool = True) -> Iterator[None]:
    """Hold what the rules say during the forward passes within."""
    with ExitStack() as stack:
        for module in parts.decoder.modules():
            kind = type(module)
            if "norm" in kind.__name__.lower() and not any(module.children()):
                stack.callback(module.register_forward_hook(_hold_scale).remove)
            elif kind.__module__ in _ACTIVATIONS:
                stack.callback(module.register_forward_hook(_hold_ratio).remove)
            elif _is_gated(module):
                down: Any = module.down_proj
                stack.callback(down.register_forward_pre_hook(_halve).remove)
        stack.enter_context(_HeldPatterns() if frozen_attention else nullcontext())
        yield


def _is_gated(module: nn.Module) -> bool:
    """Whether it is an MLP whose down projection reads a product."""
    gate = getattr(module, "gate_proj", None) or getattr(module, "gate_up_proj", None)
    return isinstance(gate, nn.Module) and isinstance(getattr(module, "down_proj", None), nn.Module)


def _hold_scale(norm: nn.Module, inputs: tuple[Any, ...], y: torch.Tensor) -> torch.Tensor | None:
    if len(inputs) != 1:  # a norm with a gate of its own
        return None
    x = inputs[0]
    z = centred(norm, x) * inverse_scale(norm, x).detach()
    # Of mean 0 and RMS 1, so that the norm gives gain + shift; families write gains in unlike ways.
    one = torch.ones_like(x.detach())
    one[..., 1::2] = -1
    gain = (norm.forward(one) - norm.forward(-one)) * one / 2
    linear: torch.Tensor = y.detach() + ((z - z.detach()) * gain.float()).to(y.dtype)
    return linear


def _hold_ratio(_: nn.Module, inputs: tuple[Any, ...], y: torch.Tensor) -> torch.Tensor:
    x: torch.Tensor = inputs[0]
    ratio = torch.where(x == 0, 0, y / x).detach()
    return y.detach() + (x - x.detach()) * ratio


def _halve(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    product = inputs[0] / 2
    return (product + product.detach(), *inputs[1:])


class _HeldPatterns(TorchFunctionMode):
    """Attention of every family ends in one of two functions of torch: these are held."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is scaled_dot_product_attention:
            names = {name: kwargs[name].detach() for name in ("query", "key") if name in kwargs}
            args = (*(x.detach() for x in args[:2]), *args[2:])
            return func(*args, **(kwargs | names))
        found = func(*args, **kwargs)
        return found.detach() if func in _SOFTMAX else found

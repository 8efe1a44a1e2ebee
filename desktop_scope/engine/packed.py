"""float32 linear layers on processors where oneDNN beats the default GEMM.

On AMD processors with AVX-512, oneDNN's float32 GEMM with a weight re-ordered beforehand runs at
more than twice the speed of the one behind ``nn.Linear``; elsewhere the gap may be absent, and
products with a single token slower. So a probe decides at start-up. The sums are float32 either
way, in another order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

_WORTH_IT = 0.9  # pack only when a prompt takes at most this share of the plain time
_TOKENS = 64  # the prompt length that the layout is tuned for
_PROBED = 12  # weights: more than most caches hold, as in a model, which reads each once a token


class PackedLinear(nn.Module):
    """A linear layer whose weight is kept in oneDNN's blocked layout.

    Args:
        weight: [d_out, d_in] float32.
        bias: [d_out] or None.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self._weight = torch.ops.mkldnn._reorder_linear_weight(
            weight.detach().contiguous(), _TOKENS
        )
        self._bias = None if bias is None else bias.detach()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., d_in] → [..., d_out]."""
        if torch.is_grad_enabled() and x.requires_grad:
            return _WithGradient.apply(x, self)  # type: ignore[no-any-return, no-untyped-call]
        return self.product(x)

    def product(self, x: torch.Tensor) -> torch.Tensor:
        """The same, unknown to autograd."""
        return torch.ops.mkldnn._linear_pointwise(  # type: ignore[no-any-return]
            x, self._weight, self._bias, "none", [], ""
        )

    def weight(self) -> torch.Tensor:
        """[d_out, d_in] as it was, unpacked anew."""
        return self._weight.to_dense()  # type: ignore[no-any-return]


class _WithGradient(torch.autograd.Function):
    """oneDNN's operator has no backward pass. The weight is unpacked for it and let go again."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, layer: PackedLinear) -> torch.Tensor:
        ctx.layer = layer
        return layer.product(x)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        return grads[0] @ ctx.layer.weight(), None


def packing_pays(d_in: int = 576, d_out: int = 1536) -> bool:
    """Whether packed float32 linears are faster on this processor; takes a quarter of a second.

    They must speed prompts up, and not slow down the single tokens of an answer.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    weights = [torch.randn(d_out, d_in) for _ in range(_PROBED)]
    try:
        packed = [PackedLinear(weight) for weight in weights]
        prompt, token = (_ratio(packed, weights, n_tokens) for n_tokens in (_TOKENS, 1))
    except (AttributeError, RuntimeError):  # these torch operators are not a promised interface
        return False
    return prompt < _WORTH_IT and token <= 1


def _ratio(packed: Sequence[PackedLinear], weights: Sequence[torch.Tensor], n_tokens: int) -> float:
    """Time of packed over time of plain products: the best of three, in turn, after a warm-up."""
    x = torch.randn(n_tokens, weights[0].shape[1])

    def seconds(layers: Sequence[Callable[[torch.Tensor], object]]) -> float:
        start = time.perf_counter()
        for layer in layers:
            layer(x)
        return time.perf_counter() - start

    plain = [partial(nn.functional.linear, weight=weight) for weight in weights]
    with torch.inference_mode():
        runs = [(seconds(packed), seconds(plain)) for _ in range(4)][1:]
    return min(run[0] for run in runs) / min(run[1] for run in runs)


def pack_model(model: nn.Module) -> None:
    """Pack every linear layer of a model and let go of the original weights.

    What stays as it was (embeddings, norms) is copied: it may be a view of the mapped file, which
    would keep all of it in memory.
    """
    _pack_linears(model)
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()


def _pack_linears(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        if type(child) is nn.Linear:
            setattr(module, name, PackedLinear(child.weight, child.bias))
        else:
            _pack_linears(child)

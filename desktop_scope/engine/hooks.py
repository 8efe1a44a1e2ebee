"""Reading and changing activations while the model runs. Hooks are always removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from desktop_scope.engine.families import Parts, Side, Tap
from desktop_scope.engine.hook_points import HookPoint, resid_post
from desktop_scope.errors import ScopeError

# What an edit is given may be changed in place later in the pass; what it keeps it must copy.
Edit = Callable[[torch.Tensor], torch.Tensor | None]

_EPS = 1e-5  # of norms that do not say (OLMo)


@contextmanager
def hooked(parts: Parts, edits: Mapping[HookPoint, Edit]) -> Iterator[None]:
    """Call each edit with the activations [batch, pos, width] at its point of a forward pass.

    What an edit returns, if anything, replaces them. Edits are called in the order in which the
    pass reaches them.

    Raises:
        ScopeError: The model has no such point; during the pass, if a read-only one is changed.
    """
    with ExitStack() as stack:
        # Two points may be one place of a module, whose hooks run in the order of their making.
        for point in sorted(edits, key=lambda point: parts.tap(point).turn):
            stack.callback(_attach(parts.tap(point), edits[point], point).remove)
        yield


def checked(
    edits: Mapping[HookPoint, Edit], parts: Parts, check: Callable[[], None]
) -> dict[HookPoint, Edit]:
    """The edits, with a look after every block at whether to stop: ``check`` raises if so."""

    def checked_edit(edit: Edit | None) -> Edit:
        def run(x: torch.Tensor) -> torch.Tensor | None:
            check()
            return edit(x) if edit else None

        return run

    ends = map(resid_post, range(len(parts.blocks)))
    return {**edits, **{point: checked_edit(edits.get(point)) for point in ends}}


def normalized(norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What a norm computes before its gain, in float32: x over its RMS; LayerNorms centre first."""
    return centred(norm, x) * inverse_scale(norm, x)


def centred(norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What a norm scales, in float32."""
    x = x.float()
    return x - x.mean(-1, keepdim=True) if "LayerNorm" in type(norm).__name__ else x


def inverse_scale(norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """By what a norm multiplies each token, [..., 1]."""
    eps = getattr(norm, "eps", getattr(norm, "variance_epsilon", _EPS))
    return torch.rsqrt(centred(norm, x).square().mean(-1, keepdim=True) + eps)


def _attach(tap: Tap, edit: Edit, point: HookPoint) -> RemovableHandle:
    if tap.side is Side.OUTPUT:
        edit = edit if tap.scale == 1 else _scaled(edit, tap.scale)
        return tap.module.register_forward_hook(_output_hook(edit))
    if tap.side is Side.STREAM:
        edit = _in_place(edit)
    elif tap.side is Side.NORMALIZED:
        edit = _read_only(edit, tap.module, point)
    return tap.module.register_forward_pre_hook(_input_hook(edit), with_kwargs=True)


def _output_hook(edit: Edit) -> Callable[..., Any]:
    """Modules return a tensor, or a tuple or list that begins with it."""

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        if isinstance(output, torch.Tensor):
            return edit(output)
        changed = edit(output[0])
        return None if changed is None else type(output)((changed, *output[1:]))

    return hook


def _input_hook(edit: Edit) -> Callable[..., Any]:
    """Modules are called with a tensor first, or by the name that transformers gives it."""

    def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        changed = edit(args[0] if args else kwargs["hidden_states"])
        if changed is None:
            return None
        if args:
            return (changed, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": changed}

    return hook


def _scaled(edit: Edit, scale: float) -> Edit:
    def run(x: torch.Tensor) -> torch.Tensor | None:
        changed = edit(x * scale)
        return None if changed is None else changed / scale

    return run


def _in_place(edit: Edit) -> Edit:
    """Write what the edit returns into the tensor, which the block adds the MLP's output to."""

    def run(x: torch.Tensor) -> None:
        # A gradient needs the tensor as it was.
        changed = edit(x.clone() if x.requires_grad else x)
        if changed is not None:
            x.copy_(changed)

    return run


def _read_only(edit: Edit, norm: nn.Module, point: HookPoint) -> Edit:
    def run(x: torch.Tensor) -> None:
        if edit(normalized(norm, x)) is not None:
            raise ScopeError(
                f"{point} can only be read.", "Change the stream or what the MLP reads instead."
            )

    return run

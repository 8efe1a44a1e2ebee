"""Reading and changing the residual stream while the model runs. Hooks are always removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

Edit = Callable[[torch.Tensor], torch.Tensor | None]


def _block_hook(edit: Edit) -> Callable[..., Any]:
    """A forward hook that hands the block's output [batch, pos, d] to ``edit``."""

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        # Blocks return a tensor in transformers 5, a tuple before.
        hidden = output[0] if isinstance(output, tuple) else output
        changed = edit(hidden)
        if changed is None:
            return None
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    return hook


def checked(edits: Mapping[int, Edit], n_layers: int, check: Callable[[], None]) -> dict[int, Edit]:
    """The edits, with a look after every block at whether to stop: ``check`` raises if so."""

    def checked_edit(edit: Edit | None) -> Edit:
        def run(hidden: torch.Tensor) -> torch.Tensor | None:
            check()
            return edit(hidden) if edit else None

        return run

    return {layer: checked_edit(edits.get(layer)) for layer in range(n_layers)}


@contextmanager
def after_blocks(blocks: nn.ModuleList, edits: Mapping[int, Edit]) -> Iterator[None]:
    """Call ``edits[i]`` on resid_post of block i; what it returns, if anything, replaces it."""
    with ExitStack() as stack:
        for layer, edit in edits.items():
            handle = blocks[layer].register_forward_hook(_block_hook(edit))
            stack.callback(handle.remove)
        yield

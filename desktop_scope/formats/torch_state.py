"""State dicts as torch.save writes them: tensors by name, beside them perhaps plain values."""

from __future__ import annotations

from pathlib import Path

import torch

from desktop_scope.errors import ScopeError
from desktop_scope.formats.config import Config
from desktop_scope.formats.reading import HINT, TensorFile, torch_file


def state_dict(path: Path) -> tuple[TensorFile, Config]:
    """The tensors of a state dict, mapped where the file allows it, and the rest of its entries.

    Raises:
        ScopeError: It is damaged, or holds anything but a dict of tensors and plain values.
        OSError: It is missing or unreadable.
    """
    loaded = torch_file(path)
    if not isinstance(loaded, dict) or not all(isinstance(name, str) for name in loaded):
        raise ScopeError(f"{path.name} holds no tensors by name.", HINT)
    tensors = {name: entry for name, entry in loaded.items() if isinstance(entry, torch.Tensor)}
    others = {name: entry for name, entry in loaded.items() if name not in tensors}
    return TensorFile(path, tensors), Config(path, others)

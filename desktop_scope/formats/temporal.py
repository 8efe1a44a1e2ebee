"""Temporal SAEs: recognised, so that people are told why they cannot be opened."""

from __future__ import annotations

from pathlib import Path

from desktop_scope.engine.sae_weights import SaeWeights
from desktop_scope.errors import ScopeError

NAME = "Temporal SAE"
FILES = ("latest_ckpt.safetensors",)
OPENS = "folder"


def match(path: Path) -> bool:
    """Whether it is a folder with these two files."""
    return all((path / name).is_file() for name in ("conf.yaml", "latest_ckpt.safetensors"))


def open(path: Path) -> tuple[SaeWeights, ...]:
    """Say why not.

    Raises:
        ScopeError: Always.
    """
    raise ScopeError(
        f"{path.name} is a temporal SAE, which predicts each token's features from those before.",
        "Desktop Scope only opens SAEs that read one token at a time.",
    )

"""What the tests of loaders have in common: raw files in float64, comparisons, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import canonical
import numpy as np
import pytest
import torch
from layouts_a import D
from safetensors.torch import load_file

from desktop_scope.engine.sae_weights import SaeWeights
from desktop_scope.errors import ScopeError
from desktop_scope.formats import open_sae


def seeded() -> np.random.Generator:
    return np.random.default_rng(11)


def activations(width: int = D) -> torch.Tensor:
    """[T, width], float32."""
    return torch.randn(13, width, generator=torch.Generator().manual_seed(12))


def raw(path: Path) -> dict[str, Any]:
    """What a file holds, its floats in float64."""
    loads_state = path.suffix != ".safetensors"
    state = torch.load(path, weights_only=True) if loads_state else load_file(path)
    return {
        name: t.double() if isinstance(t, torch.Tensor) and t.is_floating_point() else t
        for name, t in state.items()
    }


def assert_computes(weights: SaeWeights, x: torch.Tensor, f: torch.Tensor, y: torch.Tensor) -> None:
    """Some features are active and some not, and both they and what they write are right."""
    assert 0 < f.count_nonzero() < f.numel()
    found_f, found_y = canonical.forward(weights, x)
    torch.testing.assert_close(found_f, f.double(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found_y, y.double(), rtol=1e-5, atol=1e-5)


def largest(values: torch.Tensor, k: int) -> torch.Tensor:
    """Which are the k largest of the last axis, as booleans."""
    return values >= values.sort(-1, descending=True).values[..., k - 1 : k]


def refused(path: Path, match: str) -> None:
    with pytest.raises(ScopeError, match=match) as caught:
        open_sae(path)
    assert caught.value.hint

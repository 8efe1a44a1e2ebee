"""Small SAEs with random weights, of every architecture."""

from __future__ import annotations

from typing import Any

import torch

from desktop_scope.engine.hook_points import HookPoint, Site
from desktop_scope.engine.sae_weights import Architecture, Gate, SaeWeights


def weights(
    layer: int = 0,
    site: Site = Site.RESID_POST,
    d_in: int = 12,
    d_sae: int = 40,
    seed: int = 0,
    architecture: Architecture = Architecture.JUMPRELU,
    **more: Any,
) -> SaeWeights:
    """An SAE on one hook; ``more`` are further fields of its weights."""
    g = torch.Generator().manual_seed(seed)
    point = HookPoint(layer, site)
    reads = more.pop("reads", (point,))
    writes = more.pop("writes", reads)
    d_out = more.pop("d_out", d_in)
    gated = architecture is Architecture.GATED
    jump = architecture is Architecture.JUMPRELU
    fixed = architecture in (Architecture.TOPK, Architecture.ABSTOPK, Architecture.GROUPMAX)
    fields: dict[str, Any] = {
        "name": f"small {layer} {site}",
        "format": "none",
        "architecture": architecture,
        "reads": reads,
        "writes": writes,
        "W_enc": torch.randn(d_sae, d_in, generator=g) / d_in**0.5,
        "W_dec": torch.randn(d_sae, d_out, generator=g) / d_out**0.5,
        "b_dec": torch.randn(d_out, generator=g) / 3,
        "b_enc": None if gated else torch.randn(d_sae, generator=g) / 3,
        "threshold": torch.rand(d_sae, generator=g) if jump else None,
        "k": 5 if fixed else None,
        "gate": Gate(*(torch.randn(d_sae, generator=g) / 3 for _ in range(3))) if gated else None,
    }
    return SaeWeights(**(fields | more))

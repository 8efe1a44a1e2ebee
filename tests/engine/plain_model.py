"""An independent reference: transformers in float64 with hooks of its own, SAEs by the README."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from desktop_scope import paths
from desktop_scope.engine.types import FeatureActs, Prompt

TOLERANCE = 1e-4
Edit = Callable[[Tensor], Tensor]  # [T, d_model] → [T, d_model]


@dataclass(frozen=True)
class PlainSae:
    """One SAE of the demo pack, dequantised to float64: rows are features."""

    W_enc: Tensor
    b_enc: Tensor
    threshold: Tensor
    W_dec: Tensor
    b_dec: Tensor

    def pre(self, x: Tensor) -> Tensor:
        return x.double() @ self.W_enc.T + self.b_enc

    def encode(self, x: Tensor) -> Tensor:
        pre = self.pre(x)
        return torch.where(pre > self.threshold, pre, 0.0)


@cache
def plain_sae(layer: int) -> PlainSae:
    t = load_file(paths.demo_pack() / "saes" / f"layer_{layer:02}.safetensors")
    t = {name: tensor.double() for name, tensor in t.items()}
    return PlainSae(
        W_enc=t["W_enc"] * t["W_enc_scale"][:, None],
        b_enc=t["b_enc"],
        threshold=t["threshold"],
        W_dec=t["W_dec"] * t["W_dec_scale"][:, None],
        b_dec=t["b_dec"],
    )


def dense(acts: FeatureActs) -> np.ndarray:
    """[T, d_sae]"""
    values = np.zeros((len(acts.indptr) - 1, 4096), np.float32)
    values[acts.rows(), acts.indices] = acts.values
    return values


def assert_same_activations(
    found: np.ndarray, expected: np.ndarray, sae: PlainSae, residual: Tensor
) -> None:
    """Equal to 1e-4 of each value.

    Only within that distance of its threshold may a feature be on in one and off in the other.
    """
    at_edge = (sae.pre(residual) / sae.threshold - 1).abs().numpy() < TOLERANCE
    assert at_edge.mean() < 1e-3
    compared = ~at_edge | ((found > 0) & (expected > 0))
    np.testing.assert_allclose(found[compared], expected[compared], rtol=TOLERANCE, atol=0)


@cache
def norm_limits() -> Tensor:
    """[L] residual norm beyond which a token is an outlier."""
    about = json.loads((paths.demo_pack() / "pack.json").read_text("utf-8"))
    return 6 * torch.tensor(about["token_mask"]["median_norm"], dtype=torch.float64)


@dataclass(frozen=True)
class Run:
    residual: Tensor  # [L, T, d_model] after every block
    logits: Tensor  # [T, vocabulary] of the next token

    @property
    def logprobs(self) -> Tensor:
        return self.logits.log_softmax(-1)

    @cached_property
    def masked(self) -> Tensor:
        """[T] position 0, and outliers at any layer."""
        masked = (self.residual.norm(dim=-1) > norm_limits()[:, None]).any(0)
        masked[0] = True
        return masked


class PlainModel:
    """The demo model in float64, run without a cache."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()

    @property
    def gain(self) -> Tensor:
        """γ of the final norm, [d_model]."""
        return self.model.model.norm.weight.detach()

    @property
    def W_U(self) -> Tensor:
        """The unembedding, [vocabulary, d_model]."""
        return self.model.lm_head.weight.detach()

    def ids(self, prompt: Prompt) -> list[int]:
        if not prompt.chat:
            return [0, *self.tokenizer.encode(prompt.text, add_special_tokens=False)]
        turn = [{"role": "user", "content": prompt.text}]
        return list(
            self.tokenizer.apply_chat_template(turn, add_generation_prompt=True)["input_ids"]
        )

    def run(self, ids: list[int], edits: Mapping[int, Edit] | None = None) -> Run:
        """All residual streams and logits; ``edits`` replace what a block puts out."""
        residual: list[Tensor] = []

        def keep(layer: int) -> Callable[..., Tensor | None]:
            def hook(_module: object, _inputs: object, output: Tensor) -> Tensor | None:
                edit = (edits or {}).get(layer)
                changed = edit(output[0])[None] if edit else output
                residual.append(changed[0])
                return changed

            return hook

        layers = self.model.model.layers
        handles = [block.register_forward_hook(keep(i)) for i, block in enumerate(layers)]
        try:
            with torch.inference_mode():
                logits = self.model(torch.tensor([ids]), use_cache=False).logits[0]
        finally:
            for handle in handles:
                handle.remove()
        return Run(torch.stack(residual), logits)


def added(layer: int, index: int, amount: float) -> Edit:
    """Steering: the same vector at every position but the first."""

    def edit(x: Tensor) -> Tensor:
        changed = x.clone()
        changed[1:] += amount * plain_sae(layer).W_dec[index]
        return changed

    return edit


def ablated(layer: int, index: int) -> Edit:
    """One feature off wherever the SAE encodes; its error stays."""

    def edit(x: Tensor) -> Tensor:
        sae = plain_sae(layer)
        f = sae.encode(x)[:, index]
        f[x.norm(dim=-1) > norm_limits()[layer]] = 0
        f[0] = 0
        return x - f[:, None] * sae.W_dec[index]

    return edit


def in_turn(*edits: Edit) -> Edit:
    def edit(x: Tensor) -> Tensor:
        for one in edits:
            x = one(x)
        return x

    return edit

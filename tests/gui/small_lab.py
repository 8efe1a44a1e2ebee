"""A tiny random model on disk, and SAEs that were fitted to its stream after one of its blocks."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file

from desktop_scope import paths
from tests.engine.tiny_models import FAMILIES, tokenizer
from tests.formats.layouts_a import SAELENS_6, write_json

_RANK = 24  # of the directions in which the stream varies most


def tiny_model(folder: Path, name: str = "org/tiny-llama") -> Path:
    """A model as the hub's cache keeps it; returns its folder."""
    commit = folder / f"models--{name.replace('/', '--')}" / "snapshots" / "abc"
    commit.mkdir(parents=True)
    (commit.parents[1] / "refs").mkdir()
    (commit.parents[1] / "refs" / "main").write_text("abc")
    _model().save_pretrained(commit)
    tokenizer().save_pretrained(commit)
    return commit


@cache
def _model() -> Any:
    """Three blocks, a stream of 32, and room for the built-in text."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    settings = {**FAMILIES["llama"][1], "max_position_embeddings": 1024}
    model = LlamaForCausalLM(LlamaConfig(**settings)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


@cache
def _stream() -> tuple[np.ndarray, ...]:
    """What flows after every block on the built-in text, [tokens, 32] each."""
    text = (paths.resources() / "check_text.txt").read_text("utf-8").split("\n\n")
    kept: list[list[np.ndarray]] = [[], [], []]
    with torch.inference_mode():
        for part in text:
            ids = torch.tensor([tokenizer()(part)["input_ids"]])
            states = _model().model(ids, output_hidden_states=True).hidden_states[1:]
            for layer in (0, 1):  # after the last block transformers gives what the norm made of it
                kept[layer].append(states[layer][0, 1:].numpy())
    return tuple(np.concatenate(parts) for parts in kept[:2])


def fitted_sae(folder: Path, layer: int, declared: int | None = None, **more: Any) -> Path:
    """An SAE in SAELens' layout that describes the stream after a block; returns its folder.

    Args:
        folder: Where to put it.
        layer: The block whose stream it describes.
        declared: The block that its file names; the same by default.
    """
    x = _stream()[layer]
    mean = x.mean(0)
    directions = np.linalg.svd(x - mean, full_matrices=False)[2][:_RANK]
    signed = np.concatenate([directions, -directions]).astype(np.float32)
    hook = f"blocks.{layer if declared is None else declared}.hook_resid_post"
    path = folder / hook
    path.mkdir(parents=True)
    config = {**SAELENS_6, "d_in": x.shape[1], "d_sae": len(signed), "apply_b_dec_to_input": True}
    config["metadata"] = {
        **SAELENS_6["metadata"], "hook_name": hook, "model_name": "org/tiny-llama", **more,
    }  # fmt: skip
    write_json(path / "cfg.json", config)
    weights = {
        "W_enc": np.ascontiguousarray(signed.T),
        "W_dec": signed,
        "b_enc": np.zeros(len(signed), np.float32),
        "b_dec": mean.astype(np.float32),
    }
    save_file(weights, path / "sae_weights.safetensors")
    return path

"""Small models and SAEs on disk, in the layouts in which people have them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

D_MODEL, N_LAYERS, D_SAE = 8, 26, 12

LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": D_MODEL,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": 2,
}
WEIGHTS = b"w" * 1000

Files = Mapping[str, bytes]


def as_bytes(value: Any) -> bytes:
    return json.dumps(value).encode()


def model(config: Any = LLAMA) -> dict[str, bytes]:
    """A model in one file. Its weights are never looked into, so they need not be any."""
    return {
        "config.json": as_bytes(config),
        "model.safetensors": WEIGHTS,
        "tokenizer.json": b"{}",
    }


def sharded(n_shards: int) -> dict[str, bytes]:
    shards = [f"model-{i:05}-of-{n_shards:05}.safetensors" for i in range(1, n_shards + 1)]
    weight_map = {f"layers.{i}.weight": shard for i, shard in enumerate(shards)}
    files = model() | dict.fromkeys(shards, WEIGHTS)
    del files["model.safetensors"]
    return files | {"model.safetensors.index.json": as_bytes({"weight_map": weight_map})}


def _arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {
        "W_enc": (D_MODEL, D_SAE),
        "W_dec": (D_SAE, D_MODEL),
        "b_enc": (D_SAE,),
        "b_dec": (D_MODEL,),
    }
    return {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}


def gemma_scope() -> bytes:
    """A params.npz of Gemma Scope."""
    buffer = io.BytesIO()
    np.savez(buffer, **_arrays(), threshold=np.ones(D_SAE, np.float32))
    return buffer.getvalue()


def saelens(model_name: str, hook: str = "blocks.5.hook_resid_post") -> dict[str, bytes]:
    """The files of a folder that SAELens saved."""
    config = {
        "architecture": "standard",
        "d_in": D_MODEL,
        "d_sae": D_SAE,
        "dtype": "float32",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "metadata": {"model_name": model_name, "hook_name": hook},
    }
    return {"cfg.json": as_bytes(config), "sae_weights.safetensors": save(_arrays())}


def write(folder: Path, files: Files) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def hub(root: Path, repo: str, files: Files, commit: str = "c0ffee", links: bool = True) -> Path:
    """A repository in the hub's cache; returns its snapshot. Without links as on Windows."""
    folder = root / f"models--{repo.replace('/', '--')}"
    snapshot = folder / "snapshots" / commit
    write(folder, {"refs/main": commit.encode()})
    snapshot.mkdir(parents=True)
    if not links:
        return write(snapshot, files)
    for number, (name, content) in enumerate(files.items()):
        blob = f"{commit}{number:05}"
        write(folder / "blobs", {blob: content})
        link = snapshot / name
        link.parent.mkdir(parents=True, exist_ok=True)
        up = Path(*[".."] * len(link.parent.relative_to(folder).parts))
        link.symlink_to(up / "blobs" / blob)
    return snapshot

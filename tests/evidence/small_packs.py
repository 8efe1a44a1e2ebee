"""A pack of a few features, quick to make and to damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

SMALL_TEXTS = ["<|endoftext|>", " the", " dog", " cat", " big", " barks", ".", "\n"]


def write_small_pack(folder: Path, n_layers: int = 2, n_features: int = 3) -> Path:
    """A pack of a few features, quick to make and to damage; feature 0 likes dogs."""
    rows = 20
    line = np.array([0, 1, 4, 2, 5, 6, 7, 1, 3, 5, 6, 7, 1, 2, 5, 6], np.uint16)
    tokens = np.tile(line, (rows, 1))
    tokens[:, -1] = 65535
    (folder / "evidence").mkdir(parents=True)
    (folder / "pack.json").write_text(
        f'{{"model": {{"n_layers": {n_layers}, "vocab_size": {len(SMALL_TEXTS)}}},'
        f' "saes": {{"d_sae": {n_features}}}}}'
    )
    (folder / "curated.jsonl").write_text(
        '{"layer": 1, "index": 2, "label": "a curated \'word\'", "confidence": "high", '
        '"kind": "token"}\n'
    )
    ones, zeros = np.ones(rows, np.uint8), np.zeros(rows, np.uint8)
    save_file(
        {"tokens": tokens, "start": ones, "source": zeros},
        folder / "corpus.safetensors",
        metadata={"sources": '["text"]'},
    )
    for layer in range(n_layers):
        save_file(small_layer(n_features), folder / "evidence" / f"layer_{layer:02}.safetensors")
    return folder


def small_layer(n_features: int) -> dict[str, np.ndarray]:
    position = np.arange(16, dtype=np.int32) * 16 + 3
    window = np.zeros((n_features, 16, 24), np.uint8)
    window[:, :, 14] = 255
    value = np.full((n_features, 16), 5, np.float16)
    value[:, 15] = 0  # one example is missing
    return {
        "density": np.full(n_features, 0.01, np.float32),
        "mean_active": np.full(n_features, 2, np.float16),
        "max_active": np.full(n_features, 5, np.float16),
        "hist": np.ones((n_features, 24), np.int32),
        "example_position": np.tile(position, (n_features, 1)),
        "example_value": value,
        "example_window": window,
        "top_token": np.tile(np.array([2, 3, 0, 0, 0, 0, 0, 0], np.int32), (n_features, 1)),
        "top_token_share": np.tile(
            np.array([0.9, 0.1, 0, 0, 0, 0, 0, 0], np.float16), (n_features, 1)
        ),
    }

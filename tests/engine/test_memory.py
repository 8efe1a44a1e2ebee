"""How much memory a model takes, told from headers."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny_models import FAMILIES, config_of, reference, save_tiny

from desktop_scope.engine import memory
from desktop_scope.engine.memory import available, demand_room, estimate, fit
from desktop_scope.errors import ScopeError

CPU = torch.device("cpu")
MATRIX = (300, 100)


def true_bytes(name: str) -> int:
    stored = {t.data_ptr(): t for t in reference(name).state_dict().values()}  # tied ones once
    return sum(t.numel() * t.element_size() for t in stored.values())


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    """A checkpoint with an embedding, a matrix and a vector."""
    tensors = {
        "model.embed_tokens.weight": torch.zeros(10, 100),
        "model.layers.0.mlp.weight": torch.zeros(MATRIX),
        "model.norm.weight": torch.zeros(100),
    }
    save_file(tensors, tmp_path / "model.safetensors")
    return tmp_path


def with_room(monkeypatch: pytest.MonkeyPatch, **free: int) -> None:
    """So many bytes are free on the processor and elsewhere."""
    monkeypatch.setattr(memory, "available", lambda device: free[device.type])


@pytest.mark.parametrize("name", FAMILIES)
def test_the_estimate_is_what_the_weights_take(name, tmp_path):
    folder = save_tiny(name, tmp_path)
    assert estimate(folder, "float32") == true_bytes(name)
    assert estimate(folder, "bfloat16") == estimate(folder, "float16") == true_bytes(name) / 2


@pytest.mark.parametrize("name", ["llama", "qwen2", "gemma2", "gpt_oss"])
def test_a_config_alone_is_enough(name):
    assert estimate(config_of(name), "float32") == true_bytes(name)


def test_shards_add_up(tmp_path):
    save_tiny("llama", tmp_path, max_shard_size="40KB")
    assert not (tmp_path / "model.safetensors").exists()
    assert estimate(tmp_path, "float32") == true_bytes("llama")


def test_the_type_in_the_file_does_not_matter(tmp_path):
    save_file({"w": torch.zeros(MATRIX, dtype=torch.bfloat16)}, tmp_path / "model.safetensors")
    assert estimate(tmp_path, "float32") == 4 * math.prod(MATRIX)


def test_only_matrices_are_quantised(matrix):
    kept = 2 * (10 * 100 + 100)
    assert estimate(matrix, "8bit") == kept + math.prod(MATRIX)
    assert estimate(matrix, "4bit") == kept + math.prod(MATRIX) * (1 / 2 + 1 / 16)


def test_weights_that_are_quantised_already_stay_so(tmp_path):
    tensors = {
        "mlp.qweight": torch.zeros(10, 20, dtype=torch.int32),
        "mlp.weight": torch.zeros(10, 20, dtype=torch.uint8),
        "experts.down_proj_blocks": torch.zeros(10, 20, dtype=torch.uint8),  # gpt-oss: MXFP4
    }
    save_file(tensors, tmp_path / "model.safetensors")
    for dtype, unpacked in (("float32", 4), ("bfloat16", 2), ("4bit", 2)):
        assert estimate(tmp_path, dtype) == 200 * 4 + 200 + 200 * 2 * unpacked


def test_no_weights_are_read(tmp_path):
    """A header that promises 100 GB, in a file that takes no room."""
    size = 100 * 10**9
    header = {"w": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}
    text = json.dumps(header).encode()
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + size)
    assert estimate(tmp_path, "float32") == size


def test_what_is_free_is_told():
    assert 10**7 < available(CPU) < 10**14


def test_what_fits_needs_no_advice(matrix):
    found = fit(matrix, "float32", CPU)
    assert found.fits
    assert found.needed > estimate(matrix, "float32")
    assert found.advice == ()
    demand_room(matrix, "float32", CPU)


def test_a_smaller_type_is_advised_where_that_fits(matrix, monkeypatch):
    monkeypatch.setattr(memory, "choose_dtype", lambda name, device: None)
    with_room(monkeypatch, cpu=100_000)
    found = fit(matrix, "float32", CPU)
    assert not found.fits
    assert found.available == 100_000
    assert "bfloat16" in found.advice[0]
    with_room(monkeypatch, cpu=30_000)
    assert "4bit" in fit(matrix, "float32", CPU).advice[0]
    with pytest.raises(ScopeError, match=r"needs about 0\.0 GB in float32") as caught:
        demand_room(matrix, "float32", CPU)
    assert "4bit" in caught.value.hint


def test_what_this_machine_cannot_do_is_not_advised(matrix, monkeypatch):
    def refuse(name: str, device: torch.device) -> None:
        raise ScopeError("Not here.")

    monkeypatch.setattr(memory, "choose_dtype", refuse)
    with_room(monkeypatch, cpu=100_000)
    (advice,) = fit(matrix, "float32", CPU).advice
    assert "spread" in advice


def test_the_processor_is_advised_where_the_gpu_is_too_small(matrix, monkeypatch):
    with_room(monkeypatch, cpu=10**9, cuda=1000)
    advice = fit(matrix, "float32", torch.device("cuda")).advice
    assert any("device cpu" in line for line in advice)
    with_room(monkeypatch, cpu=1000, cuda=1000)
    assert len(fit(matrix, "float32", torch.device("cuda")).advice) == 1

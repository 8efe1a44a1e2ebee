"""Thousands of damaged files of every format: each gives an SAE or a ScopeError, and soon."""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import layouts_a
import layouts_b
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from desktop_scope.engine.sae import Sae
from desktop_scope.errors import ScopeError
from desktop_scope.formats import LOADERS, open_sae, temporal

BUILDERS = layouts_a.BUILDERS | layouts_b.BUILDERS
LONGEST_S = 2.0
MOST_WASTE = 64 << 20
NUMBERS = (-1, 0, 1, 2**31, 2**63, 2**70, 0.5, 1e308, "", "12", "\ud800", None, True, [], {}, [[]])
NAMES = ("b_enc", "../b", "", "W_enc", "é", "a" * 5000)


@cache
def good(name: str) -> tuple[dict[str, bytes], str]:
    """The files of one layout, and which of them, or of their folders, to open."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        opened = BUILDERS[name](root, np.random.default_rng(0)).relative_to(root)
        files = {
            str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }
    return files, str(opened)


@dataclass(frozen=True)
class Damage:
    """Something that happens to one of the files."""

    kind: str
    where: float  # 0…1, of the file's length
    value: int
    seed: int

    def done_to(self, data: bytes) -> bytes:
        at = int(self.where * len(data))
        rng = np.random.default_rng(self.seed)
        match self.kind:
            case "cut":
                return data[:at]
            case "longer":
                return data + rng.bytes(self.value)
            case "byte":
                return data[:at] + bytes([self.value % 256]) + data[at + 1 :]
            case "bytes":
                return data[:at] + rng.bytes(16) + data[at + 16 :]
            case "zeros":
                return data[:at] + bytes(len(data) - at)
            case "huge number":
                return data[:at] + b"\xff" * 7 + b"\x7f" + data[at + 8 :]
            case "digits":
                return self._digits(data, rng)
            case "empty":
                return b""
            case "json":
                return self._entry(data, rng)
        raise AssertionError(self.kind)

    def _digits(self, data: bytes, rng: np.random.Generator) -> bytes:
        """Another number where the file has one: a shape, an offset, a size."""
        spots = [i for i, byte in enumerate(data[:4096]) if 48 <= byte <= 57]
        if not spots:
            return data
        spot = spots[int(rng.integers(len(spots)))]
        return data[:spot] + b"%d" % rng.integers(10) + data[spot + 1 :]

    def _entry(self, data: bytes, rng: np.random.Generator) -> bytes:
        """Another value, or none, for an entry of a JSON file; of a tensor file's header, too."""
        head = b""
        body = data
        if data[8:9] == b"{":  # safetensors
            n = int.from_bytes(data[:8], "little")
            head, body, data = data[:8], data[8 : 8 + n], data[8 + n :]
        else:
            data = b""
        try:
            entries = json.loads(body)
        except ValueError:
            return head + body + data
        holder: Any = entries
        while isinstance(holder, dict) and holder:
            key = sorted(holder)[int(rng.integers(len(holder)))]
            if isinstance(holder[key], dict) and holder[key] and rng.random() < 0.8:
                holder = holder[key]
                continue
            new = NUMBERS[int(rng.integers(len(NUMBERS)))]
            match int(rng.integers(3)):
                case 0:
                    holder[key] = new
                case 1:
                    del holder[key]
                case 2:
                    holder[NAMES[int(rng.integers(len(NAMES)))]] = holder.pop(key)
            break
        changed = json.dumps(entries).encode()
        return (len(changed).to_bytes(8, "little") if head else b"") + changed + data


KINDS = (
    "cut", "longer", "byte", "bytes", "zeros", "huge number", "digits", "empty", "json", "json",
)  # fmt: skip
damages = st.builds(
    Damage,
    st.sampled_from(KINDS),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 300),
    st.integers(0, 10_000),
)


def peak_memory() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@pytest.mark.filterwarnings("ignore")  # readers of damaged files may warn
@pytest.mark.parametrize("name", BUILDERS)
@settings(
    max_examples=45,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(which=st.integers(0, 100), damage=damages)
def test_a_damaged_file_gives_an_sae_or_a_plain_refusal(name, which, damage):
    files, opened = good(name)
    victim = sorted(files)[which % len(files)]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        for path, data in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(damage.done_to(data) if path == victim else data)
        before, start = peak_memory(), time.perf_counter()
        try:
            for weights in open_sae(root / opened):
                sae = Sae(weights, torch.device("cpu"))
                x = torch.ones(3, sae.d_in)
                sae.decode(sae.encode(x, np.zeros(3, bool)), x)
        except ScopeError as refusal:
            said = refusal
        else:
            said = None
        assert said is None or (said.message and said.hint)
        assert time.perf_counter() - start < LONGEST_S
        assert peak_memory() - before < MOST_WASTE


def test_every_format_is_damaged_here():
    matched = {loader.NAME for name in BUILDERS for loader in LOADERS if _is_of(loader, name)}
    assert matched == {loader.NAME for loader in LOADERS if loader is not temporal}


def _is_of(loader: Any, name: str) -> bool:
    files, opened = good(name)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        for path, data in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data)
        return bool(loader.match(root / opened))

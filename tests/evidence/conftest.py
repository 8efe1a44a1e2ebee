"""The demo pack with the texts of the model's vocabulary."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_packs import write_small_pack
from tokenizers import Tokenizer

from desktop_scope import paths
from desktop_scope.evidence.labels import LabelBook
from desktop_scope.evidence.store import EvidenceStore


@pytest.fixture(scope="session")
def token_texts(demo_model_dir: Path) -> tuple[str, ...]:
    """What every token reads as, from the tokenizer alone: no model is loaded."""
    tokenizer = Tokenizer.from_file(str(demo_model_dir / "tokenizer.json"))
    return tuple(
        tokenizer.decode([i], skip_special_tokens=False) for i in range(tokenizer.get_vocab_size())
    )


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

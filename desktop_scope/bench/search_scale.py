"""Search among two million labels that were made up: time and memory, by words and by meaning.

The labels are made in one process and searched in another, so that only what searching needs
counts as memory. Vectors are made up as well: of a label the mean of its words' vectors.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import psutil

from desktop_scope.engine.types import Floats
from desktop_scope.evidence.labels import LabelBook, fill
from desktop_scope.evidence.meaning.labels import LabelMeanings
from desktop_scope.evidence.meaning.vectors import VectorStore
from desktop_scope.evidence.store import EvidenceStore

N_LAYERS, N_FEATURES = 32, 65_536
_WORDS_MS, _MEANING_MS, _MEMORY_BYTES = 20, 100, 1_000_000_000
_SYLLABLES = ("ba", "do", "gra", "ki", "lun", "mor", "ne", "pas", "qui", "ro", "sta", "ti", "vel")
_N_VOCABULARY = 20_000
_QUERIES = ("badogra", "the ba", "kilun dog", "morne", "zzz", "stati velro ba")
_AT_ONCE = 1 << 16


def run() -> dict[str, float]:
    """Measure."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", __name__, "make", folder], check=True)
        code = [sys.executable, "-m", __name__, "measure", folder]
        figures: dict[str, float] = json.loads(subprocess.check_output(code))
    return figures


def _vocabulary() -> list[str]:
    random = np.random.default_rng(0)
    chosen = random.integers(0, len(_SYLLABLES), (_N_VOCABULARY, 4))
    lengths = random.integers(1, 5, _N_VOCABULARY)
    made = ("".join(_SYLLABLES[s] for s in row[:n]) for row, n in zip(chosen, lengths, strict=True))
    return ["the", "dog", "of", *made][:_N_VOCABULARY]


def _texts() -> Iterator[tuple[list[str], np.ndarray]]:
    """Labels, and which words each has, some at a time."""
    random, words = np.random.default_rng(1), np.array(_vocabulary(), object)
    for _ in range(0, N_LAYERS * N_FEATURES, _AT_ONCE):
        chosen = (len(words) * random.random((_AT_ONCE, 5)) ** 3).astype(np.int64)  # few are common
        yield [" ".join(row) for row in words[chosen]], chosen


def _word_vectors() -> Floats:
    return np.random.default_rng(2).normal(size=(_N_VOCABULARY, 384)).astype(np.float32)


def make(folder: Path) -> None:
    """Write labels and vectors."""
    features = iter(np.random.default_rng(3).permutation(N_LAYERS * N_FEATURES).tolist())
    rows = (
        (next(features), text, "automatic", "high", "topic")
        for texts, _ in _texts()
        for text in texts
    )
    database = sqlite3.connect(folder / "labels.sqlite")
    database.execute("PRAGMA journal_mode = OFF")
    fill(database, rows)
    database.close()
    vectors, store = _word_vectors(), VectorStore(folder / "vectors")
    for texts, chosen in _texts():
        mean = sum(vectors[chosen[:, n]] for n in range(chosen.shape[1]))
        store.add(texts, mean / np.linalg.norm(mean, axis=1, keepdims=True))


class _Model:
    """Gives a text the mean of its words' vectors, as the labels have."""

    def __init__(self) -> None:
        self._places = {word: n for n, word in enumerate(_vocabulary())}
        self._vectors = _word_vectors()

    def embed(self, texts: list[str], check: object = None) -> Floats:
        places = [self._places.get(word, 0) for word in texts[0].split()]
        mean = self._vectors[places].mean(0, keepdims=True)
        found: Floats = mean / np.linalg.norm(mean)
        return found


def measure(folder: Path) -> dict[str, float]:
    """Search as one types, and by meaning."""
    model, (own_before, mapped_before) = _Model(), _memory()
    sizes = cast(EvidenceStore, SimpleNamespace(n_layers=N_LAYERS, n_features=N_FEATURES))
    database = sqlite3.connect(folder / "labels.sqlite", check_same_thread=False)
    book = LabelBook(database, sizes)
    half = np.ones((N_LAYERS, N_FEATURES), bool)
    half[: N_LAYERS // 2] = False
    prefixes = [query[:end] for query in _QUERIES for end in range(1, len(query) + 1)]
    book.search("the")  # the file is cold the first time
    plain = [_ms(book.search, prefix) for prefix in prefixes]
    filtered = [_ms(book.search, prefix, half) for prefix in prefixes]

    def labels() -> Iterator[tuple[str, str, int, int]]:
        return ((text, kind, *feature) for text, kind, feature in book.in_order())

    meanings = LabelMeanings(
        labels, [N_FEATURES] * N_LAYERS, lambda: cast(Any, model), VectorStore(folder / "vectors")
    )
    begun = time.perf_counter()
    meanings.learn(0, 0.0, lambda: None)
    prepared = time.perf_counter() - begun
    keep = list(half)
    meant = [_ms(meanings.search, query) for query in _QUERIES for _ in range(3)][3:]
    meant_filtered = [_ms(meanings.search, query, keep) for query in _QUERIES]
    own, mapped = _memory()
    return {
        "labels": float(N_LAYERS * N_FEATURES),
        "words_median_ms": float(np.median(plain)),
        "words_worst_ms": max(plain),
        "words_filtered_worst_ms": max(filtered),
        "words_over_target_ratio": max(plain) / _WORDS_MS,
        "meaning_median_ms": float(np.median(meant)),
        "meaning_worst_ms": max(meant),
        "meaning_filtered_worst_ms": max(meant_filtered),
        "meaning_over_target_ratio": max(meant) / _MEANING_MS,
        "meaning_prepare_seconds": prepared,
        "memory_bytes": float(own - own_before),
        "mapped_files_bytes": float(mapped - mapped_before),
        "memory_over_target_ratio": (own - own_before) / _MEMORY_BYTES,
    }


def _ms(work: Callable[..., object], *values: object) -> float:
    """Of the processor: other programs' share of a busy machine does not count."""
    start = time.process_time()
    work(*values)
    return (time.process_time() - start) * 1000


def _memory() -> tuple[int, int]:
    """Held by this process alone; and pages of files, which the system takes back at need."""
    info = psutil.Process().memory_info()
    mapped = getattr(info, "shared", 0)  # told on Linux alone
    return info.rss - mapped, mapped


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]))
    else:
        print(json.dumps(measure(Path(sys.argv[2]))))

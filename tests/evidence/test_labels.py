"""The label book: kept safely, searched as one types."""

from __future__ import annotations

import json
import sqlite3
import string
import time

import numpy as np
import pytest
from small_packs import SMALL_TEXTS

from desktop_scope import paths
from desktop_scope.engine.types import FeatureId
from desktop_scope.errors import Cancelled, ScopeError
from desktop_scope.evidence.labels import LabelBook
from desktop_scope.evidence.store import EvidenceStore
from desktop_scope.evidence.types import Source


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("DESKTOP_SCOPE_CACHE", str(folder))
    return folder


@pytest.fixture
def small_store(small_pack) -> EvidenceStore:
    return EvidenceStore(small_pack, SMALL_TEXTS)


@pytest.fixture
def open_book(small_store, small_pack):
    """Opens the small pack's book; closes all it opened."""
    books = []

    def opener(**options) -> LabelBook:
        books.append(LabelBook.open(small_store, small_pack, **options))
        return books[-1]

    yield opener
    for book in books:
        book.close()


def _index_file() -> str:
    (path,) = (paths.cache_dir() / "labels").iterdir()
    return path


def test_every_feature_has_a_short_label(book, store):
    for layer in range(store.n_layers):
        texts = book.texts(layer)
        assert len(texts) == store.n_features
        assert all(0 < len(text) <= 80 for text in texts)  # curated ones may be longer than 60
        assert all(text == " ".join(text.split()) for text in texts)


def test_curated_labels_come_first(book, pack):
    curated = [json.loads(line) for line in (pack / "curated.jsonl").read_text().splitlines()]
    for row in curated:
        label = book.label(FeatureId(row["layer"], row["index"]))
        assert (label.text, label.source) == (row["label"], Source.CURATED)
        assert (label.confidence, label.kind) == (row["confidence"], row["kind"])


def test_texts_and_label_agree(book):
    for index in (0, 540, 4095):
        assert book.texts(24)[index] == book.label(FeatureId(24, index)).text


def test_an_unknown_feature_is_told(book):
    with pytest.raises(ScopeError, match="no feature"):
        book.label(FeatureId(30, 0))


@pytest.mark.parametrize("query", ["dog", "mountain", "question mark", "newline", "Do", "m"])
def test_search_finds_prefixes_of_words(book, query):
    hits = book.search(query)
    assert hits
    assert len(hits) <= 200
    for hit in hits:
        words = "".join(c if c.isalnum() else " " for c in hit.label.text.lower()).split()
        for part in query.lower().split():
            assert any(word.startswith(part) for word in words), hit.label.text


def test_the_best_match_is_about_the_word(book):
    assert book.search("mountain")[0].label.text.startswith("'mountain'")
    assert book.search("question mark")[0].label.text.startswith("question mark")
    ranked = [(hit.aside, -hit.score) for hit in book.search("king")]
    assert ranked == sorted(ranked)


def test_search_keeps_to_the_features_asked_for(book):
    keep = ~book.of_kind("format")
    keep[:5] = keep[8:] = False
    hits = book.search("newline", keep)
    assert hits
    assert {hit.feature.sae for hit in hits} <= {5, 6, 7}
    assert "format" not in {hit.label.kind for hit in hits}
    assert book.search("the", np.zeros_like(keep)) == []
    rare = np.zeros_like(keep)  # far down the list, where a search could give up too early
    last = np.argwhere(book.matching("the"))[-1]
    rare[tuple(last)] = True
    assert [hit.feature for hit in book.search("the", rare)] == [FeatureId(*last.tolist())]


def test_labels_come_in_order_of_trust(book):
    labels = list(book.in_order())
    assert len({feature for _, _, feature in labels}) == 30 * 4096
    for text, kind, feature in labels[::9973]:
        label = book.label(feature)
        assert (text, kind) == (label.text, label.kind)
    curated = [book.label(f).source is Source.CURATED for _, _, f in labels[:1000]]
    assert curated == sorted(curated, reverse=True)
    assert curated[0]


def test_a_number_finds_its_feature(book):
    (hit,) = book.search(" 17/3988 ")
    assert hit.feature == FeatureId(17, 3988)
    assert book.matching("17/3988").sum() == 1
    assert book.search("99/1") == [] or book.search("99/1")[0].feature.sae < 30


@pytest.mark.parametrize(
    "query",
    ["", "   ", '"', "'", "''\"", "AND", "a OR b", "NEAR(a b)", "text:dog", "-dog", "^dog", "dog*",
     "(", "*", "\0", "\ud800", "😀", "犬", "%", "_", "\\", "; DROP TABLE labels", "d" * 5000],
)  # fmt: skip
def test_anything_may_be_typed(book, query):
    hits = book.search(query)
    found = book.matching(query)
    assert found.shape == (30, 4096)
    assert all(found[hit.feature] for hit in hits)


def test_matching_agrees_with_search(book):
    found = book.matching("mountain")
    hits = book.search("mountain", limit=100_000)
    assert {tuple(pair) for pair in np.argwhere(found).tolist()} == {h.feature for h in hits}
    assert book.matching("").all()


def test_search_is_quick_for_every_letter(book):
    queries = [*string.ascii_lowercase, "wo", "the", "words", "near", "various", "w n"]
    times = []
    for query in queries:
        start = time.perf_counter()
        book.search(query)
        times.append(time.perf_counter() - start)
    assert np.median(times) < 0.02  # 5 ms when measured beside other work


def test_labels_are_made_once_and_kept(open_book, small_store):
    done = []
    first = open_book(progress=lambda layer, total: done.append((layer, total)))
    assert done == [(1, 2), (2, 2)]
    assert first.label(FeatureId(1, 2)).text == "a curated 'word'"
    assert "dog" in first.label(FeatureId(0, 0)).text
    done.clear()
    again = open_book(progress=lambda *_: done.append(1))
    assert not done
    assert again.texts(0) == first.texts(0)
    assert not again.notes


def test_a_changed_pack_gets_new_labels(open_book, small_pack):
    open_book()
    line = '{"layer": 0, "index": 0, "label": "new", "confidence": "low", "kind": "other"}\n'
    (small_pack / "curated.jsonl").write_text(line)
    assert open_book().label(FeatureId(0, 0)).text == "new"


def _garbage(path):
    path.write_bytes(b"not a database at all" * 100)


def _half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(path):
    path.write_bytes(b"")


def _fewer(path):
    database = sqlite3.connect(path)
    with database:
        database.execute("DELETE FROM labels WHERE rank = 3")
    database.close()


@pytest.mark.parametrize("harm", [_garbage, _half, _empty, _fewer])
def test_a_broken_file_is_made_again(open_book, harm):
    texts = open_book().texts(0)
    path = _index_file()
    harm(path)
    book = open_book()
    assert book.texts(0) == texts
    assert book.search("dog")
    assert not book.notes


def test_stopping_leaves_nothing_behind(open_book):
    def stop():
        raise Cancelled

    with pytest.raises(Cancelled):
        open_book(check=stop)
    folder = paths.cache_dir() / "labels"
    assert not folder.exists() or not list(folder.iterdir())


def test_without_a_place_to_write_labels_stay_in_memory(open_book, cache):
    cache.mkdir()
    (cache / "labels").write_text("a file where the folder should be")
    book = open_book()
    assert book.search("dog")
    assert "could not be saved" in book.notes[0]


@pytest.mark.parametrize(
    "line",
    ["{", '{"layer": 0}', '{"layer": 9, "index": 0, "label": "x", "confidence": "high", '
     '"kind": "token"}', "[]"],
)  # fmt: skip
def test_bad_curated_labels_are_told(open_book, small_pack, line):
    (small_pack / "curated.jsonl").write_text(line)
    with pytest.raises(ScopeError, match="curated labels"):
        open_book()


def test_a_pack_without_curated_labels_is_fine(open_book, small_pack):
    (small_pack / "curated.jsonl").unlink()
    assert open_book().label(FeatureId(1, 2)).source is Source.AUTOMATIC


def test_kinds_are_found_in_bulk(book):
    formats = book.of_kind("format")
    assert formats.shape == (30, 4096)
    assert formats.any()
    layer, index = np.argwhere(formats)[0].tolist()
    assert book.label(FeatureId(layer, index)).kind == "format"
    assert not book.of_kind("no such kind").any()

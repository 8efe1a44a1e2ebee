"""The automatic labels against what a reader wrote, and on corners of the evidence."""

from __future__ import annotations

import json
import re

import pytest
from safetensors.numpy import save_file
from small_packs import SMALL_TEXTS, small_layer

from desktop_scope.evidence.labeller import MAX_LENGTH, Labeller
from desktop_scope.evidence.lexicon import stem
from desktop_scope.evidence.store import EvidenceStore
from desktop_scope.evidence.types import Label, Source
from desktop_scope.evidence.words import CorpusWords


@pytest.fixture(scope="module")
def labeller(store) -> Labeller:
    return Labeller(store)


@pytest.fixture(scope="module")
def curated(pack) -> list[dict]:
    return [json.loads(line) for line in (pack / "curated.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def labels(labeller, curated) -> dict[int, list[Label]]:
    """The automatic labels of the layers that have curated ones, and of three more."""
    layers = {row["layer"] for row in curated} | {17, 24, 26}
    return {layer: labeller.layer(layer) for layer in sorted(layers)}


@pytest.mark.parametrize(
    ("layer", "index", "word"),
    [(17, 3988, "dog"), (24, 540, "mountain"), (26, 246, "thou")],
)
def test_known_features_are_named_by_their_subject(labels, layer, index, word):
    assert word in labels[layer][index].text.lower()


def test_labels_are_short_and_automatic(labels):
    for layer in labels.values():
        for label in layer:
            assert 0 < len(label.text) <= MAX_LENGTH
            assert label.source is Source.AUTOMATIC
            assert label.confidence in ("high", "medium", "low")
            assert label.kind


def _quoted(text: str) -> set[str]:
    return {word.lower() for word in re.findall(r"(?<!\w)'([^']+)'(?!\w)", text)}


def test_labels_agree_with_a_reader_on_single_words(labels, curated):
    """Where a reader was sure of a word, the automatic label mostly has it too."""
    agree = total = 0
    for row in curated:
        words = _quoted(row["label"])
        if row["kind"] == "token" and row["confidence"] == "high" and words:
            total += 1
            text = labels[row["layer"]][row["index"]].text.lower()
            agree += any(re.search(rf"(?<!\w){re.escape(word)}", text) for word in words)
    assert total > 50
    assert agree / total >= 0.88  # 0.91 when measured


def test_labels_agree_with_a_reader_on_the_chat_template(labels, curated):
    rows = [row for row in curated if row["kind"] == "format" and row["confidence"] == "high"]
    agree = sum(labels[row["layer"]][row["index"]].kind == "format" for row in rows)
    assert agree / len(rows) >= 0.83  # 0.87 when measured


def test_words_are_joined_from_pieces(store, token_texts):
    words = CorpusWords.of(store.corpus, token_texts)
    for text in ("chihuahua", "don't", "1913", "'assistant' role tag", "blank line"):
        assert text in words.names
    row = words.unit[words.span[3500 * 256] : words.span[3501 * 256]]
    names = [words.names[unit] for unit in row]
    assert names[:5] == [
        "'<|im_start|>' opening the system turn",
        "'system' role tag",
        "newline after 'system'",
        "you",
        "are",
    ]
    assert "snapchat" in names
    assert words.count.sum() == len(words.unit)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("dog", "dogs", True),
        ("stories", "story", True),
        ("stopped", "stop", True),
        ("king's", "king", True),
        ("based", "bass", False),
        ("inning", "in", False),
    ],
)
def test_stems_join_forms_of_a_word(one, other, same):
    assert (stem(one) == stem(other)) is same


def test_a_feature_without_examples_is_named_honestly(small_pack):
    arrays = small_layer(3)
    arrays["example_value"][:] = 0
    save_file(arrays, small_pack / "evidence" / "layer_00.safetensors")
    labeller = Labeller(EvidenceStore(small_pack, SMALL_TEXTS))
    assert labeller.layer(0)[0] == Label("never seen to fire", Source.AUTOMATIC, "low", "various")
    assert "dog" in labeller.layer(1)[0].text

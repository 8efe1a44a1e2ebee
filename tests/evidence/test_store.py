"""The evidence store: what it reads is what lies in the files, and damage is told plainly."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from small_packs import SMALL_TEXTS, small_layer

from desktop_scope.engine.types import FeatureId
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.store import BIN_EDGES, EvidenceStore

SOME = [FeatureId(0, 0), FeatureId(17, 3988), FeatureId(24, 540), FeatureId(29, 4095)]


@pytest.mark.parametrize("feature", SOME, ids=str)
def test_answers_equal_a_plain_reading_of_the_files(store, pack, token_texts, feature):
    layer = load_file(pack / "evidence" / f"layer_{feature.sae:02}.safetensors")
    corpus = load_file(pack / "corpus.safetensors")["tokens"]
    i = feature.index

    assert store.density[feature] == layer["density"][i]
    assert store.max_active[feature] == np.float32(layer["max_active"][i])
    assert (store.histogram(feature) == layer["hist"][i]).all()
    shares = [top.share for top in store.top_tokens(feature)]
    assert shares == [float(s) for s in layer["top_token_share"][i] if s > 0]

    found = store.examples(feature)
    filled = [k for k in range(16) if layer["example_value"][i, k] > 0]
    assert len(found) == len(filled)
    for example, k in zip(found, filled, strict=True):
        row, column = divmod(int(layer["example_position"][i, k]), 256)
        assert example.texts[example.peak] == token_texts[corpus[row, column]]
        assert example.band == ("top" if k < 10 else "mid")
        assert example.value == layer["example_value"][i, k]
        for j, (text, value) in enumerate(zip(example.texts, example.values, strict=True)):
            offset = j - example.peak
            assert text == token_texts[corpus[row, column + offset]]
            if offset:
                share = layer["example_window"][i, k, 14 + offset] / 255
                assert value == pytest.approx(share * float(layer["max_active"][i]), abs=0.01)


def test_windows_end_where_the_text_ends(small_pack):
    store = EvidenceStore(small_pack, SMALL_TEXTS)
    examples = store.examples(FeatureId(0, 0))
    assert len(examples) == 15  # the sixteenth is empty
    assert examples[0].peak == 3
    assert examples[0].texts == tuple(
        SMALL_TEXTS[t] for t in [0, 1, 4, 2, 5, 6, 7, 1, 3, 5, 6, 7, 1]
    )
    assert examples[0].values[3] == 5


@pytest.mark.parametrize("feature", SOME, ids=str)
def test_what_is_known_is_plausible(store, feature):
    assert sum(top.share for top in store.top_tokens(feature)) <= 1.01
    values = [example.value for example in store.examples(feature)]
    assert values[0] == pytest.approx(store.max_active[feature], rel=1e-3)
    assert all(0 < value <= values[0] for value in values)
    fired = store.histogram(feature).sum()
    assert fired == pytest.approx(store.density[feature] * 1_330_499, rel=0.02, abs=3)


def test_arrays_are_read_only(store):
    assert len(BIN_EDGES) == 25
    assert BIN_EDGES[8] == 1
    for array in (store.density, store.mean_active, store.max_active, BIN_EDGES):
        assert array.dtype == np.float32
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    assert store.density.shape == (30, 4096)


def test_a_function_serves_as_the_vocabulary(small_pack):
    store = EvidenceStore(small_pack, lambda token: f"<{token}>")
    assert store.top_tokens(FeatureId(0, 0))[0].text == "<2>"


@pytest.mark.parametrize("feature", [FeatureId(2, 0), FeatureId(0, 3), FeatureId(-1, 0)])
def test_an_unknown_feature_is_told(small_pack, feature):
    with pytest.raises(ScopeError, match="no feature"):
        EvidenceStore(small_pack, SMALL_TEXTS).examples(feature)


def _layer_file(pack):
    return pack / "evidence" / "layer_01.safetensors"


def _truncate(pack):
    path = _layer_file(pack)
    path.write_bytes(path.read_bytes()[:-100])


def _empty(pack):
    _layer_file(pack).write_bytes(b"")


def _without_tensor(pack):
    arrays = small_layer(3)
    del arrays["hist"]
    save_file(arrays, _layer_file(pack))


def _wrong_shape(pack):
    save_file(small_layer(4), _layer_file(pack))


def _wrong_type(pack):
    arrays = small_layer(3)
    arrays["max_active"] = arrays["max_active"].astype(np.float32)
    save_file(arrays, _layer_file(pack))


def _nan(pack):
    arrays = small_layer(3)
    arrays["max_active"][1] = np.nan
    save_file(arrays, _layer_file(pack))


def _unknown_token(pack):
    path = pack / "corpus.safetensors"
    arrays = load_file(path)
    arrays["tokens"][0, 0] = 5000
    save_file(arrays, path, metadata={"sources": '["text"]'})


def _no_sizes(pack):
    (pack / "pack.json").write_text(json.dumps({"model": {}}))


DAMAGE = {
    "truncated layer": (_truncate, "damaged or cut short"),
    "empty layer": (_empty, "damaged or cut short"),
    "missing layer": (lambda pack: _layer_file(pack).unlink(), "is missing"),
    "missing corpus": (lambda pack: (pack / "corpus.safetensors").unlink(), "is missing"),
    "missing tensor": (_without_tensor, "lacks the tensor “hist”"),
    "wrong shape": (_wrong_shape, r"is F32 \[4\], not F32 \[3\]"),
    "wrong type": (_wrong_type, "max_active” is F32"),
    "not a number": (_nan, "impossible values"),
    "unknown token": (_unknown_token, "tokens that the model does not know"),
    "no pack.json": (lambda pack: (pack / "pack.json").unlink(), "is not a pack"),
    "broken pack.json": (lambda pack: (pack / "pack.json").write_text("{"), "cannot be read"),
    "pack.json without sizes": (_no_sizes, "how large"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_told_with_what_to_do(small_pack, damage):
    harm, message = DAMAGE[damage]
    harm(small_pack)
    with pytest.raises(ScopeError, match=message) as caught:
        EvidenceStore(small_pack, SMALL_TEXTS)
    assert caught.value.hint


def _example_nan(arrays):
    arrays["example_value"][0, 0] = np.nan


def _example_outside(arrays):
    arrays["example_position"][0, 0] = 10**6


def _token_outside(arrays):
    arrays["top_token"][0, 0] = -1


@pytest.mark.parametrize("harm", [_example_nan, _example_outside, _token_outside])
def test_damage_inside_a_feature_is_told_when_it_is_read(small_pack, harm):
    arrays = small_layer(3)
    harm(arrays)
    save_file(arrays, _layer_file(small_pack))
    store = EvidenceStore(small_pack, SMALL_TEXTS)
    feature = FeatureId(1, 0)
    read = store.top_tokens if harm is _token_outside else store.examples
    with pytest.raises(ScopeError, match="impossible values"):
        read(feature)
    with pytest.raises(ScopeError, match="impossible values"):
        store.layer_arrays(1)


def test_a_model_with_another_vocabulary_is_told(small_pack):
    with pytest.raises(ScopeError, match="8 tokens"):
        EvidenceStore(small_pack, SMALL_TEXTS[:5])

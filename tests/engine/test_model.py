"""Text to tokens, bad prompts, and opening packs that do not fit."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from plain_model import TOLERANCE, dense

from desktop_scope import paths
from desktop_scope.engine.engine import Engine
from desktop_scope.engine.requests import LoadModel, TracePrompt, Workspace
from desktop_scope.engine.types import Prompt
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import ScopeError
from desktop_scope.library.opening import open_engine


@pytest.mark.parametrize("text", ["", "  ", "\n\t "])
@pytest.mark.parametrize("chat", [True, False])
def test_an_empty_prompt_is_refused(text, chat, engine):
    with pytest.raises(ScopeError, match="empty"):
        engine.model.encode(Prompt(text, chat))


def test_a_prompt_longer_than_the_context_is_refused(engine):
    with pytest.raises(ScopeError, match=r"tokens long; this model reads at most 8,192") as caught:
        engine.model.encode(Prompt("dog " * 9000, chat=False))
    assert caught.value.hint


def test_a_prompt_and_an_answer_longer_than_the_context_are_refused(trace):
    with pytest.raises(ScopeError, match="context"):
        trace(Prompt("dog", chat=False), (1,) * 8192)


def test_a_chat_with_a_model_that_has_no_template_is_refused(engine, monkeypatch):
    monkeypatch.setattr(engine.model, "info", replace(engine.model.info, has_chat=False))
    with pytest.raises(ScopeError, match="no chat template") as caught:
        engine.model.encode(Prompt("Hello"))
    assert "raw" in caught.value.hint
    assert engine.model.encode(Prompt("Hello", chat=False)).ids


def test_raw_text_begins_with_the_packs_first_token(engine, plain):
    prompt = Prompt("  The dog\nbarks. ", chat=False)
    encoded = engine.model.encode(prompt)
    assert encoded.ids == plain.ids(prompt)
    assert encoded.ids[0] == 0
    assert encoded.own.tolist() == [False] + [True] * (len(encoded.ids) - 1)


@pytest.mark.parametrize("text", ["Hello", "你好, wie geht’s? 🙂", "<b>", "a\n\nb"])
def test_texts_of_tokens_make_up_the_text(text, engine):
    encoded = engine.model.encode(Prompt(text, chat=False))
    assert engine.model.decode(encoded.ids) == text
    pieces = [engine.model.texts[i] for i in encoded.ids[1:]]
    assert all("\ufffd" not in piece for piece in pieces)
    if text.isascii():
        assert "".join(pieces) == text


def test_a_word_is_found_as_a_token_with_or_without_its_space(engine):
    model = engine.model
    assert model.texts[model.token_id(" dog")] == " dog"
    assert model.texts[model.token_id("dog")] == " dog"  # as it stands in a text


def test_a_word_of_several_tokens_is_refused(engine):
    with pytest.raises(ScopeError, match="more than one token") as caught:
        engine.model.token_id("chihuahua")
    assert caught.value.hint


def test_a_device_or_number_type_that_is_not_there_is_refused(demo_model_dir):
    for wrong in ({"device": "abacus"}, {"dtype": "int4"}):
        with pytest.raises(ScopeError) as caught:
            open_engine(LoadModel(Workspace((paths.demo_pack(),)), **wrong), silent_job())
        assert caught.value.hint


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """The demo pack without its evidence, to be damaged."""
    shutil.copytree(paths.demo_pack() / "saes", tmp_path / "saes")
    shutil.copy(paths.demo_pack() / "pack.json", tmp_path)
    return tmp_path


def change(pack: Path, **model: object) -> None:
    about = msgspec.json.decode((pack / "pack.json").read_bytes())
    about["model"] |= model
    about["token_mask"]["median_norm"] = about["token_mask"]["median_norm"][
        : about["model"]["n_layers"]
    ]
    (pack / "pack.json").write_bytes(msgspec.json.encode(about))


def test_a_pack_for_a_model_with_fewer_layers_is_refused(pack, demo_model_dir):
    change(pack, n_layers=12)
    with pytest.raises(ScopeError, match="not for") as caught:
        open_engine(LoadModel(Workspace((pack,)), device="cpu"), silent_job())
    assert "pack" in caught.value.hint


def test_a_pack_whose_layers_are_mixed_up_is_refused(pack, demo_model_dir):
    saes = pack / "saes"
    (saes / "layer_03.safetensors").rename(saes / "aside")
    (saes / "layer_04.safetensors").rename(saes / "layer_03.safetensors")
    (saes / "aside").rename(saes / "layer_04.safetensors")
    with pytest.raises(ScopeError, match="one SAE for each layer"):
        open_engine(LoadModel(Workspace((pack,)), device="cpu"), silent_job())


def test_a_pack_without_one_of_its_saes_is_refused(pack, demo_model_dir):
    (pack / "saes" / "layer_11.safetensors").unlink()
    with pytest.raises(ScopeError, match="layer_11") as caught:
        open_engine(LoadModel(Workspace((pack,)), device="cpu"), silent_job())
    assert caught.value.hint


def test_saes_without_a_model_are_refused(tmp_path):
    with pytest.raises(ScopeError, match="No model is chosen"):
        open_engine(LoadModel(Workspace((tmp_path,))), silent_job())


@pytest.fixture(scope="module")
def other_engine(engine, demo_model_dir) -> Engine:
    """With packed weights where the engine has plain ones, and the other way round."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "desktop_scope.engine.loading.packing_pays", lambda: not engine.model.info.packed
        )
        return open_engine(LoadModel(Workspace((paths.demo_pack(),)), device="cpu"), silent_job())


def test_packed_weights_change_nothing(engine, other_engine):
    assert engine.model.info.packed != other_engine.model.info.packed
    request = TracePrompt(Prompt("My chihuahua barks at presidents.", chat=False))
    ours, other = (e.trace(request, silent_job()) for e in (engine, other_engine))
    np.testing.assert_allclose(ours.residual_norm, other.residual_norm, rtol=1e-4)
    np.testing.assert_allclose(ours.logprobs, other.logprobs, atol=1e-3)
    assert ours.next_ids.tolist() == other.next_ids.tolist()
    a, b = (np.stack([dense(acts) for acts in t.acts]) for t in (ours, other))
    both_on = (a > 0) & (b > 0)
    np.testing.assert_allclose(a[both_on], b[both_on], rtol=2 * TOLERANCE)
    assert ((a > 0) != (b > 0)).sum() <= 1e-3 * both_on.sum()  # at the edge of a threshold

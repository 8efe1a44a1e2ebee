"""Folders of models as they come: sharded, linked, damaged, of the wrong kind, too large."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import (
    CHAT,
    D_MODEL,
    N_LAYERS,
    TEXT,
    VOCAB,
    Seen,
    close,
    config_of,
    random_model,
    reference,
    save_tiny,
    some_ids,
    tiny,
    tokenizer,
)

from desktop_scope.engine import loading
from desktop_scope.engine.hook_points import HookPoint, Site, resid_post
from desktop_scope.engine.loading import load_model
from desktop_scope.engine.memory import estimate
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.types import Prompt
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import ScopeError


def load(folder: Path, **more: Any) -> LanguageModel:
    return load_model(folder, "tiny", silent_job(), **{"device": "cpu", **more})


def refused(folder: Path, words: str, **more: Any) -> ScopeError:
    with pytest.raises(ScopeError, match=words) as caught:
        load(folder, **more)
    assert caught.value.hint
    return caught.value


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("llama", tmp_path_factory.mktemp("llama"))


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy of a tiny Llama, to be damaged."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def change(file: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    about = json.loads(file.read_text("utf-8"))
    edit(about)
    file.write_text(json.dumps(about), "utf-8")


def same_as_reference(model: LanguageModel, name: str = "llama") -> None:
    ids = some_ids()
    with torch.inference_mode():
        own = reference(name)(ids, use_cache=False).logits
        close(model.logits(model.hidden(ids, {}, use_cache=False)), own)


# ---- what works


def test_what_is_loaded_is_told(saved):
    info = load(saved).info
    assert (info.id, info.path, info.architecture) == ("tiny", str(saved), "LlamaForCausalLM")
    assert (info.n_layers, info.d_model, info.vocab_size) == (N_LAYERS, D_MODEL, VOCAB)
    assert (info.device, info.dtype, info.has_chat) == ("cpu", "float32", True)
    assert info.bytes == 4 * sum(p.numel() for p in reference("llama").parameters())


def test_a_sharded_model_is_loaded(tmp_path):
    save_tiny("llama", tmp_path, max_shard_size="40KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    same_as_reference(load(tmp_path))


def test_a_snapshot_of_links_is_loaded(saved, tmp_path):
    """As in the cache of huggingface_hub: names that link to blobs."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "0123abcd"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for number, file in enumerate(sorted(saved.iterdir())):
        shutil.copy(file, blobs / f"{number:064x}")
        (snapshot / file.name).symlink_to(Path("../../blobs") / f"{number:064x}")
    same_as_reference(load(snapshot))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_close(dtype, saved):
    supported = {
        "bfloat16": torch.ops.mkldnn._is_mkldnn_bf16_supported,
        "float16": torch.ops.mkldnn._is_mkldnn_fp16_supported,
    }
    if not supported[dtype]():
        refused(saved, f"no {dtype} arithmetic", dtype=dtype)
        return
    model = load(saved, dtype=dtype)
    assert model.info.dtype == dtype
    assert model.W_U.dtype == getattr(torch, dtype)
    half, whole = Seen(model, some_ids()), Seen(tiny("llama"), some_ids())
    for point, x in whole.items():
        assert (half[point].float() - x).norm() < 0.05 * x.norm(), point


def test_a_multimodal_model_that_transformers_does_not_call_a_language_model(tmp_path):
    import transformers

    torch.manual_seed(0)
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 3}
    config = transformers.LlavaConfig(
        text_config=config_of("llama"),
        vision_config={"model_type": "clip_vision_model", "num_attention_heads": 2, **vision},
        image_token_index=VOCAB - 1,
    )
    whole = transformers.LlavaForConditionalGeneration(config).eval()
    whole.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    model, ids = load(tmp_path), some_ids()
    assert model.info.n_layers == N_LAYERS
    assert model.info.d_model == D_MODEL
    with torch.inference_mode():
        own = whole(input_ids=ids, output_hidden_states=True, use_cache=False)
        close(model.logits(model.hidden(ids, {}, use_cache=False)), own.logits)
    close(Seen(model, ids)[resid_post(0)], own.hidden_states[1])


# ---- what is refused


def test_a_folder_without_a_config_is_refused(tmp_path):
    refused(tmp_path, r"no config\.json")
    refused(tmp_path / "nowhere", r"no config\.json")


@pytest.mark.parametrize("content", ["{", "[]", "\x00\x01", ""])
def test_a_config_that_is_no_config_is_refused(content, folder):
    (folder / "config.json").write_text(content)
    refused(folder, r"config\.json")


def test_a_config_that_makes_no_sense_is_refused(folder):
    change(folder / "config.json", lambda c: c.update(hidden_size="wide"))
    refused(folder, "make no sense")


def test_a_config_without_a_kind_is_refused(folder):
    change(folder / "config.json", lambda c: c.pop("model_type"))
    refused(folder, "what kind of model")


def test_an_unknown_kind_is_named(folder):
    change(folder / "config.json", lambda c: c.update(model_type="abacus"))
    refused(folder, "“abacus”, which transformers")


def test_code_of_a_models_own_is_not_run(folder):
    spoor = folder / "spoor"
    (folder / "modeling_abacus.py").write_text(f"open({str(spoor)!r}, 'w')")
    own = {"AutoConfig": "modeling_abacus.A", "AutoModelForCausalLM": "modeling_abacus.B"}
    change(folder / "config.json", lambda c: c.update(model_type="abacus", auto_map=own))
    refused(folder, "code of its own, which is not run")
    change(folder / "config.json", lambda c: c.update(model_type="llama"))
    same_as_reference(load(folder))  # transformers has its own code for this one
    assert not spoor.exists()


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        ("T5ForConditionalGeneration", {"d_kv": 4, "d_ff": 8}, "an encoder and a decoder"),
        ("BertForMaskedLM", {"intermediate_size": 8}, "does not write text"),
        ("ViTModel", {"intermediate_size": 8}, "does not write text"),
    ],
)
def test_what_does_not_write_is_refused(kind, settings, words, tmp_path):
    import transformers

    model = getattr(transformers, kind)
    config = model.config_class(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, **settings
    )
    model(config).save_pretrained(tmp_path)
    refused(tmp_path, words)


def test_a_model_without_its_head_is_refused(tmp_path):
    """transformers would go on with random numbers."""
    random_model("llama").model.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    refused(tmp_path, r"lack 1 tensor.*lm_head\.weight")


def test_weights_of_another_shape_are_refused(folder):
    change(folder / "config.json", lambda c: c.update(intermediate_size=56))
    refused(folder, "belong|lack")


def test_a_folder_without_weights_is_refused(folder):
    (folder / "model.safetensors").unlink()
    refused(folder, "no weights")


def test_pickled_weights_are_not_opened(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cposix\nsystem\n.")
    assert "safetensors" in refused(folder, "pickles").hint


def test_missing_shards_are_named(tmp_path):
    save_tiny("llama", tmp_path, max_shard_size="40KB")
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    shards[1].unlink()
    refused(tmp_path, rf"1 of the {len(shards)} weight files.*{shards[1].name}")


@pytest.mark.parametrize("listed", [None, ["a"], {"a": 1}, {"a": "../../etc/passwd"}])
def test_a_damaged_list_of_shards_is_refused(listed, folder):
    (folder / "model.safetensors").unlink()
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": listed}))
    refused(folder, "list of weights")


def test_weights_that_are_cut_short_are_refused(folder):
    file = folder / "model.safetensors"
    os.truncate(file, file.stat().st_size - 100)
    refused(folder, r"model\.safetensors is damaged or cut short")


def test_a_missing_tokenizer_is_told(folder):
    for file in folder.glob("tokenizer*"):
        file.unlink()
    refused(folder, "tokenizer")


def test_number_types_and_devices_that_are_not_there_are_refused(saved):
    refused(saved, "Unknown number type", dtype="int3")
    refused(saved, "no device", device="abacus")


@pytest.mark.parametrize("dtype", ["8bit", "4bit"])
def test_quantising_needs_a_package(dtype, saved, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install" in refused(saved, "bitsandbytes", dtype=dtype).hint


def test_a_model_that_does_not_fit_is_refused_before_it_is_read(saved, monkeypatch):
    monkeypatch.setattr("desktop_scope.engine.memory.available", lambda device: 130_000)
    # Not every processor has bfloat16.
    monkeypatch.setattr("desktop_scope.engine.memory.choose_dtype", lambda name, device: None)
    monkeypatch.setattr(loading, "read_weights", pytest.fail)
    hint = refused(saved, "GB are free on cpu").hint
    assert "bfloat16" in hint
    assert "spread" in hint


# ---- spread over memory and disk


def split_map(name: str) -> dict[str, str]:
    """Embedding and first block in memory; the rest on disk, but for what is tied."""
    model = tiny(name)
    named = {module: path for path, module in model._model.named_modules()}
    parts = model.parts
    here = {named[m]: "cpu" for m in parts.decoder.children() if m is not parts.blocks}
    blocks = {named[m]: "cpu" if n == 0 else "disk" for n, m in enumerate(parts.blocks)}
    tied = parts.unembed.weight is parts.embed.weight
    last = {named[parts.norm]: "disk", named[parts.unembed]: "cpu" if tied else "disk"}
    return here | blocks | last


@pytest.fixture
def cache_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DESKTOP_SCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("name", ["llama", "gpt2", "qwen2", "gemma2", "mixtral", "cohere", "phi"])
def test_a_model_spread_over_memory_and_disk_is_the_same(name, tmp_path, cache_dir):
    whole = tiny(name)
    folder = save_tiny(name, tmp_path / "model")
    spread = load(folder, device="spread", device_map=split_map(name))
    assert next(spread.parts.blocks[2].parameters()).is_meta
    assert spread.info.device == "spread"
    assert spread.device == spread.parts.device(0) == spread.parts.device(2) == torch.device("cpu")
    assert torch.equal(spread.W_U, whole.W_U)
    close(spread.parts.gain(), whole.parts.gain())

    ids, vector = some_ids(), torch.linspace(-1, 1, D_MODEL)
    steering = {
        point: lambda x: x + vector
        for point in (resid_post(0), HookPoint(1, Site.MLP_OUT), HookPoint(2, Site.RESID_PRE))
    }
    for changes in ({}, steering):
        a, b = Seen(whole, ids, changes), Seen(spread, ids, changes)
        assert a.keys() == b.keys()
        for point in a:
            close(b[point], a[point])
        with torch.inference_mode():
            close(spread.logits(b.hidden), whole.logits(a.hidden))
    with torch.inference_mode():
        cache = spread.new_cache()
        steps = [
            spread.hidden(part, steering, past_key_values=cache, use_cache=True)
            for part in (ids[:, :5], ids[:, 5:])
        ]
    torch.testing.assert_close(torch.cat(steps, 1), a.hidden, rtol=1e-3, atol=1e-4)
    said, _ = spread.read_out(b.hidden[0], ids[0])
    torch.testing.assert_close(
        torch.tensor(said[1:]),
        whole.logits(a.hidden[0]).log_softmax(-1)[:-1].gather(1, ids[0, 1:, None])[:, 0],
        rtol=1e-4,
        atol=1e-4,
    )


@pytest.mark.parametrize("name", ["llama", "gemma2"])  # the second one's embedding is tied
def test_what_does_not_fit_in_memory_goes_to_disk_by_itself(name, tmp_path, monkeypatch, cache_dir):
    folder = save_tiny(name, tmp_path / "model")
    room = int(1.2 * estimate(folder, "float32"))
    monkeypatch.setattr(loading, "available", lambda device: room)
    model = load(folder, device="spread")
    places = [next(block.parameters()).is_meta for block in model.parts.blocks]
    assert not places[0]
    assert places[-1]
    same_as_reference(model, name)


def test_nothing_stays_in_the_cache_of_a_model_that_could_not_be_spread(folder, cache_dir):
    change(folder / "config.json", lambda c: c.update(intermediate_size=56))
    refused(folder, "belong|lack", device="spread")
    assert not any((cache_dir / "offload").iterdir())


# ---- text and tokens


def test_rows_without_a_token_have_a_text(saved):
    model = load(saved)
    assert len(model.texts) == VOCAB > len(tokenizer())
    assert model.texts[-1] == f"⟨no token {VOCAB - 1}⟩"
    assert model.texts[len(tokenizer()) - 1] == tokenizer().decode([len(tokenizer()) - 1])


def test_a_token_without_an_embedding_is_refused(tmp_path):
    larger = tokenizer().__class__.from_pretrained(
        save_tiny("llama", tmp_path), additional_special_tokens=[f"<{n}>" for n in range(40)]
    )
    larger.save_pretrained(tmp_path)
    model = load(tmp_path)
    assert len(model.texts) == VOCAB < len(larger)
    assert model.encode(Prompt("in the<1>", chat=False)).ids
    with pytest.raises(ScopeError, match="no embedding"):
        model.encode(Prompt("in the<39>", chat=False))


def test_the_first_token_is_the_tokenizers_or_the_callers(saved):
    assert load(saved).encode(Prompt("in", chat=False)).ids[0] == tokenizer().bos_token_id
    assert load(saved, raw_first_token=7).encode(Prompt("in", chat=False)).ids[0] == 7


def test_a_tokenizer_without_a_first_token_or_a_template(folder):
    change(folder / "tokenizer_config.json", lambda c: c.pop("bos_token"))
    (folder / "chat_template.jinja").unlink()
    model = load(folder)
    assert model.encode(Prompt(TEXT, chat=False)).ids == tokenizer().encode(TEXT)
    assert not model.info.has_chat
    with pytest.raises(ScopeError, match="no chat template"):
        model.encode(Prompt("in"))


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ raise_exception('system only') }}", "system only"),
        ("{{ messages[0]['content'][::-1] }} {{ messages[0]['content'] | upper }}", "as it is"),
        ("no text at all", "as it is"),
    ],
)
def test_a_template_that_cannot_be_used_is_told(template, words, folder):
    (folder / "chat_template.jinja").write_text(template)
    with pytest.raises(ScopeError, match=words) as caught:
        load(folder).encode(Prompt("in the morning"))
    assert "raw" in caught.value.hint


def test_a_tokenizer_in_pure_python(tmp_path):
    """ByT5's knows bytes only, and does not say where a token lies."""
    from transformers import ByT5Tokenizer

    random_model("llama").save_pretrained(tmp_path)
    ByT5Tokenizer(chat_template=CHAT).save_pretrained(tmp_path)
    model = load(tmp_path)
    raw = model.encode(Prompt("ab é", chat=False))
    assert raw.ids == [b + 3 for b in "ab é".encode()]
    assert raw.own.all()
    assert len(model.texts) == VOCAB
    assert model.texts[raw.ids[0]] == "a"
    chat = model.encode(Prompt("user"))
    own = [i for i, mine in zip(chat.ids, chat.own, strict=True) if mine]
    assert own == [b + 3 for b in b"user"]
    assert chat.own.tolist().index(True) > 4  # not the template's word, which comes first


def test_own_tokens_of_a_chat_are_the_users(saved):
    model = load(saved)
    encoded = model.encode(Prompt("  user in the morning "))
    own = [model.texts[i] for i, mine in zip(encoded.ids, encoded.own, strict=True) if mine]
    assert "".join(own).strip() == "user in the morning"
    assert not encoded.own[0]

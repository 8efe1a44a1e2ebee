"""What is found in folders: models, SAEs and packs, among all that people keep beside them."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import gguf
import numpy as np
import pytest
from safetensors.numpy import save
from small_library import (
    D_MODEL,
    LLAMA,
    N_LAYERS,
    WEIGHTS,
    as_bytes,
    gemma_scope,
    hub,
    model,
    saelens,
    sharded,
    write,
)

from desktop_scope import paths
from desktop_scope.errors import Cancelled
from desktop_scope.library.entries import Library, ModelEntry
from desktop_scope.library.scan import scan

UNICODE = "Mes modèles/ 模型 (копия) 🙂"


def only_model(root: Path) -> ModelEntry:
    (found,) = scan([root]).models
    return found


def ids(library: Library) -> list[str]:
    return [sae.id for sae in library.saes]


# ---- models


def test_a_whole_model_is_described(tmp_path):
    folder = write(tmp_path / UNICODE / "my llama", model())
    assert only_model(tmp_path) == ModelEntry(
        "my llama", folder, "LlamaForCausalLM", N_LAYERS, D_MODEL, D_MODEL, len(WEIGHTS)
    )


@pytest.mark.parametrize(
    ("config", "sizes"),
    [
        (LLAMA | {"head_dim": 16}, (N_LAYERS, D_MODEL, 32)),
        (
            {"architectures": ["GPT2LMHeadModel"], "n_layer": 12, "n_embd": 768, "n_head": 12},
            (12, 768, 768),
        ),
        (
            # As the hub has Gemma 3: heads of the text model only where they are not the default.
            {
                "architectures": ["Gemma3ForConditionalGeneration"],
                "text_config": {"hidden_size": 2560, "num_hidden_layers": 34},
                "vision_config": {"hidden_size": 1152, "num_hidden_layers": 27},
            },
            (34, 2560, 0),
        ),
        ({"architectures": ["OddForCausalLM"], "hidden_size": "wide"}, (0, 0, 0)),
    ],
    ids=["head_dim", "gpt2", "gemma3", "odd"],
)
def test_sizes_are_read_from_every_kind_of_config(config, sizes, tmp_path):
    write(tmp_path, model(config))
    found = only_model(tmp_path)
    assert (found.n_layers, found.d_model, found.d_heads) == sizes
    assert not found.problem


@pytest.mark.parametrize(
    "config",
    [
        {"architectures": ["BertForMaskedLM"], "hidden_size": 768},
        {"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True},
        {"architectures": ["MT5ForConditionalGeneration"], "num_layers": 8, "d_model": 512},
        {"architectures": ["CLIPModel"], "text_config": {}},
        {"architectures": None},
        {"architectures": [7]},
        {"architectures": "LlamaForCausalLM"},
        {"_class_name": "AutoencoderKL"},
        {},
        [],
    ],
    ids=json.dumps,
)
def test_what_is_no_language_model_is_not_listed(config, tmp_path):
    write(tmp_path, model(config))
    assert scan([tmp_path]) == Library()


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff", b"[" * 200_000], ids=lambda d: d[:3])
def test_a_damaged_config_is_no_model(damage, tmp_path):
    write(tmp_path, model() | {"config.json": damage})
    assert not scan([tmp_path]).models


def test_an_adapter_is_no_model(tmp_path):
    write(tmp_path, {"adapter_config.json": b"{}", "adapter_model.safetensors": WEIGHTS})
    assert not scan([tmp_path]).models


def test_the_parts_of_a_diffusion_pipeline_are_no_models(tmp_path):
    write(tmp_path, {"model_index.json": b"{}"})
    write(tmp_path / "text_encoder", model())
    assert scan([tmp_path]) == Library()


def test_all_shards_are_counted(tmp_path):
    write(tmp_path, sharded(3))
    found = only_model(tmp_path)
    assert (found.bytes, found.problem) == (3 * len(WEIGHTS), "")


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        (["model-00002-of-00003.safetensors"], "model-00002-of-00003.safetensors is missing"),
        (
            ["model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors"],
            "model-00001-of-00003.safetensors and 1 more are missing",
        ),
        (["tokenizer.json"], "tokenizer"),
        (["model.safetensors.index.json"], "model.safetensors is missing"),
    ],
)
def test_what_an_incomplete_model_lacks_is_named(missing, named, tmp_path):
    files = sharded(3)
    write(tmp_path, {name: files[name] for name in files if name not in missing})
    assert named in only_model(tmp_path).problem


@pytest.mark.parametrize("index", [b"{}", b'{"weight_map": {}}', b'{"weight_map": 3}', b"{"])
def test_a_damaged_index_is_told(index, tmp_path):
    write(tmp_path, sharded(2) | {"model.safetensors.index.json": index})
    assert "damaged" in only_model(tmp_path).problem


def test_an_index_cannot_lead_out_of_the_folder(tmp_path):
    write(tmp_path, {"secret.safetensors": WEIGHTS})
    outside = as_bytes({"weight_map": {"a": "../secret.safetensors"}})
    write(tmp_path / "m", sharded(1) | {"model.safetensors.index.json": outside})
    assert "../secret.safetensors is missing" in only_model(tmp_path).problem


def test_pickled_weights_are_not_ours(tmp_path):
    files = model() | {"pytorch_model.bin": WEIGHTS}
    del files["model.safetensors"]
    write(tmp_path, files)
    assert "pickle" in only_model(tmp_path).problem


@pytest.mark.parametrize(
    ("family", "runs"), [("phi3", True), ("my_own_model", False), ("../models", False)]
)
def test_a_model_that_needs_its_own_code_is_told(family, runs, tmp_path):
    config = LLAMA | {"auto_map": {"AutoModelForCausalLM": "m.Own"}, "model_type": family}
    write(tmp_path, model(config))
    assert (only_model(tmp_path).problem == "") == runs


# ---- GGUF


def test_a_gguf_file_is_described_by_its_header(tiny_gguf, tmp_path):
    file = tmp_path / "Tiny Llama Q8_0.gguf"
    shutil.copy(tiny_gguf, file)
    size = file.stat().st_size
    assert only_model(tmp_path) == ModelEntry("Tiny Llama Q8_0", file, "llama", 2, 64, 64, size)


def write_gguf(path: Path, architecture: str, kind: str = "", n_strings: int = 0) -> None:
    writer = gguf.GGUFWriter(path, architecture)
    if kind:
        writer.add_type(kind)
    if n_strings:
        writer.add_array("tokenizer.ggml.tokens", [f"token {i}" for i in range(n_strings)])
    writer.add_block_count(5)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


@pytest.mark.parametrize(
    ("architecture", "kind"),
    [("controlvector", ""), ("clip", "mmproj"), ("llama", "adapter"), ("llama", "mmproj")],
)
def test_other_things_in_gguf_files_are_no_models(architecture, kind, tmp_path):
    write_gguf(tmp_path / "a.gguf", architecture, kind)
    assert scan([tmp_path]) == Library()


def test_a_long_vocabulary_is_not_read_to_its_end(tmp_path):
    write_gguf(tmp_path / "long.gguf", "llama", "model", 200_000)
    assert only_model(tmp_path).architecture == "llama"
    assert only_model(tmp_path).n_layers == 0  # it comes after the vocabulary
    write_gguf(tmp_path / "long.gguf", "llama", "model", 2_000)
    assert only_model(tmp_path).n_layers == 5


@pytest.mark.parametrize(
    "content",
    [b"", b"GGUF", b"version https://git-lfs.github.com/spec/v1", b"GGUF" + b"\xff" * 999,
     b"GGUF\3\0\0\0" + b"\0" * 8 + b"\1" + b"\0" * 7 + b"\xff" * 8],
    ids=lambda content: content[:8],
)  # fmt: skip
def test_a_gguf_file_that_is_none_is_listed_with_the_reason(content, tmp_path):
    write(tmp_path, {"broken.gguf": content})
    found = only_model(tmp_path)
    assert (found.id, found.bytes) == ("broken", len(content))
    assert found.problem


def test_a_gguf_model_in_several_files_is_one_model(tiny_gguf, tmp_path):
    part = tiny_gguf.read_bytes()
    names = [f"big-{i:05}-of-00003.gguf" for i in (1, 2, 3)]
    write(tmp_path, dict.fromkeys(names, part))
    found = only_model(tmp_path)
    assert (found.path.name, found.bytes, found.problem) == (names[0], 3 * len(part), "")
    (tmp_path / names[1]).unlink()
    assert names[1] in only_model(tmp_path).problem


def test_gguf_files_of_a_repository_have_ids_of_their_own(tiny_gguf, tmp_path):
    content = tiny_gguf.read_bytes()
    hub(tmp_path, "org/m-GGUF", {"m-Q4_K_M.gguf": content, "more/m-Q8_0.gguf": content})
    assert [found.id for found in scan([tmp_path]).models] == [
        "org/m-GGUF/m-Q4_K_M.gguf",
        "org/m-GGUF/more/m-Q8_0.gguf",
    ]


# ---- the hub's cache

SAE = "layer_{}/width_16k/average_l0_82/params.npz"


@pytest.fixture(params=[True, False], ids=["links", "no links"])
def hub_cache(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A hub's cache with a model and three SAEs, with links and as on Windows."""
    links = request.param
    root = tmp_path / "hub"
    params = gemma_scope()
    hub(root, "google/gemma-2-2b", sharded(2), links=links)
    files = {SAE.format(layer): params for layer in (2, 12, 7)}
    hub(root, "google/gemma-scope-2b-pt-res", files, links=links)
    write(root, {"version.txt": b"1", ".locks/a.lock": b""})
    return root


def test_models_of_the_hub_have_their_repository_as_id(hub_cache):
    (found,) = scan([hub_cache]).models
    assert (found.id, found.bytes, found.problem) == ("google/gemma-2-2b", 2 * len(WEIGHTS), "")


def test_saes_of_the_hub_are_named_by_their_place_in_count_order(hub_cache):
    found = scan([hub_cache]).saes
    assert [sae.name for sae in found] == [
        f"layer_{layer}/width_16k/average_l0_82" for layer in (2, 7, 12)
    ]
    first = found[0]
    assert first.repo == "google/gemma-scope-2b-pt-res"
    assert first.id == f"{first.repo}/{first.name}"
    assert first.formats == ("Gemma Scope",)
    assert first.bytes == len(gemma_scope())
    assert (first.path / "params.npz").is_file()


@pytest.mark.parametrize("below", ["", "snapshots/c0ffee", "snapshots/c0ffee/layer_7"])
def test_a_part_of_the_hub_may_be_searched_alone(below, hub_cache):
    whole = scan([hub_cache]).saes
    part = scan([hub_cache / "models--google--gemma-scope-2b-pt-res" / below]).saes
    assert part == (
        tuple(sae for sae in whole if "layer_7" in sae.name) if "layer" in below else whole
    )


def test_only_the_snapshot_that_counts_is_searched(hub_cache):
    hub(hub_cache, "google/gemma-scope-2b-pt-res", {SAE.format(25): gemma_scope()}, commit="newer")
    (found,) = scan([hub_cache]).saes
    assert found.name.startswith("layer_25/")


def test_downloads_under_way_and_other_leftovers_are_left_out(hub_cache):
    before = scan([hub_cache])
    repo = hub_cache / "models--google--gemma-scope-2b-pt-res"
    params = gemma_scope()
    write(repo / "snapshots" / "c0ffee", {".cache/huggingface/download/layer_1/params.npz": params})
    write(repo, {".no_exist/c0ffee/layer_2/params.npz": params, "blobs/x.incomplete": b"half"})
    hub(hub_cache.parent, "x/y", {"ae.pt": params})
    shutil.move(hub_cache.parent / "models--x--y", hub_cache / "datasets--x--y")
    assert scan([hub_cache]) == before


def test_a_link_that_leads_nowhere_is_a_missing_file(hub_cache):
    repo = hub_cache / "models--google--gemma-2-2b"
    shard = "model-00002-of-00002.safetensors"
    link = repo / "snapshots" / "c0ffee" / shard
    link.unlink()
    link.symlink_to("../../blobs/gone")
    (sae,) = hub_cache.glob("models--*-res/snapshots/*/layer_7/*/*/params.npz")
    sae.unlink()
    sae.symlink_to("../../nowhere")
    found = scan([hub_cache])
    assert f"{shard} is missing" in found.models[0].problem
    assert len(found.saes) == 2


def test_a_repository_that_was_only_begun_is_no_trouble(hub_cache):
    write(hub_cache / "models--org--begun", {"refs/main": b"c0ffee"})
    assert len(scan([hub_cache]).models) == 1


# ---- SAEs of other kinds


def test_a_plain_folder_gives_its_name(tmp_path):
    folder = write(tmp_path / UNICODE / "saes", {})
    write(folder / "res jb/blocks.5", saelens("gpt2"))
    write(folder / "res jb/blocks.11", saelens("gpt2"))
    assert ids(scan([folder])) == ["saes/res jb/blocks.5", "saes/res jb/blocks.11"]
    assert ids(scan([folder / "res jb/blocks.5"])) == ["blocks.5"]


def test_a_folder_that_several_formats_claim_is_listed_once_with_all(tmp_path):
    write(tmp_path / "a", saelens("gpt2"))
    (found,) = scan([tmp_path]).saes
    assert found.path == tmp_path / "a"
    assert "SAELens" in found.formats


def test_a_file_whose_name_says_nothing_is_looked_into(tmp_path):
    compact = paths.demo_pack() / "saes" / "layer_03.safetensors"
    shutil.copy(compact, tmp_path / "mine.safetensors")
    write(tmp_path, {"embeddings.safetensors": save({"a": np.zeros(3, np.float32)})})
    (found,) = scan([tmp_path]).saes
    assert (found.name, found.path) == ("mine", tmp_path / "mine.safetensors")
    assert scan([tmp_path]).saes == (found,)  # remembered: the same again


def test_a_file_that_became_an_sae_is_found(tmp_path):
    file = tmp_path / "mine.safetensors"
    file.write_bytes(save({"a": np.zeros(3, np.float32)}))
    assert not scan([tmp_path]).saes
    shutil.copy(paths.demo_pack() / "saes" / "layer_03.safetensors", file)
    assert len(scan([tmp_path]).saes) == 1


def test_the_files_of_a_model_are_no_saes(tmp_path):
    write(tmp_path, sharded(2))
    assert not scan([tmp_path]).saes


# ---- packs


def test_a_pack_is_found_with_its_saes(tmp_path):
    folder = tmp_path / "packs" / "demo"
    shutil.copytree(paths.demo_pack(), folder)
    (folder / "saes" / "layer_07.safetensors").unlink()
    found = scan([tmp_path])
    (pack,) = found.packs
    assert (pack.path, pack.n_saes, pack.n_features) == (folder, 30, 122_880)
    assert ids(found) == [f"demo/layer_{layer:02}" for layer in range(30)]
    assert {sae.model for sae in found.saes} == {"HuggingFaceTB/SmolLM2-135M-Instruct"}
    assert [sae.name for sae in found.saes if not sae.bytes] == ["layer_07"]


def test_a_damaged_pack_is_listed_with_the_reason(tmp_path):
    write(tmp_path, {"pack.json": b'{"format": "desktop-scope-pack/1", "name": 3}'})
    (pack,) = scan([tmp_path]).packs
    assert "pack.json" in pack.problem


def test_the_pack_json_of_another_program_means_nothing(tmp_path):
    write(tmp_path, model() | {"pack.json": b'{"name": "a game"}'})
    found = scan([tmp_path])
    assert not found.packs
    assert len(found.models) == 1


# ---- the walk


def test_links_to_folders_are_not_followed_but_named(tmp_path):
    write(tmp_path / "elsewhere", model())
    inside = write(tmp_path / "root" / "here", model()).parent
    (inside / "there").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (inside / "here" / "loop").symlink_to(inside, target_is_directory=True)
    (inside / "here" / "self").symlink_to("self")
    found = scan([inside])
    assert [found.id for found in found.models] == ["here"]
    assert set(found.links) == {inside / "there", inside / "here" / "loop"}
    assert not found.unreadable


def test_a_root_may_be_a_link(tmp_path):
    write(tmp_path / "disk" / "m", model())
    (tmp_path / "root").symlink_to(tmp_path / "disk", target_is_directory=True)
    assert only_model(tmp_path / "root").path == tmp_path / "root" / "m"


def test_a_folder_in_several_roots_is_found_once(tmp_path):
    write(tmp_path / "a" / "m", model())
    (tmp_path / "link").symlink_to(tmp_path / "a", target_is_directory=True)
    roots = [tmp_path / "a", tmp_path, tmp_path / "a" / "m", tmp_path / "link"]
    assert len(scan(roots).models) == 1


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that may not be read, which file permissions cannot give to an administrator."""
    folder = write(tmp_path / "locked", model())
    look = os.scandir

    def refuse(path: Path) -> object:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return look(path)

    monkeypatch.setattr(os, "scandir", refuse)
    return folder


def test_folders_that_may_not_be_read_are_counted_and_the_rest_is_found(locked, tmp_path):
    write(tmp_path / "open", model())
    gone = tmp_path / "unplugged"
    found = scan([tmp_path, gone])
    assert [found.id for found in found.models] == ["open"]
    assert found.unreadable == (locked, gone)


def test_what_lies_very_deep_is_left_out(tmp_path):
    write(tmp_path.joinpath(*"123456789"), model())
    write(tmp_path.joinpath(*"abcdefghijklmnop"), model())
    assert [found.id for found in scan([tmp_path]).models] == ["9"]


def test_names_that_are_no_text_are_shown_all_the_same(tmp_path):
    odd = Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9"))
    write(odd, model())
    write(odd / "s", saelens("gpt2"))
    found = scan([tmp_path])
    assert found.models[0].id == "caf\N{REPLACEMENT CHARACTER}"
    assert found.models[0].path == odd
    assert found.saes[0].id.encode()


def test_it_stops_when_told(hub_cache):
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked == 5:
            raise Cancelled

    with pytest.raises(Cancelled):
        scan([hub_cache], check)
    assert asked == 5


def test_results_under_way_grow_to_the_whole(hub_cache, monkeypatch):
    monkeypatch.setattr("desktop_scope.library.scan._SHOWN_EVERY_S", -1)
    seen: list[Library] = []
    whole = scan([hub_cache], partial=lambda payload: seen.append(payload()))
    counts = [len(library.models) + len(library.saes) for library in seen]
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert seen[-1] == whole


def test_words_find_what_contains_them_all(hub_cache):
    whole = scan([hub_cache])
    assert [m.id for m in whole.matching("GEMMA 2-2b").models] == ["google/gemma-2-2b"]
    assert not whole.matching("GEMMA 2-2b").saes
    assert [sae.name[:8] for sae in whole.matching("Scope width_16K layer_12").saes] == ["layer_12"]
    assert whole.matching(" ") == whole
    assert not whole.matching("llama scope").saes


def test_tens_of_thousands_of_files_are_no_trouble(tmp_path):
    """A hub's cache of 20,000 files in 40 repositories: 1,960 SAEs and 20 models among them."""
    params, n_files = gemma_scope(), 0
    for number in range(20):
        files = {
            f"layer_{i}/width_{w}k/l0_{i}/params.npz": params for i in range(49) for w in (16, 65)
        }
        files |= {f"figures/{i}.png": b"" for i in range(402)}
        hub(tmp_path, f"google/gemma-scope-2b-pt-{number}", files)
        files = sharded(30) | {f"onnx/{i}.onnx": b"" for i in range(467)}
        hub(tmp_path, f"org/llama-{number}", files)
        n_files += 500 + len(files)
    assert n_files == 20_000
    start = time.perf_counter()
    found = scan([tmp_path])
    print(f"scanned in {time.perf_counter() - start:.2f} s")  # shown by pytest -s
    assert (len(found.saes), len(found.models)) == (1960, 20)
    assert not any(model.problem for model in found.models)
    assert (found.saes[0].repo, found.saes[-1].repo) == (
        "google/gemma-scope-2b-pt-0",
        "google/gemma-scope-2b-pt-19",
    )

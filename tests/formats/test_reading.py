"""Containers and configurations: what is read, and every way in which a file can be bad."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import sys
import zipfile
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from layouts_a import BUILDERS
from safetensors.torch import save_file

from desktop_scope.errors import ScopeError
from desktop_scope.formats import LOADERS, format_of, open_sae
from desktop_scope.formats.config import Config, json_object, yaml_object
from desktop_scope.formats.reading import (
    TensorFile,
    npz_file,
    safetensors_file,
    torch_file,
)
from desktop_scope.formats.repository import names_of, repository_id

ARRAYS = {
    "W": np.arange(12, dtype=np.float32).reshape(3, 4),
    "b": np.arange(3, dtype=np.float64),
    "n": np.arange(4),
    "half": np.ones(5, np.float16),
    "scalar": np.float32(2.5),
    "by_column": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
}


def refused(read: Callable[[Path], object], path: Path, match: str | None = None) -> None:
    with pytest.raises(ScopeError, match=match) as caught:
        read(path)
    assert path.name in caught.value.message
    assert caught.value.hint
    assert "\n" not in caught.value.message


def assert_read_or_refused(read: Callable[[Path], object], path: Path) -> None:
    try:
        read(path)
    except ScopeError:
        refused(read, path)


def npz_of(path: Path, content: bytes, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("W.npy", content)
    return path


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


# ---- every layout


@pytest.mark.parametrize("name", BUILDERS)
def test_exactly_one_format_claims_each_layout_and_it_is_found_in_a_listing(name, tmp_path):
    path = BUILDERS[name](tmp_path, np.random.default_rng(0))
    loader = format_of(path)
    assert [one for one in LOADERS if one.match(path)] == [loader]
    assert (loader.OPENS == "folder") == path.is_dir()
    names = [path.name] if path.is_file() else os.listdir(path)
    assert any(fnmatchcase(file, pattern) for file in names for pattern in loader.FILES)


@pytest.mark.parametrize("loader", LOADERS, ids=lambda loader: loader.NAME)
def test_no_format_claims_what_is_none(loader, tmp_path):
    others = {
        "model.safetensors": None,
        "config.json": "{}",
        "notes.txt": "Nothing.",
        "pytorch_model.bin": "no tensors",
    }
    for file, text in others.items():
        path = tmp_path / file
        if text is None:
            save_file({"weight": torch.zeros(3)}, path)
        else:
            path.write_text(text, "utf-8")
    assert not loader.match(tmp_path)
    assert not any(loader.match(tmp_path / file) for file in others)
    assert not loader.match(tmp_path / "nowhere")


def test_unusual_letters_and_spaces_in_a_path_do_no_harm(tmp_path):
    folder = tmp_path / "Merkmale für Ähnliches 特徴 🧠"
    folder.mkdir()
    for name, build in BUILDERS.items():
        place = folder / name.replace(" ", "_")
        place.mkdir()
        assert open_sae(build(place, np.random.default_rng(0)))


# ---- tensors asked for


@pytest.fixture
def file() -> TensorFile:
    tensors = {
        "W": torch.ones(3, 4),
        "V": torch.ones(4, 3, dtype=torch.bfloat16),
        "b": torch.ones(3),
        "s": torch.tensor(1.0),
        "none": torch.ones(0, 4),
        "whole": torch.ones(3, dtype=torch.int64),
        "expanded": torch.ones(1).expand(3),
        "sparse": torch.ones(3).to_sparse(),
        "meta": torch.ones(3, device="meta"),
        "text": "none",
    }
    return TensorFile(Path("x.pt"), tensors)


def test_sizes_that_agree_are_given(file):
    taken = file.take({"W": "n d", "V": "d n", "b": "n", "s": "", "x": "n"}, optional={"x"}, d=4)
    assert taken.keys() == {"W", "V", "b", "s"}


@pytest.mark.parametrize(
    ("shapes", "match"),
    [
        ({"W": "n d", "b": "d"}, r"b is float32 \[3\], where a float \[d = 4\]"),
        ({"W": "n"}, r"W is float32 \[3, 4\]"),
        ({"W": "n n"}, "W is"),
        ({"none": "n d"}, "none is"),
        ({"whole": "n"}, "whole is int64"),
        ({"W": "n d", "absent": "n"}, "lacks absent"),
        ({"expanded": "n"}, "expanded is no ordinary tensor"),
        ({"sparse": "n"}, "sparse is no ordinary tensor"),
        ({"meta": "n"}, "meta is no ordinary tensor"),
        ({"text": "n"}, "text is no ordinary tensor"),
    ],
)
def test_a_tensor_that_is_not_as_asked_for_is_named(shapes, match, file):
    with pytest.raises(ScopeError, match=match) as caught:
        file.take(shapes)
    assert "x.pt" in caught.value.message


def test_a_size_known_beforehand_is_held_to(file):
    with pytest.raises(ScopeError, match=r"\[n = 5\]"):
        file.take({"b": "n"}, n=5)


# ---- npz


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_are_read_as_numpy_wrote_them(save, tmp_path):
    path = tmp_path / "a.npz"
    save(path, **ARRAYS)
    found = npz_file(path).tensors
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name].numpy(), array)


def test_arrays_that_are_stored_as_they_are_are_mapped(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, W=np.ones((4096, 4096), np.float32))
    process = psutil.Process()
    before = process.memory_info().rss
    weights = npz_file(path).tensors["W"]
    assert process.memory_info().rss - before < 16 * 1024**2
    assert weights.shape == (4096, 4096)


@pytest.mark.parametrize(
    "array",
    [
        np.array([{"a": 1}], dtype=object),
        np.array(["text"]),
        np.ones(3, np.complex64),
        np.ones(3, ">f4"),
        np.ones(3, [("a", "f4")]),
        np.ones(3, "M8[s]"),
    ],
    ids=lambda array: str(array.dtype),
)
def test_arrays_of_anything_but_numbers_are_refused(array, tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, W=array)
    refused(npz_file, path, "plain numbers")


def header(text: str, version: bytes = b"\1\0") -> bytes:
    length = struct.pack("<H" if version == b"\1\0" else "<I", len(text))
    return b"\x93NUMPY" + version + length + text.encode()


GOOD_HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }\n"


def test_headers_of_both_versions_are_known(tmp_path):
    for version in (b"\1\0", b"\2\0"):
        path = npz_of(tmp_path / "a.npz", header(GOOD_HEADER, version) + bytes(12))
        assert npz_file(path).tensors["W"].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        header(GOOD_HEADER),
        header(GOOD_HEADER) + bytes(11),
        header(GOOD_HEADER) + bytes(13),
        header(GOOD_HEADER, b"\3\0") + bytes(12),
        header(GOOD_HEADER.replace("(3,)", "(99999999999, 99999999999)")) + bytes(12),
        header(GOOD_HEADER.replace("(3,)", "(-3,)")) + bytes(12),
        header(GOOD_HEADER.replace("3", "9" * 3000)) + bytes(12),
        header(GOOD_HEADER.replace("3", "__import__('os')")) + bytes(12),
        header(GOOD_HEADER[:-20]) + bytes(12),
        b"\x93NUMPY\1\0\xff\xff" + bytes(12),
    ],
    ids=range(12),
)
def test_a_malformed_header_is_refused(content, tmp_path):
    refused(npz_file, npz_of(tmp_path / "a.npz", content))


def test_an_archive_that_would_fill_the_memory_is_refused_before_it_does(tmp_path):
    bomb = npy(np.zeros(100_000_000, np.uint8).view(np.float32))
    path = npz_of(tmp_path / "a.npz", bomb, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1_000_000
    refused(npz_file, path, "unpack")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_of_packing_are_refused(method, tmp_path):
    refused(npz_file, npz_of(tmp_path / "a.npz", npy(ARRAYS["W"]), method))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_damaged_archive_is_refused_or_read_whatever_byte_is_wrong(save, tmp_path):
    path = tmp_path / "a.npz"
    save(path, W=ARRAYS["W"])
    good = path.read_bytes()
    draw = np.random.default_rng(0)
    for place in draw.integers(0, len(good), 200):
        content = bytearray(good)
        content[place] ^= int(draw.integers(1, 256))
        path.write_bytes(content)
        assert_read_or_refused(npz_file, path)
    for size in (0, 1, 30, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:size])
        refused(npz_file, path)


# ---- torch.save


class Malicious:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_and_plain_values_are_read_from_what_torch_saved(zipped, tmp_path):
    path = tmp_path / "a.pt"
    state = {"W": torch.ones(3, 4), "k": 5, "nested": {"text": "TopK"}}
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    found = torch_file(path)
    assert torch.equal(found["W"], state["W"])
    assert (found["k"], found["nested"]) == (5, {"text": "TopK"})


@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_code_is_never_run(zipped, tmp_path):
    path = tmp_path / "a.pt"
    torch.save({"W": Malicious(tmp_path / "run")}, path, _use_new_zipfile_serialization=zipped)
    refused(torch_file, path, "Python objects")
    assert not (tmp_path / "run").exists()


def test_a_plain_pickle_is_never_run(tmp_path):
    for protocol in (0, 2, 5):
        path = tmp_path / "a.pt"
        path.write_bytes(pickle.dumps(Malicious(tmp_path / "run"), protocol))
        refused(torch_file, path, "Python objects")
    assert not (tmp_path / "run").exists()


def rewritten(path: Path, change: Callable[[bytes], bytes], method: int) -> None:
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in contents.items():
            archive.writestr(name, change(content) if name.endswith("data.pkl") else content)


def test_packed_records_are_refused_since_they_may_be_a_bomb(tmp_path):
    path = tmp_path / "a.pt"
    torch.save({"W": torch.zeros(100_000)}, path)
    rewritten(path, bytes, zipfile.ZIP_DEFLATED)
    refused(torch_file, path, "not written by torch")


def test_a_shape_beyond_what_is_stored_takes_no_memory(tmp_path):
    path = tmp_path / "a.pt"
    torch.save({"W": torch.zeros(4)}, path)
    size = b"K\4"  # as pickled: first of the storage, then of the tensor
    huge = b"\x8a\5" + (10**10).to_bytes(5, "little")

    def change(content: bytes) -> bytes:
        head, _, tail = content.rpartition(size)
        return head + huge + tail

    rewritten(path, change, zipfile.ZIP_STORED)
    refused(torch_file, path)


def test_a_program_is_refused(tmp_path):
    path = tmp_path / "a.pt"
    torch.save({"W": torch.zeros(4)}, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a/constants.pkl", b"")
    refused(torch_file, path, "Python objects")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_damaged_file_of_torch_is_refused_or_read(zipped, tmp_path):
    path = tmp_path / "a.pt"
    torch.save({"W": torch.zeros(4)}, path, _use_new_zipfile_serialization=zipped)
    good = path.read_bytes()
    draw = np.random.default_rng(1)
    for place in draw.integers(0, len(good), 200):
        content = bytearray(good)
        content[place] ^= int(draw.integers(1, 256))
        path.write_bytes(content)
        assert_read_or_refused(torch_file, path)
    for size in (0, 1, 5, len(good) // 2, len(good) - 20):
        path.write_bytes(good[:size])
        refused(torch_file, path)


# ---- safetensors


def test_a_safetensors_file_is_mapped_with_its_metadata(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"W": torch.ones(4096, 4096)}, path, {"format": "pt"})
    process = psutil.Process()
    before = process.memory_info().rss
    found = safetensors_file(path)
    assert process.memory_info().rss - before < 16 * 1024**2
    assert (found.tensors["W"].shape, found.metadata) == ((4096, 4096), {"format": "pt"})


def entry(shape: list[int], start: int, end: int, dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize(
    ("header", "size"),
    [
        ({"W": entry([2, 2], 16, 32)}, 32),
        ({"W": entry([2, 2], 0, 16), "V": entry([2, 2], 8, 24)}, 24),
        ({"W": entry([2, 2], 0, 16), "V": entry([2, 2], 0, 16)}, 16),
        ({"W": entry([2, 2], 0, 16)}, 20),
        ({"W": entry([2, 2], 0, 16)}, 10),
        ({"W": entry([2, 3], 0, 16)}, 16),
        ({"W": entry([-2, -2], 0, 16)}, 16),
        ({"W": entry([2**40, 2**40], 0, 16)}, 16),
        ({"W": entry([2**33, 2**33], 0, 16)}, 16),
        ({"W": entry([2, 2], 0, 16, "STR")}, 16),
        ({"W": entry([2, 2], 0, 3, "F6_E2M3")}, 3),
        ({"W": entry([2, 2], 16, 0)}, 16),
        ({"__metadata__": {"a": 3}}, 0),
        ([], 0),
    ],
    ids=range(14),
)
def test_offsets_and_sizes_that_disagree_are_refused(header, size, tmp_path):
    text = json.dumps(header).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(size))
    refused(safetensors_file, path, "damaged")


@pytest.mark.parametrize("length", [0, 2**31, 2**62, 2**64 - 1])
def test_a_header_longer_than_the_file_is_refused(length, tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b"{}")
    refused(safetensors_file, path, "damaged")


# ---- links, and what is no file

READERS = [safetensors_file, npz_file, torch_file, json_object, yaml_object]


def link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.symlink_to(target)
    except OSError:
        pytest.skip("links are not allowed here")


def test_a_snapshot_s_links_to_blobs_are_followed(tmp_path):
    root = tmp_path / "models--google--gemma-scope-2b-pt-res"
    blob = root / "blobs" / "0123abcd"
    blob.parent.mkdir(parents=True)
    with blob.open("wb") as file:
        np.savez(file, **ARRAYS)
    path = root / "snapshots" / "77ff" / "layer_20" / "params.npz"
    link(path, Path("../../../blobs/0123abcd"))
    assert npz_file(path).tensors["W"].shape == (3, 4)
    assert repository_id(path) == "google/gemma-scope-2b-pt-res"
    assert names_of(path) == ("google", "gemma-scope-2b-pt-res", "layer_20", "params.npz")


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("cached", [False, True], ids=["plain", "cache"])
def test_a_link_out_of_its_folder_is_refused(cached, read, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("{}", "utf-8")
    folder = tmp_path / ("models--a--b/snapshots/77ff" if cached else "plain")
    link(folder / "file", secret)
    refused(read, folder / "file", "leads out of its folder")


def test_a_link_to_a_neighbour_and_a_folder_that_is_a_link_are_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.json").write_text('{"k": 5}', "utf-8")
    link(tmp_path / "real" / "b.json", Path("a.json"))
    link(tmp_path / "folder", tmp_path / "real")
    assert json_object(tmp_path / "folder" / "b.json").count("k") == 5


@pytest.mark.parametrize("read", READERS)
def test_a_folder_is_refused(read, tmp_path):
    refused(read, tmp_path, "no regular file")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such files")
@pytest.mark.parametrize("read", READERS)
def test_a_pipe_is_refused_without_waiting_for_it(read, tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    refused(read, path, "no regular file")


@pytest.mark.parametrize("read", READERS)
def test_what_is_missing_is_for_the_caller_to_say(read, tmp_path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "nowhere")


# ---- configurations


def test_values_are_given_by_type(tmp_path):
    path = tmp_path / "c.json"
    path.write_text(
        '{"k": 32.0, "s": "text", "f": true, "x": -1.5, "none": null, "nan": NaN,'
        ' "part": {"k": 7, "none": null}}',
        "utf-8-sig",
    )
    config = json_object(path)
    assert (config.count("k"), config.text("s"), config.number("x")) == (32, "text", -1.5)
    assert config.flag("f") is True
    assert (config.part("part").count("k"), len(config.part("absent"))) == (7, 0)
    assert "none" not in config
    assert "nan" not in config
    assert (config.count("absent", 3), config.text("none", "x")) == (3, "x")


@pytest.mark.parametrize(
    ("ask", "key", "value"),
    [
        (Config.count, "k", 0),
        (Config.count, "k", -3),
        (Config.count, "k", 2.5),
        (Config.count, "k", True),
        (Config.count, "k", "3"),
        (Config.count, "k", 10**400),
        (Config.text, "k", 3),
        (Config.flag, "k", 1),
        (Config.flag, "k", "true"),
        (Config.number, "k", "3"),
        (Config.number, "k", False),
        (Config.number, "k", 10**400),
        (Config.part, "k", [1]),
        (Config.count, "absent", 3),
    ],
)
def test_a_value_of_another_type_is_named(ask, key, value):
    with pytest.raises(ScopeError, match=key) as caught:
        ask(Config(Path("c.json"), {"k": value}), key)
    assert "c.json" in caught.value.message


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1]", "3", '{"a": 1, "a": 2}', "[" * 100_000, '{"a":' * 100_000, '{"a": "\xff"}',
     '{"a": ' + "9" * 5000 + "}", '{"a": "' + "x" * 5_000_000 + '"}'],
    ids=range(10),
)  # fmt: skip
def test_bad_json_is_refused(text, tmp_path):
    path = tmp_path / "c.json"
    path.write_text(text, "latin-1")
    refused(json_object, path)


def test_yaml_is_read(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("model: x/y\npart:\n  k: 5\n  nothing: ~\n", "utf-8")
    config = yaml_object(path)
    assert (config.text("model"), dict(config.part("part"))) == ("x/y", {"k": 5})


@pytest.mark.parametrize(
    "text",
    ["", "- 1", "1: 2", "a: {b", "a: 1\na: 2", "[" * 50_000, "a: &x [1]\nb: *x",
     "a: &x {b: 1}\nc:\n  <<: [*x, *x]", "a: !!python/object/apply:os.system [echo]",
     "? [a]\n: 1", "a: '" + "x" * 1_100_000 + "'"],
    ids=range(11),
)  # fmt: skip
def test_bad_yaml_is_refused_and_so_are_aliases(text, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(text, "utf-8")
    refused(yaml_object, path)

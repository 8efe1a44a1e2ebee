"""The user's folders and what was opened of late: kept, forgotten, damaged."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from desktop_scope import paths
from desktop_scope.errors import ScopeError
from desktop_scope.library.folders import (
    Recent,
    Shelf,
    add_folder,
    forget_folder,
    note_opened,
    read_shelf,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "Modèles de langue 語"
    folder.mkdir()
    return folder


def test_nothing_is_remembered_at_first():
    assert read_shelf() == Shelf()


def test_an_added_folder_is_remembered_once(folder):
    assert add_folder(folder).folders == (folder,)
    assert add_folder(folder).folders == (folder,)
    assert read_shelf().folders == (folder,)


def test_a_relative_folder_is_remembered_whole(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    assert add_folder(Path(folder.name)).folders == (folder,)
    assert forget_folder(Path(folder.name)).folders == ()


def test_a_forgotten_folder_stays_on_disk(folder):
    add_folder(folder)
    forget_folder(folder)
    assert read_shelf().folders == ()
    assert folder.is_dir()


def test_a_folder_that_is_gone_can_be_forgotten(folder):
    add_folder(folder)
    folder.rmdir()
    assert forget_folder(folder).folders == ()


def test_a_folder_that_is_not_there_cannot_be_added(tmp_path):
    file = tmp_path / "file"
    file.touch()
    for path in (tmp_path / "nothing", file):
        with pytest.raises(ScopeError, match=path.name):
            add_folder(path)


def test_a_folder_that_was_never_added_cannot_be_forgotten(folder, tmp_path):
    add_folder(folder)
    with pytest.raises(ScopeError) as caught:
        forget_folder(tmp_path)
    assert str(folder) in caught.value.hint


def test_the_recent_ones_are_latest_first_each_once_and_few(folder):
    add_folder(folder)
    opened = [Recent(Path(f"/models/{i}"), (Path("/saes/a"),)) for i in range(20)]
    for recent in (*opened, opened[15]):
        note_opened(recent)
    shelf = read_shelf()
    assert shelf.recent[:3] == (opened[15], opened[19], opened[18])
    assert len(shelf.recent) == len(set(shelf.recent)) == 12
    assert shelf.folders == (folder,)


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"\xff\xfe", b"[]", b'{"folders": 3}', b'{"folders": [3]}', b'{"recent": [{}]}',
     b"[" * 100_000],
    ids=lambda damage: damage[:20],
)  # fmt: skip
def test_a_damaged_file_counts_as_none_and_is_replaced(damage, folder):
    paths.config_dir().mkdir(parents=True)
    (paths.config_dir() / "library.json").write_bytes(damage)
    assert read_shelf() == Shelf()
    add_folder(folder)
    assert read_shelf().folders == (folder,)


def test_a_file_of_a_newer_version_keeps_what_we_know(folder):
    add_folder(folder)
    file = paths.config_dir() / "library.json"
    file.write_text(file.read_text("utf-8").replace("{", '{"colour": "green", ', 1), "utf-8")
    assert read_shelf().folders == (folder,)


def test_nothing_but_the_file_is_left_behind(folder):
    add_folder(folder)
    assert [path.name for path in paths.config_dir().iterdir()] == ["library.json"]


def test_a_path_that_is_no_text_is_refused_and_nothing_lost(folder, tmp_path):
    add_folder(folder)
    odd = Path(os.fsdecode(bytes(tmp_path) + b"/\xff"))
    odd.mkdir()
    with pytest.raises(ScopeError, match=r"library\.json"):
        add_folder(odd)
    assert read_shelf().folders == (folder,)


def test_a_file_that_cannot_be_written_is_told(folder, tmp_path, monkeypatch):
    (tmp_path / "blocked").touch()
    monkeypatch.setenv("DESKTOP_SCOPE_CONFIG", str(tmp_path / "blocked" / "below"))
    with pytest.raises(ScopeError) as caught:
        add_folder(folder)
    assert "DESKTOP_SCOPE_CONFIG" in caught.value.hint


def test_several_threads_may_read_at_once_from_the_first_time_on(tmp_path, monkeypatch):
    """Workers of the window do; a type that msgspec met first in two threads crashed Python."""
    monkeypatch.setenv("DESKTOP_SCOPE_CONFIG", str(tmp_path))
    note_opened(Recent(tmp_path / "model", (tmp_path / "sae",)))
    code = (
        "import sys, threading\n"
        "sys.setswitchinterval(1e-6)\n"
        "from desktop_scope import paths\n"
        "from desktop_scope.library import folders, pack, sae_memory\n"
        "barrier = threading.Barrier(8)\n"
        "def read():\n"
        "    barrier.wait()\n"
        "    folders.read_shelf(), pack.read_pack(paths.demo_pack()), sae_memory.load()\n"
        "threads = [threading.Thread(target=read) for _ in range(8)]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]\n"
    )
    for _ in range(6):
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

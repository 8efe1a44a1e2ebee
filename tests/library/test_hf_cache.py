"""Where the hub's cache is, and which snapshot in it counts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from small_library import hub

from desktop_scope.library.hf_cache import cache_root, repo_id, snapshot, snapshot_around

VARIABLES = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HOME")
PLACES = ("1", "2", "3/hub", "4/huggingface/hub", "5/.cache/huggingface/hub")


@pytest.mark.parametrize("first", range(5))
def test_the_first_variable_that_is_set_counts(first, tmp_path, monkeypatch):
    for number, variable in enumerate(VARIABLES):
        monkeypatch.setenv(variable, "" if number < first else str(tmp_path / str(number + 1)))
    assert cache_root() == tmp_path / PLACES[first]


def test_a_home_and_variables_within_a_variable_are_filled_in(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DISK", "big disk")
    monkeypatch.setenv("HF_HUB_CACHE", "~/$DISK")
    assert cache_root() == tmp_path / "big disk"


@pytest.mark.parametrize(
    ("folder", "repo"),
    [
        ("models--google--gemma-2-2b", "google/gemma-2-2b"),
        ("models--gpt2", "gpt2"),
        ("models--org--a--b", "org/a--b"),
    ],
)
def test_the_folder_tells_the_repository(folder, repo):
    assert repo_id(folder) == repo


def age(path: Path, seconds: int) -> None:
    os.utime(path, (1_700_000_000 - seconds,) * 2)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """Three snapshots, ``newest`` the last; refs/main names ``main``."""
    for number, commit in enumerate(("newest", "older", "main")):
        age(hub(tmp_path, "org/name", {"a": b"", commit: b""}, commit), number)
    return tmp_path / "models--org--name"


def test_the_snapshot_of_main_counts(repo):
    assert snapshot(repo) == repo / "snapshots" / "main"


@pytest.mark.parametrize("ref", ["gone", "", "../../..", "main/../older", "x" * 10_000, "\0", "é"])
def test_without_a_sensible_main_the_newest_counts(ref, repo):
    (repo / "refs" / "main").write_text(ref, "utf-8")
    assert snapshot(repo) == repo / "snapshots" / "newest"


def test_without_refs_the_newest_counts(repo):
    (repo / "refs" / "main").unlink()
    assert snapshot(repo) == repo / "snapshots" / "newest"


def test_a_repository_without_snapshots_has_none(tmp_path):
    (tmp_path / "models--org--empty" / "refs").mkdir(parents=True)
    (tmp_path / "models--org--begun" / "snapshots").mkdir(parents=True)
    assert snapshot(tmp_path / "models--org--empty") is None
    assert snapshot(tmp_path / "models--org--begun") is None


def test_a_path_within_a_snapshot_knows_its_repository(repo):
    base = repo / "snapshots" / "older"
    assert snapshot_around(base) == ("org/name", base)
    assert snapshot_around(base / "layer_3" / "params.npz") == ("org/name", base)
    assert snapshot_around(repo) is None
    assert snapshot_around(repo / "snapshots") is None

"""Where the Hugging Face hub keeps what it downloaded, and which version of it counts.

Layout: ``models--ORG--NAME/{refs/main, snapshots/COMMIT/…, blobs/HASH}``; the files of a snapshot
are links into blobs, or the files themselves on systems without links.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

REPO_PREFIX = "models--"
OTHER_PREFIXES = ("datasets--", "spaces--", "kernels--")

_COMMIT = re.compile(r"[\w-]+")
_COMMIT_BYTES = 200  # bounds the reading of a damaged ref


def cache_root() -> Path:
    """The hub's folder, found as huggingface_hub finds it; it may not exist."""
    for variable, below in (
        ("HF_HUB_CACHE", ""),
        ("HUGGINGFACE_HUB_CACHE", ""),
        ("HF_HOME", "hub"),
        ("XDG_CACHE_HOME", "huggingface/hub"),
    ):
        if value := os.environ.get(variable):
            return Path(os.path.expandvars(value)).expanduser() / below
    return Path.home() / ".cache/huggingface/hub"


def repo_id(folder_name: str) -> str:
    """``org/name`` of a folder ``models--org--name``; some names have no org."""
    return folder_name.removeprefix(REPO_PREFIX).replace("--", "/", 1)


def snapshot(repo: Path) -> Path | None:
    """The snapshot that counts: the one that refs/main names, else the newest.

    Raises:
        OSError: The folder may not be read.
    """
    folder = repo / "snapshots"
    if not folder.is_dir():
        return None
    if (main := folder / _main_commit(repo)) != folder and main.is_dir():
        return main
    found = [path for path in folder.iterdir() if path.is_dir()]
    return max(found, key=lambda path: (path.stat().st_mtime_ns, path.name), default=None)


def _main_commit(repo: Path) -> str:
    """The commit that refs/main names; empty without a sensible one."""
    try:
        with (repo / "refs" / "main").open("rb") as file:
            commit = file.read(_COMMIT_BYTES).decode("utf-8", "replace").strip()
    except OSError:
        return ""
    return commit if _COMMIT.fullmatch(commit) else ""


def snapshot_around(path: Path) -> tuple[str, Path] | None:
    """Repository id and snapshot folder that a path lies in; None outside of any."""
    for place in (path, *path.parents):
        repo = place.parent.parent
        if place.parent.name == "snapshots" and repo.name.startswith(REPO_PREFIX):
            return repo_id(repo.name), place
    return None

"""SHA-256 of big files; a file that has not changed is hashed once only."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from desktop_scope import paths
from desktop_scope.errors import ScopeError
from desktop_scope.library.callbacks import Check, Progress, never, silent

_CHUNK = 4 << 20


def sha256_of(path: Path, progress: Progress = silent, check: Check = never) -> str:
    """The file's SHA-256 in hex, remembered by path, size and time of change.

    Raises:
        ScopeError: The file cannot be read.
    """
    try:
        stat = path.stat()
        known, state = _load(), [stat.st_size, stat.st_mtime_ns]
        entry = known.get(str(path.resolve()), {})
        if entry.get("state") == state:
            return str(entry["sha256"])
        digest = _hash(path, stat.st_size, progress, check)
    except OSError as error:
        raise ScopeError(
            f"The file {path} cannot be read: {error.strerror}.",
            "Check that it exists and that you may read it.",
        ) from error
    _save(known | {str(path.resolve()): {"state": state, "sha256": digest}})
    return digest


def _hash(path: Path, size: int, progress: Progress, check: Check) -> str:
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            check()
            digest.update(chunk)
            done += len(chunk)
            progress(done, size, f"Checking {path.name}")
    return digest.hexdigest()


def _memory() -> Path:
    return paths.cache_dir() / "checksums.json"


def _load() -> dict[str, Any]:
    try:
        known = json.loads(_memory().read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _save(known: dict[str, Any]) -> None:
    # Only a saving of time: where it cannot be kept, the file is hashed again.
    with contextlib.suppress(OSError):
        _memory().parent.mkdir(parents=True, exist_ok=True)
        part = _memory().with_name(f"{_memory().name}.{os.getpid()}.part")
        part.write_text(json.dumps(known, indent=1), "utf-8")
        part.replace(_memory())

"""The model of the demo pack, ready to be loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from desktop_scope import paths
from desktop_scope.errors import ScopeError
from desktop_scope.library.callbacks import Check, Progress, never, silent
from desktop_scope.library.gguf_file import FILE, VARIABLE, downloads, find_gguf
from desktop_scope.library.model_cache import cached_model, ensure_model


def demo_sha256() -> str:
    """The SHA-256 of the GGUF file for which the demo pack was made."""
    pack = json.loads((paths.demo_pack() / "pack.json").read_text("utf-8"))
    return str(pack["model"]["gguf_sha256"])


def demo_model(
    progress: Progress = silent,
    check: Check = never,
    find: Callable[[str, Progress, Check], Path | None] = find_gguf,
) -> Path:
    """The folder of the demo model; found and converted when this is the first time.

    Args:
        progress: Told how far the work is.
        check: Asked whether to stop.
        find: Where the GGUF file comes from; ``fetch_gguf`` downloads it if need be.

    Raises:
        ScopeError: No such model on this machine, or it cannot be converted.
        Cancelled: ``check`` said so.
    """
    sha256 = demo_sha256()
    if folder := cached_model(sha256):
        return folder
    if gguf := find(sha256, progress, check):
        return ensure_model(gguf, sha256, progress, check)
    raise ScopeError(
        "The demo model is not on this machine yet.",
        "Get it with: desktop-scope demo --fetch-only. "
        f"Or put {FILE} into {downloads()}, or name it in {VARIABLE}.",
    )

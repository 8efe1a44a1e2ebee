"""The model that a pack belongs to, ready to be loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from desktop_scope import paths
from desktop_scope.errors import ScopeError
from desktop_scope.library.callbacks import Check, Progress, never, silent
from desktop_scope.library.gguf_file import FILE, VARIABLE, downloads, find_gguf
from desktop_scope.library.model_cache import cached_model, ensure_model
from desktop_scope.library.pack import Pack, read_pack


def demo_sha256() -> str:
    """The SHA-256 of the GGUF file for which the demo pack was made."""
    return read_pack(paths.demo_pack()).model.gguf_sha256


def demo_model(
    progress: Progress = silent,
    check: Check = never,
    find: Callable[[str, Progress, Check], Path | None] = find_gguf,
) -> Path:
    """The folder of the demo pack's model; see ``model_of``."""
    return model_of(read_pack(paths.demo_pack()), progress, check, find)


def model_of(
    pack: Pack,
    progress: Progress = silent,
    check: Check = never,
    find: Callable[[str, Progress, Check], Path | None] = find_gguf,
) -> Path:
    """The folder of a pack's model; found and converted when this is the first time.

    Args:
        pack: Names the model by the SHA-256 of its GGUF file.
        progress: Told how far the work is.
        check: Asked whether to stop.
        find: Where the GGUF file comes from; ``fetch_gguf`` downloads it if need be.

    Raises:
        ScopeError: No such model on this machine, or it cannot be converted.
        Cancelled: ``check`` said so.
    """
    sha256 = pack.model.gguf_sha256
    if folder := cached_model(sha256):
        return folder
    if gguf := find(sha256, progress, check):
        return ensure_model(gguf, sha256, progress, check)
    raise ScopeError(
        f"The model {pack.model.id} is not on this machine yet.",
        "Get it, if it is the demo model, with: desktop-scope demo --fetch-only. "
        f"Or put {FILE} into {downloads()}, or name it in {VARIABLE}.",
    )

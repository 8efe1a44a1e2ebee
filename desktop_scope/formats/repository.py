"""Where a file lies: inside which Hugging Face repository, and what that place is called."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from desktop_scope.errors import ScopeError

_SNAPSHOTS = "snapshots"


def cache_root(path: Path) -> Path | None:
    """The ``models--org--name`` folder of a Hugging Face cache around a path; None outside one."""
    parents = path.absolute().parents
    for snapshots, root in pairwise(parents):
        if snapshots.name == _SNAPSHOTS and root.name.startswith("models--"):
            return root
    return None


def repository_id(path: Path) -> str | None:
    """``org/name`` of the cached repository that holds a path; None outside a cache."""
    root = cache_root(path)
    return root.name.removeprefix("models--").replace("--", "/", 1) if root else None


def names_of(path: Path) -> tuple[str, ...]:
    """The names on the way to a path, outermost first; below ``org`` and ``name`` in a cache."""
    path = path.absolute()
    root = cache_root(path)
    if root is None:
        return path.parts[1:]
    inside = path.relative_to(root / _SNAPSHOTS).parts[1:]  # without the commit
    return (*(repository_id(path) or "").split("/"), *inside)


def regular_file(path: Path) -> Path:
    """The file that a path leads to.

    Links are followed within the repository's folder of a Hugging Face cache, which is made of
    them (snapshots point to blobs). Elsewhere a link may only lead to a file in the same folder
    or below it, so that what was downloaded cannot point at something else on this machine.

    Raises:
        ScopeError: It is no regular file, or a link that leads elsewhere.
        OSError: It is missing or unreadable.
    """
    real = path.resolve(strict=True)
    if not real.is_file():
        raise ScopeError(f"{path} cannot be read: it is no regular file.", "Choose another file.")
    if not real.is_relative_to((cache_root(path) or path.parent).resolve()):
        raise ScopeError(
            f"{path} is a link that leads out of its folder, to {real}.",
            "Open the file that it leads to, or put a copy in its place.",
        )
    return real

"""What is remembered of SAE files, so that a second listing opens nothing and needs no torch.

Kept in one file in the cache; worthless after a change of the program, when all is read anew.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

import desktop_scope
from desktop_scope import paths
from desktop_scope.library.entries import SaeDetails
from desktop_scope.library.parts import part_of

_FORMATS = Path(desktop_scope.__file__).parent / "formats"


class Pattern(NamedTuple):
    """Which file names one format goes by, and whether the "file" or its "folder" is opened."""

    format: str
    opens: str
    files: tuple[str, ...]


class Known(msgspec.Struct, frozen=True):
    """What a path holds; valid while the state of its files is the same.

    Attributes:
        saes: Empty for what is no SAE, though its name does not say so.
    """

    state: tuple[int, ...]
    saes: tuple[SaeDetails, ...]


class SaeMemory(msgspec.Struct):
    """All that is remembered.

    Attributes:
        reader: The state of the program that read it.
        patterns: Of every format.
        known: By the path that is opened, as text.
    """

    reader: str
    patterns: tuple[Pattern, ...] = ()
    known: dict[str, Known] = {}


# Made here, once: two threads that first meet a type of msgspec at the same time crash it.
_MEMORY = msgspec.json.Decoder(SaeMemory)


def load() -> SaeMemory:
    """What is remembered; nothing when another version of the program wrote it."""
    fresh = SaeMemory(_reader())
    try:
        memory = _MEMORY.decode(_file().read_bytes())
    except (OSError, ValueError, msgspec.MsgspecError):
        return fresh
    return memory if memory.reader == fresh.reader else fresh


def save(memory: SaeMemory) -> None:
    """Keep it; things that are gone are forgotten."""
    memory.known = {path: known for path, known in memory.known.items() if Path(path).exists()}
    # Only a saving of time: where it cannot be kept, all is read again.
    with contextlib.suppress(OSError):
        part = part_of(_file())
        part.write_bytes(msgspec.json.encode(memory))
        part.replace(_file())


def state_of(path: Path) -> tuple[int, ...]:
    """Number, sizes and times of change of an SAE's files; any change alters it."""
    try:
        stats = [file.stat() for file in _files(path)]
    except OSError:
        return ()
    times = [time for stat in stats for time in (stat.st_mtime_ns, stat.st_ctime_ns)]
    return (len(stats), sum(stat.st_size for stat in stats), max(times, default=0))


def _files(path: Path) -> Iterator[Path | os.DirEntry[str]]:
    """The file itself; of a folder its files and those one folder below (``checkpoints``)."""
    if not path.is_dir():
        yield path
        return
    for entry in os.scandir(path):
        if entry.is_file():
            yield entry
        elif entry.is_dir(follow_symlinks=False):
            yield from (inner for inner in os.scandir(entry) if inner.is_file())


def _file() -> Path:
    return paths.cache_dir() / "saes.json"


def _reader() -> str:
    """The version, and in a checkout the times at which the formats' code was changed."""
    changed = sorted(f"{path.name} {path.stat().st_mtime_ns}" for path in _FORMATS.glob("*.py"))
    return "; ".join((desktop_scope.__version__, *changed))

"""Which files are SAEs, going by their names; where a name says nothing, by their headers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase, translate
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType

from desktop_scope.errors import ScopeError
from desktop_scope.library import sae_memory
from desktop_scope.library.entries import as_text
from desktop_scope.library.sae_memory import Known, Pattern, SaeMemory, state_of

# How transformers, PEFT and diffusers call their weights; the damaged ones are not ours to list.
_OTHERS_WEIGHTS = re.compile(r"((adapter|diffusion_pytorch|pytorch)_)?model\b.*")


@dataclass(frozen=True)
class Candidate:
    """What may be opened: the formats that claim it, and the files by which they do."""

    formats: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)


class Recogniser:
    """Knows the file names of every format, from the first time that it is asked."""

    def __init__(self) -> None:
        self._learnt = False

    @cached_property
    def _memory(self) -> SaeMemory:
        memory = sae_memory.load()
        if not memory.patterns:
            memory.patterns = _read_patterns()
            self._learnt = True
        return memory

    @cached_property
    def _any(self) -> re.Pattern[str]:
        """One look at a name decides for nearly all files, which are something else."""
        names = (name for pattern in self._memory.patterns for name in pattern.files)
        return re.compile("|".join(map(translate, names)))

    def candidates(self, folder: Path, names: Iterable[str]) -> dict[Path, Candidate]:
        """What may be opened among the files of a folder, or the folder itself."""
        found: dict[Path, Candidate] = {}
        for name in names:
            if self._any.match(name) and (way := self._way(folder, name)):
                path, formats = way
                candidate = found.setdefault(path, Candidate())
                candidate.formats.update(formats)
                candidate.files.add(name)
        return found

    def remember(self) -> None:
        """Keep what was learnt for the next time."""
        if self._learnt:
            sae_memory.save(self._memory)

    def _way(self, folder: Path, name: str) -> tuple[Path, list[str]] | None:
        """What to open because of one file, and the formats that would."""
        ways: dict[Path, list[str]] = {}
        telling: dict[Path, None] = {}
        for pattern in self._memory.patterns:
            for file in pattern.files:
                tells = not file.startswith("*.")  # otherwise it may be anybody's
                if fnmatchcase(name, file) and (tells or not _OTHERS_WEIGHTS.match(name)):
                    path = folder if pattern.opens == "folder" else folder / name
                    ways.setdefault(path, []).append(pattern.format)
                    if tells:
                        telling[path] = None
        paths = list(telling or ways)
        if len(telling) != 1:  # the file's contents decide
            paths = [path for path in paths if self._opens(path, ways[path])] or list(telling)
        return (paths[0], ways[paths[0]]) if paths else None

    def _opens(self, path: Path, formats: Collection[str]) -> bool:
        """Whether one of the formats is the right one, or damage keeps us from knowing."""
        state = state_of(path)
        known = self._memory.known.get(as_text(path))
        if known is None or known.state != state:
            if _matches(path, formats):
                return True
            known = self._memory.known[as_text(path)] = Known(state, ())
            self._learnt = True
        return bool(known.saes)


def _matches(path: Path, names: Collection[str]) -> bool:
    try:
        return any(one.match(path) for one in formats().LOADERS if one.NAME in names)
    except (OSError, ScopeError):
        return True  # reading its details will tell what is wrong


def _read_patterns() -> tuple[Pattern, ...]:
    return tuple(Pattern(one.NAME, one.OPENS, tuple(one.FILES)) for one in formats().LOADERS)


@cache
def formats() -> ModuleType:
    """The formats, loaded when a file must be looked into: they need torch, which takes seconds.

    A window that is open stays fluid meanwhile.
    """
    from desktop_scope.engine.devices import import_torch

    import_torch()
    from desktop_scope import formats

    return formats

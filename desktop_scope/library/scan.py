"""Walks through folders and finds models, SAEs and packs by names, small files and headers.

What is left out: names that begin with a dot (``.cache``, ``.no_exist``, unfinished work), files
that are ``*.incomplete``, links that lead nowhere, links to folders (so no loops), snapshots of
the hub that do not count, the parts of diffusion pipelines, and what lies very deep.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from desktop_scope.library import hf_cache
from desktop_scope.library.callbacks import Check, Progress, never, silent
from desktop_scope.library.entries import (
    Library,
    ModelEntry,
    PackEntry,
    SaeEntry,
    as_text,
    counting_order,
)
from desktop_scope.library.model_files import Files, gguf_model, model_in
from desktop_scope.library.pack_files import pack_in
from desktop_scope.library.recognising import Recogniser

Partial = Callable[[Callable[[], Any]], None]
"""Called with a function that makes the Library found so far."""

_SHOWN_EVERY_S = 0.5
_DEPTH = 12  # folders below a root; below a snapshot it is counted anew
_LEFT_OUT = (".", *hf_cache.OTHER_PREFIXES)  # beginnings of names


def unheard(payload: Callable[[], Any]) -> None:
    """Show nothing of a result under way."""


def scan(
    roots: Iterable[Path],
    check: Check = never,
    progress: Progress = silent,
    partial: Partial = unheard,
) -> Library:
    """Find what lies in the roots and below; a folder in several of them is found once.

    Args:
        roots: Folders; of a hub's cache the whole or any part.
        check: Asked whether to stop.
        progress: Told the number of folders looked into.
        partial: Offered what was found so far.

    Raises:
        Cancelled: ``check`` said so.
    """
    walk, shown = _Walk(check), time.monotonic()
    for root in roots:
        for place in walk.through(_start(root)):
            progress(len(walk.seen), 0, f"Looking through {place.path}")
            if time.monotonic() - shown > _SHOWN_EVERY_S:  # it is sorted anew each time
                partial(walk.library)
                shown = time.monotonic()
    walk.recogniser.remember()
    return walk.library()


@dataclass(frozen=True)
class _Place:
    """A folder to look into.

    Attributes:
        repo: What the things in it belong to: a repository's id, or the name of the root.
        base: The folder of the repo.
        is_repo: Whether ``repo`` is an id.
    """

    path: Path
    repo: str
    base: Path
    is_repo: bool = False
    depth: int = 0

    def below(self, name: str) -> _Place:
        return _Place(self.path / name, self.repo, self.base, self.is_repo, self.depth + 1)

    def name_of(self, path: Path) -> str:
        """What a path is called within the repo."""
        return "" if path == self.base else as_text(path.relative_to(self.base).as_posix())

    def id_of(self, path: Path) -> str:
        """The repo, and the path within it if it is not the repo's own folder."""
        return "/".join(filter(None, (self.repo, self.name_of(path))))


def _start(root: Path) -> _Place:
    root = root.absolute()
    if around := hf_cache.snapshot_around(root):
        repo, base = around
        return _Place(root, repo, base, is_repo=True)
    return _Place(root, as_text(root.name or root), root)


class _Walk:
    """What was found so far."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self.recogniser = Recogniser()
        self._models: list[ModelEntry] = []
        self._saes: list[SaeEntry] = []
        self._packs: list[PackEntry] = []
        self._unreadable: list[Path] = []
        self._links: list[Path] = []
        self.seen: set[tuple[int, int]] = set()  # device and inode of folders

    def library(self) -> Library:
        return Library(
            tuple(sorted(self._models, key=lambda m: (counting_order(m.id), m.path))),
            tuple(sorted(self._saes, key=lambda s: (counting_order(s.id), s.path))),
            tuple(sorted(self._packs, key=lambda p: (counting_order(p.id), p.path))),
            tuple(self._unreadable),
            tuple(self._links),
        )

    def through(self, start: _Place) -> Iterator[_Place]:
        """Look into a folder and all below, in the order of their names."""
        todo = [start]
        while todo:
            place = todo.pop()
            try:
                below = self._look_into(place)
            except OSError:
                self._unreadable.append(place.path)
                continue
            todo.extend(reversed(below))
            yield place

    def _look_into(self, place: _Place) -> list[_Place]:
        """Note what a folder holds; returns the folders below that are worth a look."""
        path = place.path
        if path.name.startswith(hf_cache.REPO_PREFIX):
            base = hf_cache.snapshot(path)
            return [_Place(base, hf_cache.repo_id(path.name), base, is_repo=True)] if base else []
        stat = path.stat()
        if (stat.st_dev, stat.st_ino) in self.seen:
            return []
        self.seen.add((stat.st_dev, stat.st_ino))
        files, folders = self._listing(path)
        if "model_index.json" in files:
            return []
        if "pack.json" in files and (found := pack_in(path)):
            self._packs.append(found[0])
            self._saes.extend(found[1])
            return []
        self._note_models(place, files)
        return [place.below(name) for name in folders] if place.depth < _DEPTH else []

    def _listing(self, folder: Path) -> tuple[Files, list[str]]:
        files: dict[str, os.DirEntry[str]] = {}
        folders: list[str] = []
        with os.scandir(folder) as entries:
            for entry in entries:
                self._check()
                if entry.name.startswith(_LEFT_OUT) or entry.name.endswith(".incomplete"):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                    continue
                with contextlib.suppress(OSError):  # a link that leads to itself, or is locked away
                    if entry.is_file():
                        files[entry.name] = entry
                    elif entry.is_dir():
                        self._links.append(Path(entry.path))
        return files, sorted(folders)

    def _note_models(self, place: _Place, files: Files) -> None:
        path = place.path
        for name in files:
            if name.lower().endswith(".gguf"):
                file = path / name
                named = place.id_of(file) if place.is_repo else as_text(file.stem)
                if model := gguf_model(file, files, named):
                    self._models.append(model)
        named = place.id_of(path) if place.is_repo else as_text(path.name or path)
        if model := model_in(path, files, named):
            self._models.append(model)
        else:
            self._note_saes(place, files)

    def _note_saes(self, place: _Place, files: Files) -> None:
        for path, candidate in self.recogniser.candidates(place.path, files).items():
            self._saes.append(
                SaeEntry(
                    path=path,
                    repo=place.repo,
                    name=place.name_of(path if path == place.path else path.with_suffix("")),
                    formats=tuple(sorted(candidate.formats)),
                    bytes=sum(files[name].stat().st_size for name in candidate.files),
                )
            )

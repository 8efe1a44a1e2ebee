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

from safetensors import SafetensorError

from desktop_scope.engine.sae_weights import SaeWeights
from desktop_scope.errors import ScopeError
from desktop_scope.formats import compact

LOADERS: tuple[ModuleType, ...] = (compact,)


def recognised(file_name: str) -> list[ModuleType]:
    """The formats of which a file of this name may be a part."""
    return [
        loader
        for loader in LOADERS
        if any(fnmatchcase(file_name, pattern) for pattern in loader.FILES)
    ]


def format_of(path: Path) -> ModuleType:
    """The one format that a file or folder is in.

    Raises:
        ScopeError: It is missing, unreadable, or in none or several of the known formats.
    """
    if not path.exists():
        raise ScopeError(f"There is no SAE file {path}.", "Check the path, or install again.")
    try:
        matches = [loader for loader in LOADERS if loader.match(path)]
    except OSError as error:
        message = f"The file {path} cannot be read: {error}."
        raise ScopeError(message, "Check that it is a file, and its permissions.") from error
    if len(matches) == 1:
        return matches[0]
    if matches:
        names = " and ".join(loader.NAME for loader in matches)
        raise ScopeError(f"{path} looks like {names} at once.", "Keep only one SAE in that folder.")
    known = ", ".join(loader.NAME for loader in LOADERS)
    raise ScopeError(f"{path.name} is not an SAE that we can read.", f"Known formats: {known}.")


def open_sae(path: Path) -> tuple[SaeWeights, ...]:
    """Open an SAE file or folder in whichever format it is.

    Raises:
        ScopeError: It is missing, damaged, or in none or several of the known formats.
    """
    try:
        weights: tuple[SaeWeights, ...] = format_of(path).open(path)
    except SafetensorError as error:
        message = f"The file {path} is damaged or cut short ({error})."
        raise ScopeError(message, "Get it again.") from error
    except OSError as error:
        message = f"The file {path} cannot be read: {error}."
        raise ScopeError(message, "Check that it is a file, and its permissions.") from error
    return weights

"""SAE files on disk: one module per format, each with ``match(path)`` and ``open(path)``."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError

from desktop_scope.engine.sae import SaeWeights
from desktop_scope.errors import ScopeError
from desktop_scope.formats import compact

LOADERS = (compact,)


def open_sae(path: Path) -> SaeWeights:
    """Open an SAE file in whichever format it is.

    Raises:
        ScopeError: It is missing, damaged, or in none or several of the known formats.
    """
    if not path.exists():
        raise ScopeError(f"There is no SAE file {path}.", "Check the path, or install again.")
    try:
        matches = [loader for loader in LOADERS if loader.match(path)]
        if len(matches) == 1:
            weights: SaeWeights = matches[0].open(path)
            return weights
    except SafetensorError as error:
        message = f"The file {path} is damaged or cut short ({error})."
        raise ScopeError(message, "Get it again.") from error
    except OSError as error:
        message = f"The file {path} cannot be read: {error}."
        raise ScopeError(message, "Check that it is a file, and its permissions.") from error
    known = ", ".join(loader.NAME for loader in LOADERS)
    raise ScopeError(f"{path.name} is not an SAE that we can read.", f"Known formats: {known}.")

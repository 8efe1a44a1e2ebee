"""Where things are: shipped resources, and this user's folders."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import platformdirs

from desktop_scope.errors import ScopeError

_APP = "desktop-scope"


def resources() -> Path:
    """The shipped resources, from a frozen bundle, an installed wheel or a checkout.

    Raises:
        ScopeError: The installation is incomplete.
    """
    package = Path(__file__).resolve().parent
    frozen = Path(getattr(sys, "_MEIPASS", package)) / "resources"
    for folder in (frozen, package / "resources", package.parent / "resources"):
        if folder.is_dir():
            return folder
    raise ScopeError(
        "The resources folder of Desktop Scope is missing.",
        "Install it again, or start it from a complete checkout.",
    )


def demo_pack() -> Path:
    """The demo pack: SAEs for every layer of SmolLM2-135M-Instruct, with evidence."""
    return resources() / "demo"


def _user_folder(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or default)


def cache_dir() -> Path:
    """Things that can be made again: converted models, the label index."""
    return _user_folder("DESKTOP_SCOPE_CACHE", platformdirs.user_cache_dir(_APP, appauthor=False))


def data_dir() -> Path:
    """What this user made and nothing can make again: labels, notes, stars, lists."""
    return _user_folder("DESKTOP_SCOPE_DATA", platformdirs.user_data_dir(_APP, appauthor=False))


def config_dir() -> Path:
    """This user's settings."""
    return _user_folder("DESKTOP_SCOPE_CONFIG", platformdirs.user_config_dir(_APP, appauthor=False))

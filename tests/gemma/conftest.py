"""Gemma 3 270M from a GGUF file that the environment names, and SAEs trained on it.

Neither the model nor anything derived from it is part of this project (Gemma Terms of Use).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import train

VARIABLE = "DESKTOP_SCOPE_TEST_GEMMA"


@pytest.fixture(scope="session")
def gguf() -> Path:
    """The model's file."""
    named = os.environ.get(VARIABLE)
    if not named:
        pytest.skip(f"{VARIABLE} names no GGUF file of Gemma 3 270M")
    return Path(named)


@pytest.fixture(scope="session")
def saes(gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of SAEs, trained in a minute or two."""
    folder = tmp_path_factory.mktemp("gemma") / "gemma-scope-2-270m-pt"
    train.train(gguf, folder)
    return folder

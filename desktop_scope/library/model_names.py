"""What a model on disk is called."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from desktop_scope import paths
from desktop_scope.library import hf_cache
from desktop_scope.library.gguf_file import FILE
from desktop_scope.library.model_cache import MANIFEST, model_folder
from desktop_scope.library.pack import PackModel, read_pack


@cache
def _demo_model() -> PackModel:
    return read_pack(paths.demo_pack()).model


def known_name(path: Path) -> str:
    """The id of the demo model, converted or not, or the file that another one was made of.

    Empty for a model that is neither.
    """
    demo = _demo_model()
    home = model_folder(demo.gguf_sha256)
    if path.name == FILE or (path.parent == home.parent and path.name.startswith(home.name)):
        return demo.id
    try:
        return str(json.loads((path / MANIFEST).read_text("utf-8"))["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def name_of(path: Path) -> str:
    """Hugging Face id where it is known, else the name of the folder or file."""
    around = hf_cache.snapshot_around(path)
    own = path.stem if path.suffix.lower() == ".gguf" else path.name
    return known_name(path) or (around[0] if around else own)

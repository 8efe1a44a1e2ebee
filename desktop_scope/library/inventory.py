"""What is on this machine, found without loading any weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from desktop_scope import paths
from desktop_scope.errors import ScopeError
from desktop_scope.library.pack import read_pack


def models() -> list[dict[str, Any]]:
    """Models converted into this user's cache."""
    found = []
    for config_file in sorted((paths.cache_dir() / "models").glob("*/config.json")):
        folder = config_file.parent
        try:
            config = json.loads(config_file.read_text("utf-8"))
            found.append(
                {
                    "id": _name(folder),
                    "path": str(folder),
                    "architecture": config["architectures"][0],
                    "n_layers": config["num_hidden_layers"],
                    "d_model": config["hidden_size"],
                    "bytes": sum(f.stat().st_size for f in folder.glob("*.safetensors")),
                }
            )
        except (OSError, ValueError, LookupError, TypeError):
            continue  # not a whole model; a listing is no place to complain
    return found


def _name(folder: Path) -> str:
    """The model's id where a pack was made for it, else the folder's name."""
    pack = read_pack(paths.demo_pack()).model
    return pack.id if folder.name.startswith(pack.gguf_sha256) else folder.name


def packs() -> list[dict[str, Any]]:
    """Packs that ship with the program."""
    folder = paths.demo_pack()
    pack = read_pack(folder)
    return [
        {
            "id": pack.name,
            "path": str(folder),
            "model": pack.model.id,
            "n_saes": len(pack.sae_files(folder)),
            "n_features": pack.model.n_layers * pack.saes.d_sae,
        }
    ]


def saes() -> list[dict[str, Any]]:
    """SAEs of the packs.

    Raises:
        ScopeError: One of them is missing or damaged.
    """
    folder = paths.demo_pack()
    return [_sae(path) for path in read_pack(folder).sae_files(folder)]


def _sae(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="numpy") as file:
            meta = file.metadata()
            return {
                "id": f"{path.parents[1].name}/{path.stem}",
                "path": str(path),
                "format": meta["format"],
                "hook_name": meta["hook_name"],
                "layer": int(meta["layer"]),
                "d_in": int(meta["d_in"]),
                "d_sae": int(meta["d_sae"]),
                "architecture": meta["architecture"],
            }
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ScopeError(f"The SAE file {path} is damaged: {error}.", "Install again.") from error

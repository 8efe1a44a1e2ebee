"""By what marks find their SAE again, wherever its file lies."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from desktop_scope.engine.engine import Engine
from desktop_scope.evidence.own import evidence_key
from desktop_scope.library.pack import Pack


def mark_key(engine: Engine, slot: int, pack: tuple[Pack, Path] | None = None) -> str:
    """Names an open SAE by its content: of a pack by the pack and the file, else by its numbers."""
    if pack is None:
        return evidence_key(engine.saes[slot].weights, engine.model.info)
    about, file = pack
    parts = (about.name, about.model.gguf_sha256, about.saes.d_sae, file.stem)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def described(engine: Engine, slot: int) -> str:
    """The same for people, and for programs that do not know the key: JSON."""
    info = engine.infos[slot]
    return json.dumps(
        {
            "model": engine.model.info.id,
            "sae_name": info.name,
            "layer": info.layer,
            "hook_name": info.hook_out,
            "d_sae": info.d_sae,
        }
    )

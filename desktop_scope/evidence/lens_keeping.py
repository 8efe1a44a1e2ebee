"""Tuned lenses on disk, one for each model: fitting one takes a while."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from desktop_scope import paths
from desktop_scope.engine.lenses import LensFit
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.tuned_lens import TunedLens
from desktop_scope.library.parts import part_of

_FORMAT = "desktop-scope-tuned-lens/1"
_HASHED_ROWS = 256  # of the unembedding
_WEIGHTS = ("*.safetensors", "*.bin", "*.gguf", "config.json")


def key_of(model: LanguageModel) -> str:
    """Names a model: by its files, and by some of its numbers."""
    info = model.info
    path = Path(info.path)
    files = [path] if path.is_file() else sorted(f for kind in _WEIGHTS for f in path.glob(kind))
    stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    about = (_FORMAT, info.id, info.n_layers, info.d_model, info.vocab_size, info.dtype, stats)
    key = hashlib.sha256(repr(about).encode())
    rows = torch.linspace(0, len(model.W_U) - 1, min(len(model.W_U), _HASHED_ROWS)).long()
    key.update(model.W_U[rows.to(model.W_U.device)].float().cpu().numpy().tobytes())
    return key.hexdigest()[:32]


def keep(model: LanguageModel, lens: TunedLens, fit: LensFit) -> None:
    """Write a lens; where the disk is full, it is fitted again another time."""
    about = {"format": _FORMAT, "fit": json.dumps(asdict(fit)), "used": json.dumps(lens.used)}
    with contextlib.suppress(OSError):
        part = part_of(_place(model))
        save_file({"maps": lens.maps.numpy().astype(np.float16)}, part, about)
        part.replace(_place(model))


def find(model: LanguageModel) -> tuple[TunedLens, LensFit] | None:
    """The lens that was kept of a model, if any."""
    shape = (model.info.n_layers - 1, model.d_model + 1, model.d_model)
    try:
        with safe_open(_place(model), framework="numpy") as file:
            about = file.metadata() or {}
            maps = file.get_tensor("maps")
            fit = LensFit(**json.loads(about["fit"]))
            used = tuple(json.loads(about["used"]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        return None  # not there, or damaged: it is fitted again
    if about["format"] != _FORMAT or maps.shape != shape or len(used) != len(maps):
        return None
    fit = LensFit(
        **asdict(fit) | {"logit_kl": tuple(fit.logit_kl), "tuned_kl": tuple(fit.tuned_kl)}
    )
    return TunedLens(model, torch.from_numpy(maps.astype(np.float32)), used), fit


def _place(model: LanguageModel) -> Path:
    return paths.cache_dir() / "lenses" / f"{key_of(model)}.safetensors"

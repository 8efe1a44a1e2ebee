"""From what was gathered to the files that ``evidence.own`` reads."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desktop_scope.evidence.building.checkpoint import save_arrays
from desktop_scope.evidence.building.gather import MID_HIGH, MID_LOW, Gathered, Records
from desktop_scope.evidence.building.sketch import ROOM, Sketch
from desktop_scope.evidence.own import FILE, FORMAT, N_MID, N_TOKENS
from desktop_scope.evidence.store import N_TOP
from desktop_scope.evidence.together import FORMAT as TOGETHER
from desktop_scope.library.parts import part_of

_FEATURES_AT_ONCE = 4096
_INT32_MAX = 2**31 - 1


def write_evidence(
    folder: Path, gathered: Gathered, corpus: Path, about: Mapping[str, str]
) -> None:
    """Put the evidence about one SAE into a folder, in the place of what may be there.

    Args:
        folder: The SAE's own.
        gathered: About all of its features.
        corpus: The file with the text, shared with the folders of other SAEs where links work.
        about: For the file's header.
    """
    _link(corpus, folder / corpus.name)
    told = {
        **about,
        "format": FORMAT,
        "corpus": corpus.name,
        "n_tokens": str(int(gathered.n_tokens[0])),
        "median_norm": repr(gathered.median_norm),
    }
    save_arrays(folder / FILE, _arrays(gathered), told)
    for old in folder.glob("corpus-*"):
        if old.name != corpus.name:
            with contextlib.suppress(OSError):  # in use, where open files cannot be removed
                old.unlink()


def write_together(path: Path, sketch: Sketch, about: Mapping[str, str]) -> None:
    """Put into a file on which tokens the features of one SAE fire."""
    there = np.arange(ROOM) < sketch.kept[:, None]
    arrays = {
        "indptr": np.append(0, np.cumsum(sketch.kept, dtype=np.int64)),
        "mark": sketch.mark[there],
        "strength": sketch.strength[there],
        "level": sketch.level,
        "sampled": sketch.sampled,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_arrays(path, arrays, {**about, "format": TOGETHER, "n_tokens": str(sketch.counted)})


def _link(there: Path, here: Path) -> None:
    if here.exists():
        return
    part = part_of(here)
    try:
        os.link(there, part)
    except OSError:
        shutil.copyfile(there, part)
    part.replace(here)


def _arrays(gathered: Gathered) -> dict[str, NDArray[Any]]:
    fired = gathered.count > 0
    # What never fired has no mean and no maximum.
    mean = np.where(fired, gathered.total / np.maximum(gathered.count, 1), np.nan)
    examples = _examples(gathered)
    order = np.argsort(-gathered.token_total, axis=1, kind="stable")[:, :N_TOKENS]
    token, total = (
        np.take_along_axis(table, order, axis=1) for table in (gathered.token, gathered.token_total)
    )
    shares = total / np.where(fired, gathered.total, 1)[:, None]
    return {
        "density": (gathered.count / max(int(gathered.n_tokens[0]), 1)).astype(np.float32),
        "mean_active": mean.astype(np.float32),
        "max_active": np.where(fired, gathered.largest, np.float32(np.nan)),
        "hist": gathered.hist.clip(max=_INT32_MAX).astype(np.int32),
        "example_position": examples["position"],
        "example_value": examples["value"],
        "example_scale": examples["scale"],
        "example_window": examples["window"],
        "top_token": np.where(total > 0, token, 0).astype(np.int32),
        "top_token_share": shares.astype(np.float32),
    }


def _examples(gathered: Gathered) -> Records:
    """The strongest, then those of the middle of the range, [N, N_TOP + N_MID]."""
    top = gathered.top
    examples = np.zeros((len(top), N_TOP + N_MID), top.dtype)
    examples[:, :N_TOP] = top
    for begin in range(0, len(top), _FEATURES_AT_ONCE):
        part = slice(begin, begin + _FEATURES_AT_ONCE)
        examples[part, N_TOP:] = _middle(
            gathered.mid_range()[part], gathered.largest[part, None], top["position"][part]
        )
    return examples


def _middle(candidates: Records, largest: NDArray[np.float32], strongest: Any) -> Records:
    """At most N_MID of the candidates, as their hashes have it; none that is shown already."""
    value = candidates["value"]
    # Empty places say position 0, which is never encoded: they exclude nothing.
    shown = (candidates["position"][:, :, None] == strongest[:, None, :]).any(axis=2)
    fits = (value >= MID_LOW * largest) & (value <= MID_HIGH * largest) & (value > 0) & ~shown
    key = np.where(fits, candidates["key"], np.uint64(2**64 - 1))
    order = np.argsort(key, axis=1, kind="stable")[:, :N_MID]
    chosen = np.take_along_axis(candidates, order, axis=1)
    chosen[~np.take_along_axis(fits, order, axis=1)] = np.zeros((), candidates.dtype)
    return chosen

"""Vectors of texts on disk: each text is embedded once, whatever labels it comes from.

A folder holds segments that are written once and never changed, so any number of programs may add
to it at the same time, and one that dies leaves nothing half done. Of every text a segment has a
hash, the vector in 8 bits, and the signs of its numbers. Shapes: n texts, H = 384.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from desktop_scope.engine.types import Bools, Floats
from desktop_scope.evidence.meaning.embedder import WIDTH
from desktop_scope.library.parts import part_of

Hashes = NDArray[np.uint64]
Signs = NDArray[np.uint64]  # [n, WORDS]
Bytes = NDArray[np.int8]  # [n, H]

WORDS = WIDTH // 64
_SMALL = 16_384  # rows; smaller segments are joined once there are many
_MOST_SMALL = 64
_TENSORS: dict[str, tuple[type, int]] = {  # type, numbers in a row
    "hash": (np.uint64, 1),
    "signs": (np.uint64, WORDS),
    "vector": (np.int8, WIDTH),
}


def hash_of(text: str) -> int:
    """What a text is known by."""
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def signs_of(vectors: Floats) -> Signs:
    """[n, H] → which numbers are positive, as bits."""
    return np.packbits(vectors > 0, axis=1).view(np.uint64)


def to_bytes(vectors: Floats) -> Bytes:
    """[n, H] in 8 bits, each by its own largest number: a cosine does not mind lengths."""
    largest = np.abs(vectors).max(axis=1, keepdims=True).clip(min=1e-12)
    return np.rint(vectors * (127 / largest)).astype(np.int8)


@dataclass(frozen=True, eq=False)
class _Segment:
    """A file's arrays, mapped; without a file they are in memory alone."""

    hash: Hashes
    signs: Signs
    vector: Bytes
    path: Path | None = None

    @classmethod
    def open(cls, path: Path) -> _Segment:
        """Map a file.

        Raises:
            OSError, ValueError: It is damaged, or something else.
        """
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 0 < length < 4096:
                raise ValueError(path)
            header: dict[str, Any] = json.loads(file.read(length))
        arrays = {}
        for name, (kind, width) in _TENSORS.items():
            at, end = header[name]["data_offsets"]
            array = np.memmap(
                path, kind, "r", 8 + length + at, (end - at) // np.dtype(kind).itemsize
            )
            arrays[name] = array if name == "hash" else array.reshape(-1, width)
        if len({len(array) for array in arrays.values()}) != 1:
            raise ValueError(path)
        return cls(**arrays, path=path)


@dataclass(frozen=True, eq=False)
class _Held:
    """All segments, and where each text is: hashes ascending."""

    segments: tuple[_Segment, ...] = ()
    hashes: Hashes = field(default_factory=lambda: np.zeros(0, np.uint64))
    segment: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    row: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))

    def find(self, hashes: Hashes) -> NDArray[np.int64]:
        """Where texts are, [n]; -1 for those that are not there."""
        if not len(self.hashes):
            return np.full(len(hashes), -1, np.int64)
        at = np.searchsorted(self.hashes, hashes).clip(max=len(self.hashes) - 1)
        return np.where(self.hashes[at] == hashes, at, -1)

    def gather(self, name: str, at: NDArray[np.int64]) -> NDArray[Any]:
        """Some texts' rows of an array."""
        kind, width = _TENSORS[name]
        rows = np.zeros((len(at), width), kind)
        segment, row = self.segment[at], self.row[at]
        for number in np.unique(segment):
            here = segment == number
            rows[here] = getattr(self.segments[number], name)[row[here]]
        return rows

    def plus(self, one: _Segment) -> _Held:
        """With another segment; texts that were there already keep their place."""
        hashes, first = np.unique(one.hash, return_index=True)
        new = self.find(hashes) < 0
        hashes, first = hashes[new], first[new].astype(np.int32)
        at = np.searchsorted(self.hashes, hashes)
        return _Held(
            (*self.segments, one),
            np.insert(self.hashes, at, hashes),
            np.insert(self.segment, at, np.int32(len(self.segments))),
            np.insert(self.row, at, first),
        )


class VectorStore:
    """The texts that have been embedded so far. One thread may add while another reads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held = _Held()
        with contextlib.suppress(OSError):
            for path in sorted(folder.glob("*.safetensors")):
                # A damaged file is as good as none: its texts are embedded again.
                with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                    self._held = self._held.plus(_Segment.open(path))

    def known(self, hashes: Hashes) -> Bools:
        """Which texts have been embedded, [n]."""
        return self._held.find(hashes) >= 0

    def signs(self, hashes: Hashes) -> Signs:
        """The signs of texts that have been embedded, [n, WORDS]."""
        held = self._held
        return held.gather("signs", held.find(hashes))

    def vectors(self, hashes: Hashes) -> Floats:
        """The vectors of texts that have been embedded, of length 1, [n, H]."""
        held = self._held
        vectors = held.gather("vector", held.find(hashes)).astype(np.float32)
        length: Floats = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.maximum(length, 1e-12)

    def add(self, texts: Sequence[str], vectors: Floats) -> None:
        """Keep the vectors of new texts; in memory alone where nothing can be written."""
        hashes = np.array([hash_of(text) for text in texts], np.uint64)
        self._held = self._held.plus(self._kept(hashes, signs_of(vectors), to_bytes(vectors)))
        small = [s for s in self._held.segments if len(s.hash) < _SMALL]
        if len(small) > _MOST_SMALL:
            self._join(small)

    def _kept(self, hashes: Hashes, signs: Signs, vectors: Bytes) -> _Segment:
        path = self._folder / f"{uuid.uuid4().hex}.safetensors"
        try:
            part = part_of(path)
            save_file({"hash": hashes, "signs": signs, "vector": vectors}, part)
            os.replace(part, path)
            return _Segment.open(path)
        except OSError:
            return _Segment(hashes, signs, vectors)

    def _join(self, small: Sequence[_Segment]) -> None:
        """Make one segment of many."""
        joined = self._kept(
            *(np.concatenate([getattr(s, name) for s in small]) for name in _TENSORS)
        )
        held = _Held()
        for segment in (*(s for s in self._held.segments if s not in small), joined):
            held = held.plus(segment)
        self._held = held
        if joined.path is not None:
            for segment in small:
                if segment.path is not None:
                    with contextlib.suppress(OSError):  # Windows keeps what is mapped
                        segment.path.unlink()

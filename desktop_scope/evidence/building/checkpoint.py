"""The state of a run on disk, whole at any moment: what kill -9 leaves is the last one saved."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
import psutil
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from desktop_scope.errors import ScopeError
from desktop_scope.library.parts import part_of

Array = NDArray[Any]

_TYPES = {"u1": "U8", "u4": "U32", "i4": "I32", "i8": "I64", "f4": "F32", "f8": "F64"}


def save_arrays(path: Path, arrays: Mapping[str, Array], about: Mapping[str, str]) -> None:
    """Write a safetensors file that is either whole or not there, without copying the arrays."""
    header: dict[str, Any] = {"__metadata__": dict(about)}
    end = 0
    ordered = sorted(arrays.items(), key=lambda item: -item[1].itemsize)  # keeps them aligned
    for name, array in ordered:
        start, end = end, end + array.nbytes
        kind = _TYPES[array.dtype.str[1:]]
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    part = part_of(path)
    with part.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, array in ordered:
            if array.nbytes:
                file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


class Part(Protocol):
    """What is gathered about one SAE."""

    def arrays(self) -> dict[str, Array]:
        """All there is, by name. Writing into them changes it."""


class Progress(msgspec.Struct):
    """How far a run has come.

    Attributes:
        document: The document that the last row was of.
        rows: How many of its rows are done.
        positions: Tokens of all rows done.
        n_rows: How many those are.
        share: Of the corpus.
        seconds: That it took, interruptions left out.
    """

    document: int = 0
    rows: int = 0
    positions: int = 0
    n_rows: int = 0
    share: float = 0.0
    seconds: float = 0.0


# Made here, once: two threads that first meet a type of msgspec at the same time crash it.
_PROGRESS = msgspec.json.Decoder(Progress)


class Checkpoint:
    """A folder with the state of one run and the tokens that it has read.

    Args:
        folder: Its own; nobody else writes there.
        gathered: By SAE; filled with what was saved, if anything was.

    Raises:
        ScopeError: Another program that runs is at it.
    """

    def __init__(self, folder: Path, gathered: Sequence[Part]) -> None:
        self._folder, self._gathered = folder, gathered
        self._state = folder / "state.safetensors"
        folder.mkdir(parents=True, exist_ok=True)
        self._claim(folder / "owner")
        self.progress = self._load()
        self._tokens = self._open("tokens.i32", self.progress.positions)
        self._rows = self._open("rows.i32", 2 * self.progress.n_rows)  # length, whether aside

    @staticmethod
    def _claim(owner: Path) -> None:
        me = psutil.Process()
        if owner.exists():
            number, _, begun = owner.read_text("utf-8").partition(" ")
            try:
                other = psutil.Process(int(number))
                if other != me and repr(other.create_time()) == begun:
                    raise ScopeError(
                        "Another window or command of Desktop Scope is gathering evidence about "
                        f"this autoencoder (process {number}).",
                        "Nothing is lost: it goes on there, and what it finds is shown here when "
                        "this is opened the next time. To gather here instead, pause it there or "
                        "close it, then start here.",
                    )
            except (ValueError, psutil.Error):
                pass  # it has died, and left its name
        owner.write_text(f"{me.pid} {me.create_time()!r}", "utf-8")

    def _load(self) -> Progress:
        """The state that was saved; a damaged one is none."""
        into = self._arrays()
        try:
            with safe_open(self._state, framework="numpy") as file:
                progress = _PROGRESS.decode(file.metadata()["progress"])
                if all(
                    file.get_slice(name).get_shape() == list(array.shape)
                    for name, array in into.items()
                ) and self._has(progress):
                    for name, array in into.items():
                        array[...] = file.get_tensor(name)
                    return progress
        except (FileNotFoundError, SafetensorError, KeyError, TypeError, msgspec.DecodeError):
            pass
        return Progress()

    def _has(self, progress: Progress) -> bool:
        """Whether all tokens are there that the state counts on."""
        sizes = {"tokens.i32": progress.positions, "rows.i32": 2 * progress.n_rows}
        return all((self._folder / name).stat().st_size >= 4 * n for name, n in sizes.items())

    def _arrays(self) -> dict[str, Array]:
        return {
            f"{slot}.{name}": array
            for slot, gathered in enumerate(self._gathered)
            for name, array in gathered.arrays().items()
        }

    def _open(self, name: str, size: int) -> Any:
        """A file of numbers to append to, cut to what the state knows of."""
        path = self._folder / name
        path.touch()
        os.truncate(path, 4 * size)
        return path.open("ab")

    def append(self, rows: list[NDArray[np.int32]], aside: list[bool]) -> None:
        """Take down rows, and which are left aside; they count from the next save on."""
        for row in rows:
            self._tokens.write(row.astype("<i4").data)
        told = [(len(row), left) for row, left in zip(rows, aside, strict=True)]
        self._rows.write(np.array(told, "<i4").data)
        self.progress.positions += sum(map(len, rows))
        self.progress.n_rows += len(rows)

    def save(self) -> None:
        """Keep the state as it is now."""
        for file in (self._tokens, self._rows):
            file.flush()
            os.fsync(file.fileno())
        about = {"progress": msgspec.json.encode(self.progress).decode()}
        save_arrays(self._state, self._arrays(), about)

    def corpus(self) -> dict[str, Array]:
        """All tokens read, mapped [P]; where rows start in them [R + 1]; which are aside [R]."""
        self._tokens.flush()
        self._rows.flush()
        lengths, aside = np.fromfile(self._folder / "rows.i32", "<i4").reshape(-1, 2).T
        tokens = np.memmap(self._folder / "tokens.i32", "<i4", mode="r")
        starts = np.append(0, np.cumsum(lengths, dtype=np.int64))
        return {"tokens": tokens, "row_start": starts, "aside": aside.astype(np.uint8)}

    def close(self) -> None:
        """Let go of the files."""
        self._tokens.close()
        self._rows.close()
        (self._folder / "owner").unlink(missing_ok=True)

    def remove(self) -> None:
        """The run is done: nothing is to be resumed."""
        self.close()
        shutil.rmtree(self._folder, ignore_errors=True)

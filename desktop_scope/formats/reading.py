"""Tensors from files: the only place that opens their containers.

Whatever the container, nothing is executed, everything declared is checked against the size of
the file before memory is taken for it, and where the container allows it the tensors are views of
the mapped file, not yet read. Tensors mapped from an ``.npz`` may start at odd addresses: copy
them before handing them to a matrix product.
"""

from __future__ import annotations

import math
import pickle
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from desktop_scope.errors import ScopeError
from desktop_scope.formats.repository import regular_file

FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
HINT = "The file may be damaged: get it again."

_MIB = 1024**2
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MOST_ENTRIES = 4096
_MOST_UNPACKED = 16 * 1024 * _MIB  # what compressed arrays may need in memory
_MOST_RATIO = 10  # weights hardly compress; zeros do, a thousandfold in a bomb
_MOST_HEADER = 4096  # bytes of an .npy header; numpy writes 128
_MOST_PICKLE = 16 * _MIB
_MOST_UNMAPPED = 2048 * _MIB

# As numpy has always written it, in its versions 1.0 and 2.0, and as nothing else need be.
_NPY_1 = re.compile(rb"\x93NUMPY\x01\x00(..)", re.DOTALL)
_NPY_2 = re.compile(rb"\x93NUMPY\x02\x00(....)", re.DOTALL)
_NPY_HEADER = re.compile(
    rb"\{'descr': '(?P<dtype>[<|](?:f[248]|i[1248]|b1))', "
    rb"'fortran_order': (?P<fortran>True|False), "
    rb"'shape': \((?P<shape>(?:\d{1,18}, ?)*\d{0,18})\), \}\s*"
)


@dataclass(frozen=True)
class TensorFile:
    """Named tensors of one file, by name, and its metadata (safetensors only)."""

    path: Path
    tensors: dict[str, torch.Tensor]
    metadata: dict[str, str] = field(default_factory=dict)

    def take(
        self,
        shapes: Mapping[str, str],
        *,
        optional: Collection[str] = (),
        types: Collection[torch.dtype] = FLOATS,
        **sizes: int | None,
    ) -> dict[str, torch.Tensor]:
        """The tensors asked for, each of the shape asked for.

        Args:
            shapes: The dimensions of each, such as ``{"W_enc": "n d", "b_enc": "n", "k": ""}``;
                one letter or word stands for one size wherever it is used.
            optional: Those that may be lacking; they are then lacking in the answer.
            types: The dtypes that they may have.
            **sizes: What is known of the sizes beforehand, such as ``n=16384``.

        Raises:
            ScopeError: One is lacking, empty, or of another shape or type.
        """
        known = {symbol: size for symbol, size in sizes.items() if size is not None}
        missing = [name for name in shapes if name not in self.tensors and name not in optional]
        if missing:
            raise ScopeError(f"The SAE file {self.path.name} lacks {', '.join(missing)}.", HINT)
        taken = {name: self.tensors[name] for name in shapes if name in self.tensors}
        for name, tensor in taken.items():
            if not _plain(tensor):
                message = f"In the SAE file {self.path.name}, {name} is no ordinary tensor."
                raise ScopeError(message, "Save it again, as safetensors.")
            symbols = shapes[name].split()
            fits = len(symbols) == tensor.dim() and all(
                known.setdefault(symbol, size) == size
                for symbol, size in zip(symbols, tensor.shape, strict=True)
            )
            if not fits or tensor.dtype not in types or not tensor.numel():
                raise ScopeError(
                    f"In the SAE file {self.path.name}, {name} is {_described(tensor)}, "
                    f"where {_expected(symbols, known, types)} was expected.",
                    HINT,
                )
        return {name: tensor.detach() for name, tensor in taken.items()}


def safetensors_file(path: Path) -> TensorFile:
    """Map a safetensors file; its reader checks names, sizes and offsets.

    Raises:
        ScopeError: It is damaged.
        OSError: It is missing or unreadable.
    """
    try:
        with safe_open(regular_file(path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return TensorFile(path, tensors, file.metadata() or {})
    except SafetensorError as error:
        raise _damaged(path, error) from error


def npz_file(path: Path) -> TensorFile:
    """Map the arrays of an ``.npz`` file, or read them if they are compressed.

    Raises:
        ScopeError: It is damaged, asks for too much memory, or holds anything but plain numbers.
        OSError: It is missing or unreadable.
    """
    real = regular_file(path)
    try:
        with zipfile.ZipFile(real) as archive, real.open("rb") as file:
            entries = _entries(archive, real.stat().st_size, path)
            return TensorFile(
                path,
                {
                    entry.filename.removesuffix(".npy"): _array(_content(archive, file, entry))
                    for entry in entries
                },
            )
    except (zipfile.BadZipFile, NotImplementedError, zlib.error, EOFError, ValueError) as error:
        raise _damaged(path, error) from error


def torch_file(path: Path) -> object:
    """Map what ``torch.save`` wrote, as long as it is made of tensors and plain values alone.

    Raises:
        ScopeError: It is damaged, asks for too much memory, or holds other Python objects.
        OSError: It is missing or unreadable.
    """
    real = regular_file(path)
    with real.open("rb") as file:
        zipped = file.read(4) == b"PK\3\4"  # as torch tells
    if zipped:
        _check_torch_archive(real, path)
    elif real.stat().st_size > _MOST_UNMAPPED:
        message = f"{path.name} is in PyTorch's format of before 2020, too large to read whole."
        raise ScopeError(message, "Convert it to safetensors.")
    try:
        with warnings.catch_warnings(action="ignore"):  # of old protocols
            loaded: object = torch.load(real, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        raise _pickled(path) from error
    except Exception as error:  # torch.load raises of every kind when a file is damaged
        raise _damaged(path, error) from error
    return loaded


def _plain(tensor: object) -> bool:
    """Whether it is a dense tensor of ordinary memory, every number of it stored in the file."""
    return (
        isinstance(tensor, torch.Tensor)
        and tensor.layout == torch.strided
        and tensor.device.type == "cpu"
        and tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()
    )


def _described(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def _expected(symbols: list[str], known: Mapping[str, int], types: Collection[torch.dtype]) -> str:
    names = "a float" if types is FLOATS else " or ".join(str(t)[len("torch.") :] for t in types)
    sizes = (f"{symbol} = {known[symbol]}" if symbol in known else symbol for symbol in symbols)
    return f"{names} [{', '.join(sizes)}], none of them 0,"


def _damaged(path: Path, error: Exception) -> ScopeError:
    said = str(error).split("\n", 1)[0] or type(error).__name__
    return ScopeError(f"The file {path.name} is damaged or cut short ({said}).", "Get it again.")


def _pickled(path: Path) -> ScopeError:
    return ScopeError(
        f"{path.name} holds Python objects (pickled code), which Desktop Scope never runs.",
        "Convert it to safetensors, with the library that made it.",
    )


def _entries(archive: zipfile.ZipFile, size: int, path: Path) -> list[zipfile.ZipInfo]:
    """The arrays in an ``.npz`` file of so many bytes, checked for what they ask for."""
    entries = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
    if len({entry.filename for entry in entries}) < len(entries) or len(entries) > _MOST_ENTRIES:
        raise ValueError("too many arrays, or several of one name")
    if any(entry.flag_bits & 1 or entry.compress_type not in _METHODS for entry in entries):
        raise ValueError("encrypted, or compressed in a way that numpy never does")
    if any(not 0 <= entry.header_offset <= size - entry.compress_size for entry in entries):
        raise ValueError("an array is said to lie outside the file")
    packed = [entry for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
    unpacked = sum(entry.file_size for entry in packed)
    if unpacked > min(_MOST_UNPACKED, _MOST_RATIO * max(size, _MIB)):
        message = f"The arrays of {path.name} would unpack to {unpacked / 1e9:.1f} GB."
        raise ScopeError(message, "Save it again without compression, as safetensors.")
    return entries


def _content(
    archive: zipfile.ZipFile, file: IO[bytes], entry: zipfile.ZipInfo
) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """The bytes of one entry, mapped if they are stored as they are."""
    if entry.compress_type != zipfile.ZIP_STORED:
        return np.frombuffer(bytearray(archive.read(entry)), np.uint8)
    archive.open(entry).close()  # checks the entry's own header
    file.seek(entry.header_offset)
    lengths = struct.unpack("<26xHH", file.read(30))
    start = entry.header_offset + 30 + sum(lengths)
    # Copy-on-write, since torch wants writable memory; nothing is ever written.
    return np.memmap(file, np.uint8, "c", start, (entry.file_size,))


def _array(content: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> torch.Tensor:
    """The array that an ``.npy`` file holds, as a view of it."""
    head = content[:_MOST_HEADER].tobytes()
    found = _NPY_1.match(head) or _NPY_2.match(head)
    header = found and _NPY_HEADER.fullmatch(head[found.end() :][: _length(found[1])])
    if not found or not header:
        raise ValueError("an array's header is malformed, or of a type other than plain numbers")
    shape = tuple(int(size) for size in header["shape"].split(b",") if size.strip())
    dtype = np.dtype(header["dtype"].decode())
    start = found.end() + _length(found[1])
    if math.prod(shape) * dtype.itemsize != content.nbytes - start:
        raise ValueError("an array is not as long as its header says")
    order: Literal["C", "F"] = "F" if header["fortran"] == b"True" else "C"
    return torch.from_numpy(np.ndarray(shape, dtype, content.data, start, order=order))


def _length(field: bytes) -> int:
    return int.from_bytes(field, "little")


def _check_torch_archive(real: Path, path: Path) -> None:
    """Only what torch.save writes, nothing of it compressed, comes to be loaded."""
    try:
        with zipfile.ZipFile(real) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise _damaged(path, error) from error
    names = [entry.filename.rpartition("/")[2] for entry in entries]
    if "constants.pkl" in names:  # a TorchScript program
        raise _pickled(path)
    pickled = sum(entry.file_size for entry in entries if entry.filename.endswith(".pkl"))
    if (
        any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
        or sum(entry.file_size for entry in entries) > real.stat().st_size
        or pickled > _MOST_PICKLE
    ):
        raise ScopeError(f"{path.name} was not written by torch.save as it stands.", HINT)

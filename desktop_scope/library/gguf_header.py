"""What the header of a GGUF file says, read without its vocabulary and its weights.

Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

Value = str | int | float | bool

_READ = 1 << 20  # the vocabulary, which comes after all we ask for, may be many times as long
_NUMBERS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
_STRING, _ARRAY = 8, 9


class _Cursor:
    """Reads one value after another; struct.error at the end of what was read."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, code: str) -> int | float | bool:
        (value,) = struct.unpack_from(f"<{code}", self._data, self._at)
        self._at += struct.calcsize(f"<{code}")
        return value  # type: ignore[no-any-return]

    def count(self, code: str) -> int:
        return int(self.number(code))

    def string(self) -> str:
        length = self.count("Q")
        (raw,) = struct.unpack_from(f"{min(length, _READ + 1)}s", self._data, self._at)
        self._at += length
        return bytes(raw).decode("utf-8", "replace")

    def value(self, kind: int) -> Value | None:
        """None for an array, which is skipped."""
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            return self.number(_NUMBERS[kind])
        inner, length = self.count("I"), self.count("Q")
        if inner in _NUMBERS:
            self._at += length * struct.calcsize(f"<{_NUMBERS[inner]}")
        else:
            for _ in range(length):
                self.value(inner)
        return None


def read_header(path: Path) -> dict[str, Value] | None:
    """The plain values at the head of the file; None when it is no GGUF file.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(_READ)
    if data[:4] != b"GGUF":
        return None
    found: dict[str, Value] = {}
    # The end of what was read, or damage: what came before it stands.
    with contextlib.suppress(struct.error, OverflowError, KeyError, RecursionError):
        cursor = _Cursor(data[4:])
        cursor.count("I")  # version
        cursor.count("Q")  # tensors
        for _ in range(cursor.count("Q")):
            key = cursor.string()
            value = cursor.value(cursor.count("I"))
            if value is not None:
                found[key] = value
    return found

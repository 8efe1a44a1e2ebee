"""Configuration files, JSON and YAML: read within bounds, and asked for values of a known type."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import NoReturn, cast

import yaml

from desktop_scope.errors import ScopeError
from desktop_scope.formats.repository import regular_file

HINT = "The file may be damaged: get it again."
MIB = 1024**2
_LARGEST = 1e300  # whole numbers can be larger than floats


class Config(Mapping[str, object]):
    """The object in a configuration file; what is null or NaN in it counts as absent.

    The methods that ask for a value of one type raise ScopeError where it is of another, or where
    it is absent and there is no default.
    """

    def __init__(self, path: Path, entries: Mapping[str, object], place: str = "") -> None:
        self.path = path
        self._place = place
        self._entries = {key: value for key, value in entries.items() if not _absent(value)}

    def __getitem__(self, key: str) -> object:
        return self._entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def text(self, key: str, default: str | None = None) -> str:
        """A string."""
        value = self._present(key, default)
        return value if isinstance(value, str) else self._refuse(key, "a text")

    def count(self, key: str, default: int | None = None, most: int = 2**31) -> int:
        """A whole number from 1 on."""
        value = self._present(key, default)
        whole = not isinstance(value, bool) and isinstance(value, int | float) and value % 1 == 0
        return (
            int(cast(float, value))
            if whole and 1 <= cast(float, value) <= most
            else self._refuse(key, f"a whole number from 1 to {most}")
        )

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number."""
        value = self._present(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _LARGEST:
            return self._refuse(key, "a number")
        return float(value)

    def flag(self, key: str, default: bool | None = None) -> bool:
        """True or false."""
        value = self._present(key, default)
        return value if isinstance(value, bool) else self._refuse(key, "true or false")

    def part(self, key: str) -> Config:
        """The object under a key; empty where it is absent."""
        value = self.get(key, {})
        if not isinstance(value, dict):
            return self._refuse(key, "an object")
        return Config(self.path, value, f"{self._place}{key}.")

    def _present(self, key: str, default: object) -> object:
        value = self.get(key, default)
        if value is None:
            message = f"The configuration {self.path.name} lacks “{self._place}{key}”."
            raise ScopeError(message, HINT)
        return value

    def _refuse(self, key: str, wanted: str) -> NoReturn:
        shown = repr(self[key])[:80]
        message = f"In {self.path.name}, “{self._place}{key}” is {shown}, where {wanted} belongs."
        raise ScopeError(message, HINT)


def json_object(path: Path, most: int = 4 * MIB) -> Config:
    """Read a JSON file that holds one object.

    Raises:
        ScopeError: It is malformed, too deep, or larger than ``most`` bytes.
        OSError: It is missing or unreadable.
    """
    try:
        return _config(path, json.loads(_text(path, most), object_pairs_hook=_object))
    except (ValueError, RecursionError) as error:
        raise _malformed(path, error) from error


def yaml_object(path: Path, most: int = MIB) -> Config:
    """Read a YAML file that holds one mapping; without aliases, which can grow without bounds.

    Raises:
        ScopeError: It is malformed, too deep, or larger than ``most`` bytes.
        OSError: It is missing or unreadable.
    """
    try:
        return _config(path, yaml.load(_text(path, most), _PlainLoader))
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise _malformed(path, error) from error


class _PlainLoader(yaml.SafeLoader):
    """Plain values only, each written out, no key twice."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise ValueError("it uses aliases")
        return super().compose_node(parent, index)

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, object]:
        keys = [key.value for key, _ in node.value]
        if len({str(key) for key in keys}) < len(keys):
            raise ValueError("a key occurs twice")
        return cast(dict[Hashable, object], super().construct_mapping(node, deep))


def _absent(value: object) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _text(path: Path, most: int) -> str:
    with regular_file(path).open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it is larger than {most:,} bytes")
    return content.decode("utf-8-sig")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise ValueError("a key occurs twice")
    return entries


def _config(path: Path, entries: object) -> Config:
    if not isinstance(entries, dict) or not all(isinstance(key, str) for key in entries):
        raise ValueError("it is not an object with named entries")
    return Config(path, entries)


def _malformed(path: Path, error: Exception) -> ScopeError:
    said = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
    message = f"The configuration {path.name} cannot be read ({said.splitlines()[0]})."
    return ScopeError(message, HINT)

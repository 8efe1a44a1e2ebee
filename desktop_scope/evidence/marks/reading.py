"""Reads labels from the files that others publish: Neuronpedia, SAEDashboard, CSV.

Layouts (read in hijohnnylin/neuronpedia and decoderesearch/SAEDashboard):

* Neuronpedia's exports: ``explanations/batch-N.jsonl.gz``, one object a line with ``modelId``,
  ``layer`` (the source, such as ``12-gemmascope-res-16k``), ``index`` (text), ``description``,
  ``typeName``, ``explanationModelName``; several for one feature, some of them empty. Its older
  exports are the same as one JSON array.
* Its API: the feature as an object, with ``explanations`` that may have ``scores``.
* SAEDashboard: ``batch-N.json`` with ``model_id``, ``layer``, ``sae_set`` and ``features``, which
  have no description: their label is made of the tokens at the peaks of ``activations``.
* CSV of one's own with the columns ``layer``, ``index``, ``label``.

Files may come from anywhere: what is read at once, and in all, is bounded.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from desktop_scope.errors import ScopeError, reason_of

MOST_BYTES = 1 << 30  # of a file, unpacked
MOST_LINE_BYTES = 4 << 20
MOST_LABEL = 300  # characters
_MADE_OF = 3  # tokens

_FOLDERS = ("explanations/*.jsonl.gz", "explanations/*.jsonl", "batch-*.json", "*.jsonl.gz")
_KNOWN = "Known are Neuronpedia's explanations and feature JSON, SAEDashboard's batches, and CSV."


@dataclass(frozen=True)
class Row:
    """One label in a file.

    Attributes:
        model: As the file calls it; empty if it does not.
        layer: The layer, or a source such as ``12-gemmascope-res-16k``.
        score: As the file says; -1 if it does not.
    """

    model: str
    layer: str
    index: int
    text: str
    origin: str
    score: float = -1.0


@dataclass(frozen=True)
class Bad:
    """Something in a file that is no label."""

    reason: str


Found = Iterator[Row | Bad]


def files_in(path: Path) -> list[Path]:
    """The files of a folder that may hold labels; a file itself.

    Raises:
        ScopeError: There are none.
    """
    if not path.is_dir():
        return [path]
    for pattern in _FOLDERS:
        if files := sorted(path.glob(pattern)):
            return files
    raise ScopeError(f"{path} holds no labels.", _KNOWN)


def read_labels(path: Path) -> Found:
    """The labels of one file, and what is bad in it.

    Raises:
        ScopeError: It cannot be read, is too large, or of a sort that is not known.
    """
    try:
        with _opened(path) as stream:
            name = path.name.lower().removesuffix(".gz")
            if name.endswith(".csv"):
                yield from _read_csv(io.TextIOWrapper(stream, "utf-8-sig", errors="replace"))
            elif name.endswith(".json"):
                yield from _read_json(stream, path)
            else:
                yield from _read_lines(stream)
    except (OSError, EOFError, zlib.error) as error:
        raise ScopeError(
            f"{path} cannot be read: {reason_of(error)}.", "Check the path, or get it again."
        ) from error


class _Bounded(io.RawIOBase):
    """A stream that ends in an error rather than in a full memory."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream, self._path, self._left = stream, path, MOST_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise ScopeError(
                f"{self._path} holds more than {MOST_BYTES >> 30} GB.", "Divide it into parts."
            )
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


def _opened(path: Path) -> io.BufferedReader:
    packed = path.name.lower().endswith(".gz")
    stream: IO[bytes] = gzip.open(path) if packed else path.open("rb")  # noqa: SIM115
    return io.BufferedReader(_Bounded(stream, path), 1 << 16)


def _read_lines(stream: io.BufferedReader) -> Found:
    while line := stream.readline(MOST_LINE_BYTES + 1):
        if len(line) > MOST_LINE_BYTES:
            yield Bad("lines that are too long")
            while line and not line.endswith(b"\n"):
                line = stream.readline(MOST_LINE_BYTES)
        elif line.strip():
            try:
                yield from _from_object(json.loads(line))
            except (ValueError, RecursionError):
                yield Bad("lines that are not JSON")


def _read_json(stream: io.BufferedReader, path: Path) -> Found:
    try:
        content = json.loads(stream.read())
    except (ValueError, RecursionError):
        raise ScopeError(f"{path} is not JSON.", _KNOWN) from None
    found = False
    for one in content if isinstance(content, list) else [content]:
        for row in _from_object(one):
            found = True
            yield row
    if not found:
        raise ScopeError(f"{path} holds no labels.", _KNOWN)


def _read_csv(text: io.TextIOWrapper) -> Found:
    csv.field_size_limit(MOST_LINE_BYTES)
    try:
        reader = csv.DictReader(text)
        columns = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
        if not {"layer", "index", "label"} <= columns.keys():
            raise ScopeError(
                "The table lacks a column: it needs layer, index and label.",
                "Name them in its first line.",
            )
        for row in reader:
            yield _row("", *(row[columns[name]] for name in ("layer", "index", "label")), "")
    except csv.Error:
        yield Bad("rows that are not CSV")


def _from_object(one: Any) -> Found:
    """The labels of one JSON object, whichever sort it is."""
    if not isinstance(one, dict):
        yield Bad("entries that are no objects")
    elif isinstance(one.get("features"), list):
        for feature in one["features"]:
            yield _from_dashboard(one, feature)
    elif isinstance(one.get("explanations"), list):
        for explanation in one["explanations"]:
            if isinstance(explanation, dict):
                yield _explained(explanation, one)
            else:
                yield Bad("entries that are no objects")
    elif "description" in one:
        yield _explained(one, one)
    else:
        yield Bad("entries without a description")


def _explained(explanation: dict[str, Any], feature: dict[str, Any]) -> Row | Bad:
    """An explanation of Neuronpedia's, by itself or in its feature."""
    names = (explanation.get("explanationModelName"), explanation.get("typeName"))
    origin = ", ".join(str(name) for name in names if name)
    where = [explanation.get(name, feature.get(name)) for name in ("modelId", "layer", "index")]
    score = max((s for s in map(_score, _listed(explanation.get("scores")))), default=-1.0)
    return _row(*where, explanation.get("description"), f"Neuronpedia: {origin}", score)


def _score(score: Any) -> float:
    value = score.get("value") if isinstance(score, dict) else None
    return float(value) if isinstance(value, int | float) else -1.0


def _from_dashboard(batch: dict[str, Any], feature: Any) -> Row | Bad:
    """A feature of SAEDashboard's: named by the tokens at its strongest examples' peaks."""
    if not isinstance(feature, dict):
        return Bad("entries that are no objects")
    peaks: list[tuple[float, str]] = []
    for activation in _listed(feature.get("activations")):
        try:
            value, token = max(zip(activation["values"], activation["tokens"], strict=True))
            peaks.append((float(value), str(token).replace("▁", " ").strip().lower()))
        except (KeyError, TypeError, ValueError):
            return Bad("features whose examples make no sense")
    strongest = sorted(peaks, reverse=True)[:20]
    counts = Counter(token for value, token in strongest if token and value > 0)
    if not counts:
        return Bad("features without examples")
    common = [token for token, count in counts.most_common(_MADE_OF)]
    rest = " and others" if sum(counts[token] for token in common) < 0.8 * len(strongest) else ""
    text = ", ".join(f"'{token[:24]}'" for token in common) + rest
    suffix = batch.get("sae_id_suffix")
    source = f"{batch.get('layer')}-{batch.get('sae_set')}" + (f"__{suffix}" if suffix else "")
    index = feature.get("feature_index")
    return _row(batch.get("model_id"), source, index, text, "SAEDashboard: its strongest tokens")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _row(
    model: Any, layer: Any, index: Any, text: Any, origin: str, score: float = -1.0
) -> Row | Bad:
    text = " ".join(text.split()) if isinstance(text, str) else ""
    text = text.replace("\0", "").encode("utf-8", "ignore").decode()
    if not text:
        return Bad("labels without words")
    try:
        number = int(index)
    except (TypeError, ValueError):
        number = -1
    if number < 0 or layer is None:
        return Bad("labels that do not say of which feature")
    text = text if len(text) <= MOST_LABEL else text[: MOST_LABEL - 1] + "…"
    return Row(str(model or ""), str(layer), number, text, origin.strip(": ")[:200], score)

"""Which features fire together: of one SAE and of others, counted on a fair sample of a text.

What ``building.sketch`` has gathered lies in a file per SAE. Shapes: N features, E firings kept of
all of them, C candidates.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desktop_scope.engine.sae import Sae
from desktop_scope.engine.types import FeatureId, ModelInfo
from desktop_scope.errors import ScopeError
from desktop_scope.evidence import own

FILE = "together.safetensors"
FORMAT = "desktop-scope-together/1"
_KINDS = {"indptr": "I64", "mark": "U32", "strength": "F32", "level": "U8", "sampled": "I64"}
_TYPES = {"I64": "<i8", "U32": "<u4", "F32": "<f4", "U8": "u1"}

_FEWEST = 3  # tokens on which two fire: fewer may be chance whatever the odds
_SURPRISE = 12.0  # nats: chance does that to one pair in 160,000
_MASK = 0xFFFF


def bound_of(level: Any) -> Any:
    """The largest number that a token of a level may have."""
    return (np.uint64(1 << 32) >> np.asarray(level, np.uint64)) - np.uint64(1)


@dataclass(frozen=True, eq=False)
class Mates:
    """Features of one SAE that fire on the same tokens as some feature, more often than chance.

    Attributes:
        index: Their numbers, [C]; and so on, see ``types.CoFiring``.
    """

    index: NDArray[np.int64]
    jaccard: NDArray[np.float64]
    lift: NDArray[np.float64]
    together: NDArray[np.int64]
    fires: NDArray[np.int64]
    correlation: NDArray[np.float64]


class Firings:
    """On which of the tokens looked at the features of one SAE fire; the file stays mapped.

    Attributes:
        n_tokens: Of the text.
        corpus: Tells the text from others: only firings on the same can be compared.

    Raises:
        ScopeError: The file is damaged.
    """

    def __init__(self, path: Path, n_features: int) -> None:
        self._path = path
        try:
            arrays, about = _mapped(path)
            self.n_tokens, self.corpus = int(about["n_tokens"]), about["corpus"]
            self._indptr = np.array(arrays["indptr"])
            self._mark, self._strength = arrays["mark"], arrays["strength"]
            self._sampled = np.array(arrays["sampled"])
            self._level = np.array(arrays["level"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._damaged(str(error)) from error
        if (
            (len(self._indptr), len(self._level)) != (n_features + 1, n_features)
            or self._indptr[0] != 0
            or (np.diff(self._indptr) < 0).any()
            or not self._indptr[-1] == len(self._mark) == len(self._strength)
            or self._level.max(initial=0) >= len(self._sampled)
        ):
            raise self._damaged("its parts do not fit together")
        self._bound = bound_of(self._level)

    def mates(self, other: Firings, index: int) -> Mates:
        """The features of this SAE that fire together with a feature of another one, or of it."""
        mark, value = other.of(index)
        level, bound = other._level[index], other._bound[index]
        entry, place = self._shared(mark)
        feature = np.searchsorted(self._indptr, entry, side="right") - 1
        n = len(self._level)
        together = np.bincount(feature, minlength=n)
        found = np.flatnonzero(together >= _FEWEST)
        product = np.bincount(feature, value[place] * self._strength[entry], minlength=n)[found]
        # Of the feature, and of each candidate: how often, sum, sum of squares on the joint sample.
        sums = np.stack([np.cumsum(np.append(0, value**power)) for power in range(3)])
        a, a1, a2 = sums[:, np.searchsorted(mark, self._bound[found], side="right")]
        b, b1, b2 = self._sums(found, bound)
        size = self._sampled[np.maximum(self._level[found], level)].astype(np.float64)
        ab = together[found]
        with np.errstate(divide="ignore", invalid="ignore"):
            expected = a * b / size
            surprise = ab * np.log(ab / expected) - (ab - expected)
            spread = (a2 - a1 * a1 / size) * (b2 - b1 * b1 / size)
            correlation = (product - a1 * b1 / size) / np.sqrt(spread)
        keep = (ab > expected) & (surprise > _SURPRISE)
        columns = (found, ab / (a + b - ab), ab / expected, ab, a.astype(np.int64), correlation)
        return Mates(*(column[keep] for column in columns))

    def of(self, index: int) -> tuple[NDArray[np.uint32], NDArray[np.float64]]:
        """One feature's firings: the numbers of the tokens, ascending, and how strong."""
        span = slice(self._indptr[index], self._indptr[index + 1])
        order = np.argsort(self._mark[span])
        return self._mark[span][order], self._strength[span][order].astype(np.float64)

    def _shared(self, mark: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Firings on some tokens, and which of these tokens that are."""
        if not len(mark):
            none = np.zeros(0, np.int64)
            return none, none
        maybe = np.zeros(_MASK + 1, bool)  # leaves out nearly all before they are looked up
        maybe[mark & _MASK] = True
        entry = np.flatnonzero(maybe[self._mark & _MASK])
        place = np.searchsorted(mark, self._mark[entry]).clip(max=len(mark) - 1)
        same = mark[place] == self._mark[entry]
        return entry[same], place[same]

    def _sums(self, features: NDArray[np.int64], bound: Any) -> NDArray[np.float64]:
        """Of some features on tokens up to a number: how often, sums, sums of squares; [3, C]."""
        first, n = self._indptr[features], np.diff(self._indptr)[features]
        owner = np.repeat(np.arange(len(features)), n)
        entry = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n) + np.repeat(first, n)
        there = self._mark[entry] <= bound
        owner, value = owner[there], self._strength[entry[there]].astype(np.float64)
        return np.stack([np.bincount(owner, value**p, len(features)) for p in range(3)])

    def _damaged(self, why: str) -> ScopeError:
        return ScopeError(
            f"{self._path} is damaged: {why}.",
            "Delete it; what fires together is measured again with `desktop-scope index`.",
        )


def _mapped(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The arrays of a safetensors file, mapped, and what its header tells."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > path.stat().st_size:
            raise ValueError("it is cut short")
        header = json.loads(file.read(size))
    arrays = {}
    for name, kind in _KINDS.items():
        entry = header[name]
        begin, end = entry["data_offsets"]
        dtype, n = np.dtype(_TYPES[kind]), int(entry["shape"][0])
        if entry["dtype"] != kind or n * dtype.itemsize != end - begin:
            raise ValueError(f"“{name}” is of another type or size")
        empty = np.zeros(0, dtype)
        arrays[name] = np.memmap(path, dtype, "r", 8 + size + begin, (n,)) if n else empty
    return arrays, header["__metadata__"]


class Together:
    """What fires together among the open SAEs: those whose firings on the same text are known.

    Args:
        firings: By slot; None where nothing is known.
    """

    def __init__(self, firings: Sequence[Firings | None]) -> None:
        self._firings = list(firings)

    def tokens(self, slot: int) -> int:
        """Of the text that an SAE was measured on; 0 if it was not."""
        firings = self._firings[slot]
        return firings.n_tokens if firings else 0

    def mates(self, feature: FeatureId) -> dict[int, Mates]:
        """What fires together with a feature, by slot of the SAEs that can be compared."""
        own = self._firings[feature.sae]
        if own is None:
            return {}
        return {
            slot: other.mates(own, feature.index)
            for slot, other in enumerate(self._firings)
            if other is not None and other.corpus == own.corpus
        }


def open_together(saes: Sequence[Sae], model: ModelInfo, notes: list[str]) -> Together:
    """What was measured of the open SAEs with this model; what is damaged is noted and left out."""
    firings: list[Firings | None] = []
    for sae in saes:
        path = own.evidence_home() / own.evidence_key(sae.weights, model) / FILE
        firings.append(None)
        if path.is_file():
            try:
                firings[-1] = Firings(path, sae.d_sae)
            except ScopeError as error:
                notes.append(str(error))
    return Together(firings)

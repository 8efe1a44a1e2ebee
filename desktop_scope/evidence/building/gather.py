"""What is gathered about the features of one SAE, in memory that does not grow with the text.

Shapes: N features, P tokens of a block, E activations there. Everything follows from the corpus and
its division into blocks alone, so an interrupted run comes to the same numbers. Exact: counts,
sums, maxima, histogram, strongest examples. The mid-range examples are a sample, keyed by a hash of
feature and position. Of tokens, a feature keeps the N_TOKENS with the largest sums; one that falls
out starts anew when it returns, so with more tokens than that a share may be too small, never too
large.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from desktop_scope.engine.types import Floats
from desktop_scope.evidence.building.blocks import Block, Longs, ranks
from desktop_scope.evidence.building.sketch import Sketch
from desktop_scope.evidence.store import BIN_EDGES, N_BINS, N_TOP, WINDOW, WINDOW_LEFT

Doubles = NDArray[np.float64]
Records = NDArray[np.void]

MID_LOW, MID_HIGH = 0.2, 0.6  # of the maximum: where the mid-range examples lie
N_TOKENS = 32
NO_TOKEN = 2**31 - 1
_N_MID = 3  # kept per strength bin

# Strength bins are half octaves. Only those from 0.2 of the maximum up can matter in the end: a
# ring of six holds them, since what is six bins lower is less than 2^-2.5 = 0.18 as strong.
_RING = 6

# One example. The window holds activations as shares of the strongest in it, 255 being all.
_RECORD = np.dtype(
    [
        ("value", "<f4"),  # 0: no example
        ("scale", "<f4"),  # what 255 of the window stands for; 0: not looked up yet
        ("position", "<i8"),  # in the corpus
        ("key", "<u8"),  # the document of a strongest example, the hash of a mid-range one
        ("window", "u1", (WINDOW,)),
    ]
)

_FIRST_EDGE = round(2 * np.log2(BIN_EDGES[0]))
_HALF = int(np.sqrt(np.float32(2)).view(np.int32)) & 0x7FFFFF  # the fraction of an odd edge

_LOOKED_UP_AT_ONCE = 8192  # windows: bounds the memory
_NORMS_PER_OCTAVE = 64  # gives the median to about 1 %
_NORM_OCTAVES = 20  # either side of 1


class Gathered:
    """The evidence about one SAE's N features so far."""

    def __init__(self, n_features: int) -> None:
        n = n_features
        self.n_tokens = np.zeros(1, np.int64)
        self.norms = np.zeros(2 * _NORM_OCTAVES * _NORMS_PER_OCTAVE, np.int64)
        self.count = np.zeros(n, np.int64)
        self.total = np.zeros(n, np.float64)
        self.largest = np.zeros(n, np.float32)
        self.hist = np.zeros((n, N_BINS), np.int64)
        self.top = np.zeros((n, N_TOP), _RECORD)
        self.mid = np.zeros((n * _RING, _N_MID), _RECORD)
        self.token = np.full((n, N_TOKENS), NO_TOKEN, np.int32)  # ascending
        self.token_total = np.zeros((n, N_TOKENS), np.float64)
        self.sketch = Sketch(n)

    @property
    def counted(self) -> int:
        """Tokens that were encoded."""
        return int(self.n_tokens[0])

    def arrays(self) -> dict[str, NDArray]:  # type: ignore[type-arg]
        """All there is, by name: what a checkpoint keeps. Writing into them changes this."""
        own = {name: array for name, array in vars(self).items() if name != "sketch"}
        sketch = {f"sketch.{name}": array for name, array in self.sketch.arrays().items()}
        return sketch | {
            name: array.view(np.uint8) if array.dtype == _RECORD else array
            for name, array in own.items()
        }

    @property
    def median_norm(self) -> float:
        """Median length of what the SAE reads, to about 1 %; nan before there is any."""
        if not self.norms.any():
            return float("nan")
        half = int(np.searchsorted(np.cumsum(self.norms), self.norms.sum() / 2))
        return float(2.0 ** ((half + 0.5) / _NORMS_PER_OCTAVE - _NORM_OCTAVES))

    def mid_range(self) -> Records:
        """The candidates for mid-range examples, [N, 18]; those with value 0 are none."""
        return self.mid.reshape(len(self.count), -1)

    def add(self, block: Block) -> None:
        """Take in a block."""
        n, feature, value = len(self.count), block.feature, block.value
        self.n_tokens += len(block.norms)
        octave = np.log2(np.maximum(block.norms, np.float32(1e-30))) + _NORM_OCTAVES
        place = (octave * _NORMS_PER_OCTAVE).astype(np.int64).clip(0, len(self.norms) - 1)
        self.norms += np.bincount(place, minlength=len(self.norms))
        self.count += np.bincount(feature, minlength=n)
        self.total += np.bincount(feature, value, minlength=n)
        np.maximum.at(self.largest, feature, value)
        bins = (half_octaves(value) - _FIRST_EDGE).clip(0, N_BINS - 1)
        self.hist += np.bincount(feature * N_BINS + bins, minlength=n * N_BINS).reshape(n, -1)
        self._add_tokens(block)
        self._add_strongest(block)
        self._add_mid_range(block)
        self.sketch.add(block)

    # ---- tokens

    def _add_tokens(self, block: Block) -> None:
        """Most tokens are known already, or too weak to be kept: the others are few."""
        pair = block.feature << 32 | block.tokens[block.at]
        order = np.argsort(pair)
        pair = pair[order]
        starts = np.flatnonzero(np.diff(pair, prepend=-1))
        pairs = pair[starts]
        sums = np.add.reduceat(block.value[order].astype(np.float64), starts)
        known = (np.arange(len(self.token))[:, None] << 32 | self.token).reshape(-1)
        place = np.searchsorted(known, pairs).clip(max=len(known) - 1)
        there = known[place] == pairs
        self.token_total.reshape(-1)[place[there]] += sums[there]
        feature = pairs >> 32
        new = ~there & (sums >= self.token_total.min(axis=1)[feature])
        if new.any():
            self._exchange_tokens(pairs[new], sums[new])

    def _exchange_tokens(self, pairs: Longs, sums: Doubles) -> None:
        """Let features keep the strongest of their tokens and of new ones."""
        touched = np.unique(pairs >> 32)
        held = self.token_total[touched] > 0
        old = (touched[:, None] << 32 | self.token[touched])[held]
        pairs = np.concatenate([old, pairs])
        sums = np.concatenate([self.token_total[touched][held], sums])
        order = np.lexsort((pairs, -sums, pairs >> 32))
        kept = order[ranks(pairs[order] >> 32) < N_TOKENS]
        kept = kept[np.argsort(pairs[kept])]
        group = pairs[kept] >> 32
        rank = ranks(group)
        self.token[touched], self.token_total[touched] = NO_TOKEN, 0
        self.token[group, rank] = (pairs[kept] & 0xFFFFFFFF).astype(np.int32)
        self.token_total[group, rank] = sums[kept]

    # ---- examples

    def _add_strongest(self, block: Block) -> None:
        """The N_TOP strongest, at most one per document; of equals the first."""
        hopeful = np.flatnonzero(block.value > self.top["value"][block.feature, -1])
        new = _records(block, hopeful)
        new["key"] = block.document[block.at[hopeful]]
        group, records, touched = _joined(self.top, block.feature[hopeful], new)
        order = np.lexsort((records["position"], -records["value"], records["key"], group))
        document = records["key"][order]
        another = np.ones(len(order), bool)
        another[1:] = (np.diff(group[order]) != 0) | (document[1:] != document[:-1])
        order = order[another]
        group, records = group[order], records[order]
        order = np.lexsort((records["position"], -records["value"], group))
        _put(self.top, touched, group[order], records[order])
        self._look_up(self.top, touched, touched, block)

    def _add_mid_range(self, block: Block) -> None:
        """Of each strength bin that may end up in the middle, those with the smallest hashes."""
        bins = half_octaves(block.value)
        slot = block.feature * _RING + bins % _RING
        key = _hash(block.feature, block.first + block.at)
        worst = self.mid[:, -1]
        full = worst["value"] > 0
        held = np.where(self.mid["value"][:, 0] > 0, half_octaves(self.mid["value"][:, 0]), -9999)
        better = ~full[slot] | (key < worst["key"][slot])
        hopeful = np.flatnonzero((bins > held[slot]) | ((bins == held[slot]) & better))
        new = _records(block, hopeful)
        new["key"] = key[hopeful]
        group, records, touched = _joined(self.mid, slot[hopeful], new)
        bins = half_octaves(records["value"])
        order = np.lexsort((records["key"], -bins, group))
        group, records, bins = group[order], records[order], bins[order]
        highest = bins[np.arange(len(group)) - ranks(group)]
        _put(self.mid, touched, group[bins == highest], records[bins == highest])
        self._look_up(self.mid, touched, touched // _RING, block)

    def _look_up(self, table: Records, touched: Longs, feature: Longs, block: Block) -> None:
        """Give the new examples of some groups, which lie in this block, their windows."""
        rows = table[touched]
        which, k = np.nonzero((rows["value"] > 0) & (rows["scale"] == 0))
        if not len(which):
            return
        records = rows[which, k]
        values = _windows(block, len(self.count), feature[which], records["position"])
        scale = values.max(axis=1)
        records["scale"] = scale
        records["window"] = np.rint(values * (255 / scale[:, None])).astype(np.uint8)
        table[touched[which], k] = records


def half_octaves(value: Floats) -> Longs:
    """⌊2 log₂ value⌋, [E]; where a value is 0 it means nothing."""
    bits = value.view(np.int32)
    return 2 * ((bits >> 23).astype(np.int64) - 127) + ((bits & 0x7FFFFF) >= _HALF)


def _hash(feature: Longs, position: Longs) -> NDArray[np.uint64]:
    """Evenly spread numbers for pairs (splitmix64, Steele et al. 2014)."""
    z = position.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z += feature.astype(np.uint64) * np.uint64(0xD1B54A32D192ED03)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _records(block: Block, which: Longs) -> Records:
    """Some activations of a block as examples, their windows not yet looked up."""
    records = np.zeros(len(which), _RECORD)
    records["value"] = block.value[which]
    records["position"] = block.first + block.at[which]
    return records


def _joined(table: Records, group: Longs, new: Records) -> tuple[Longs, Records, Longs]:
    """New records with those that their groups hold; the group of each; the groups."""
    touched = np.unique(group)
    old = table[touched].reshape(-1)
    there = old["value"] > 0
    groups = np.repeat(touched, table.shape[1])[there]
    return np.concatenate([groups, group]), np.concatenate([old[there], new]), touched


def _put(table: Records, touched: Longs, group: Longs, records: Records) -> None:
    """Let groups hold the first of these records, which are sorted by group."""
    rank = ranks(group)
    kept = rank < table.shape[1]
    table[touched] = np.zeros((), _RECORD)
    table[group[kept], rank[kept]] = records[kept]


def _windows(block: Block, n_features: int, feature: Longs, position: Longs) -> Floats:
    """Activations of features around positions, [C, WINDOW]; 0 beyond the row's ends."""
    keys = block.at * n_features + block.feature
    offsets = np.arange(WINDOW) - WINDOW_LEFT
    found = np.zeros((len(feature), WINDOW), np.float32)
    for begin in range(0, len(feature), _LOOKED_UP_AT_ONCE):
        part = slice(begin, begin + _LOOKED_UP_AT_ONCE)
        centre = position[part, None] - block.first
        at = (centre + offsets).clip(0, len(block.tokens) - 1)
        key = at * n_features + feature[part, None]
        place = np.searchsorted(keys, key).clip(max=len(keys) - 1)
        same_row = block.row[at] == block.row[centre]
        fires = (keys[place] == key) & same_row & (at == centre + offsets)
        found[part] = np.where(fires, block.value[place], 0)
    return found

"""What was counted of one SAE's families, as a pack ships it; see ``counting``.

One file for all layers: ``fires`` [L, N], ``parent`` and ``together`` [L, N, K]. Its header says on
how many tokens, and which prefixes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from desktop_scope.evidence.kinship.counting import KinCounts
from desktop_scope.evidence.kinship.scoring import N_PARENTS
from desktop_scope.evidence.shipped import damaged, read_layer
from desktop_scope.library.parts import part_of

SHIPPED = "families.safetensors"
FORMAT = "desktop-scope-families/1"


class Link(NamedTuple):
    """A feature of a coarser dictionary that fires where a finer one does.

    Attributes:
        index: Of the coarser one.
        together: On so many of the finer one's tokens.
        fires: On so many the finer one fires.
        density: The share of all tokens on which the coarser one fires.
    """

    index: int
    together: int
    fires: int
    density: float


class KinBook:
    """The families of one SAE's features.

    Attributes:
        n_tokens: Of the sample.
    """

    def __init__(self, counts: KinCounts) -> None:
        self.n_tokens = counts.n_tokens
        self._counts = counts

    @classmethod
    def shipped(cls, pack: Path, layer: int, n_features: int) -> KinBook | None:
        """What a pack ships of one layer; None if it ships none.

        Raises:
            ScopeError: What it ships is damaged.
        """
        path, rows = pack / SHIPPED, (n_features, N_PARENTS)
        names, shapes = ("fires", "parent", "together"), ((n_features,), rows, rows)
        found = read_layer(path, FORMAT, layer, names, shapes)
        if found is None:
            return None
        (fires, parent, together), about = found
        n_tokens = int(about["n_tokens"]) if about.get("n_tokens", "").isdecimal() else 0
        wrong = (together > fires[:, None]) | (
            (together > 0) & (parent >= np.arange(n_features)[:, None])
        )
        if n_tokens <= 0 or (fires > n_tokens).any() or wrong.any():
            raise damaged(path, "it has impossible counts")
        return cls(KinCounts(n_tokens, fires, parent, together))

    def fires(self, index: int) -> int:
        """On so many tokens of the sample a feature fires."""
        return int(self._counts.fires[index])

    def parents(self, index: int) -> list[Link]:
        """The likeliest ones of a feature, best first; none where too little was seen."""
        counts = self._counts
        return [
            Link(p, k, int(counts.fires[index]), float(counts.fires[p]) / self.n_tokens)
            for p, k in zip(
                counts.parent[index].tolist(), counts.together[index].tolist(), strict=True
            )
            if k > 0
        ]

    def children(self, index: int) -> NDArray[np.intp]:
        """The features of which it is the likeliest parent, ascending."""
        order, owner = self._by_parent
        first, past = np.searchsorted(owner, (index, index + 1))
        return np.sort(order[first:past])

    @cached_property
    def _by_parent(self) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        best = self._counts.parent[:, 0].astype(np.int64)
        owner = np.where(self._counts.together[:, 0] > 0, best, len(best))
        order = np.argsort(owner, kind="stable")
        return order, owner[order]


def write_kin(path: Path, counts: Sequence[KinCounts], about: dict[str, str]) -> None:
    """Write what was counted of the SAEs of a pack, in the order of its layers."""
    arrays = {
        "fires": np.stack([one.fires for one in counts]).astype(np.int32),
        "parent": np.stack([one.parent for one in counts]).astype(np.uint16),
        "together": np.stack([one.together for one in counts]).astype(np.uint16),
    }
    header = {"format": FORMAT, "n_tokens": str(counts[0].n_tokens)} | about
    part = part_of(path)
    save_file(arrays, part, header)
    part.replace(path)

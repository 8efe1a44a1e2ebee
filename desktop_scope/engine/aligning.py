"""Which token of one text stands for which of another. No torch here.

As a person compares two versions of a text: what both have, in the same order, belongs together;
what only one has, or has instead, belongs to nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray


def align(
    a: Sequence[Hashable] | NDArray[np.integer], b: Sequence[Hashable] | NDArray[np.integer]
) -> NDArray[np.int64]:
    """Pairs of places in two texts that have the same token, both ascending: [n, 2].

    Args:
        a: Token ids of a text; or their texts, where the ids are of different vocabularies.
        b: Those of the other.
    """
    # Without “autojunk”, which would leave out of long texts whatever is frequent in them.
    found = SequenceMatcher(None, _plain(a), _plain(b), autojunk=False).get_matching_blocks()
    pairs = [(block.a + k, block.b + k) for block in found for k in range(block.size)]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _plain(tokens: Sequence[Hashable] | NDArray[np.integer]) -> list[Hashable]:
    """Numbers of Python's own: those of numpy take three times as long to look up."""
    return tokens.tolist() if isinstance(tokens, np.ndarray) else list(tokens)

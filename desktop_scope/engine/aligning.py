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
    one, other = _plain(a), _plain(b)
    # What both begin and end with comes first: the matcher looks for the longest piece, wherever.
    before = common_prefix(one, other)
    after = common_prefix(one[before:][::-1], other[before:][::-1])
    ends = len(one) - after, len(other) - after
    middle = one[before : ends[0]], other[before : ends[1]]
    # Without “autojunk”, which would leave out of long texts whatever is frequent in them.
    found = SequenceMatcher(None, *middle, autojunk=False).get_matching_blocks()
    pairs = [
        *((k, k) for k in range(before)),
        *((before + m.a + k, before + m.b + k) for m in found for k in range(m.size)),
        *((ends[0] + k, ends[1] + k) for k in range(after)),
    ]
    return np.array(pairs, np.int64).reshape(-1, 2)


def common_prefix(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """How many tokens two texts begin with alike."""
    return next(
        (n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )


def _plain(tokens: Sequence[Hashable] | NDArray[np.integer]) -> list[Hashable]:
    """Numbers of Python's own: those of numpy take three times as long to look up."""
    return tokens.tolist() if isinstance(tokens, np.ndarray) else list(tokens)

"""A stretch of the corpus as one SAE sees it: what everything is gathered from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from desktop_scope.engine.types import Bools, Floats, Ints

Longs = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Block:
    """A few rows of the corpus as one SAE sees them.

    Attributes:
        first: The corpus position of the first token.
        tokens: Token ids, [P].
        row: The row that each token is in, [P].
        document: The document that each token is in, [P].
        counted: The tokens that the SAE encodes, [P].
        at: The token of every activation, ascending, [E].
        feature: Its feature, ascending within a token, [E].
        value: How strong, all > 0, [E].
        norms: Length of what the SAE read, of every token that counts.
    """

    first: int
    tokens: Ints
    row: Ints
    document: Longs
    counted: Bools
    at: Longs
    feature: Longs
    value: Floats
    norms: Floats


def ranks(group: Longs) -> Longs:
    """How many of the same group come before, for groups that lie together."""
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    return np.arange(len(group)) - np.repeat(starts, np.diff(np.append(starts, len(group))))

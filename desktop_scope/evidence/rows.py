"""Rows of tokens: text as it is read again, or for the first time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Row:
    """A stretch of a document.

    Attributes:
        ids: Token ids, [T].
        start: The tokens before it are not counted.
        document: Its number, from 0.
        share: Of the corpus, up to the end of this document.
        aside: Nothing is gathered from it: labels are judged on it.
    """

    ids: NDArray[np.int32]
    start: int
    document: int
    share: float
    aside: bool = False

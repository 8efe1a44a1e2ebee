"""Which coarse feature a finer one comes from, judged by where both fire.

The score of a parent p of a feature c is s² · ln(s / d): s the share of c's tokens where p fires,
d the share of all tokens on which p does. ln(s / d) is how much likelier p is where c fires; a
parent that fires nearly everywhere has next to nothing of it. s counts twice: a parent is what
fires (nearly) wherever its child does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

N_PARENTS = 3  # kept of every feature
_FEWEST = 3  # tokens on which both fire: fewer may be chance whatever the share


def kin_score(
    together: NDArray[Any], fires: NDArray[Any] | float, density: NDArray[Any]
) -> NDArray[np.float64]:
    """How well coarse features explain a finer one; −inf where nothing speaks for it.

    Args:
        together: On so many tokens both fire, [..., M].
        fires: On so many the finer feature does, [..., 1].
        density: The share of tokens on which each coarse feature fires, [M]; nan if unknown.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        share = together / fires
        # One token more, on which they part, holds back what was seen on a few tokens only.
        score = (together / (fires + 1.0)) ** 2 * np.log(share / density)
        known = (together >= _FEWEST) & (share > density)
    return np.where(known, score, -np.inf)

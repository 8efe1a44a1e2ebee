"""Words for the parts of the map: those that stand out in the labels there."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from desktop_scope.engine.types import Floats
from desktop_scope.evidence.mapping.types import Region

LEVELS = range(2, 7)  # 4 × 4 to 64 × 64 parts
_FEWEST = 4  # features of a part that have the word
_WORD = re.compile(r"[^\W\d_]{3,}")
_ASIDE = re.compile(r"; | near |, in (?:the )?|\(also| before | after | right ")  # no main matter
_FILLERS = frozenset(
    [
        "about",
        "also",
        "and",
        "are",
        "but",
        "containing",
        "contexts",
        "dense",
        "ending",
        "ends",
        "fairly",
        "feature",
        "for",
        "from",
        "full",
        "generic",
        "has",
        "have",
        "into",
        "its",
        "label",
        "like",
        "mixed",
        "new",
        "not",
        "numbers",
        "other",
        "others",
        "over",
        "plain",
        "start",
        "starting",
        "stop",
        "than",
        "that",
        "the",
        "their",
        "this",
        "token",
        "tokens",
        "various",
        "was",
        "weak",
        "when",
        "with",
        "word",
        "words",
    ]
)


def regions(points: Floats, labels: Sequence[str]) -> tuple[Region, ...]:
    """Name the parts of a map, at several levels.

    A word's weight in a part is how often its labels have it, times the log of how many times
    more often that is than on the whole map.

    Args:
        points: [N, 2], 0…1.
        labels: [N]; empty where there is none.
    """
    owner, word, names = _words(labels)
    if not len(word):
        return ()
    share = np.bincount(word, minlength=len(names)) / len(labels)
    found: list[Region] = []
    for level in LEVELS:
        n = 2**level
        cells = np.minimum((points * n).astype(np.int64), n - 1)
        cell = cells[:, 1] * n + cells[:, 0]
        inside = np.bincount(cell, minlength=n * n)
        pairs, place, counts = np.unique(
            cell[owner] * len(names) + word, return_inverse=True, return_counts=True
        )
        where, which = np.divmod(pairs, len(names))
        lift = counts / np.maximum(inside[where], 1) / share[which]
        weight = np.where(counts >= _FEWEST, counts * np.log(np.maximum(lift, 1.0)), 0.0)
        x, y = (np.bincount(place, points[owner, axis]) / counts for axis in (0, 1))
        order = np.lexsort((-weight, where))
        firsts = order[np.unique(where[order], return_index=True)[1]]
        found += [
            Region(level, float(x[k]), float(y[k]), names[which[k]], float(weight[k]))
            for k in firsts[weight[firsts] > 0].tolist()
        ]
    return tuple(found)


def _words(
    labels: Sequence[str],
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str]]:
    """Every distinct word of every label: whose it is, which word, and the words."""
    numbers: dict[str, int] = {}
    owner: list[int] = []
    word: list[int] = []
    for n, label in enumerate(labels):
        main = _ASIDE.split(label, maxsplit=1)[0].lower()
        for text in set(_WORD.findall(main)) - _FILLERS:
            owner.append(n)
            word.append(numbers.setdefault(text, len(numbers)))
    return np.array(owner, np.int64), np.array(word, np.int64), list(numbers)

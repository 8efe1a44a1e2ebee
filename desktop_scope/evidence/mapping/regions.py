"""Words for the parts of the map: those that stand out in the labels there."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from desktop_scope.engine.types import Floats
from desktop_scope.evidence.lexicon import GRAMMAR, TOPICS
from desktop_scope.evidence.mapping.types import Region

LEVELS = range(2, 7)  # 4 × 4 to 64 × 64 parts
_FEWEST = 4  # features of a part that have the word
_WORD = re.compile(r"[^\W\d_]{3,}")
_ASIDE = re.compile(r"; | near |, in (?:the )?|\(also| before | after | right ")  # no main matter
_PIECE = re.compile(r"'[^' ]*-'|'-[^' ]*'")  # of spelling
_NAMELESS = """
about also and are but containing contexts dense ending ends fairly feature for from full generic
has have into its label like mixed new not numbers other others over plain start starting stop than
that the their this token tokens various was weak when with word words come came get give going got
following kind let make made name often put said say see set sort take there thing things use used
way went
"""
_FILLERS = frozenset(_NAMELESS.split()).union(*(words.split() for words in GRAMMAR.values()))
_GROUPS = re.compile(
    r"\b(?:" + "|".join(map(re.escape, sorted((*TOPICS, *GRAMMAR), key=len, reverse=True))) + r")\b"
)
_APART = 1.5  # widths of a part: nearer ones of the same word are named once


def regions(points: Floats, labels: Sequence[str]) -> tuple[Region, ...]:
    """Name the parts of a map, at several levels.

    A word's weight in a part is how many different labels there have it, times the log of how many
    times more often they do than on the whole map. Of words that only hold sentences together there
    are the names of their groups, such as “prepositions”, but not they themselves.

    Args:
        points: [N, 2], 0…1.
        labels: [N]; empty where there is none.
    """
    owner, word, names = _words(labels)
    if not len(word):
        return ()
    share = np.bincount(word, minlength=len(names)) / len(labels)
    numbers: dict[str, int] = {}
    text = np.array([numbers.setdefault(label, len(numbers)) for label in labels])[owner]
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
        different = np.bincount(np.unique(place * len(numbers) + text) // len(numbers))
        lift = counts / np.maximum(inside[where], 1) / share[which]
        weight = np.where(counts >= _FEWEST, different * np.log(np.maximum(lift, 1.0)), 0.0)
        x, y = (np.bincount(place, points[owner, axis]) / counts for axis in (0, 1))
        order = np.lexsort((-weight, where))
        firsts = order[np.unique(where[order], return_index=True)[1]]
        named = [
            Region(level, float(x[k]), float(y[k]), names[which[k]], float(weight[k]))
            for k in firsts[weight[firsts] > 0].tolist()
        ]
        found += _each_once(named, _APART / n)
    return tuple(found)


def _each_once(named: Sequence[Region], apart: float) -> list[Region]:
    """Without those near to a weightier one of the same word."""
    kept: dict[str, list[Region]] = {}
    for one in sorted(named, key=lambda region: -region.weight):
        same = kept.setdefault(one.word, [])
        if all(max(abs(one.x - other.x), abs(one.y - other.y)) > apart for other in same):
            same.append(one)
    return [region for regions in kept.values() for region in regions]


def _words(
    labels: Sequence[str],
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str]]:
    """Every distinct word, or group of words, of every label: whose it is, which, and all."""
    numbers: dict[str, int] = {}
    owner: list[int] = []
    word: list[int] = []
    for n, label in enumerate(labels):
        main = _PIECE.sub(" ", _ASIDE.split(label, maxsplit=1)[0].lower())
        words = (w for w in _WORD.findall(_GROUPS.sub(" ", main)) if w not in _FILLERS)
        # In their order, which decides between words that stand out alike.
        for text in dict.fromkeys([*_GROUPS.findall(main), *words]):
            owner.append(n)
            word.append(numbers.setdefault(text, len(numbers)))
    return np.array(owner, np.int64), np.array(word, np.int64), list(numbers)

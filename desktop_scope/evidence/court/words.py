"""The court's text as words: what stands at every place, before, after and around it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from desktop_scope.evidence.lexicon import TOPICS, groups_by_stem, stem
from desktop_scope.evidence.store import PADDING, WINDOW, WINDOW_LEFT, Corpus
from desktop_scope.evidence.words import CorpusWords, UnitKind

Units = frozenset[int]
_COMMON = 0.0008  # of the text
_SAID_ON_BOTH_SIDES = WINDOW - WINDOW_LEFT


class CourtWords:
    """A text in which labels are tried.

    Args:
        rows: Token ids [R, W], negative after a row's end; of any vocabulary.
        texts: The text of every token of the vocabulary.
        source: Which part of the corpus each row is from, [R].
        sources: Names of the parts.

    Attributes:
        tokens: Ids by place, [P].
        names: Readable words, by unit.
        kinds: UnitKind, by unit.
        unit: The unit at every place, [P].
        before: The unit before it, [P].
        after: The unit after it, [P].
    """

    def __init__(
        self,
        rows: NDArray[np.integer],
        texts: tuple[str, ...],
        source: NDArray[np.integer] | None = None,
        sources: tuple[str, ...] = (),
    ) -> None:
        # Few distinct tokens occur; numbered anew they fit however large the vocabulary is.
        kept, small = np.unique(rows, return_inverse=True)
        padded = kept < 0
        small = np.where(padded[small], PADDING, small).reshape(rows.shape).astype(np.uint16)
        few = ["" if pad else texts[token] for token, pad in zip(kept, padded, strict=True)]
        n_rows, self.width = rows.shape
        corpus = Corpus(small, np.zeros(n_rows, np.uint8), np.zeros(n_rows, np.uint8), ())
        words = CorpusWords.of(corpus, few)
        span = words.span
        self.tokens = rows.reshape(-1)
        self.names, self.kinds, self.surfaces = words.names, words.kinds, words.surfaces
        self.unit = words.unit[span]
        self.before = words.unit[words.before(span)]
        self.after = words.unit[words.after(span)]
        self.surface = words.surface[span]
        self.place = np.arange(len(span)) - words.first[span]  # tokens of the word before it
        self.turn = words.turn
        self.small = small.reshape(-1)
        self.pieces = [text.strip().lower() for text in few]
        self.source = np.repeat(source if source is not None else np.zeros(n_rows, int), self.width)
        self.sources = sources
        self._grammar, _ = groups_by_stem()
        # Each court remembers for itself, so that what it remembers goes with it.
        self.word = lru_cache(65536)(self._word)
        self.where = lru_cache(4096)(self._where)
        self.topic = lru_cache(256)(self._topic)
        self.of_kind = lru_cache(16)(self._of_kind)

    @cached_property
    def around(self) -> NDArray[np.int32]:
        """The units around every place, within its row, [P, WINDOW]; 0 beyond."""
        offsets = np.arange(-WINDOW_LEFT, _SAID_ON_BOTH_SIDES)
        places = np.arange(len(self.unit))
        column = (places % self.width)[:, None] + offsets
        at = np.clip(places[:, None] + offsets, 0, len(self.unit) - 1)
        inside = (column >= 0) & (column < self.width)
        return np.where(inside, self.unit[at], 0).astype(np.int32)

    @cached_property
    def telling(self) -> Units:
        """Words that are rare enough to say what a text is about."""
        count = np.bincount(self.unit, minlength=len(self.names))
        rare = count < _COMMON * count[1:].sum()
        return frozenset(
            unit
            for unit, name in self._all_words
            if rare[unit] and len(name) > 2 and name not in self._grammar
        )

    # ---- from words to units

    @cached_property
    def index(self) -> dict[str, int]:
        """From a word to its unit."""
        return {name: unit for unit, name in enumerate(self.names)}

    @cached_property
    def _by_stem(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for unit, name in self._all_words:
            found[stem(name)].append(unit)
        return found

    @cached_property
    def _all_words(self) -> list[tuple[int, str]]:
        return [(int(u), self.names[u]) for u in np.flatnonzero(self.kinds == UnitKind.WORD)]

    def _word(self, text: str) -> Units:
        """The units of a word and its forms, or of a mark."""
        text = text.lower().replace("’", "'")
        if text in self._grammar or not text.isalpha():
            return frozenset([self.index[text]]) if text in self.index else frozenset()
        exact = [self.index[text]] if text in self.index else []
        return frozenset((*exact, *self._by_stem.get(stem(text), ())))

    def words(self, texts: Iterable[str]) -> Units:
        """The units of several words."""
        return frozenset().union(*map(self.word, texts))

    def _where(self, test: str, piece: str) -> Units:
        """Words that begin with, end in, or contain something."""
        does = {"begins": str.startswith, "ends": str.endswith, "has": str.__contains__}[test]
        return frozenset(
            unit for unit, name in self._all_words if len(name) > len(piece) and does(name, piece)
        )

    def _topic(self, name: str) -> Units:
        """The words of a topic of the lexicon."""
        return self.words(TOPICS[name].split())

    def _of_kind(self, *kinds: UnitKind) -> Units:
        """All units of some kinds."""
        return frozenset(np.flatnonzero(np.isin(self.kinds, kinds)).tolist())

"""Stretches of a text in which some words stand close together: what is about a thing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from desktop_scope.engine.types import Floats
from desktop_scope.evidence.store import Corpus

LENGTH = 28  # tokens
_COMMON = 150  # a word that is one in so many tokens says nothing of what a text is about


class Stretches:
    """Finds them in one text, cut into pieces of equal length.

    Args:
        corpus: The text.
        texts: Of every token of the vocabulary.
    """

    def __init__(self, corpus: Corpus, texts: Sequence[str]) -> None:
        n_pieces = corpus.tokens.shape[1] // LENGTH
        rows = corpus.tokens[:, : n_pieces * LENGTH]
        self._pieces = rows.reshape(-1, LENGTH)  # [n, LENGTH]
        self._per_row = n_pieces
        self._whole = (self._pieces != corpus.padding).all(1)
        self._counts = np.bincount(
            corpus.tokens[corpus.tokens != corpus.padding], minlength=corpus.padding + 1
        )
        self._texts = texts
        self._tokens: dict[str, list[int]] = defaultdict(list)  # by word
        for token, text in enumerate(texts):
            self._tokens[text.strip().lower()].append(token)

    def find(self, words: Mapping[str, float]) -> Iterator[str]:
        """Those with most of the words first, one of each row; each word counts once.

        Args:
            words: How much each says.
        """
        weights = self._weights(words)
        found = np.where(self._whole, weights[self._pieces].sum(1), 0)
        best = np.argsort(-found, kind="stable")[: 32 * self._per_row]
        once = [float(weights[np.unique(self._pieces[n])].sum()) for n in best]
        rows = set()
        for place in np.argsort(np.negative(once), kind="stable").tolist():
            piece = int(best[place])
            if not once[place] or not self._whole[piece]:
                return
            if piece // self._per_row not in rows:
                rows.add(piece // self._per_row)
                yield "".join(self._texts[token] for token in self._pieces[piece]).strip()

    def _weights(self, words: Mapping[str, float]) -> Floats:
        """By token, [vocabulary]: rare words say more, common ones nothing."""
        weights = np.zeros(len(self._counts), np.float32)
        n_tokens = self._counts.sum()
        for word, share in words.items():
            tokens = self._tokens.get(word, [])
            count = self._counts[tokens].sum() + 1
            weights[tokens] = share * max(np.log(n_tokens / count / _COMMON), 0.0)
        return weights

"""Which features are worth a look: many rare words of one meaning.

    interest = variety · kinship · rarity · density · kind, each 0…1

- variety: the effective number of words at the peaks of the examples, exp(entropy): five examples
  on “take” and one on “hold” are 1.6. 1.5 counts 0, 6 or more 1.
- kinship: mean cosine of the model's own (centred) token vectors between distinct peak words; the
  smaller one of all examples and of the mid-range ones against the strongest, so that a feature
  that means something else when weak does not pass. 0.08 counts 0 (chance), 0.40 counts 1.
- rarity: mean −log10 of the peak words' share of the text: 2.6 (“their”) counts 0, 3.6 counts 1.
- density: 0 at 10⁻⁵ and below or 10⁻¹·⁷ (2 %) and above, 1 from 10⁻⁴ to 10⁻²·⁵.
- kind: what the label says it is; markup and positions count 0.

The constants were set by reading suggestions from the demo pack.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from desktop_scope.engine.types import Bools, Floats, Ints
from desktop_scope.evidence.types import Interest

KINDS = {
    "topic": 1.0, "phrase": 0.8, "other": 0.5, "syntax": 0.4, "token": 0.4,
    "format": 0.0, "position": 0.0, "various": 0.0,
}  # fmt: skip
_NO_LABEL = 0.5
_AT_ONCE = 512  # features: bounds [features, examples, width]
_FEWEST, _MOST = 1.5, 6.0
_CHANCE, _KIN = 0.08, 0.40
_COMMON, _RARE = 2.6, 3.6
_SHORTEST = 3  # letters of a word


@dataclass(frozen=True, eq=False)
class Peaks:
    """On which tokens the features of one SAE are strongest, in a text of their own.

    Attributes:
        tokens: [N, K] at the peak of each example, the strongest examples first; −1: no example.
        n_top: So many of them were chosen for their strength, the others at random.
        counts: [V] how often each token stands in the text.
    """

    tokens: Ints
    n_top: int
    counts: NDArray[np.int64]


class Words:
    """The vocabulary as words with meanings.

    Args:
        texts: The readable text of every token.
        vectors: [V, d] their vectors; the unembedding, which often is the embedding too.
    """

    def __init__(self, texts: tuple[str, ...], vectors: torch.Tensor) -> None:
        self.texts = texts
        self._vectors = vectors
        self._mean = vectors.float().mean(0).cpu()
        numbers: dict[str, int] = {}
        folded = [numbers.setdefault(text.strip().lower(), len(numbers)) for text in texts]
        self.word: NDArray[np.int64] = np.array(folded)  # [V] the same for “Dog” and “ dog”
        self.wordish: Bools = np.array(
            [len(text.strip()) >= _SHORTEST and text.strip().isalpha() for text in texts]
        )

    def unit(self, tokens: Ints) -> torch.Tensor:
        """Centred vectors of unit length, [..., d]."""
        at = torch.from_numpy(tokens.astype(np.int64)).to(self._vectors.device)
        vectors = self._vectors[at].float().cpu() - self._mean
        return vectors / vectors.norm(dim=-1, keepdim=True).clamp(min=1e-9)

    def surprise(self, counts: NDArray[np.int64]) -> Floats:
        """−log10 of the share of each token's word in a text, [V]."""
        n = np.bincount(self.word, counts[: len(self.word)], int(self.word.max()) + 1)
        share: Floats = -np.log10((n + 1) / max(n.sum(), 1)).astype(np.float32)[self.word]
        return share


@dataclass(frozen=True, eq=False)
class Interests:
    """What makes features interesting, [n] each."""

    distinct: Ints
    variety: Floats
    kinship: Floats
    rarity: Floats
    density: Floats
    kind: Floats

    @property
    def score(self) -> Floats:
        """0…1."""
        return self.variety * self.kinship * self.rarity * self.density * self.kind

    def of(self, n: int) -> Interest:
        """One of them."""
        parts = (self.variety, self.kinship, self.rarity, self.density, self.kind)
        return Interest(
            float(self.score[n]), int(self.distinct[n]), *(float(part[n]) for part in parts)
        )


def interests(peaks: Peaks, words: Words, density: Floats, kinds: tuple[str, ...]) -> Interests:
    """How interesting features are.

    Args:
        peaks: Of n features.
        words: The model's vocabulary.
        density: Share of tokens on which each fires, [n].
        kinds: Of their labels, [n]; empty where there is no label.
    """
    tokens = np.maximum(peaks.tokens, 0)
    there = peaks.tokens >= 0
    word = np.where(there, words.word[tokens], -1)
    n_there = np.maximum(there.sum(axis=1), 1)
    first = _first(word) & there
    distinct = first.sum(axis=1)
    rare = (words.surprise(peaks.counts)[tokens] * there).sum(axis=1) / n_there
    whole = (words.wordish[tokens] & there).sum(axis=1) / n_there
    log = np.log10(np.nan_to_num(density, nan=1e-3).clip(1e-9))
    variety = ((_effective(word) - _FEWEST) / (_MOST - _FEWEST)).clip(0, 1)
    rarity = ((rare - _COMMON) / (_RARE - _COMMON)).clip(0, 1) * whole
    band = (log + 5).clip(0, 1) * ((-1.7 - log) / 0.8).clip(0, 1)
    kind = np.array([KINDS.get(kind, _NO_LABEL) for kind in kinds], np.float32)
    kinship = np.zeros(len(tokens), np.float32)
    worth = np.flatnonzero(variety * rarity * band * kind)
    if len(tokens) <= _AT_ONCE:  # all that is known of a few
        worth = np.arange(len(tokens))
    for begin in range(0, len(worth), _AT_ONCE):
        part = worth[begin : begin + _AT_ONCE]
        kinship[part] = _kinship(words, tokens[part], word[part], first[part], peaks.n_top)
    kinship = ((kinship - _CHANCE) / (_KIN - _CHANCE)).clip(0, 1)
    parts = (variety, kinship, rarity, band, kind)
    return Interests(distinct.astype(np.int32), *(part.astype(np.float32) for part in parts))


def _effective(word: NDArray[np.int64]) -> Floats:
    """exp(entropy) of every row's words, [n]; 1 if all are the same."""
    there = word >= 0
    n = np.maximum(there.sum(axis=1), 1)
    same = ((word[:, :, None] == word[:, None, :]) & there[:, :, None]).sum(axis=2)
    bits = np.where(there, np.log(np.maximum(same, 1) / n[:, None]), 0.0)
    effective: Floats = np.exp(-bits.sum(axis=1) / n)
    return effective


def _first(word: NDArray[np.int64]) -> Bools:
    """Which of every row's words did not stand before it, [n, K]."""
    same = word[:, :, None] == word[:, None, :]
    first: Bools = ~np.tril(same, -1).any(axis=2)
    return first


def _kinship(
    words: Words, tokens: Ints, word: NDArray[np.int64], first: Bools, n_top: int
) -> Floats:
    """Mean cosine between distinct words: the smaller one of all and of weak against strong."""
    vectors = words.unit(tokens)
    cosine = torch.bmm(vectors, vectors.transpose(1, 2)).numpy()
    there = word >= 0
    different = (word[:, :, None] != word[:, None, :]) & there[:, :, None] & there[:, None, :]
    every = different & first[:, :, None] & first[:, None, :]
    weak = np.arange(word.shape[1]) >= n_top
    across = different & weak[None, :, None] & ~weak[None, None, :]
    if not across.any():
        return _mean(cosine, every)
    mixed = np.where(across.any(axis=(1, 2)), _mean(cosine, across), np.inf)
    return np.minimum(_mean(cosine, every), mixed).astype(np.float32)


def _mean(values: Floats, chosen: Bools) -> Floats:
    total: Floats = (values * chosen).sum(axis=(1, 2)) / np.maximum(chosen.sum(axis=(1, 2)), 1)
    return total

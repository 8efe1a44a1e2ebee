"""The text that a court uses: one from which the labels that it judges were not made.

Of a pack it is some of its corpus, which no SAE was trained on. Of evidence of one's own it is the
documents that were left aside when it was gathered; where none were, some of the same text. What
labels were made from are 16 places for each feature: the stretches in which those lie are left out
of that feature's case, so it is judged on places that its label has never seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from desktop_scope.engine.types import Bools
from desktop_scope.evidence.court.docket import STRETCH
from desktop_scope.evidence.own import OwnEvidence
from desktop_scope.evidence.store import PADDING, WINDOW, WINDOW_LEFT, EvidenceStore

N_ROWS = 160
_MOST_TOKENS = N_ROWS * 256
_FEWEST_ASIDE = 2048  # tokens; less tells of hardly any feature
_SEED = 0

Longs = NDArray[np.int64]

IN_PACK = "text that neither the feature nor its label has seen"
ASIDE = "documents that were left aside when the evidence was gathered"
ELSEWHERE = (
    "other places of the text that its label was made from: there were too few documents to leave "
    "some aside"
)


@dataclass(frozen=True, eq=False)
class CourtText:
    """Rows of text.

    Attributes:
        tokens: Ids, -1 after a row's end, [R, W].
        start: Tokens before it do not count, [R].
        source: Index into ``sources``, [R].
        sources: Names of the parts of the corpus.
        rows: Where each row lies in the corpus, [R].
        held_out: What sort of text it is, for people.
    """

    tokens: NDArray[np.int32]
    start: NDArray[np.integer]
    source: NDArray[np.integer]
    sources: tuple[str, ...]
    rows: Longs
    held_out: str = IN_PACK

    @property
    def width(self) -> int:
        """Tokens of a row, padding included."""
        return int(self.tokens.shape[1])

    @classmethod
    def of_pack(cls, store: EvidenceStore, n_rows: int = N_ROWS) -> CourtText:
        """Some rows of a pack's corpus, always the same."""
        corpus = store.corpus
        rng = np.random.default_rng(_SEED)
        rows = rng.permutation(len(corpus.tokens))[:n_rows]
        tokens = corpus.tokens[rows].astype(np.int32)
        tokens[tokens == PADDING] = -1
        return cls(tokens, corpus.start[rows], corpus.source[rows], corpus.sources, rows)

    @classmethod
    def of_own(cls, evidence: OwnEvidence, most_tokens: int = _MOST_TOKENS) -> CourtText:
        """Some rows of the text in which evidence of one's own was gathered, always the same."""
        lengths = np.diff(evidence.row_start)
        is_aside = int(lengths[evidence.aside].sum()) >= _FEWEST_ASIDE
        rows = np.flatnonzero(evidence.aside) if is_aside else np.arange(len(lengths))
        rows = np.random.default_rng(_SEED).permutation(rows)
        rows = rows[: 1 + int(np.searchsorted(np.cumsum(lengths[rows]), most_tokens))]
        width = -(-int(lengths[rows].max()) // STRETCH) * STRETCH  # no stretch is of two rows
        place = np.arange(width)
        there = place < lengths[rows, None]
        at = np.where(there, evidence.row_start[rows, None] + place, 0)
        tokens = np.where(there, evidence.tokens[at], -1).astype(np.int32)
        held_out = ASIDE if is_aside else ELSEWHERE
        return cls(tokens, np.ones_like(rows), np.zeros_like(rows), ("text",), rows, held_out)

    def known_of_pack(self, store: EvidenceStore, layer: int) -> dict[int, Longs]:
        """By feature, the stretches of this text that its labeller has seen."""
        arrays = store.layer_arrays(layer)
        row, column = np.divmod(arrays["example_position"], store.corpus.tokens.shape[1])
        return self._known(row, column, arrays["example_value"] > 0)

    def known_of_own(self, evidence: OwnEvidence) -> dict[int, Longs]:
        """The same of evidence of one's own."""
        position = evidence.array("example_position")
        row = np.searchsorted(evidence.row_start, position, side="right") - 1
        used = evidence.array("example_value") > 0
        return self._known(row, position - evidence.row_start[row], used)

    def _known(self, row: Longs, column: Longs, used: Bools) -> dict[int, Longs]:
        """By feature, from where its examples lie in the corpus, [N, K]."""
        here = np.full(max(int(row.max()), int(self.rows.max())) + 1, -1)
        here[self.rows] = np.arange(len(self.rows))
        place = here[row] * self.width + column
        used = (here[row] >= 0) & used
        most = self.tokens.size // STRETCH - 1
        first = ((place - WINDOW_LEFT) // STRETCH).clip(0, most)
        last = ((place + WINDOW - WINDOW_LEFT - 1) // STRETCH).clip(0, most)
        return {
            int(feature): np.unique([first[feature][used[feature]], last[feature][used[feature]]])
            for feature in np.flatnonzero(used.any(axis=1))
        }


def together(evidence: Sequence[OwnEvidence]) -> list[list[int]]:
    """Which SAEs, by their place here, were gathered from one text and can share a court."""
    groups: dict[str, list[int]] = {}
    for n, one in enumerate(evidence):
        groups.setdefault(one.corpus, []).append(n)
    return list(groups.values())

"""The text that a court uses: some of a pack's corpus, which no SAE was trained on.

The automatic labels were made from 16 places in it for each feature. The stretches in which those
lie are left out of that feature's case, so it is judged on places that its label has never seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from desktop_scope.evidence.court.docket import STRETCH
from desktop_scope.evidence.store import PADDING, WINDOW, WINDOW_LEFT, EvidenceStore

N_ROWS = 160
_SEED = 0


@dataclass(frozen=True, eq=False)
class CourtText:
    """Rows of text.

    Attributes:
        tokens: Ids, -1 after a row's end, [R, W].
        start: Tokens before it do not count, [R].
        source: Index into ``sources``, [R].
        sources: Names of the parts of the corpus.
        rows: Where each row lies in the corpus, [R].
    """

    tokens: NDArray[np.int32]
    start: NDArray[np.integer]
    source: NDArray[np.integer]
    sources: tuple[str, ...]
    rows: NDArray[np.int64]

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

    def known(self, store: EvidenceStore, layer: int) -> dict[int, NDArray[np.int64]]:
        """By feature, the stretches of this text that its labeller has seen."""
        arrays = store.layer_arrays(layer)
        row, column = np.divmod(arrays["example_position"], store.corpus.tokens.shape[1])
        here = np.full(len(store.corpus.tokens), -1)
        here[self.rows] = np.arange(len(self.rows))
        place = here[row] * self.width + column
        used = (here[row] >= 0) & (arrays["example_value"] > 0)
        most = self.tokens.size // STRETCH - 1
        first = ((place - WINDOW_LEFT) // STRETCH).clip(0, most)
        last = ((place + WINDOW - WINDOW_LEFT - 1) // STRETCH).clip(0, most)
        return {
            int(feature): np.unique([first[feature][used[feature]], last[feature][used[feature]]])
            for feature in np.flatnonzero(used.any(axis=1))
        }

"""Evidence of one's own as the labeller reads it: a table of the rows in which examples lie."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desktop_scope.evidence.own import OwnEvidence
from desktop_scope.evidence.store import Corpus

_ROWS = 20_000  # a text of more rows is not read whole, but some features at a time
_FEATURES_AT_ONCE = 1024
_FEW = 4  # examples


class OwnTexts:
    """The examples of one SAE, and the text around them; see ``store.EvidenceStore``.

    Attributes:
        n_layers: One: a single SAE.
        fingerprint: Another one for other evidence.
    """

    n_layers = 1

    def __init__(self, evidence: OwnEvidence) -> None:
        self._evidence = evidence
        self.n_features = len(evidence.density)
        self.vocab_size = len(evidence.token_texts)
        self.token_text = evidence.token_texts.__getitem__
        key = hashlib.sha256()
        for name in ("density", "example_position", "example_value", "top_token"):
            key.update(evidence.array(name).tobytes())
        self.fingerprint = key.digest()

    def parts(self) -> Iterator[OwnPart]:
        """All features, in order: at once, or of a long text a few at a time."""
        step = self.n_features if len(self._evidence.row_start) <= _ROWS else _FEATURES_AT_ONCE
        for begin in range(0, self.n_features, step):
            yield OwnPart(self._evidence, slice(begin, begin + step))


class OwnPart:
    """Some features of one SAE, with the rows in which their examples lie.

    Attributes:
        few: Features with so few examples that their labels are not to be trusted.
    """

    n_layers = 1

    def __init__(self, evidence: OwnEvidence, features: slice) -> None:
        self._evidence, self._features = evidence, features
        self.vocab_size = len(evidence.token_texts)
        self.token_text = evidence.token_texts.__getitem__
        arrays = {
            name: evidence.array(name)[features]
            for name in ("density", "example_position", "example_value", "top_token")
        }
        self.few = (arrays["example_value"] > 0).sum(axis=1) < _FEW
        shares = evidence.array("top_token_share")[features]
        starts = evidence.row_start
        position = np.where(arrays["example_value"] > 0, arrays["example_position"], 0)
        row = np.searchsorted(starts, position, side="right") - 1
        rows, place = np.unique(row, return_inverse=True)
        width = int(np.diff(starts)[rows].max())
        at = starts[rows][:, None] + np.arange(width)
        there = at < starts[rows + 1][:, None]
        tokens = evidence.tokens[at.clip(max=starts[-1] - 1)]
        self.corpus = Corpus(
            tokens=np.where(there, tokens, self.vocab_size).astype(np.int32),
            start=np.ones(len(rows), np.uint8),
            source=np.zeros(len(rows), np.uint8),
            sources=("text",),
            padding=self.vocab_size,
        )
        column = position - starts[row]
        self._arrays = arrays | {
            "example_position": place.reshape(row.shape) * width + column,
            "top_token_share": shares,
        }

    def layer_arrays(self, layer: int) -> dict[str, NDArray[Any]]:
        """What the labeller reads, positions in the table of rows."""
        return self._arrays

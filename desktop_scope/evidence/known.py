"""What is known about the features of one open SAE: from a pack, from a sample, or nothing yet."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from desktop_scope.engine.health import Health
from desktop_scope.engine.types import Bools, FeatureId, Floats, Ints
from desktop_scope.evidence.interest import Peaks
from desktop_scope.evidence.kinship.book import KinBook
from desktop_scope.evidence.labels import LabelBook
from desktop_scope.evidence.levers import LeverBook
from desktop_scope.evidence.rows import Row
from desktop_scope.evidence.store import N_BINS, N_TOP, EvidenceStore
from desktop_scope.evidence.types import Example, Label, Source, TopToken

UNLABELLED = Label("no label yet", Source.NONE, "low")


class SaeEvidence(Protocol):
    """Of N features; nan where nothing is known.

    Attributes:
        density: Share of tokens on which a feature fires, [N].
        mean_active: Mean activation where it fires, [N].
        max_active: Strongest activation, [N].
        median_norm: Median length of what the SAE reads.
        dull: Features that fire on the chat's markup, [N].
    """

    density: Floats
    mean_active: Floats
    max_active: Floats
    median_norm: float
    dull: Bools

    @property
    def scores(self) -> Floats:
        """How well the labels predict where features fire, [N]; see ``types.Label``."""

    @property
    def starred(self) -> Bools:
        """Features that this user marked, [N]."""

    def label(self, index: int) -> Label:
        """A feature's label."""

    def matching(self, words: str) -> Bools:
        """Features whose labels match, [N]; all where there are no words."""

    def histogram(self, index: int) -> Ints:
        """Counts of activations per bin."""

    def top_tokens(self, index: int) -> tuple[TopToken, ...]:
        """The tokens that take the most of its activation."""

    def examples(self, index: int) -> tuple[Example, ...]:
        """Stretches of text in which it fires."""

    def peaks(self) -> Peaks | None:
        """On which tokens the features are strongest; None where there are no examples."""

    def label_texts(self) -> tuple[str, ...]:
        """What the labels say, [N]; empty where there are none."""

    def kinds(self) -> tuple[str, ...]:
        """What kind of label the features have, [N]; empty texts where they have none."""

    def levers(self) -> LeverBook | None:
        """What was shipped of the features as levers; None if nothing was."""

    def kin(self) -> KinBook | None:
        """What was shipped of the features' families; None if nothing was."""

    def stretches(self, index: int) -> tuple[Row, ...]:
        """Its examples as rows to be read again; only what is shown of them counts."""


class Unjudged:
    """Evidence whose labels no court has scored, and which nobody has marked."""

    density: Floats

    @property
    def scores(self) -> Floats:
        """Not one is known."""
        return np.full(len(self.density), np.nan, np.float32)

    @property
    def starred(self) -> Bools:
        """Not one."""
        return np.zeros(len(self.density), bool)


class PackEvidence(Unjudged):
    """One layer of a pack."""

    def __init__(
        self, store: EvidenceStore, book: LabelBook, layer: int, median_norm: float
    ) -> None:
        self._store, self._book, self._layer = store, book, layer
        self.density = store.density[layer]
        self.mean_active = store.mean_active[layer]
        self.max_active = store.max_active[layer]
        self.median_norm = median_norm
        self.dull = book.of_kind("format")[layer]

    def label(self, index: int) -> Label:
        """A feature's label."""
        return self._book.label(FeatureId(self._layer, index))

    def matching(self, words: str) -> Bools:
        """Features whose labels match, [N]."""
        return self._book.matching(words)[self._layer]

    def histogram(self, index: int) -> Ints:
        """Counts of activations between each two of BIN_EDGES."""
        return self._store.histogram(FeatureId(self._layer, index))

    def top_tokens(self, index: int) -> tuple[TopToken, ...]:
        """The tokens that take the most of its activation."""
        return self._store.top_tokens(FeatureId(self._layer, index))

    def examples(self, index: int) -> tuple[Example, ...]:
        """The strongest, then some of the mid-range."""
        return self._store.examples(FeatureId(self._layer, index))

    def peaks(self) -> Peaks:
        """On which tokens the features are strongest."""
        tokens = self._store.peak_tokens(self._layer)
        return Peaks(tokens, N_TOP, self._store.token_counts)

    def label_texts(self) -> tuple[str, ...]:
        """What the labels say, [N]."""
        return self._book.texts(self._layer)

    def kinds(self) -> tuple[str, ...]:
        """What kind of label the features have, [N]."""
        return self._book.kinds(self._layer)

    def levers(self) -> LeverBook | None:
        """What was shipped of the features as levers; None if nothing was."""
        return LeverBook.shipped(self._store.pack, self._layer, len(self.density))

    def kin(self) -> KinBook | None:
        """What was shipped of the features' families; None if nothing was."""
        return KinBook.shipped(self._store.pack, self._layer, len(self.density))

    def stretches(self, index: int) -> tuple[Row, ...]:
        """Its examples as rows to be read again; only what is shown of them counts."""
        return self._store.stretches(FeatureId(self._layer, index))


class Unlabelled(Unjudged):
    """Evidence about features that nobody has named.

    Attributes:
        dull: None is known to be, [N].
    """

    def __init__(self, n_features: int) -> None:
        self.dull: Bools = np.zeros(n_features, bool)

    def label(self, index: int) -> Label:
        """There is none."""
        return UNLABELLED

    def label_texts(self) -> tuple[str, ...]:
        """There are none."""
        return ()

    def kinds(self) -> tuple[str, ...]:
        """None has a label."""
        return ("",) * len(self.dull)

    def levers(self) -> None:
        """None were shipped."""

    def kin(self) -> None:
        """None were shipped."""

    def stretches(self, index: int) -> tuple[Row, ...]:
        """There are no examples."""
        return ()

    def matching(self, words: str) -> Bools:
        """None has a label to match."""
        return np.full(len(self.dull), not words.strip())


class SampleEvidence(Unlabelled):
    """What a sample of text has shown; nothing at all before there is one.

    A maximum seen on a few thousand tokens is a floor: features that the sample did not wake are
    given the median of the others.
    """

    def __init__(
        self,
        n_features: int,
        density: Floats | None = None,
        mean_active: Floats | None = None,
        max_active: Floats | None = None,
        median_norm: float = math.nan,
    ) -> None:
        super().__init__(n_features)
        unknown = np.full(n_features, np.nan, np.float32)
        self.density = unknown if density is None else density
        self.mean_active = unknown if mean_active is None else mean_active
        self.max_active = unknown if max_active is None else _filled(max_active)
        self.median_norm = median_norm

    @classmethod
    def of(cls, health: Health) -> SampleEvidence:
        """What the built-in text has shown."""
        return cls(
            len(health.density),
            np.maximum(health.density, np.float32(0.5 / health.n_tokens)),
            health.mean_active,
            health.max_active,
            health.median_norm,
        )

    def histogram(self, index: int) -> Ints:
        """Empty."""
        return np.zeros(N_BINS, np.int32)

    def top_tokens(self, index: int) -> tuple[TopToken, ...]:
        """None."""
        return ()

    def examples(self, index: int) -> tuple[Example, ...]:
        """None."""
        return ()

    def peaks(self) -> None:
        """There are no examples."""


def _filled(max_active: Floats) -> Floats:
    seen = max_active > 0
    usual = float(np.median(max_active[seen])) if seen.any() else math.nan
    return np.where(seen, max_active, np.float32(usual))

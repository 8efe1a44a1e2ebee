"""What the evidence answers with: frozen values, numpy and plain Python only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from desktop_scope.engine.types import FeatureId, Floats


class Source(StrEnum):
    """Where a label comes from."""

    CURATED = "curated"  # written by a person who read the examples
    AUTOMATIC = "automatic"  # made from the evidence by our labeller


@dataclass(frozen=True)
class Label:
    """A feature's name and how far to trust it."""

    text: str
    source: Source
    confidence: str  # high, medium, low
    kind: str = "other"  # token, phrase, topic, syntax, position, format, various, other


@dataclass(frozen=True, eq=False)
class Example:
    """A stretch of the corpus in which a feature fires."""

    texts: tuple[str, ...]  # readable tokens
    values: Floats  # [len(texts)] activations in residual units
    peak: int  # index into texts
    value: float  # activation at the peak
    band: str  # "top" or "mid"


@dataclass(frozen=True)
class TopToken:
    """A token on which much of a feature's total activation falls."""

    text: str
    share: float  # 0…1


@dataclass(frozen=True)
class Hit:
    """One search result."""

    feature: FeatureId
    label: Label
    score: float

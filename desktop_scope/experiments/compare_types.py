"""Two texts, two answers or two models side by side: what is asked, and what comes back. No torch.

A feature's difference at a pair of tokens that belong together is its activation in the second
minus that in the first, as a share of the strongest activation it is known for. Features are ranked
by the largest difference at any pair (or of their means, where texts are compared as wholes).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from desktop_scope.engine.requests import Request
from desktop_scope.engine.types import (
    FeatureId,
    Floats,
    Intervention,
    Ints,
    ModelInfo,
    Prompt,
    lock,
)
from desktop_scope.library.room import MeasureRoom


class By(StrEnum):
    """What is compared with what."""

    TOKENS = "tokens"  # tokens that both have, in order
    WHOLES = "wholes"  # means over all tokens of a text


@dataclass(frozen=True)
class Reading:
    """One of two sides.

    Attributes:
        answer: Token ids.
        interventions: What is done to the model while it reads.
        beside: The model that was opened beside the first one reads it.
    """

    prompt: Prompt
    answer: tuple[int, ...] = ()
    interventions: tuple[Intervention, ...] = ()
    beside: bool = False


@dataclass(frozen=True)
class CompareReadings(Request):
    """What differs between two sides."""

    kind = "compare"
    replaces = frozenset({"compare"})
    worker = "engine"

    a: Reading
    b: Reading
    by: By = By.TOKENS


@dataclass(frozen=True)
class Second:
    """A model to open beside the first one, with the same SAEs.

    Attributes:
        path: Its folder or GGUF file; None for the same model in another number type.
    """

    path: Path | None = None
    dtype: str = "auto"
    device: str = "auto"


@dataclass(frozen=True)
class OpenBeside(Request):
    """Load a second model and keep the first."""

    kind = "beside"
    replaces = frozenset({"beside"})
    worker = "engine"

    second: Second


@dataclass(frozen=True)
class CloseBeside(Request):
    """Let go of the second model."""

    kind = "close-beside"
    replaces = frozenset({"close-beside"})
    worker = "engine"

    opened: ModelInfo


@dataclass(frozen=True)
class MeasureSecond(MeasureRoom):
    """What the second model would need."""

    kind = "room-beside"
    replaces = frozenset({"room-beside"})


@dataclass(frozen=True)
class Difference:
    """One feature on both sides.

    Attributes:
        a: Its activation where the two differ most; its mean, where wholes are compared.
        tokens: Where that is, on each side.
        share: The difference b − a, as a share of the feature's maximum.
        mean: The mean difference, over all that was compared, in the same unit.
    """

    feature: FeatureId
    a: float
    b: float
    tokens: tuple[int, int]
    share: float
    mean: float

    @property
    def side(self) -> int:
        """On which of the two it is stronger: 0 or 1."""
        return int(self.b > self.a)


@dataclass(frozen=True, eq=False)
class Comparison:
    """What differs.

    Attributes:
        a: What was compared: the first side.
        texts: Of the tokens of each side.
        pairs: Tokens that belong together, [n, 2].
        rows: The features that differ most, the largest difference first.
        sae: Of every feature that fires on either side, [F]; and so on.
        share: Their differences, as in the rows.
        fvu: What the SAEs leave unexplained of each side, [2, S]; nan where it cannot be told.
        moved: By SAE's layer how far the stream moved at these pairs, as a share of its length,
            [L].
        models: What read each side.
        notes: What the user should know.
    """

    a: Reading
    b: Reading
    by: By
    texts: tuple[tuple[str, ...], tuple[str, ...]]
    pairs: Ints
    rows: tuple[Difference, ...]
    sae: Ints
    index: Ints
    share: Floats
    fvu: Floats
    moved: Floats
    models: tuple[str, str]
    notes: tuple[str, ...]
    seconds: float

    def __post_init__(self) -> None:
        lock(self)

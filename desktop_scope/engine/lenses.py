"""What lenses read off the layers of a text, as values and requests. No torch here.

Shapes: R layers that have been read, T tokens, K words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from desktop_scope.engine.requests import Request, Workspace
from desktop_scope.engine.types import Floats, Ints, Trace, lock


class LensKind(StrEnum):
    """How a layer's stream is read as words."""

    LOGIT = "logit lens"  # as if it were the last one
    TUNED = "tuned lens"  # after an affine map per layer, which was fitted on text


@dataclass(frozen=True, eq=False)
class LensGrid:
    """What the layers from one on would say next, at every token.

    Attributes:
        first: The layer of row 0; the last row is the model's last layer.
        word: What was asked for; empty for none.
        texts: Of the tokens in ``top``, by id.
        top: Ids, likeliest first.
        entropy: Of the whole distribution, nats.
        rank: Of the word, 1 for the likeliest; 0 where none was asked for.
        chance: Of the word; nan where none was asked for.
    """

    trace: Trace
    kind: LensKind
    word: str
    first: int
    texts: Mapping[int, str]
    top: Ints  # [R, T, K]
    probs: Floats  # [R, T, K]
    entropy: Floats  # [R, T]
    rank: Ints  # [R, T]
    chance: Floats  # [R, T]

    def __post_init__(self) -> None:
        lock(self)

    def above(self, lower: LensGrid) -> LensGrid:
        """With the layers below it, which were read after it."""
        parts = ("top", "probs", "entropy", "rank", "chance")
        arrays: Any = {
            name: np.concatenate([getattr(lower, name), getattr(self, name)]) for name in parts
        }
        return replace(self, first=lower.first, texts={**self.texts, **lower.texts}, **arrays)


@dataclass(frozen=True)
class ReadLensGrid(Request):
    """What some layers would say next at every token, the last layers first.

    It is asked for again until all layers have been read.

    Attributes:
        word: Whose rank is wanted, too; empty for none.
        above: The layers from this one on have been read; None when none has.
    """

    kind = "lens grid"
    replaces = frozenset({"lens grid"})
    worker = "engine"
    patient = True

    trace: Trace
    lens: LensKind
    word: str = ""
    above: int | None = None


@dataclass(frozen=True)
class LensFit:
    """A tuned lens: how far its fitting is, and how it does on text that it was not fitted on.

    Attributes:
        doing: What goes on, for people; empty once it is done.
        logit_kl: KL(model ‖ logit lens) by layer, nats per token; empty before it is measured.
        tuned_kl: The same of the tuned lens.
        n_fitted: Tokens that it was fitted on.
        n_held_out: Others, on which it was measured.
        note: What is to be known about the text.
    """

    doing: str = ""
    done: int = 0
    total: int = 0
    logit_kl: tuple[float, ...] = ()
    tuned_kl: tuple[float, ...] = ()
    n_fitted: int = 0
    n_held_out: int = 0
    seconds: float = 0.0
    note: str = ""

    @property
    def ready(self) -> bool:
        """Whether the lens can be used."""
        return bool(self.tuned_kl)


@dataclass(frozen=True)
class FitLens(Request):
    """Fit the tuned lens of the open model for a while, or take the one that was kept.

    It is asked for again until it is done.

    Attributes:
        done: How far the last answer was.
    """

    kind = "fit lens"
    replaces = frozenset({"fit lens"})
    worker = "engine"
    patient = True

    workspace: Workspace
    attempt: int = 0
    done: int = 0

"""How an SAE fits where it is attached: what the doctor answers with. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from desktop_scope.engine.types import Floats, lock


class Verdict(StrEnum):
    """How an SAE fits where it is attached."""

    GREEN = "fits"
    AMBER = "doubtful"
    RED = "does not fit"


@dataclass(frozen=True)
class Tried:
    """How an SAE does at another place, or with its input treated otherwise."""

    hook_name: str
    hook_out: str
    norm: str
    centred: bool
    subtract_b_dec: bool
    fvu: float
    l0: float


@dataclass(frozen=True, eq=False)
class Health:
    """What the built-in text says about one SAE; see ``engine.doctor`` for the measures.

    Attributes:
        slot: Which of the open SAEs.
        tried: Other places, the best first.
        best: One of them that is clearly better than where it is attached.
        density: Share of tokens on which each feature fires, [N]; and so on.
    """

    slot: int
    hook_name: str
    hook_out: str
    n_tokens: int
    l0: float
    fvu: float
    ce_recovered: float
    verdict: Verdict
    reason: str
    tried: tuple[Tried, ...]
    best: Tried | None
    density: Floats
    mean_active: Floats
    max_active: Floats
    median_norm: float

    def __post_init__(self) -> None:
        lock(self)

"""Texts A against texts B: which features tell them apart, how surely, and does it hold up.

Of every text a feature has one figure: its mean activation over the text's tokens. Features are
judged by the rank-sum test over these figures, corrected for how many features were looked at
(Benjamini–Hochberg). Since the best of many features looks good by chance alone, each choice is
checked on texts that took no part in it: features are picked on a random half of the texts and
judged on the other half, several times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from desktop_scope.engine.requests import Request
from desktop_scope.engine.types import Bools, FeatureActs, FeatureId, Floats, Ints, TextActs
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.types import Found, Measure
from desktop_scope.experiments.ranks import Ranked, auroc_interval, q_values, welch_t
from desktop_scope.wording import counted

if TYPE_CHECKING:
    from desktop_scope.engine.engine import Engine
    from desktop_scope.engine.worker import Job

LEAST_TEXTS = 4  # of each side: both halves then have two
MOST_TEXTS = 1000
RELIABLE_Q = 0.05
N_SPLITS = 10
N_PICKED = 10  # features chosen on a half of the texts
_TIE = 1e-6  # of features with equal AUROC, the one that fires in more texts of one side alone

_BEST_P = 0.01  # that a feature must be able to reach

Check = Callable[[], None]


@dataclass(frozen=True)
class ContrastTexts(Request):
    """Look for features that tell texts A from texts B."""

    kind = "contrast"
    replaces = frozenset({"contrast"})
    worker = "engine"
    patient = True

    a: tuple[str, ...]
    b: tuple[str, ...]


@dataclass(frozen=True)
class Contrasted:
    """How one feature tells the texts apart.

    Attributes:
        auroc: The chance that it is stronger in a text of A than in one of B; 0.5 is none.
        low, high: Its 95 % confidence interval.
        p: Of the rank-sum test, for this feature alone.
        q: The share of false claims among the features that are at least as sure as this one.
        welch_t: Difference of the means over its standard error.
        mean_a, mean_b: Activation per token, residual units.
        share_a, share_b: Of the texts in which it fires.
        held_out: AUROC on texts that took no part when it was picked; nan if it never was.
        picked: Share of the divisions in which it was picked.
    """

    feature: FeatureId
    auroc: float
    low: float
    high: float
    p: float
    q: float
    welch_t: float
    mean_a: float
    mean_b: float
    share_a: float
    share_b: float
    held_out: float
    picked: float

    @property
    def reliable(self) -> bool:
        """Whether it can be claimed, with 5 % of false claims."""
        return self.q <= RELIABLE_Q


@dataclass(frozen=True)
class HeldOut:
    """What the best feature of one half of the texts is worth on the other.

    Attributes:
        auroc: The mean over all divisions; 0.5 is chance.
        low, high: The lowest and the highest of the divisions.
    """

    auroc: float
    low: float
    high: float
    n_splits: int


@dataclass(frozen=True, eq=False)
class Contrast:
    """What tells A from B, the surest first.

    Attributes:
        rows: Features that are stronger in A.
        others: Features that are stronger in B, with the same figures.
        n_tested: Features that fire in enough of the texts to be judged.
        n_reliable: Of them, those that can be claimed, stronger in A or in B.
        notes: What may mislead.
    """

    rows: tuple[Contrasted, ...]
    others: tuple[Contrasted, ...]
    n_a: int
    n_b: int
    n_tested: int
    n_reliable: int
    held_out: HeldOut | None
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """In one sentence."""
        if not self.n_tested:
            return "No feature fires in enough of these texts to be judged."
        looked = f"of {self.n_tested:,} features looked at"
        if not self.n_reliable:
            return f"Nothing is reliable: none {looked} tells these texts apart beyond chance."
        held = self.held_out
        if held is not None and held.auroc < 0.6:
            return (
                f"{self.n_reliable:,} {looked} pass the test, but on texts kept aside they do "
                f"little better than chance (AUROC {held.auroc:.2f}): do not rely on them."
            )
        return f"{self.n_reliable:,} {looked} tell the texts apart, with 5 % of false claims."


MEASURE = Measure(
    "AUROC",
    "The chance that the feature is stronger in a text of A than in one of B: 0.5 says nothing,\n"
    "1.0 tells every pair of them apart. Of each text the mean activation per token counts.",
)


def as_found(row: Contrasted) -> Found:
    """A feature as searches list it."""
    surely = f"q = {row.q:.1e}" if row.q < 0.01 else f"q = {row.q:.2f}"
    lines = [
        f"AUROC {row.auroc:.2f}, 95 % {row.low:.2f} to {row.high:.2f}",
        f"fires in {row.share_a:.0%} of the texts of A, {row.share_b:.0%} of B",
        f"{surely}: " + ("reliable" if row.reliable else "may well be chance"),
    ]
    if row.picked:
        lines.append(
            f"on texts kept aside AUROC {row.held_out:.2f}, picked in {row.picked:.0%} of divisions"
        )
    better = max(row.auroc, 1 - row.auroc)
    text = f"{row.auroc:.2f}" + ("" if row.reliable else " ?")
    return Found(row.feature, better, text, "\n".join(lines), 2 * better - 1)


def contrast_texts(
    engine: Engine, a: Sequence[str], b: Sequence[str], job: Job, limit: int = 2000
) -> Contrast:
    """Read both sides, and compare.

    Texts that are there twice count once: copies are no further evidence.

    Raises:
        ScopeError: There are too few texts, or too many.
        Cancelled: The job was.
    """
    sides, notes = [], []
    for name, texts in (("A", a), ("B", b)):
        distinct = tuple(dict.fromkeys(t for text in texts if (t := text.strip())))
        _check_number(name, len(distinct))
        if len(distinct) < sum(bool(text.strip()) for text in texts):
            notes.append(f"Texts that are there twice in {name} count once.")
        sides.append(distinct)
    if both := len(set(sides[0]) & set(sides[1])):
        notes.append(f"{counted(both, 'text')} {'is' if both == 1 else 'are'} in A and in B.")
    acts = engine.read((*sides[0], *sides[1]), job)
    return contrast(acts, len(sides[0]), check=job.check, limit=limit, notes=notes)


def _check_number(name: str, n: int) -> None:
    if n < LEAST_TEXTS:
        raise ScopeError(
            f"There are {n} different texts in {name}; at least {LEAST_TEXTS} are needed.",
            "Write one text per line. With ten or more on each side there is much more to see.",
        )
    if n > MOST_TEXTS:
        raise ScopeError(
            f"There are {n:,} texts in {name}; at most {MOST_TEXTS:,} are read.",
            "Take a part of them.",
        )


def contrast(
    acts: TextActs,
    n_a: int,
    *,
    check: Check = lambda: None,
    limit: int = 2000,
    seed: int = 0,
    notes: Sequence[str] = (),
) -> Contrast:
    """Compare the first ``n_a`` texts with the others.

    Args:
        acts: Of all texts.
        n_a: How many are of A; they come first.
        check: Called often; raises to stop.
        limit: Features listed of each side.
        seed: Of the divisions into halves.
        notes: Passed on.
    """
    n = len(acts.n_tokens)
    first = np.arange(n) < n_a
    halves = _halves(n_a, n, seed)
    parts = [
        part
        for slot, one in enumerate(acts.acts)
        if (part := _judge(one, slot, first, halves, check))
    ]
    notes = (*notes, *_length_note(acts.n_tokens, first))
    if not parts:
        return Contrast((), (), n_a, n - n_a, 0, 0, None, tuple(notes))
    table = _Judged(*(np.concatenate([getattr(p, f) for p in parts], axis=-1) for f in _FIELDS))
    q = q_values(table.p)
    held, picked, overall = _held_out(table)
    low, high = auroc_interval(table.auroc, n_a, n - n_a)

    def row(at: int) -> Contrasted:
        return Contrasted(
            FeatureId(int(table.sae[at]), int(table.index[at])),
            *(float(x[at]) for x in (table.auroc, low, high, table.p, q, table.welch_t)),
            *(float(x[at]) for x in (table.mean_a, table.mean_b, table.share_a, table.share_b)),
            float(held[at]),
            float(picked[at]),
        )

    # Many may be equally sure: those come first that fire on one side only.
    apart = np.abs(table.share_a - table.share_b)
    surest = np.lexsort((-np.abs(table.welch_t), -apart, table.p))
    in_a = table.auroc[surest] > 0.5
    in_b = table.auroc[surest] < 0.5
    return Contrast(
        rows=tuple(map(row, surest[in_a][:limit].tolist())),
        others=tuple(map(row, surest[in_b][:limit].tolist())),
        n_a=n_a,
        n_b=n - n_a,
        n_tested=len(q),
        n_reliable=int((q <= RELIABLE_Q).sum()),
        held_out=overall,
        notes=tuple(notes),
    )


@dataclass(frozen=True, eq=False)
class _Judged:
    """Features that fire in enough texts, [F]; the last two by division, [N_SPLITS, F]."""

    sae: Ints
    index: Ints
    auroc: Floats
    p: NDArray[np.float64]
    welch_t: Floats
    mean_a: Floats
    mean_b: Floats
    share_a: Floats
    share_b: Floats
    on_half: Floats  # how well it does where features are picked: AUROC, ties broken
    on_other: Floats  # its AUROC on the other half


_FIELDS = tuple(_Judged.__annotations__)


def _judge(
    acts: FeatureActs, slot: int, first: Bools, halves: Sequence[Bools], check: Check
) -> _Judged | None:
    """The features of one SAE; None where none fires often enough."""
    check()
    index, values = _table(acts, int(first.sum()))
    if not len(index):
        return None
    ranked = Ranked.of(values)
    fires = values > 0
    on_half, on_other = [], []
    for half in halves:
        check()
        for keep, scores in ((half, on_half), (~half, on_other)):
            scores.append(Ranked.of(values[:, keep]).auroc(first[keep]))
        share_a, share_b = (fires[:, half & side].mean(1) for side in (first, ~first))
        on_half[-1] = on_half[-1] + _TIE * (share_a - share_b)
    return _Judged(
        sae=np.full(len(index), slot, np.int32),
        index=index,
        auroc=ranked.auroc(first),
        p=ranked.p_values(first),
        welch_t=welch_t(values, first),
        mean_a=values[:, first].mean(1),
        mean_b=values[:, ~first].mean(1),
        share_a=fires[:, first].mean(1),
        share_b=fires[:, ~first].mean(1),
        on_half=np.stack(on_half),
        on_other=np.stack(on_other),
    )


def _table(acts: FeatureActs, n_a: int) -> tuple[Ints, Floats]:
    """Features that fire in enough texts, and their figures [F, n].

    How many is enough is said of both sides together, so that it favours neither.
    """
    n = len(acts.indptr) - 1
    least = _least_texts(min(n_a, n - n_a), n)
    index, place, counts = np.unique(acts.indices, return_inverse=True, return_counts=True)
    often = counts >= least
    row = np.cumsum(often) - 1
    keep = often[place]
    values = np.zeros((int(often.sum()), n), np.float32)
    values[row[place[keep]], acts.rows()[keep]] = acts.values[keep]
    return index[often].astype(np.int32), values


def _least_texts(n_small: int, n: int) -> int:
    """In fewer than so many texts a feature says little, were they all of the smaller side.

    Features without a chance to be claimed would only make it harder to claim others.
    """
    return next(
        k
        for k in range(1, n + 1)
        if k > n_small or math.comb(n_small, k) / math.comb(n, k) <= _BEST_P / 2
    )


def _halves(n_a: int, n: int, seed: int) -> list[Bools]:
    """Random divisions of the texts, each side halved by itself."""
    random = np.random.default_rng(seed)
    halves = []
    for _ in range(N_SPLITS):
        half = np.zeros(n, bool)
        for side in (np.arange(n_a), np.arange(n_a, n)):
            half[random.permutation(side)[: -(-len(side) // 2)]] = True
        halves.append(half)
    return halves


def _held_out(table: _Judged) -> tuple[Floats, Floats, HeldOut]:
    """By feature its AUROC where it took no part in being picked, and how often it was; overall.

    Features that are stronger in B count as well as those of A: their AUROC is turned round.
    """
    n = min(N_PICKED, len(table.p))
    total, times = np.zeros(len(table.p)), np.zeros(len(table.p))
    by_split = []
    for on_half, on_other in zip(table.on_half, table.on_other, strict=True):
        best = np.argsort(-np.abs(on_half - 0.5), kind="stable")[:n]
        total[best] += on_other[best]
        times[best] += 1
        one = best[0]
        by_split.append(float(on_other[one] if on_half[one] >= 0.5 else 1 - on_other[one]))
    with np.errstate(invalid="ignore"):
        held = np.where(times > 0, total / times, np.nan)
    overall = HeldOut(float(np.mean(by_split)), min(by_split), max(by_split), N_SPLITS)
    return held, times / N_SPLITS, overall


def _length_note(n_tokens: Ints, first: Bools) -> list[str]:
    a, b = float(n_tokens[first].mean()), float(n_tokens[~first].mean())
    if max(a, b) < 2 * max(min(a, b), 1e-9):
        return []
    return [
        f"The texts of one side are much longer ({a:.0f} tokens in A, {b:.0f} in B): "
        "features may tell length rather than content."
    ]

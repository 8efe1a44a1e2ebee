"""The birth of a concept: the first layer at which it can be read off the stream.

For every layer two readers are tried on texts that played no part in making them (five parts, each
held out once): a linear probe of the stream, and the one feature that tells best. Their accuracy is
compared with chance, an exact binomial test corrected for the number of layers; intervals are
Wilson's, 95 %. A concept is born where the probe is above chance and stays so at the next layer.

Of a feature the texts are stretches that end where it is strongest, against stretches that end
where its neighbours are and it is silent: what is hard to tell from it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from desktop_scope.engine.requests import Request
from desktop_scope.engine.types import Bools, FeatureActs, FeatureId, Floats, LayerTexts, lock
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.types import Example
from desktop_scope.experiments.concept import best_threshold
from desktop_scope.experiments.probe import fit
from desktop_scope.experiments.ranks import Ranked

if TYPE_CHECKING:
    from desktop_scope.engine.engine import Engine
    from desktop_scope.engine.worker import Job
    from desktop_scope.evidence.catalogue import Catalogue

_N_FOLDS = 5
_LEAST = 8  # texts of each kind
_MOST = 60
_MAY_BE_CHANCE = 0.05
_Z95 = 1.959963984540054
_BYTES = re.compile(r"⟨[0-9A-Fa-f]{2}⟩")


@dataclass(frozen=True)
class FindBirth(Request):
    """At which layer a concept can be read for the first time.

    Attributes:
        feature: Stands for the concept; None where texts do.
        having: Texts with the concept.
        lacking: Texts without it.
    """

    kind = "birth"
    replaces = frozenset({"birth"})
    worker = "engine"

    feature: FeatureId | None = None
    having: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Curve:
    """Held-out accuracy by layer, [L]; nan where there is nothing to read with."""

    right: Floats
    low: Floats
    high: Floats

    def __post_init__(self) -> None:
        lock(self)


@dataclass(frozen=True, eq=False)
class Birth:
    """How well a concept can be read, layer by layer.

    Attributes:
        probe: Of a linear probe of the stream.
        single: Of the best single feature.
        features: That one, by layer; None where there is no SAE.
        born: The first layer above chance; None if there is none.
        n: Texts with and without the concept.
    """

    request: FindBirth
    probe: Curve
    single: Curve
    features: tuple[FeatureId | None, ...]
    born: int | None
    n: tuple[int, int]

    @property
    def verdict(self) -> str:
        """In one sentence."""
        of = f"on {self.n[0]} + {self.n[1]} texts"
        if self.born is None:
            return f"At no layer can it be read above chance {of}; more texts may help."
        right = 100 * float(self.probe.right[self.born])
        return (
            f"Readable above chance from layer {self.born} on: there a probe is right in "
            f"{right:.0f} % of texts it has not seen, {of}."
        )


def find_birth(engine: Engine, catalogue: Catalogue, request: FindBirth, job: Job) -> Birth:
    """Read the texts at every layer, and judge.

    Raises:
        ScopeError: There are too few texts.
        Cancelled: The job was.
    """
    if request.feature is None:
        sides = [_distinct(request.having), _distinct(request.lacking)]
        _demand(*map(len, sides), "Write one text per line.")
        read = engine.read_layers((*sides[0], *sides[1]), False, job)
        label = np.arange(len(sides[0]) + len(sides[1])) < len(sides[0])
    else:
        read, label = _of_feature(engine, catalogue, request.feature, job)
    parts = _folds(label)
    n_layers = read.residual.shape[1]
    probe_right, single_right = np.zeros(n_layers), np.full(n_layers, np.nan)
    features: list[FeatureId | None] = []
    for layer in range(n_layers):
        job.progress(layer, n_layers, "Trying every layer")
        probe_right[layer] = _probed(read.residual[:, layer], label, parts)
        slot = next((n for n, info in enumerate(engine.infos) if info.layer == layer), None)
        if slot is None:
            features.append(None)
            continue
        single_right[layer], index = _best_single(read.acts[slot], label, parts)
        features.append(FeatureId(slot, index) if index >= 0 else None)
    probe, single = (_curve(right, len(label)) for right in (probe_right, single_right))
    counts = int(label.sum()), int((~label).sum())
    above = [_chance(right, len(label)) * n_layers <= _MAY_BE_CHANCE for right in probe_right]
    born = next((n for n in range(n_layers) if all(above[n : n + 2])), None)
    return Birth(request, probe, single, tuple(features), born, counts)


def _distinct(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(t for text in texts if (t := text.strip())))[:_MOST]


def _demand(having: int, lacking: int, hint: str) -> None:
    if min(having, lacking) < _LEAST:
        raise ScopeError(
            f"There are {having} texts with the concept and {lacking} without; at least {_LEAST} "
            "of each are needed.",
            hint,
        )


def _of_feature(
    engine: Engine, catalogue: Catalogue, feature: FeatureId, job: Job
) -> tuple[LayerTexts, Bools]:
    """Stretches that end where the feature is strongest, and others that are near."""
    hint = "Gather evidence for its autoencoder first, or write texts of your own."
    own = _ends(catalogue.examples(feature))
    near = [neighbour.feature for neighbour in catalogue.card(feature).neighbours]
    examples = [_ends(catalogue.examples(other)) for other in near if other != feature]
    # One of each neighbour in turn, so that no neighbour makes up most of them.
    longest = max(map(len, examples), default=0)
    others = [one[n] for n in range(longest) for one in examples if n < len(one)]
    others = [text for text in dict.fromkeys(others) if text not in set(own)][: 4 * len(own)]
    _demand(len(own), len(others), hint)
    read = engine.read_layers((*own, *others), True, job)
    strength = read.acts[feature.sae].of(feature.index)
    fires = np.flatnonzero(strength[: len(own)])
    silent = len(own) + np.flatnonzero(strength[len(own) :] == 0)
    n = min(len(fires), len(silent))
    _demand(n, n, hint)
    chosen = np.concatenate([fires[:n], silent[:n]])
    return read.only(chosen), np.arange(2 * n) < n


def _ends(examples: Sequence[Example]) -> list[str]:
    """Texts up to where each example is strongest; none of which only bytes are known."""
    texts = ["".join(example.texts[: example.peak + 1]) for example in examples]
    return list(dict.fromkeys(t for t in texts if t.strip() and not _BYTES.search(t)))


def _folds(label: Bools) -> NDArray[np.int64]:
    """Which part each text is held out in; both kinds are spread evenly."""
    rng = np.random.default_rng(0)
    part = np.zeros(len(label), np.int64)
    for side in (np.flatnonzero(label), np.flatnonzero(~label)):
        part[rng.permutation(side)] = np.arange(len(side)) % _N_FOLDS
    return part


def _probed(x: Floats, label: Bools, parts: NDArray[np.int64]) -> float:
    """The share of texts that a probe judges rightly which has not seen them."""
    right = 0
    for part in range(_N_FOLDS):
        out = parts == part
        probe = fit(x[~out], label[~out])
        right += int((probe.says(x[out]) == label[out]).sum())
    return right / len(label)


def _best_single(acts: FeatureActs, label: Bools, parts: NDArray[np.int64]) -> tuple[float, int]:
    """The same of the feature that tells best in the other parts, and which it mostly is."""
    index, place = np.unique(acts.indices, return_inverse=True)
    if not len(index):
        return 0.5, -1
    values = np.zeros((len(index), len(label)), np.float32)
    values[place, acts.rows()] = acts.values
    right, chosen = 0, Counter[int]()
    for part in range(_N_FOLDS):
        out = parts == part
        best = int(Ranked.of(values[:, ~out]).auroc(label[~out]).argmax())
        chosen[int(index[best])] += 1
        seen = values[best, ~out]
        threshold = best_threshold(seen[label[~out]], seen[~label[~out]])
        right += int(((values[best, out] > threshold) == label[out]).sum())
    return right / len(label), chosen.most_common(1)[0][0]


def _curve(right: NDArray[np.float64], n: int) -> Curve:
    """With Wilson's intervals."""
    z = _Z95**2 / n
    middle = (right + z / 2) / (1 + z)
    half = np.sqrt(right * (1 - right) * z + z**2 / 4) / (1 + z)
    return Curve(*(part.astype(np.float32) for part in (right, middle - half, middle + half)))


def _chance(right: float, n: int) -> float:
    """How likely so many or more are right by chance, where both kinds are about as many."""
    k = round(right * n)
    return sum(math.comb(n, j) for j in range(k, n + 1)) / 2**n

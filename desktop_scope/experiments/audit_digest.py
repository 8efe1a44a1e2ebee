"""Which features an audit's answers hang on, named and grouped.

A feature's effect on a row is gradient × activation summed over tokens, in nats. Its part in the
spread is the covariance of its effects with the scores, over their standard deviation: the parts
of all features and of the error terms sum to about the spread. Where answers are right or wrong,
its part in the mistakes is its mean effect against the right answer in the rows where that lost.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from desktop_scope.engine.types import Floats
from desktop_scope.evidence.catalogue import Catalogue
from desktop_scope.experiments.audit import Digest, Ranked, RowParts, Study, feature_of
from desktop_scope.experiments.audit_table import Aim

_LIMIT = 60  # features that are named
_LEAST_TO_VARY = 3  # rows, below which nothing can vary together
_ALIKE = 0.5  # how alike the members of a group are at least, on average
_WORD = re.compile(r"\w{3,}")
_EVERYWHERE = {"the", "and", "next", "word", "words", "text", "mostly", "with", "after", "before"}


def digest(study: Study, catalogue: Catalogue) -> Digest:
    """Rank the features of an audit's rows, name those that matter, and group them."""
    keys, effects, acts = together(study.parts)
    scores = study.differences()[study.finders].astype(np.float64)
    part = parts_in(scores, effects, study.table.aim)
    sizes = np.abs(effects) if study.table.aim is Aim.ACCURACY else acts
    return Digest(named(keys, effects, part, catalogue), keys, sizes.sum(0).astype(np.float32))


def named(
    keys: NDArray[np.int64], effects: NDArray[np.float64], part: Floats, catalogue: Catalogue
) -> tuple[Ranked, ...]:
    """The features of the largest parts, named and grouped."""
    order = [int(n) for n in np.argsort(-part, kind="stable")[:_LIMIT] if part[n] > 0]
    features = [feature_of(int(keys[n])) for n in order]
    labels = [catalogue.label(feature) for feature in features]
    groups = grouped(effects[:, order], [label.text for label in labels])
    return tuple(
        Ranked(
            feature=feature,
            name=catalogue.name(feature),
            label=label,
            density=catalogue.density(feature),
            part=float(part[n]),
            toward=float(effects[:, n].mean()),
            group=group,
        )
        for n, feature, label, group in zip(order, features, labels, groups, strict=True)
    )


def together(
    parts: Sequence[RowParts],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """All features of some rows, ascending, with effects and activations, [rows, features]."""
    keys = np.unique(np.concatenate([row.features for row in parts]))
    effects, acts = np.zeros((2, len(parts), len(keys)))
    for n, row in enumerate(parts):
        at = np.searchsorted(keys, row.features)
        effects[n, at], acts[n, at] = row.parts, row.acts
    return keys, effects, acts


def parts_in(scores: NDArray[np.float64], effects: NDArray[np.float64], aim: Aim) -> Floats:
    """Every feature's part in the spread of some rows' scores, or in their mistakes, [features]."""
    if aim is Aim.SPREAD and len(scores) >= _LEAST_TO_VARY:
        apart = scores - scores.mean()
        part = (effects - effects.mean(0)).T @ apart / (len(scores) - 1)
        return (part / max(float(scores.std(ddof=1)), 1e-9)).astype(np.float32)
    wrong = scores < 0
    part = -effects[wrong if wrong.any() else slice(None)].mean(0)
    return part.astype(np.float32)


def grouped(effects: NDArray[np.float64], labels: Sequence[str]) -> list[int]:
    """Which features go together, [features] → group numbers in the order of appearance.

    Alike are features whose effects vary together over the rows and whose labels share words.
    The two groups that are most alike on average are joined until none are alike enough.
    """
    alike = (np.abs(_correlations(effects)) + _shared_words(labels)) / 2
    member = np.eye(effects.shape[1])  # [features, groups]
    while member.shape[1] > 1:
        sizes = member.sum(0)
        means = member.T @ alike @ member / np.outer(sizes, sizes)
        np.fill_diagonal(means, -1)
        a, b = np.unravel_index(int(means.argmax()), means.shape)
        if means[a, b] < _ALIKE:
            break
        member[:, a] += member[:, b]
        member = np.delete(member, b, axis=1)
    groups = (member @ np.arange(member.shape[1])).tolist()
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    return [numbers[group] for group in groups]


def _correlations(effects: NDArray[np.float64]) -> NDArray[np.float64]:
    """Between the features' effects over the rows; 0 where one does not vary."""
    apart = effects - effects.mean(0)
    length = np.linalg.norm(apart, axis=0)
    apart = np.divide(apart, length, out=np.zeros_like(apart), where=length > 0)
    found: NDArray[np.float64] = apart.T @ apart
    return found


def _shared_words(labels: Sequence[str]) -> NDArray[np.float64]:
    """What share of the words of two labels is in both (Jaccard)."""
    words = [set(_WORD.findall(label.lower())) - _EVERYWHERE for label in labels]
    return np.array([[len(a & b) / max(len(a | b), 1) for b in words] for a in words])

"""Looks things up: a feature's card, the features of a text, a feature through the layers."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from desktop_scope.engine.engine import Engine
from desktop_scope.engine.sae import sae_of
from desktop_scope.engine.types import FeatureId, Floats, Trace
from desktop_scope.engine.worker import Job
from desktop_scope.evidence.labels import LabelBook
from desktop_scope.evidence.requests import FollowFeature, RankBy, RankFeatures, Scope
from desktop_scope.evidence.store import EvidenceStore
from desktop_scope.evidence.types import (
    Card,
    FeaturePath,
    FeatureRow,
    Hit,
    Neighbour,
    Opened,
    Ranking,
    TokenEffect,
)
from desktop_scope.library.pack import read_pack

_N_TOKENS = 10  # promoted and suppressed, each
_N_NEIGHBOURS = 10
_CARDS_KEPT = 64
_REPEATED = 0.8  # what a token's next feature counts, in an order that is to be varied


class Catalogue:
    """The evidence and labels of one pack, beside the engine that runs its model.

    Only ever reads the engine, so it may be used from another thread than the engine's.
    """

    def __init__(self, engine: Engine, pack: Path, store: EvidenceStore, book: LabelBook) -> None:
        self.store = store
        self.book = book
        self._engine = engine
        self._template = book.of_kind("format")  # fire on the chat's markup: right, but dull
        self._median_norm = read_pack(pack).token_mask.median_norm
        self.card = lru_cache(_CARDS_KEPT)(self._card)
        self._family = lru_cache(_CARDS_KEPT)(self._find_family)

    @classmethod
    def open(cls, pack: Path, engine: Engine, job: Job) -> Catalogue:
        """Open the evidence, and make the automatic labels if this is the first time.

        Raises:
            ScopeError: The evidence is missing, damaged, or not for this model.
            Cancelled: The job was.
        """
        job.progress(0, 0, "Opening the evidence")
        store = EvidenceStore(pack, engine.model.texts)
        book = LabelBook.open(
            store,
            pack,
            lambda done, total: job.progress(done, total, "Naming the features (first time only)"),
            job.check,
        )
        return cls(engine, pack, store, book)

    def opened(self) -> Opened:
        """What is known of it all as soon as it is open."""
        return Opened(self.store.max_active, self.book.notes)

    def _card(self, feature: FeatureId) -> Card:
        """All that is known of one feature.

        Raises:
            ScopeError: There is no such feature, or its evidence is damaged.
        """
        sae = sae_of(self._engine.saes, feature)
        store, book = self.store, self.book
        effect = self._engine.lens.logit_effect(sae.decoder_row(feature.index))
        neighbours, family = self._family(feature)
        return Card(
            feature=feature,
            hook_name=sae.hook_name,
            label=book.label(feature),
            density=float(store.density[feature]),
            mean_active=float(store.mean_active[feature]),
            max_active=float(store.max_active[feature]),
            median_norm=self._median_norm[feature.layer],
            histogram=store.histogram(feature),
            top_tokens=store.top_tokens(feature),
            promotes=self._tokens(effect, largest=True),
            suppresses=self._tokens(effect, largest=False),
            examples=store.examples(feature),
            neighbours=neighbours,
            family=family,
        )

    def _tokens(self, effect: torch.Tensor, largest: bool) -> tuple[TokenEffect, ...]:
        values, ids = effect.topk(_N_TOKENS, largest=largest)
        texts = self._engine.model.texts
        return tuple(
            TokenEffect(texts[i], value)
            for i, value in zip(ids.tolist(), values.tolist(), strict=True)
        )

    def _find_family(
        self, feature: FeatureId
    ) -> tuple[tuple[Neighbour, ...], tuple[Neighbour, ...]]:
        """Nearest features in this layer and the ones beside it; best match in every layer."""
        direction = sae_of(self._engine.saes, feature).decoder_row(feature.index)
        near: list[tuple[float, FeatureId]] = []
        family = []
        for layer, sae in enumerate(self._engine.saes):
            cosines = sae.cosines(direction)
            if layer == feature.layer:
                family.append((1.0, feature))
                cosines[feature.index] = -1.0
            else:
                best = int(cosines.argmax())
                family.append((float(cosines[best]), FeatureId(layer, best)))
            if abs(layer - feature.layer) <= 1:
                top = np.argpartition(cosines, -_N_NEIGHBOURS)[-_N_NEIGHBOURS:]
                near += [(float(cosines[i]), FeatureId(layer, int(i))) for i in top]
        near.sort(reverse=True)
        return self._neighbours(near[:_N_NEIGHBOURS]), self._neighbours(family)

    def _neighbours(self, found: list[tuple[float, FeatureId]]) -> tuple[Neighbour, ...]:
        return tuple(Neighbour(fid, cosine, self.book.label(fid)) for cosine, fid in found)

    def rank(self, request: RankFeatures) -> Ranking:
        """The features that pass the filters, best first."""
        if request.scope is Scope.ALL:
            return self._search(request)
        if request.trace is None:
            return Ranking((), 0)
        trace = request.trace
        token = request.token if request.scope is Scope.TOKEN else None
        wanted = self.book.matching(request.words) if request.words.strip() else None
        features: list[NDArray[np.int64]] = []
        scores: list[Floats] = []
        tokens: list[NDArray[np.int64]] = []
        n_active = 0
        for layer in _layers(request, trace.n_layers):
            index, peak, total, at = _strengths(trace, layer, token, self.store.max_active[layer])
            n_active += len(index)
            density = self.store.density[layer, index]
            keep = (density <= request.max_density) & (index < request.n_features)
            keep &= ~self._template[layer, index]
            if wanted is not None:
                keep &= wanted[layer, index]
            index, density = index[keep], density[keep]
            scores.append(_SCORES[request.by](peak[keep], total[keep], density))
            features.append(np.stack([np.full(len(index), layer), index], axis=1))
            tokens.append(at[keep])
        if not scores:
            return Ranking((), 0)
        score = np.concatenate(scores)
        if token is None and request.by is RankBy.RARITY:
            score = _varied(score, np.concatenate(tokens))
        order = np.argsort(-score, kind="stable")[: request.limit]
        best = np.concatenate(features)[order].tolist()
        rows = tuple(self._row(FeatureId(*pair), trace, token) for pair in best)
        return Ranking(rows, n_active)

    def _search(self, request: RankFeatures) -> Ranking:
        layers = _layers(request, self.store.n_layers)
        hits = self.book.search(request.words, layers, request.limit)
        found = [
            self._row(hit.feature, request.trace, None)
            for hit in hits
            if hit.feature.index < request.n_features
            and self.store.density[hit.feature] <= request.max_density
        ]
        return Ranking(tuple(found), len(hits))

    def _row(self, feature: FeatureId, trace: Trace | None, token: int | None) -> FeatureRow:
        """One feature; its strength on a token, or its peak and total over the user's text."""
        values = np.zeros(1, np.float32)
        if trace is not None:
            values = trace.acts[feature.layer].of(feature.index)
            values = np.where(trace.own, values, 0.0) if token is None else values[[token]]
        maximum = float(self.store.max_active[feature])
        return FeatureRow(
            feature=feature,
            label=self.book.label(feature),
            value=float(values.max()),
            strength=float(values.max()) / maximum,
            total=float(values.sum()) / maximum,
            density=float(self.store.density[feature]),
            max_active=maximum,
            token=int(values.argmax()) if token is None else token,
        )

    def follow(self, request: FollowFeature) -> FeaturePath:
        """A feature and its best match in every other layer, over the tokens of a text."""
        _, family = self._family(request.feature)
        values = np.stack(
            [
                request.trace.acts[n.feature.layer].of(n.feature.index)
                / self.store.max_active[n.feature]
                for n in family
            ]
        )
        return FeaturePath(request.feature, family, values)

    def promoting(self, text: str, layers: range | None = None, limit: int = 20) -> tuple[Hit, ...]:
        """Features that promote a word most.

        The score is the word's logit effect in standard deviations over the vocabulary, so that
        layers and features can be compared.

        Raises:
            ScopeError: The text is not one token of this model.
        """
        token = self._engine.model.token_id(text)
        lens = self._engine.lens
        direction, spread = lens.token_direction(token), lens.covariance
        hits: list[tuple[float, FeatureId]] = []
        for layer, sae in enumerate(self._engine.saes):
            if layers is not None and layer not in layers:
                continue
            score = (sae.decoder_dots(direction) / sae.decoder_spread(spread)).numpy()
            top = np.argsort(-score)[:limit]
            hits += [(float(score[i]), FeatureId(layer, int(i))) for i in top]
        hits.sort(reverse=True)
        return tuple(Hit(fid, self.book.label(fid), score) for score, fid in hits[:limit])


def _layers(request: RankFeatures, n_layers: int) -> range:
    first, last = request.layers
    return range(max(first, 0), min(last + 1, n_layers))


def _strengths(
    trace: Trace, layer: int, token: int | None, max_active: Floats
) -> tuple[NDArray[np.int64], Floats, Floats, NDArray[np.int64]]:
    """Active features of one layer: index, strongest and summed strength, where strongest; [n]."""
    acts = trace.acts[layer]
    if token is not None:
        index, values = acts.at(token)
        strength = values / max_active[index]
        return index.astype(np.int64), strength, strength, np.full(len(index), token)
    rows = acts.rows()
    own = trace.own[rows]
    rows, index, values = rows[own], acts.indices[own], acts.values[own]
    total = np.bincount(index, values, len(max_active))
    peak = np.zeros(len(max_active), np.float32)
    np.maximum.at(peak, index, values)
    at = np.zeros(len(max_active), np.int64)
    highest = values == peak[index]
    at[index[highest]] = rows[highest]
    active = np.flatnonzero(peak)
    scale = max_active[active]
    return active, peak[active] / scale, (total[active] / scale).astype(np.float32), at[active]


def _varied(score: Floats, token: NDArray[np.int64]) -> Floats:
    """Scores by which every further feature of the same token counts less.

    Else the many features of one rare word, of all layers, would crowd out everything else.
    """
    order = np.lexsort((-score, token))
    starts = np.flatnonzero(np.diff(token[order], prepend=-1))
    place = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    varied = np.empty_like(score)
    varied[order] = score[order] * _REPEATED**place
    return varied


_SCORES = {
    RankBy.MAXIMUM: lambda peak, total, density: peak,
    RankBy.TOTAL: lambda peak, total, density: total,
    RankBy.RARITY: lambda peak, total, density: peak * -np.log(density.clip(1e-7)),
}

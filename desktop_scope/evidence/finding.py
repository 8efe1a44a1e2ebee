"""Finds features: those of a text, and any by label, by effect, by example or as a study gave them.

Whatever way features are found, the same filters hold for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from desktop_scope.engine.engine import Engine
from desktop_scope.engine.feature_names import parse_feature
from desktop_scope.engine.types import Bools, FeatureId, Floats, Trace
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.labels import LabelBook, word_query
from desktop_scope.evidence.meaning.embedder import HOW_TO_GET
from desktop_scope.evidence.meaning.labels import LabelMeanings
from desktop_scope.evidence.requests import MERITS, Match, RankBy, RankFeatures, Scope
from desktop_scope.evidence.surprise import surprises
from desktop_scope.evidence.types import FeatureRow, Found, Hit, Label, Measure, Ranking

if TYPE_CHECKING:
    from desktop_scope.evidence.catalogue import Catalogue

_REPEATED = 0.8  # what a token's next feature counts, in an order that is to be varied
_MEANING_FROM = 3  # letters of a query: fewer mean nothing yet
_FUSED = 60  # of reciprocal rank fusion: how little the very first ranks stand out
_FUSED_DEPTH = 200  # hits of either list at least: what is high in both may be deep in one

_PROMOTES = Measure(
    "Promotes",
    "How much likelier it makes the word, read off its direction: the change of the word's logit\n"
    "in standard deviations (σ) over all words. What the layers after it make of it is left out.",
)
_EXAMPLE = Measure(
    "One in",
    "How unusual this is for the feature: of stretches of the corpus as long as this one, at most\n"
    "one in so many has a token on which it is as strong.",
)

Check = Callable[[], None]


class Finder:
    """Searches what a catalogue knows."""

    def __init__(
        self,
        catalogue: Catalogue,
        engine: Engine,
        books: Sequence[tuple[LabelBook, Sequence[int]]],
    ) -> None:
        self._catalogue, self._engine, self._books = catalogue, engine, books
        sizes = [sae.d_sae for sae in engine.saes]
        self.meanings = LabelMeanings(self._labels, sizes)

    def rank(self, request: RankFeatures, check: Check) -> Ranking:
        """The features that pass the filters, best first."""
        if request.scope is Scope.ALL:
            return self._by_label(request, check)
        if request.scope is Scope.PROMOTES:
            return self._by_effect(request, check)
        if request.scope is Scope.EXAMPLE:
            return self._by_example(request, check)
        if request.scope is Scope.GIVEN:
            return self._as_given(request, check)
        return self._of_text(request, check)

    # ---- filters

    def _slots_of(self, request: RankFeatures) -> list[int]:
        """The SAEs of the layers asked for."""
        first, last = request.layers
        infos = self._engine.infos
        return [slot for slot, info in enumerate(infos) if first <= info.layer <= last]

    def _passing(self, slot: int, request: RankFeatures) -> Bools:
        """Features of one SAE that no filter holds back, but for the words of the query, [N]."""
        known = self._catalogue.evidence[slot]
        keep = ~(known.density > request.max_density)
        if request.shown:
            keep[request.shown[slot] :] = False
        if request.min_score > 0:
            keep &= known.scores >= request.min_score
        if request.on_list:
            keep &= known.listed(request.on_list)
        if request.of_kind:
            keep &= self._of_kind(slot, request.of_kind)
        return keep

    def _all_passing(self, request: RankFeatures) -> list[Bools]:
        """The same of all SAEs; nothing of those in layers not asked for."""
        slots = set(self._slots_of(request))
        return [
            self._passing(slot, request) if slot in slots else np.zeros(sae.d_sae, bool)
            for slot, sae in enumerate(self._engine.saes)
        ]

    def _of_kind(self, slot: int, kind: str) -> Bools:
        for book, slots in self._books:
            if slot in slots:
                return book.of_kind(kind)[slots.index(slot)]
        return np.zeros(self._engine.saes[slot].d_sae, bool)

    def _matching(self, slot: int, words: str) -> Bools:
        named = self._named(words)
        if named is None:
            return self._catalogue.evidence[slot].matching(words)
        found = np.zeros(self._engine.saes[slot].d_sae, bool)
        found[named.index] = named.sae == slot
        return found

    def _named(self, words: str) -> FeatureId | None:
        """The feature whose number the words are, if any."""
        if "/" not in words:
            return None
        try:
            return parse_feature(self._engine.infos, words)
        except ScopeError:
            return None

    # ---- of a text

    def _of_text(self, request: RankFeatures, check: Check) -> Ranking:
        trace = request.trace
        if trace is None:
            return Ranking((), 0)
        token = request.token if request.scope is Scope.TOKEN else None
        features: list[NDArray[np.int64]] = []
        scores: list[Floats] = []
        tokens: list[NDArray[np.int64]] = []
        n_active = 0
        for slot in self._slots_of(request):
            check()
            known = self._catalogue.evidence[slot]
            maxima = self._catalogue.maxima(slot, trace)
            index, peak, total, at = _strengths(trace, slot, token, maxima)
            n_active += len(index)
            keep = (self._passing(slot, request) & ~known.dull)[index]
            if request.words.strip():
                keep &= self._matching(slot, request.words)[index]
            index = index[keep]
            density = _density(known.density[index], trace, slot, index)
            if request.by in MERITS:
                scores.append(self._merit(slot, request.by)[index])
            else:
                scores.append(_SCORES[request.by](peak[keep], total[keep], density))
            features.append(np.stack([np.full(len(index), slot), index], axis=1))
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

    # ---- by label

    def _by_label(self, request: RankFeatures, check: Check) -> Ranking:
        words, limit = request.words.strip(), max(request.limit, _FUSED_DEPTH)
        named = self._named(words)
        if named is not None:
            return self._found(request, [Found(named, 1.0)])
        passing = self._all_passing(request)
        if not words:
            return self._by_merit(request, passing, check)
        by_words: list[Hit] = []
        by_meaning: list[tuple[FeatureId, float]] = []
        notes: tuple[str, ...] = ()
        if request.match is not Match.MEANING:
            by_words = self.by_words(words, passing, limit, check)
        if request.match is not Match.WORDS and len(words) >= _MEANING_FROM:
            by_meaning = self.meanings.search(words, passing, limit)
            notes = self._about_meanings()
        found = _fused(by_words, by_meaning, self._catalogue.label)
        if request.by in MERITS:
            found.sort(key=lambda hit: -self._merit(hit.feature.sae, request.by)[hit.feature.index])
        return self._found(request, found[: request.limit], notes=notes)

    def _by_merit(self, request: RankFeatures, passing: Sequence[Bools], check: Check) -> Ranking:
        """All features, in an order that needs neither a text nor a query; none in others."""
        if request.by not in MERITS:
            return Ranking((), 0)
        found, n = [], 0
        for slot in self._slots_of(request):
            check()
            score = np.where(passing[slot], self._merit(slot, request.by), -np.inf)
            n += int(np.isfinite(score).sum())
            best = np.argsort(-score, kind="stable")[: request.limit]
            found += [
                Found(FeatureId(slot, i), float(score[i]))
                for i in best.tolist()
                if np.isfinite(score[i])
            ]
        found.sort(key=lambda hit: -hit.value)
        return self._found(request, found[: request.limit], n_active=n)

    def _merit(self, slot: int, by: RankBy) -> Floats:
        """Of all features of one SAE, [N]; those of which it is not known come last."""
        return np.nan_to_num(self._catalogue.discovery.merit(slot, by), nan=-np.inf)

    def by_words(self, words: str, passing: Sequence[Bools], limit: int, check: Check) -> list[Hit]:
        """Features whose labels hold every word; best first."""
        evidence = self._catalogue.evidence
        hits = []
        for book, slots in self._books:
            keep = np.stack([passing[slot] & ~evidence[slot].labelled for slot in slots])
            hits += [
                replace(hit, feature=FeatureId(slots[hit.feature.sae], hit.feature.index))
                for hit in book.search(words, keep, limit, check)
            ]
        if len(self._books) > 1:
            hits.sort(key=lambda hit: (hit.aside, -hit.score))
        return [*self._by_marks(words, passing), *hits][:limit]

    def _by_marks(self, words: str, passing: Sequence[Bools]) -> list[Hit]:
        """Features that the user, or a file of theirs, gave a label with these words."""
        slots = {known.key: slot for slot, known in enumerate(self._catalogue.evidence)}
        found = [
            FeatureId(slots[sae], index)
            for sae, index in self._catalogue.marks.search(word_query(words))
            if sae in slots and passing[slots[sae]][index]
        ]
        return [Hit(feature, self._catalogue.label(feature), 10.0) for feature in found]

    def _about_meanings(self) -> tuple[str, ...]:
        at = self.meanings.at
        if at is None or at.finished:
            return () if at is None or at.installed else (f"By words only. {HOW_TO_GET}",)
        return (f"By meaning, {at.done / max(at.total, 1):.0%} of the labels so far.",)

    def _labels(self) -> Iterator[tuple[str, str, int, int]]:
        """Text, kind and place of all labels, the most trusted first."""
        evidence = self._catalogue.evidence
        for slot, known in enumerate(evidence):
            for index in np.flatnonzero(known.labelled).tolist():
                label = known.label(index)
                yield label.text, label.kind, slot, index
        for book, slots in self._books:
            labelled = [evidence[slot].labelled for slot in slots]
            for text, kind, (layer, index) in book.in_order():
                if not labelled[layer][index]:
                    yield text, kind, slots[layer], index

    # ---- by effect, by example, as given

    def _by_effect(self, request: RankFeatures, check: Check) -> Ranking:
        """Features that promote a word most.

        The score is the word's logit effect in standard deviations over the vocabulary, so that
        layers and features can be compared.

        Raises:
            ScopeError: The text is not one token of this model.
        """
        if not request.words.strip():
            return Ranking((), 0)
        token = self._engine.model.token_id(request.words)
        lens = self._engine.lens
        direction, spread = lens.token_direction(token), lens.covariance
        last = self._engine.model.info.n_layers - 1
        hits: list[Found] = []
        for slot in self._slots_of(request):
            check()
            sae = self._engine.saes[slot]
            if not sae.in_stream:
                continue
            score = (sae.decoder_dots(direction) / sae.decoder_spread(spread)).numpy()
            score[~self._passing(slot, request)] = -np.inf
            skipped = last - self._engine.infos[slot].layer
            hits += [
                _promoting(FeatureId(slot, int(i)), float(score[i]), skipped, last)
                for i in np.argsort(-score)[: request.limit]
                if score[i] > 0
            ]
        hits.sort(key=lambda hit: -hit.value)
        word = self._engine.model.texts[token].strip()
        note = (
            f"≈ marks early layers: what a feature adds to “{word}” is read off directly, as if no "
            "layer came after it, and many do. Steer to see what comes of it."
        )
        return self._found(request, hits[: request.limit], _PROMOTES, (note,))

    def _by_example(self, request: RankFeatures, check: Check) -> Ranking:
        """Features that fire on the chosen tokens more than they usually do."""
        trace, span = request.trace, request.span
        if trace is None or span is None:
            return Ranking((), 0)
        place = np.arange(trace.n_tokens)
        chosen = (place >= span[0]) & (place <= span[1]) & ~trace.masked
        n = int(chosen.sum())
        hits, unknown = [], False
        for slot in self._slots_of(request):
            check()
            known = self._catalogue.evidence[slot]
            every = np.arange(self._engine.saes[slot].d_sae)
            density = _density(known.density, trace, slot, every)
            unknown |= bool(np.isnan(known.density).all())
            passing = self._passing(slot, request) & ~known.dull
            index, surprise, count = surprises(trace.acts[slot], chosen, known, passing, density)
            hits += [
                _surprising(FeatureId(slot, i), s, c, n)
                for i, s, c in zip(index.tolist(), surprise.tolist(), count.tolist(), strict=True)
            ]
        hits.sort(key=lambda hit: -hit.value)
        note = (
            "Of SAEs without evidence, “usually” is this very text: gather evidence for them."
            if unknown
            else ""
        )
        notes = tuple(filter(None, (note,)))
        return self._found(request, hits[: request.limit], _EXAMPLE, notes, len(hits))

    def _as_given(self, request: RankFeatures, check: Check) -> Ranking:
        passing = self._all_passing(request)
        matching: dict[int, Bools] = {}
        hits = []
        for found in request.given:
            slot, index = found.feature
            if not passing[slot][index]:
                continue
            if request.words.strip():
                if slot not in matching:
                    check()
                    matching[slot] = self._matching(slot, request.words)
                if not matching[slot][index]:
                    continue
            hits.append(found)
        return self._found(request, hits[: request.limit], request.measure, (), len(request.given))

    # ---- rows

    def _found(
        self,
        request: RankFeatures,
        hits: Iterable[Found],
        measure: Measure | None = None,
        notes: tuple[str, ...] = (),
        n_active: int | None = None,
    ) -> Ranking:
        rows = tuple(
            replace(self._row(hit.feature, request.trace, None), found=hit) for hit in hits
        )
        return Ranking(rows, len(rows) if n_active is None else n_active, measure, notes)

    def _row(self, feature: FeatureId, trace: Trace | None, token: int | None) -> FeatureRow:
        """One feature; its strength on a token, or its peak and total over the user's text."""
        catalogue = self._catalogue
        values, maximum = np.zeros(1, np.float32), float("nan")
        if trace is not None:
            values = trace.acts[feature.sae].of(feature.index)
            values = np.where(trace.own, values, 0.0) if token is None else values[[token]]
            maximum = float(catalogue.maxima(feature.sae, trace)[feature.index])
        return FeatureRow(
            feature=feature,
            name=catalogue.name(feature),
            label=catalogue.label(feature),
            value=float(values.max()),
            strength=float(values.max()) / maximum if trace is not None else 0.0,
            total=float(values.sum()) / maximum if trace is not None else 0.0,
            density=catalogue.density(feature),
            max_active=float(catalogue.evidence[feature.sae].max_active[feature.index]),
            token=int(values.argmax()) if token is None else token,
        )


def _fused(
    by_words: Sequence[Hit],
    by_meaning: Sequence[tuple[FeatureId, float]],
    label: Callable[[FeatureId], Label],
) -> list[Found]:
    """Both lists as one (reciprocal rank fusion): what stands high in either stands high.

    Features with the same label share a rank, so that a label which many have does not push the
    next one far down; among them those come first whose label predicts best. What names the words
    only in passing comes last, unless its meaning is near.
    """
    score: dict[FeatureId, float] = {}
    merit: dict[FeatureId, float] = {}
    how: dict[FeatureId, list[str]] = {}
    mainly = [hit.feature for hit in by_words if not hit.aside]
    for features in (mainly, [feature for feature, _ in by_meaning]):
        ranks: dict[str, int] = {}
        for feature in features:
            own = label(feature)
            rank = ranks.setdefault(own.text, len(ranks))
            score[feature] = score.get(feature, 0.0) + 1 / (_FUSED + rank)
            merit[feature] = own.score or 0.0
    for hit in by_words:
        score.setdefault(hit.feature, 0.0)
    for feature in (hit.feature for hit in by_words):
        how.setdefault(feature, []).append("its words")
    cosines = dict(by_meaning)
    for feature, cosine in by_meaning:
        how.setdefault(feature, []).append(f"its meaning (cosine {cosine:.2f})")
    best = sorted(score, key=lambda f: (-score[f], -merit.get(f, 0.0)))
    return [
        Found(
            f,
            score[f],
            f"{cosines[f]:.2f}" if f in cosines else "",
            "Found by " + " and ".join(how[f]),
        )
        for f in best
    ]


def _promoting(feature: FeatureId, score: float, skipped: int, last: int) -> Found:
    """A direct reading says less the more layers come after it: ≈ marks the first two thirds."""
    sure = skipped <= last / 3
    after = "one layer" if skipped == 1 else f"{skipped} layers"
    detail = f"Adds {score:.1f} σ to the word's logit directly" + (
        f"; {after} after it may change that" if skipped else ""
    )
    text = f"{'' if sure else '≈ '}{score:.1f} σ"
    return Found(feature, score, text, detail, min(score / 10, 1.0))


def _surprising(feature: FeatureId, surprise: float, count: int, n: int) -> Found:
    one_in = math.exp(surprise)
    text = f"{one_in:,.0f}" if one_in >= 10 else f"{one_in:.1f}"
    where = "it" if n == 1 else f"{count} of these {n} tokens"
    of = "token" if n == 1 else f"stretch of {n} tokens"
    detail = f"Fires on {where}; as strong at most on one {of} in {text}"
    return Found(feature, surprise, text, detail, min(surprise / math.log(1e6), 1.0))


def _strengths(
    trace: Trace, slot: int, token: int | None, max_active: Floats
) -> tuple[NDArray[np.int64], Floats, Floats, NDArray[np.int64]]:
    """Active features of one SAE: index, strongest and summed strength, where strongest; [n]."""
    acts = trace.acts[slot]
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


def _density(density: Floats, trace: Trace, slot: int, index: NDArray[np.int64]) -> Floats:
    """How often features fire; in this text, where nothing else is known."""
    if not np.isnan(density).any():
        return density
    here: Floats = np.where(np.isnan(density), _share_here(trace, slot, index), density)
    return here


def _share_here(trace: Trace, slot: int, index: NDArray[np.int64]) -> Floats:
    """The share of a text's tokens on which features fire: all that is known without evidence."""
    acts = trace.acts[slot]
    counts = np.bincount(acts.indices, minlength=int(index.max(initial=0)) + 1)
    share: Floats = (counts[index] / max(trace.n_tokens, 1)).astype(np.float32)
    return share


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

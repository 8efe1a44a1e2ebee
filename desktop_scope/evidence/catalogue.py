"""Looks things up: a feature's card, the features of a text, a feature through the layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch

from desktop_scope.engine.engine import Engine
from desktop_scope.engine.feature_names import feature_name
from desktop_scope.engine.requests import Workspace
from desktop_scope.engine.sae import sae_of
from desktop_scope.engine.types import FeatureId, Floats, SaeInfo, Trace
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.court.judging import LabelCourt, Matter, of_own, of_pack
from desktop_scope.evidence.court.texts import together
from desktop_scope.evidence.discovery import Discovery
from desktop_scope.evidence.finding import Finder
from desktop_scope.evidence.kinship.families import Families
from desktop_scope.evidence.known import PackEvidence, SaeEvidence, SampleEvidence
from desktop_scope.evidence.labels import LabelBook
from desktop_scope.evidence.mapping.atlas import Atlas
from desktop_scope.evidence.marks.keys import described, mark_key
from desktop_scope.evidence.marks.overlay import MarkedEvidence
from desktop_scope.evidence.marks.store import MarkStore
from desktop_scope.evidence.meaning.labels import Meanings
from desktop_scope.evidence.own import OwnEvidence, own_evidence
from desktop_scope.evidence.own_texts import OwnTexts
from desktop_scope.evidence.requests import FollowFeature, LearnMeanings, RankFeatures
from desktop_scope.evidence.store import PADDING, Corpus, EvidenceStore
from desktop_scope.evidence.stretches import Stretches
from desktop_scope.evidence.together import Mates, Together, open_together
from desktop_scope.evidence.types import (
    Card,
    CoFiring,
    Example,
    FeaturePath,
    Label,
    Neighbour,
    Opened,
    Ranking,
    TokenEffect,
)
from desktop_scope.library.pack import Pack, is_pack, read_pack

_N_TOKENS = 10  # promoted and suppressed, each
_N_NEIGHBOURS = 10
_N_COFIRING = 10  # of its own SAE, and of all others
_CARDS_KEPT = 64
_FEW = 100  # changes that are looked at one by one
_NAMING = "Naming the features (first time only)"
_LEARNING_S = 1.5  # of labels, until somebody else may have the engine

Check = Callable[[], None]


class Catalogue:
    """What is known about the features of the open SAEs, beside the engine that runs them.

    Only ever reads the engine, so it may be used from another thread than the engine's.

    Args:
        evidence: By SAE, in the engine's order.
        marks: What this user said of features.
        books: The labels of every open pack, with the place among the SAEs of each of its layers.
        notes: What the user should know about how the evidence was opened.
        together: Which features fire together.
        courts: Which judge the labels of every open pack, and of evidence of one's own.
        corpora: The texts of every open pack.
    """

    def __init__(
        self,
        engine: Engine,
        evidence: Sequence[MarkedEvidence],
        marks: MarkStore,
        books: Sequence[tuple[LabelBook, Sequence[int]]] = (),
        notes: Sequence[str] = (),
        together: Together | None = None,
        courts: Sequence[LabelCourt] = (),
        corpora: Sequence[Corpus] = (),
    ) -> None:
        self._corpora = corpora
        self._engine = engine
        self._evidence = list(evidence)
        self.marks, self.courts = marks, courts
        self._notes = (*marks.notes, *notes, *(note for book, _ in books for note in book.notes))
        self._together = together or Together([None] * len(self._evidence))
        self.discovery = Discovery(engine, self._evidence)
        self._finder = Finder(self, engine, books)
        self.atlas = Atlas(engine, self._evidence)
        kin = []
        for known in self._evidence:
            try:
                kin.append(known.kin())
            except ScopeError as error:  # damaged: families are told by direction alone
                kin.append(None)
                self._notes = tuple(dict.fromkeys((*self._notes, str(error))))
        self.families = Families(self, kin)
        self.card = lru_cache(_CARDS_KEPT)(self._card)
        self._mates = lru_cache(_CARDS_KEPT)(self._together.mates)
        self._family = lru_cache(_CARDS_KEPT)(self._find_family)

    @classmethod
    def open(cls, workspace: Workspace, engine: Engine, job: Job) -> Catalogue:
        """Open the evidence, and make the automatic labels if this is the first time.

        Raises:
            ScopeError: The evidence is missing, damaged, or not for this model.
            Cancelled: The job was.
        """
        evidence: dict[int, SaeEvidence] = {}
        packs: dict[int, tuple[Pack, Path]] = {}
        books, corpora = [], []
        matters: list[tuple[Matter, Sequence[int]]] = []
        for folder in workspace.saes:
            if not is_pack(folder):
                continue
            job.progress(0, 0, "Opening the evidence")
            pack, store = read_pack(folder), EvidenceStore(folder, engine.model.texts)
            book = LabelBook.open(
                store,
                folder,
                lambda done, total: job.progress(done, total, _NAMING),
                job.check,
            )
            files = pack.sae_files(folder)
            slots = _slots(engine, [f"{pack.name}/{path.stem}" for path in files])
            norms = pack.token_mask.median_norm
            packs |= {slot: (pack, path) for slot, path in zip(slots, files, strict=True)}
            for layer, (slot, norm) in enumerate(zip(slots, norms, strict=True)):
                evidence[slot] = PackEvidence(store, book, layer, norm)
            books.append((book, slots))
            texts = [book.texts(layer) for layer in range(store.n_layers)]
            matters.append((of_pack(store, texts, folder), slots))
            corpora.append(store.corpus)
        notes: list[str] = []
        own: list[tuple[OwnEvidence, int]] = []
        for slot, sae in enumerate(engine.saes):
            if slot not in evidence:
                job.progress(0, 0, "Opening the evidence")
                evidence[slot] = SampleEvidence(sae.d_sae)
                try:
                    found = own_evidence(sae.weights, engine.model)
                    if found is not None:
                        book = own_labels(found, job)
                        books.append((book, [slot]))
                        found.name(book)
                        evidence[slot] = found
                        own.append((found, slot))
                except ScopeError as error:  # damaged: the SAE can be used without
                    notes.append(str(error))
        marks = MarkStore()
        marked = []
        for slot in range(len(engine.saes)):
            key = mark_key(engine, slot, packs.get(slot))
            marks.know(key, described(engine, slot))
            marked.append(MarkedEvidence(evidence[slot], marks, key))
        for group in together([found for found, _ in own]):
            found_there = [own[n][0] for n in group]
            matters.append((of_own(found_there), [own[n][1] for n in group]))
        mates = open_together(engine.saes, engine.model.info, notes)
        courts = [LabelCourt(engine, matter, slots, marked) for matter, slots in matters]
        return cls(engine, marked, marks, books, notes, mates, courts, corpora)

    def opened(self) -> Opened:
        """What is known of it all as soon as it is open."""
        maxima = tuple(evidence.max_active for evidence in self._evidence)
        norms = tuple(evidence.median_norm for evidence in self._evidence)
        return Opened(maxima, self._notes, norms)

    @property
    def engine(self) -> Engine:
        """What runs the SAEs."""
        return self._engine

    @property
    def infos(self) -> tuple[SaeInfo, ...]:
        """What is to be said of each SAE."""
        return self._engine.infos

    @property
    def model_id(self) -> str:
        """The open model."""
        return self._engine.model.info.id

    @property
    def evidence(self) -> tuple[MarkedEvidence, ...]:
        """What is known of each SAE, in the engine's order."""
        return tuple(self._evidence)

    def marked(self) -> None:
        """Show what was marked since."""
        touched, elsewhere = self.marks.touched, self.marks.changed_elsewhere()
        for evidence in self._evidence:
            own = [feature for sae, feature in touched if sae == evidence.key]
            if elsewhere or len(own) > _FEW:
                evidence.refresh()
            else:
                for feature in own:
                    evidence.refresh_one(feature)
        touched.clear()
        self.card.cache_clear()
        self._family.cache_clear()

    def names(self, features: Sequence[FeatureId]) -> dict[FeatureId, Label]:
        """What some features are called."""
        return {feature: self.label(feature) for feature in features}

    def label(self, feature: FeatureId) -> Label:
        """A feature's label.

        Raises:
            ScopeError: There is no such feature.
        """
        sae_of(self._engine.saes, feature)
        return self._evidence[feature.sae].label(feature.index)

    def name(self, feature: FeatureId) -> str:
        """``17/3988``."""
        return feature_name(self._engine.infos, feature)

    def examples(self, feature: FeatureId) -> tuple[Example, ...]:
        """Stretches of text in which a feature fires."""
        return self._evidence[feature.sae].examples(feature.index)

    def density(self, feature: FeatureId) -> float:
        """The share of tokens on which a feature fires; nan if unknown."""
        return float(self._evidence[feature.sae].density[feature.index])

    def learn(self, slot: int, sample: SampleEvidence) -> None:
        """Take in what a sample of text has shown about an SAE that came without evidence."""
        if self._evidence[slot].learn(sample):
            self.card.cache_clear()

    def _card(self, feature: FeatureId) -> Card:
        """All that is known of one feature.

        Raises:
            ScopeError: There is no such feature, or its evidence is damaged.
        """
        sae_of(self._engine.saes, feature)
        known, index = self._evidence[feature.sae], feature.index
        direction = self._engine.direction(feature)
        effect = None if direction is None else self._engine.lens.logit_effect(direction)
        neighbours, family = self._family(feature, ())
        return Card(
            feature=feature,
            name=self.name(feature),
            hook_name=self._engine.infos[feature.sae].hook_out,
            label=known.label(index),
            marks=known.marks(index),
            density=float(known.density[index]),
            mean_active=float(known.mean_active[index]),
            max_active=float(known.max_active[index]),
            median_norm=known.median_norm,
            histogram=known.histogram(index),
            top_tokens=known.top_tokens(index),
            promotes=self._tokens(effect, largest=True),
            suppresses=self._tokens(effect, largest=False),
            examples=known.examples(index),
            neighbours=neighbours,
            family=family,
            cofiring=self._cofiring(feature),
            cofiring_tokens=self._together.tokens(feature.sae),
        )

    def _cofiring(self, feature: FeatureId) -> tuple[CoFiring, ...]:
        """What fires on the same tokens, most alike first: of its own SAE, then of the others."""
        own: list[CoFiring] = []
        others: list[CoFiring] = []
        for slot, mates in self._mates(feature).items():
            best = np.argsort(-mates.jaccard, kind="stable")[: _N_COFIRING + 1].tolist()
            rows = [self._mate(FeatureId(slot, int(mates.index[k])), mates, k) for k in best]
            (own if slot == feature.sae else others).extend(
                row for row in rows if row.feature != feature
            )
        others.sort(key=lambda row: -row.jaccard)
        return (*own[:_N_COFIRING], *others[:_N_COFIRING])

    def _mate(self, feature: FeatureId, mates: Mates, k: int) -> CoFiring:
        return CoFiring(
            feature=feature,
            name=self.name(feature),
            label=self.label(feature),
            jaccard=float(mates.jaccard[k]),
            lift=float(mates.lift[k]),
            together=int(mates.together[k]),
            fires=int(mates.fires[k]),
            correlation=float(mates.correlation[k]),
        )

    def _tokens(self, effect: torch.Tensor | None, largest: bool) -> tuple[TokenEffect, ...]:
        if effect is None:
            return ()
        values, ids = effect.topk(_N_TOKENS, largest=largest)
        texts = self._engine.model.texts
        return tuple(
            TokenEffect(texts[i], value)
            for i, value in zip(ids.tolist(), values.tolist(), strict=True)
        )

    def _find_family(
        self, feature: FeatureId, shown: tuple[int, ...]
    ) -> tuple[tuple[Neighbour, ...], tuple[Neighbour, ...]]:
        """Nearest features in this layer and the ones beside it; best match in every SAE.

        Args:
            shown: Of each SAE only the first so many features; empty for all.
        """
        own = sae_of(self._engine.saes, feature)
        direction = own.decoder_row(feature.index) if own.in_stream else None
        mates = self._mates(feature)
        infos = self._engine.infos
        near: list[tuple[float, FeatureId]] = []
        family: list[Neighbour] = []
        for slot, sae in enumerate(self._engine.saes):
            cosines = None
            if direction is not None and sae.in_stream:
                cosines = sae.cosines(direction)
                if shown:
                    cosines[shown[slot] :] = -1.0
            if slot == feature.sae:
                family.append(self._neighbour(feature, 1.0, 1.0 if mates else math.nan))
                if cosines is not None:
                    cosines[feature.index] = -1.0
            elif not shown or shown[slot]:
                n = shown[slot] if shown else sae.d_sae
                family += self._best_match(slot, cosines, mates.get(slot), n)
            if cosines is not None and abs(infos[slot].layer - infos[feature.sae].layer) <= 1:
                top = np.argpartition(cosines, -min(_N_NEIGHBOURS, len(cosines)))[-_N_NEIGHBOURS:]
                near += [(float(cosines[i]), FeatureId(slot, int(i))) for i in top]
        near.sort(reverse=True)
        nearest = tuple(self._neighbour(fid, cosine) for cosine, fid in near[:_N_NEIGHBOURS])
        return nearest, tuple(family)

    def _best_match(
        self, slot: int, cosines: Floats | None, mates: Mates | None, n_shown: int
    ) -> tuple[Neighbour, ...]:
        """The same concept in another SAE: what fires most alike, else what points most alike."""
        if mates is not None and (mates.index < n_shown).any():
            k = int(np.where(mates.index < n_shown, mates.correlation, -np.inf).argmax())
            index, correlation = int(mates.index[k]), float(mates.correlation[k])
        elif cosines is not None:
            index, correlation = int(cosines.argmax()), math.nan
        else:
            return ()
        cosine = math.nan if cosines is None else float(cosines[index])
        return (self._neighbour(FeatureId(slot, index), cosine, correlation),)

    def _neighbour(
        self, feature: FeatureId, cosine: float, correlation: float = math.nan
    ) -> Neighbour:
        return Neighbour(feature, self.name(feature), cosine, self.label(feature), correlation)

    def maxima(self, slot: int, trace: Trace) -> Floats:
        """What counts as full strength, [N]: the strongest seen by evidence or in this text.

        Of an SAE about which nothing is known, the strongest activation in this text by any of its
        features.
        """
        acts = trace.acts[slot]
        here = float(acts.values.max()) if len(acts.values) else 1.0
        return np.nan_to_num(self._evidence[slot].max_active, nan=here).clip(min=1e-6)

    def rank(self, request: RankFeatures, check: Check = lambda: None) -> Ranking:
        """The features that pass the filters, best first.

        Raises:
            ScopeError: A word is to be promoted that is not one token of this model.
        """
        return self._finder.rank(request, check)

    def learn_meanings(self, request: LearnMeanings, check: Check = lambda: None) -> Meanings:
        """Make labels searchable by meaning, for a while."""
        return self._finder.meanings.learn(request.revision, _LEARNING_S, check)

    def follow(self, request: FollowFeature) -> FeaturePath:
        """A feature and its best match in every other SAE, over the tokens of a text."""
        _, family = self._family(request.feature, request.shown)
        trace = request.trace
        values = np.stack(
            [
                trace.acts[n.feature.sae].of(n.feature.index)
                / self.maxima(n.feature.sae, trace)[n.feature.index]
                for n in family
            ]
        )
        return FeaturePath(request.feature, family, values)

    def stretches(self, words: Mapping[str, float]) -> Iterator[str]:
        """Passages of an open pack's text with most of these words; none without such a text."""
        return self._stretches.find(words) if self._corpora else iter(())

    @cached_property
    def _stretches(self) -> Stretches:
        return Stretches(self._corpora[0], self._engine.model.texts)

    def passages(self, tokens: Sequence[int], limit: int) -> list[list[int]]:
        """The texts of an open pack in which some tokens occur most, as token ids; none without."""
        if not self._corpora:
            return []
        rows = self._corpora[0].tokens
        counts = np.isin(rows, tokens).sum(1)
        best = np.argsort(-counts, kind="stable")[:limit]
        return [rows[n][rows[n] != PADDING].tolist() for n in best if counts[n]]


def own_labels(evidence: OwnEvidence, job: Job) -> LabelBook:
    """The labels of evidence of one's own, made now if this is the first time."""
    return LabelBook.open(
        OwnTexts(evidence),
        None,
        lambda done, total: job.progress(done, total, _NAMING),
        job.check,
    )


def _slots(engine: Engine, names: Sequence[str]) -> list[int]:
    """Where the SAEs of these names are among those open."""
    places = {sae.weights.name: slot for slot, sae in enumerate(engine.saes)}
    return [places[name] for name in names]

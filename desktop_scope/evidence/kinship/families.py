"""A feature's family: what it comes from in coarser dictionaries, and what it splits into.

Two features are kin by what was counted of where they fire (see ``scoring``): on a sample that came
with the pack, else on the finer one's own examples once they have been read. Where neither is known
the feature whose decoder row points most nearly the same way stands in, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from desktop_scope.engine.sae import sae_of
from desktop_scope.engine.sizes import Rung, birth, ladder
from desktop_scope.engine.types import FeatureId
from desktop_scope.engine.worker import Job
from desktop_scope.evidence.kinship.book import KinBook, Link
from desktop_scope.evidence.kinship.measuring import Firings, advance, begin
from desktop_scope.evidence.kinship.scoring import N_PARENTS, kin_score
from desktop_scope.evidence.kinship.types import (
    Basis,
    Branch,
    Family,
    Kin,
    MeasureKin,
    ReadFamily,
)

if TYPE_CHECKING:
    from desktop_scope.evidence.catalogue import Catalogue

_N_CHILDREN = 12  # shown of each feature
_ALIKE = 0.2  # cosine: what is no nearer is no kin


class _Tie(NamedTuple):
    """A feature's parent, and what speaks for it."""

    parent: FeatureId
    link: Link | None
    basis: Basis


class Families:
    """The families of all open SAEs.

    Args:
        catalogue: Names features, and knows how often they fire.
        books: By slot, what came with a pack; None where nothing did.
    """

    def __init__(self, catalogue: Catalogue, books: Sequence[KinBook | None]) -> None:
        self._catalogue, self._books = catalogue, list(books)
        self._engine = catalogue.engine
        self._reading: Firings | None = None
        self._learnt: dict[FeatureId, tuple[tuple[FeatureId, Link], ...]] = {}

    def family(self, request: ReadFamily) -> Family:
        """All that is known of one feature's family.

        Raises:
            ScopeError: There is no such feature.
        """
        feature = request.feature
        sae_of(self._engine.saes, feature)
        rungs = ladder(self._engine.infos, feature.sae)
        line = [feature]
        while (tie := self._tie(rungs, line[0])) is not None:
            line.insert(0, tie.parent)
        branches = {
            one: self._branch(rungs, one) for one in dict.fromkeys((feature, *request.opened))
        }
        kin = [self._kin(rungs, one) for one in line]
        shown = [*reversed(kin), *(k for branch in branches.values() for k in branch.kin)]
        book = self._books[feature.sae]
        return Family(
            feature,
            tuple(dict.fromkeys(rung.size for rung in rungs)),
            tuple(kin),
            branches,
            book.n_tokens if book is not None else 0,
            tuple(dict.fromkeys(k.feature for k in shown if self._could_tell(rungs, k))),
        )

    def measure(self, request: MeasureKin, job: Job) -> bool:
        """Read on in a feature's examples for a while; whether all have been read.

        Raises:
            Cancelled: The job was; what was read by then is not read again.
        """
        child = request.feature
        if self._reading is None or self._reading.feature != child:
            stretches = self._catalogue.evidence[child.sae].stretches(child.index)
            self._reading = begin(self._engine, child, stretches)
        total = sum(map(len, self._reading.left))
        job.progress(0, 0, f"Reading {total} examples of {self._catalogue.name(child)}")
        if not advance(self._engine, self._reading, job):
            return False
        self._learn(self._reading)
        self._reading = None
        return True

    def _learn(self, seen: Firings) -> None:
        """Take in what a feature's examples have shown."""
        slot, size = seen.rung
        density = self._catalogue.evidence[slot].density[:size].astype(np.float64)
        score = kin_score(seen.together, float(max(seen.fires, 1)), density)
        best = [n for n in np.argsort(-score)[:N_PARENTS].tolist() if np.isfinite(score[n])]
        self._learnt[seen.feature] = tuple(
            (FeatureId(slot, n), Link(n, int(seen.together[n]), seen.fires, float(density[n])))
            for n in best
        )

    # ---- who comes from whom

    def _links(self, child: FeatureId) -> tuple[Basis, list[tuple[FeatureId, Link]]]:
        """The likeliest parents, best first."""
        book = self._books[child.sae]
        counted = [] if book is None else book.parents(child.index)
        if counted:
            return Basis.SAMPLE, [(FeatureId(child.sae, link.index), link) for link in counted]
        return Basis.EXAMPLES, list(self._learnt.get(child, ()))

    def _tie(self, rungs: Sequence[Rung], child: FeatureId) -> _Tie | None:
        """To its parent; None of the features of the coarsest dictionary."""
        born = birth(rungs, child)
        if rungs[born].size == rungs[0].size:
            return None
        basis, links = self._links(child)
        if links:
            return _Tie(*links[0], basis)
        before = [rung for rung in rungs if rung.size < rungs[born].size]
        alike = self._alike(child, before[-1], 0)
        return _Tie(alike[0], None, Basis.NONE) if alike else None

    def _alike(self, feature: FeatureId, rung: Rung, begin: int) -> list[FeatureId]:
        """Features of a dictionary from some number on that point the same way, nearest first."""
        own, other = (self._engine.saes[slot] for slot in (feature.sae, rung.slot))
        if not (own.in_stream and other.in_stream):
            return []
        cosines = other.cosines(own.decoder_row(feature.index))[: rung.size]
        cosines[:begin] = -1.0
        best = np.argsort(-cosines)[:_N_CHILDREN].tolist()
        found = (FeatureId(rung.slot, n) for n in best if cosines[n] >= _ALIKE)
        return [one for one in found if one != feature]

    def _children(self, rungs: Sequence[Rung], parent: FeatureId) -> list[FeatureId]:
        """What a feature splits into, the surest first, coarser ones before finer ones."""
        born = birth(rungs, parent)
        found: list[FeatureId] = []
        book = self._books[parent.sae]
        if book is not None:
            found = [FeatureId(parent.sae, n) for n in book.children(parent.index).tolist()]
        finer = [rung for rung in rungs if rung.size > rungs[born].size]
        if finer and not found:
            rung = finer[0]
            begin = rungs[born].size if rung.slot == parent.sae else 0
            found = self._alike(parent, rung, begin)
        return sorted(found, key=lambda one: (birth(rungs, one), -self._share(one, parent)))

    def _share(self, child: FeatureId, parent: FeatureId) -> float:
        """Of a child's tokens, those on which a parent fires; 0 if that is not known."""
        links = dict(self._links(child)[1])
        return links[parent].together / links[parent].fires if parent in links else 0.0

    # ---- in words and numbers

    def _branch(self, rungs: Sequence[Rung], parent: FeatureId) -> Branch:
        children = self._children(rungs, parent)
        kin = tuple(self._kin(rungs, child, parent) for child in children[:_N_CHILDREN])
        return Branch(kin, len(children))

    def _kin(
        self, rungs: Sequence[Rung], feature: FeatureId, parent: FeatureId | None = None
    ) -> Kin:
        """A feature and what ties it to its parent.

        Args:
            parent: The one that is meant, where it need not be the likeliest.
        """
        catalogue = self._catalogue
        cosine = share = lift = math.nan
        n_tokens, basis = 0, Basis.NONE
        if parent is None:
            tie = self._tie(rungs, feature)
            parent = None if tie is None else tie.parent
        if parent is not None:
            cosine = self._cosine(feature, parent)
            known, links = self._links(feature)
            link = dict(links).get(parent)
            if link is not None:
                share, n_tokens, basis = link.together / link.fires, link.fires, known
                lift = share / link.density if link.density > 0 else math.nan
        book = self._books[feature.sae]
        born = rungs[birth(rungs, feature)].size
        n_children = 0 if born == rungs[-1].size else -1
        if book is not None:
            n_children = len(book.children(feature.index))
        return Kin(
            feature, catalogue.name(feature), catalogue.label(feature), born,
            cosine, share, lift, n_tokens, basis, n_children,
        )  # fmt: skip

    def _cosine(self, one: FeatureId, other: FeatureId) -> float:
        saes = self._engine.saes
        if not (saes[one.sae].in_stream and saes[other.sae].in_stream):
            return math.nan
        a, b = (saes[f.sae].decoder_row(f.index) for f in (one, other))
        return float(a @ b / (a.norm() * b.norm()))

    def _could_tell(self, rungs: Sequence[Rung], kin: Kin) -> bool:
        """Whether its examples could show what it comes from, and have not been read."""
        coarsest = kin.size == rungs[0].size
        if coarsest or kin.basis is not Basis.NONE or kin.feature in self._learnt:
            return False
        return bool(self._catalogue.evidence[kin.feature.sae].stretches(kin.feature.index))

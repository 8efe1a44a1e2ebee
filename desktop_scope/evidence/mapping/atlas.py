"""The map of the open SAEs: opened where it was drawn before, else drawn in short slices."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from desktop_scope.engine.engine import Engine
from desktop_scope.engine.feature_names import feature_name
from desktop_scope.engine.types import FeatureId, Floats, Ints
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.known import SaeEvidence
from desktop_scope.evidence.mapping.keeping import find_map, keep_map
from desktop_scope.evidence.mapping.layout import Layout
from desktop_scope.evidence.mapping.neighbours import NeighbourSearch
from desktop_scope.evidence.mapping.regions import regions
from desktop_scope.evidence.mapping.types import Drawing, FeatureMap
from desktop_scope.evidence.own import evidence_key
from desktop_scope.evidence.types import Named

_VERSION = 1  # of how maps are drawn
_MOST = 200_000  # features on a map; of larger sets every SAE gives evenly spaced ones
_SLICE_S = 1.0
_SAMPLE = 8000  # directions from which the principal components are taken


class Atlas:
    """Draws and opens one map. ``draw`` runs on the engine's thread, the rest beside it.

    Args:
        engine: Only read.
        evidence: By SAE; the list may change as more is learnt.
    """

    def __init__(self, engine: Engine, evidence: Sequence[SaeEvidence]) -> None:
        self._engine, self._evidence = engine, evidence
        self._steps: Iterator[Floats | None] | None = None
        self._done = 0
        self._so_far: Floats | None = None

    @cached_property
    def _slots(self) -> list[int]:
        """The SAEs whose features are directions of the stream, in the stream's order."""
        return [n for n, sae in enumerate(self._engine.saes) if sae.in_stream]

    @cached_property
    def _chosen(self) -> list[NDArray[np.int64]]:
        """Which features of each of them are on the map."""
        sizes = [self._engine.saes[slot].d_sae for slot in self._slots]
        most = _MOST // max(len(sizes), 1)
        return [np.linspace(0, size - 1, min(size, most)).round().astype(int) for size in sizes]

    @cached_property
    def _n(self) -> int:
        return sum(map(len, self._chosen))

    @cached_property
    def key(self) -> str:
        """Names what the map depends on."""
        info = self._engine.model.info
        about = [evidence_key(self._engine.saes[slot].weights, info) for slot in self._slots]
        return hashlib.sha256(repr((_VERSION, self._n, about)).encode()).hexdigest()[:32]

    def open(self, job: Job) -> FeatureMap | None:
        """The map, if it was drawn before.

        Raises:
            ScopeError: The open SAEs write no directions of the stream.
            Cancelled: The job was.
        """
        if not self._slots:
            raise ScopeError(
                "There is nothing to draw a map of: no open autoencoder writes into the residual "
                "stream.",
                "Open one that does.",
            )
        points = find_map(self.key, self._n)
        if points is None:
            return None
        labels: list[str] = []
        scores = []
        for slot, chosen in zip(self._slots, self._chosen, strict=True):
            job.check()
            texts = self._evidence[slot].label_texts()
            labels += [texts[n] for n in chosen] if texts else [""] * len(chosen)
            scores.append(self._evidence[slot].scores[chosen])
        return FeatureMap(
            points=points,
            sae=self._each(np.array(self._slots)),
            index=np.concatenate(self._chosen).astype(np.int32),
            scores=np.concatenate(scores).astype(np.float32),
            regions=regions(points, labels),
            n_features=sum(self._engine.saes[slot].d_sae for slot in self._slots),
        )

    def _each(self, values: NDArray[np.int64]) -> Ints:
        return np.repeat(values, [len(chosen) for chosen in self._chosen]).astype(np.int32)

    # ---- drawing

    @cached_property
    def _search(self) -> NeighbourSearch:
        return NeighbourSearch(self._rows, [len(chosen) for chosen in self._chosen])

    def _rows(self, place: int) -> torch.Tensor:
        """Directions of unit length of one of the SAEs on the map, [n, d_model]."""
        sae = self._engine.saes[self._slots[place]]
        rows = sae.decoder_rows(self._chosen[place])
        return rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-9)

    def draw(self, job: Job) -> Drawing:
        """Draw on for a second or so; what was drawn stays when the job is cancelled.

        Raises:
            Cancelled: The job was.
        """
        if self._steps is None:
            self._steps = self._drawn()
        total, start = self._search.n_steps + Layout.N_STEPS, time.perf_counter()
        with torch.inference_mode():
            while self._done < total and time.perf_counter() - start < _SLICE_S:
                job.progress(self._done, total, "Drawing the map")
                self._so_far = next(self._steps)
                self._done += 1
        if self._done == total and self._so_far is not None:
            keep_map(self.key, self._so_far)
        return Drawing(self._done, total, self._so_far)

    def _drawn(self) -> Iterator[Floats | None]:
        """One step after another; the places so far, 0…1."""
        for _ in self._search.steps():
            yield None
        layout = Layout(self._search.found, self._search.cosines, self._components())
        while not layout.done:
            layout.advance()
            yield fitted(layout.points)

    def _components(self) -> Floats:
        """The two largest principal components of every direction, [N, 2]: how they begin."""
        every = max(self._n // _SAMPLE, 1)
        places = range(len(self._slots))
        sample = torch.cat([self._rows(place)[::every] for place in places])
        mean = sample.mean(0)
        axes = torch.linalg.eigh((sample - mean).T @ (sample - mean)).eigenvectors[:, -2:]
        parts = [(self._rows(place) - mean) @ axes.flip(1) for place in places]
        return torch.cat(parts).numpy()

    # ---- names

    def named(self, features: Sequence[FeatureId], beside: FeatureId | None = None) -> list[Named]:
        """What features are called, and how alike they are to one of them."""
        saes, infos = self._engine.saes, self._engine.infos
        own = None if beside is None else saes[beside.sae].decoder_row(beside.index)
        found = []
        for feature in features:
            cosine = float("nan")
            if own is not None:
                row = saes[feature.sae].decoder_row(feature.index)
                cosine = float(torch.nn.functional.cosine_similarity(row, own, dim=0))
            label = self._evidence[feature.sae].label(feature.index)
            found.append(Named(feature, feature_name(infos, feature), label, cosine))
        return found


def fitted(points: NDArray[np.float64]) -> Floats:
    """Places moved and scaled into the unit square, their proportions kept."""
    low, high = points.min(axis=0), points.max(axis=0)
    span = float((high - low).max()) or 1.0
    places: Floats = ((points - (low + high) / 2) / span + 0.5).astype(np.float32)
    return places

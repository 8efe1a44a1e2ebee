"""Does an SAE fit the model where it is attached? Measured on text, and compared with elsewhere.

- L0: mean number of active features per token.
- FVU, the fraction of variance unexplained: Σ‖y − ŷ‖² / Σ‖y − mean(y)‖² over the tokens.
- CE recovered: (CE_mean − CE_sae) / (CE_mean − CE): how much of the model's next-token loss
  survives when what the SAE writes is replaced by its reconstruction; 0 is as bad as replacing it
  by its mean. The field also uses zero instead of the mean, which gives higher figures.

Tokens that the SAE does not encode are left as they are and not counted, nor are outliers: a few
tokens whose activations are many times longer than the others' would decide the sums alone.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from desktop_scope import paths
from desktop_scope.engine import trace as tracing
from desktop_scope.engine.health import Health, Tried
from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.engine.hooks import Edit, checked
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.places import places_along, places_around
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.sae_weights import SaeWeights
from desktop_scope.engine.verdicts import best_of, judged
from desktop_scope.engine.worker import Job

_OUTLIER = 5  # times the median length
_COMPARED_TEXTS = 6  # for trying other places, where only the order matters


class _Sums:
    """What a placing comes to, text by text."""

    def __init__(self, d_out: int, d_sae: int) -> None:
        self.n = self.active = 0
        self.wrong = self.squares = 0.0
        self.total = torch.zeros(d_out, dtype=torch.float64)
        self.count = np.zeros(d_sae, np.int64)
        self.summed = np.zeros(d_sae, np.float64)
        self.largest = np.zeros(d_sae, np.float32)
        self.norms: list[torch.Tensor] = []

    @property
    def fvu(self) -> float:
        variance = self.squares - float(self.total.square().sum()) / max(self.n, 1)
        return self.wrong / variance if variance > 0 else float("inf")

    @property
    def l0(self) -> float:
        return self.active / max(self.n, 1)


class Doctor:
    """Examines the SAEs of one model on the built-in text.

    Attributes:
        ids: The text's parts, [1, T] each.
    """

    def __init__(self, model: LanguageModel, saes: Sequence[Sae]) -> None:
        self._model = model
        self._saes = saes
        self._plain: dict[int, float] = {}  # the model's own loss, by text
        text = (paths.resources() / "check_text.txt").read_text("utf-8")
        self.ids = [
            torch.tensor([model.encode_within(part)], device=model.device)
            for part in text.split("\n\n")
            if part.strip()
        ]

    def examine(self, slot: int, job: Job, elsewhere: bool = True) -> Health:
        """How one SAE fits.

        Args:
            slot: Which of the SAEs.
            job: Told of the progress.
            elsewhere: Also try the hooks around it.

        Raises:
            Cancelled: The job was.
        """
        steps = 3 * len(self.ids)
        with torch.inference_mode():
            (sae,) = self._without_outliers([self._saes[slot]], job)
            own, plain = _Sums(_target_width(sae), sae.d_sae), 0.0
            compared_fvu = 0.0
            for n, ids in enumerate(self.ids):
                job.progress(n, steps, "Checking an SAE")
                kept = self._read(ids, [sae], job)
                if n not in self._plain:
                    self._plain[n] = self._loss_of(kept.hidden, ids)
                plain += self._plain[n]
                self._measure(sae, kept, own, self._members(sae))
                if n < _COMPARED_TEXTS:
                    compared_fvu = own.fvu
            broken = self._loss(sae, job, len(self.ids), steps)
            mean = (own.total / max(own.n, 1)).float()
            blank = self._loss(sae, job, 2 * len(self.ids), steps, mean)
            # What is an outlier here may be usual there.
            anew = self._saes[slot]
            tried = self._tried(anew, compared_fvu, job) if elsewhere else ()
            job.progress(steps, steps, "Checking an SAE")
        recovered = (blank - broken) / (blank - plain) if blank > plain else float("nan")
        return _health(slot, sae.weights, own, recovered, tried, compared_fvu)

    def _tried(self, sae: Sae, fvu: float, job: Job) -> tuple[Tried, ...]:
        """How the SAE does elsewhere, the best first; further off where it is better there."""
        parts = self._model.parts
        tried = self._try(sae, places_around(sae.weights, parts), job)
        if (best := best_of(tried, fvu)) is not None:
            moved = replace(
                sae.weights,
                reads=(HookPoint.parse(best.hook_name),),
                writes=(HookPoint.parse(best.hook_out),),
            )
            tried += self._try(sae, places_along(moved, parts), job)
        return tuple(sorted(tried, key=lambda place: place.fvu))

    def _try(self, sae: Sae, places: Sequence[SaeWeights], job: Job) -> list[Tried]:
        moved = self._without_outliers([sae.placed(weights) for weights in places], job)
        sums = [_Sums(_target_width(place), 0) for place in moved]
        for ids in self.ids[:_COMPARED_TEXTS] if moved else ():
            kept = self._read(ids, moved, job)
            for place, total in zip(moved, sums, strict=True):
                job.check()
                self._measure(place, kept, total, [place])
        found = [_as_tried(place, total) for place, total in zip(moved, sums, strict=True)]
        return sorted(found, key=lambda place: place.fvu)

    def fvu(self, slot: int, job: Job) -> float:
        """The variance unexplained alone."""
        with torch.inference_mode():
            (sae,) = self._without_outliers([self._saes[slot]], job)
            own = _Sums(_target_width(sae), sae.d_sae)
            for n, ids in enumerate(self.ids):
                job.progress(n, len(self.ids), "Measuring the variance unexplained")
                self._measure(sae, self._read(ids, [sae], job), own, self._members(sae))
        return own.fvu

    def _without_outliers(self, saes: Sequence[Sae], job: Job) -> list[Sae]:
        """The SAEs, each encoding only what is of usual length where it reads."""
        limited = []
        kept = self._read(self.ids[0], saes, job) if saes else None
        for sae in saes:
            assert kept is not None
            norms = kept.read_by(sae)[sae.weights.skip_positions :].float().norm(dim=-1)
            other = copy.copy(sae)
            usual = float(norms.median()) if len(norms) else math.inf
            other.outlier_norm = min(sae.outlier_norm, _OUTLIER * usual)
            limited.append(other)
        return limited

    def _read(self, ids: torch.Tensor, saes: Sequence[Sae], job: Job) -> tracing.Activations:
        """A text's activations where some SAEs read and write."""
        points = {p for s in saes for p in (*s.weights.reads, *s.weights.writes)}
        points |= {p for s in self._members(saes[0]) for p in s.weights.reads}
        return tracing.run(self._model, ids, sorted(points), job)

    def _loss_of(self, hidden: torch.Tensor, ids: torch.Tensor) -> float:
        logits = self._model.logits(hidden[:-1])
        return float(cross_entropy(logits, ids[0, 1:].to(logits.device), reduction="sum"))

    def _members(self, sae: Sae) -> list[Sae]:
        """The SAEs whose outputs add up to what this one reconstructs; itself among them."""
        weights = sae.weights
        if not weights.group:
            return [sae]
        (at,) = _target(weights)[:1]
        return [
            s
            for s in self._saes
            if s.weights.group == weights.group
            and at in s.weights.writes
            and not at < s.weights.reads[0]  # what is read later cannot have written there
        ]

    def _measure(
        self, sae: Sae, kept: tracing.Activations, sums: _Sums, members: Sequence[Sae]
    ) -> None:
        masked = tracing.own_mask(sae, tracing.mask_of([sae], kept))
        rows = torch.from_numpy(np.flatnonzero(~masked))
        at = _target(sae.weights)
        y = kept.side_by_side(at).float()[rows.to(self._model.device)]
        guess = torch.zeros_like(y)
        for member in members:
            x = kept.read_by(member).to(member.device)
            acts = member.encode(x, masked)
            part = _part_at(member, member.decode(acts, x), at)
            guess += part[rows.to(part.device)].to(guess.device)
            if member.weights is sae.weights:
                sums.active += len(acts.indices)
                if len(sums.count):
                    np.add.at(sums.count, acts.indices, 1)
                    np.add.at(sums.summed, acts.indices, acts.values)
                    np.maximum.at(sums.largest, acts.indices, acts.values)
        sums.n += len(rows)
        sums.wrong += float((y - guess).double().square().sum())
        sums.squares += float(y.double().square().sum())
        sums.total += y.double().sum(0).cpu()
        sums.norms.append(kept.read_by(sae).float().norm(dim=-1)[rows.to(y.device)].cpu())

    def _loss(
        self, sae: Sae, job: Job, done: int, steps: int, mean: torch.Tensor | None = None
    ) -> float:
        """The summed loss of all texts with what the SAE writes replaced.

        Args:
            mean: Replace it by this; by the reconstruction when there is none.
        """
        loss = 0.0
        for n, ids in enumerate(self.ids):
            job.progress(done + n, steps, "Checking an SAE")
            edits = checked(self._replaced(sae, mean), self._model.parts, job.check)
            hidden = self._model.hidden(ids, edits, use_cache=False)[0]
            loss += self._loss_of(hidden, ids)
        return loss

    def _replaced(self, sae: Sae, mean: torch.Tensor | None) -> dict[HookPoint, Edit]:
        """Edits that put the reconstruction, or a mean, into the place of what is written."""
        members, at = self._members(sae), _target(sae.weights)
        seen: dict[HookPoint, torch.Tensor] = {}
        reads = {p for member in members for p in member.weights.reads}

        def edit_of(point: HookPoint) -> Edit:
            def edit(y: torch.Tensor) -> torch.Tensor | None:
                if point in reads:
                    seen[point] = y[0].clone()
                if point != at[-1]:  # of several the last: only then is all read that it needs
                    return None
                place = at.index(point)
                if mean is not None:
                    guess = mean.view(len(at), -1)[place].expand_as(y[0])
                else:
                    guess = self._guess(members, seen, at)[:, place]
                masked = torch.zeros(len(y[0]), dtype=torch.bool, device=y.device)
                masked[: max(sae.weights.skip_positions, 1)] = True
                if sae.outlier_norm < float("inf"):
                    x = torch.cat([seen[p] for p in sae.weights.reads], -1)
                    masked |= x.float().norm(dim=-1) > sae.outlier_norm
                kept = torch.where(masked[:, None], y[0].float(), guess.to(y.device))
                return kept.to(y.dtype)[None]

            return edit

        return {point: edit_of(point) for point in sorted(reads | set(at))}

    @staticmethod
    def _guess(
        members: Sequence[Sae], seen: dict[HookPoint, torch.Tensor], at: tuple[HookPoint, ...]
    ) -> torch.Tensor:
        """[T, writes, d]."""
        total: torch.Tensor | None = None
        for member in members:
            x = torch.cat([seen[p] for p in member.weights.reads], -1).to(member.device)
            acts = member.encode(x, np.zeros(len(x), bool))
            part = _part_at(member, member.decode(acts, x), at)
            total = part if total is None else total + part.to(total.device)
        assert total is not None
        return total.view(len(total), len(at), -1)


def _target(weights: SaeWeights) -> tuple[HookPoint, ...]:
    """What an SAE is held responsible for: all that an autoencoder reads, else its own layer."""
    if weights.reads == weights.writes or len(weights.writes) == 1:
        return weights.writes
    own = [point for point in weights.writes if point.layer == weights.reads[0].layer]
    return ((own or list(weights.writes))[0],)


def _target_width(sae: Sae) -> int:
    weights = sae.weights
    return weights.d_out // len(weights.writes) * len(_target(weights))


def _part_at(sae: Sae, y: torch.Tensor, at: tuple[HookPoint, ...]) -> torch.Tensor:
    """What of [T, d_out] is written at some of the hooks."""
    writes = sae.weights.writes
    if writes == at:
        return y
    parts = y.view(len(y), len(writes), -1)
    return torch.cat([parts[:, writes.index(point)] for point in at], -1)


def _as_tried(place: Sae, sums: _Sums) -> Tried:
    w = place.weights
    return Tried(
        hook_name=w.reads[0].name,
        hook_out=w.writes[0].name,
        norm=str(w.norm),
        centred=w.centred,
        subtract_b_dec=w.subtract_b_dec,
        fvu=sums.fvu,
        l0=sums.l0,
    )


def _health(
    slot: int,
    weights: SaeWeights,
    own: _Sums,
    recovered: float,
    tried: tuple[Tried, ...],
    compared_fvu: float,
) -> Health:
    best = best_of(tried, compared_fvu)
    verdict, reason = judged(weights, own.l0, own.fvu, recovered, best, compared_fvu)
    fired = np.maximum(own.count, 1)
    norms = torch.cat(own.norms) if own.norms else torch.zeros(1)
    return Health(
        slot=slot,
        hook_name=weights.reads[0].name,
        hook_out=weights.writes[0].name,
        n_tokens=own.n,
        l0=own.l0,
        fvu=own.fvu,
        ce_recovered=recovered,
        verdict=verdict,
        reason=reason,
        tried=tried,
        best=best,
        density=(own.count / max(own.n, 1)).astype(np.float32),
        mean_active=(own.summed / fired).astype(np.float32),
        max_active=own.largest,
        median_norm=float(norms.median()),
    )

"""Carries out what the SHIFT experiment asks of the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from desktop_scope.engine.ablating import Run, batches, edits_of, padded
from desktop_scope.engine.attribution import Pass, gradients_of
from desktop_scope.engine.engine import Engine
from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.engine.hooks import Edit, checked
from desktop_scope.engine.requests import Request
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.types import Bools, FeatureActs, Floats, Intervention, Mode
from desktop_scope.engine.worker import Job
from desktop_scope.evidence.catalogue import Catalogue
from desktop_scope.experiments.audit import Digest, RowParts
from desktop_scope.experiments.audit_digest import named, together
from desktop_scope.experiments.probe import LinearProbe, fit
from desktop_scope.experiments.shift import (
    DigestProbe,
    FollowProbe,
    JudgeProbes,
    PoolTexts,
    ProbeLine,
    Shift,
    ShiftTable,
)

_EARLIER = range(3, 100, 3)  # layers before the probe's whose features are followed, too
_STEPS = 2  # of the integral, at the middle of equal parts of the way


def carry_out(request: Request, engine: Engine, catalogue: Catalogue, job: Job) -> Any:
    """What one step of the experiment brings."""
    match request:
        case PoolTexts():
            return pool(engine, request, job)
        case FollowProbe():
            return follow(engine, request.study, job)
        case DigestProbe():
            return digest_probe(request.study, catalogue)
        case JudgeProbes():
            return judge(request.study)
    raise TypeError(type(request))


def pool(engine: Engine, request: PoolTexts, job: Job) -> Floats:
    """Mean activations where the probe reads, of every text, [texts, d]; position 0 left out."""
    model, point = engine.model, engine.saes[request.slot].weights.reads[0]
    off = tuple(Intervention(feature, mode=Mode.ABLATE) for feature in request.off)
    texts = [model.encode_within(text) for text in request.texts]
    found = np.zeros((len(texts), model.d_model), np.float32)
    with torch.inference_mode():
        for batch in batches([len(ids) for ids in texts]):
            job.progress(request.place[1], 0, "Reading the texts")
            runs = [Run(tuple(texts[n]), off) for n in batch]
            ids = padded([run.ids for run in runs], model.device)
            edits = edits_of(runs, engine.saes)
            kept: list[torch.Tensor] = []
            edits[point] = _keeping(edits.get(point), kept)
            model.hidden(ids, checked(edits, model.parts, job.check), use_cache=False)
            for row, n in zip(kept[0], batch, strict=True):
                found[n] = row[1 : max(len(texts[n]), 2)].mean(0).cpu().numpy()
    return found


def _keeping(edit: Edit | None, kept: list[torch.Tensor]) -> Edit:
    def run(x: torch.Tensor) -> torch.Tensor | None:
        changed = edit(x) if edit else None
        kept.append((x if changed is None else changed).float().clone())
        return changed

    return run


def follow(engine: Engine, study: Shift, job: Job) -> tuple[RowParts, ...]:
    """Integrated gradients of the probe's logit, toward the label, of the next texts.

    On the way the features of one SAE are scaled from 0 to 1, its error kept; where the probe
    itself reads the logit is linear in them, and the integral exact.
    """
    model, probe = engine.model, biased_probe(study)
    chosen = study.following()
    texts = [model.encode_within(study.table.texts[n].text) for n in chosen]
    signs = [1.0 if study.table.texts[n].label else -1.0 for n in chosen]
    found: list[list[tuple[int, FeatureActs, Floats]]] = [[] for _ in texts]
    ids, lengths = padded(texts, model.device), [len(text) for text in texts]
    end = engine.saes[study.slot].weights.reads[0]
    for slot in followed(engine, study.slot):
        job.progress(len(study.parts), len(study.table.biased), "Following the probe back")
        sae = engine.saes[slot]
        acts, written = _features(engine, sae, ids, lengths, job)
        slopes = _slopes(engine, sae, end, ids, lengths, written, (probe, signs), job)
        for n, (one, slope) in enumerate(zip(acts, slopes, strict=True)):
            index, place = np.unique(one.indices, return_inverse=True)
            per_unit = slope @ sae.decoder_rows(index).numpy().T
            found[n].append((slot, one, one.values * per_unit[one.rows(), place]))
    return tuple(map(RowParts.summed, found))


def followed(engine: Engine, slot: int) -> list[int]:
    """The SAEs that are followed: the probe's own and some of earlier layers of the stream."""
    end = engine.saes[slot].weights.reads[0]
    wanted = {end.layer - back for back in _EARLIER}  # pronouns are told apart early on
    return [
        n
        for n, sae in enumerate(engine.saes)
        if n == slot
        or (
            sae.weights.reads == sae.weights.writes
            and sae.weights.reads[0].site is end.site
            and sae.weights.reads[0].layer in wanted
        )
    ]


def _features(
    engine: Engine, sae: Sae, ids: torch.Tensor, lengths: Sequence[int], job: Job
) -> tuple[list[FeatureActs], torch.Tensor]:
    """Features of every text, and what they write, [texts, pos, d]."""
    kept: list[torch.Tensor] = []
    edits = checked({sae.weights.reads[0]: _keeping(None, kept)}, engine.model.parts, job.check)
    with torch.inference_mode():
        engine.model.hidden(ids, edits, use_cache=False)
        written = torch.zeros_like(kept[0])
        acts = []
        for n, length in enumerate(lengths):
            x = kept[0][n, :length]
            masked = np.arange(length) < max(sae.weights.skip_positions, 1)
            masked |= (x.norm(dim=-1) > sae.outlier_norm).cpu().numpy()
            acts.append(sae.encode(x, masked))
            written[n, :length] = sae.decode(acts[-1], x) - sae.silent(x)
    return acts, written.clone()


def _slopes(
    engine: Engine,
    sae: Sae,
    end: HookPoint,
    ids: torch.Tensor,
    lengths: Sequence[int],
    written: torch.Tensor,
    aim: tuple[LinearProbe, Sequence[float]],
    job: Job,
) -> list[Floats]:
    """How the probe's logit grows with what the SAE writes at every token, [T, d] a text."""
    probe, signs = aim
    weight = torch.from_numpy(probe.weight.copy()).to(written.device)
    point = sae.weights.writes[0]

    def logit(x: torch.Tensor) -> torch.Tensor:
        pooled = [row[1:length].float().mean(0) for row, length in zip(x, lengths, strict=True)]
        return sum(
            (sign * (p @ weight) for sign, p in zip(signs, pooled, strict=True)), x.new_zeros(())
        )

    if point == end:
        return [
            np.tile(sign * probe.weight / max(length - 1, 1), (length, 1))
            for sign, length in zip(signs, lengths, strict=True)
        ]
    total = torch.zeros_like(written)
    with gradients_of(engine.model):
        for step in range(_STEPS):
            share = (step + 0.5) / _STEPS

            def scaled(at: HookPoint, x: torch.Tensor, share: float = share) -> torch.Tensor:
                return x - (1 - share) * written.to(x.dtype) if at == point else x

            forward = Pass(engine.model, ids, (point, end), job, scaled)
            (gradient,) = forward.gradients(logit(forward.at[end]), point)
            total += gradient.float() / _STEPS
    return [row[:length].cpu().numpy() for row, length in zip(total, lengths, strict=True)]


def digest_probe(study: Shift, catalogue: Catalogue) -> Digest:
    """Rank the probe's features by how much they help it on its training texts, and name them."""
    keys, effects, acts = together(study.parts)
    part = effects.mean(0).astype(np.float32)
    return Digest(named(keys, effects, part, catalogue), keys, acts.sum(0).astype(np.float32))


def biased_probe(study: Shift) -> LinearProbe:
    """The probe that was trained where label and attribute go together."""
    return _trained(study.table, study.pooled[()], study.table.biased)


def judge(study: Shift) -> tuple[ProbeLine, ...]:
    """All probes on the texts kept apart."""
    table, plain = study.table, study.pooled[()]
    assert study.off
    off, chance = study.pooled[study.off], study.pooled[study.chance]
    every = [n for n, one in enumerate(table.texts) if not one.test]
    biased = biased_probe(study)
    retrained = _trained(table, off, table.biased)
    by_chance = _trained(table, chance, table.biased)
    ideal = _trained(table, plain, every)
    return (
        _line("as trained", table, biased, plain),
        _line("features off", table, biased, off),
        _line("off, trained again", table, retrained, off),
        _line("random ones off, trained again", table, by_chance, chance),
        _line("trained on balanced texts", table, ideal, plain),
    )


def _trained(table: ShiftTable, x: Floats, rows: Sequence[int]) -> LinearProbe:
    return fit(x[rows], np.array([table.texts[n].label for n in rows]))


def _line(name: str, table: ShiftTable, probe: LinearProbe, x: Floats) -> ProbeLine:
    rows = [n for n, one in enumerate(table.texts) if one.test]
    said = probe.says(x[rows])
    label, attribute = (
        np.array([getattr(table.texts[n], what) for n in rows]) for what in ("label", "attribute")
    )
    right: Bools = said == label
    groups = [(label == a) & (attribute == b) for a in (True, False) for b in (True, False)]
    return ProbeLine(
        name,
        label=float(right.mean()),
        attribute=float((said == attribute).mean()),
        worst=min(float(right[group].mean()) for group in groups),
    )

"""Runs a model over a corpus and gathers evidence about the features of all open SAEs."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from desktop_scope.engine import trace as tracing
from desktop_scope.engine.engine import Engine
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.types import Bools, FeatureActs, Floats
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.building.checkpoint import Checkpoint, minutes, save_arrays
from desktop_scope.evidence.building.corpus import Corpus, Row
from desktop_scope.evidence.building.gather import Block, Gathered
from desktop_scope.evidence.building.writer import write_evidence
from desktop_scope.evidence.own import evidence_home, evidence_key

_VERSION = 1  # of what is gathered, and in which order
_ROWS_PER_BLOCK = 16
_SECONDS_BETWEEN = 60.0  # checkpoints: what a crash costs at most


@dataclass(frozen=True)
class Built:
    """What a run has come to.

    Attributes:
        features: Of all SAEs together.
        tokens: That were encoded, by the SAE that encoded the most.
        seconds: Interruptions left out.
        folders: With the evidence, by SAE.
    """

    features: int
    tokens: int
    seconds: float
    folders: tuple[Path, ...]


def build(
    engine: Engine,
    corpus: Corpus,
    job: Job,
    out: Path | None = None,
    most_tokens: int | None = None,
    seconds_between: float = _SECONDS_BETWEEN,
) -> Built:
    """Gather evidence about every open SAE, or go on where an equal run was interrupted.

    Interruptions change no bit of the result, as long as the model computes alike: with as many
    threads, and with its weights packed or not as before.

    Args:
        engine: The model and its SAEs.
        corpus: What it reads.
        job: Told of the progress; may be cancelled, which loses what no checkpoint holds.
        out: Where the evidence goes; where the catalogue looks for it by default.
        most_tokens: Stop at the end of the row that reaches so many.
        seconds_between: Between checkpoints.

    Raises:
        ScopeError: The corpus cannot be read or has nothing to encode, or there is no room.
        Cancelled: The job was.
    """
    out = out or evidence_home()
    keys = [evidence_key(sae.weights, engine.model.info) for sae in engine.saes]
    run = _run_key(engine, keys, corpus, most_tokens)
    gathered = [Gathered(sae.d_sae) for sae in engine.saes]
    try:
        state = Checkpoint(out / "unfinished" / run, gathered)
        try:
            _gather(engine, corpus, job, state, gathered, most_tokens, seconds_between)
            n_tokens = max((int(g.n_tokens[0]) for g in gathered), default=0)
            if not n_tokens:
                raise ScopeError("No token of this text was encoded.", "Give more text.")
            folders = _write(engine, out, run, keys, state, gathered)
            seconds = state.progress.seconds
        finally:
            state.close()
        state.remove()
    except OSError as error:
        raise ScopeError(
            f"The evidence cannot be written to {out}: {error.strerror}.",
            "Choose another folder with --out, or make room, and go on with the same command.",
        ) from error
    return Built(sum(sae.d_sae for sae in engine.saes), n_tokens, seconds, folders)


def _run_key(engine: Engine, keys: Sequence[str], corpus: Corpus, most_tokens: int | None) -> str:
    """Only a run of the same figures may be gone on with."""
    info = engine.model.info
    outliers = [sae.outlier_norm for sae in engine.saes]
    about = (_VERSION, keys, outliers, corpus.key, most_tokens, info.device, info.dtype)
    return hashlib.sha256(repr(about).encode()).hexdigest()[:32]


def _gather(
    engine: Engine,
    corpus: Corpus,
    job: Job,
    state: Checkpoint,
    gathered: Sequence[Gathered],
    most_tokens: int | None,
    seconds_between: float,
) -> None:
    progress = state.progress
    clock = _Clock(progress.share, progress.seconds)
    saved = time.monotonic()
    rows = itertools.islice(corpus.rows(progress.document), progress.rows, None)
    counted = sum(int(g.n_tokens[0]) for g in gathered[:1])
    limit = most_tokens or np.inf
    while counted < limit and (block := list(itertools.islice(rows, _ROWS_PER_BLOCK))):
        read: list[_Read] = []
        for row in block:
            job.progress(int(100 * progress.share), 100, clock.told(progress.positions))
            read.append(_read(engine, row, job))
            counted += read[-1].n_counted
            if counted >= limit:
                break
        block = block[: len(read)]
        for slot, one in enumerate(gathered):
            job.check()
            one.add(_block(block, read, slot, progress.positions))
        state.append([row.ids for row in block])
        same = sum(row.document == block[-1].document for row in block)
        progress.rows = same + (progress.rows if progress.document == block[-1].document else 0)
        progress.document = block[-1].document
        progress.share = max(block[-1].share, counted / limit)
        progress.seconds = clock.seconds(progress.share)
        if time.monotonic() - saved >= seconds_between:
            state.save()
            saved = time.monotonic()


class _Clock:
    """How long it takes, from what this process has seen."""

    def __init__(self, share: float, seconds: float) -> None:
        self._start = time.monotonic()
        self._first, self._share, self._before = share, share, seconds

    def seconds(self, share: float) -> float:
        """Since the run began, interruptions left out; ``share`` of it is done."""
        self._share = share
        return self._before + time.monotonic() - self._start

    def told(self, n_tokens: int) -> str:
        """How far it is and what is left, for people."""
        done = self._share - self._first
        text = f"Gathering evidence: {n_tokens:,} tokens"
        if done <= 0:
            return text
        left = (time.monotonic() - self._start) * (1 - self._share) / done
        return f"{text}, about {minutes(left)} left"


@dataclass(frozen=True, eq=False)
class _Read:
    """One row: by SAE its features, and how long what it read was where it counts."""

    acts: list[FeatureActs]
    norms: list[Floats]

    @property
    def n_counted(self) -> int:
        return len(self.norms[0])


def _read(engine: Engine, row: Row, job: Job) -> _Read:
    model, saes = engine.model, engine.saes
    ids = torch.from_numpy(row.ids)[None].long().to(model.device)
    acts, norms = [], []
    with torch.inference_mode():
        kept = tracing.run(model, ids, tracing.hooks_of(saes), job)
        masked: Bools = tracing.mask_of(saes, kept) | (np.arange(len(row.ids)) < row.start)
        for sae in saes:
            own = tracing.own_mask(sae, masked)
            x = kept.read_by(sae).to(sae.device)
            acts.append(sae.encode(x, own))
            norms.append(x.float().norm(dim=-1).cpu().numpy()[~own])
    return _Read(acts, norms)


def _block(rows: Sequence[Row], read: Sequence[_Read], slot: int, first: int) -> Block:
    """Some rows as one SAE sees them; negative activations (abstopk) are left out."""
    lengths = [len(row.ids) for row in rows]
    begin = np.cumsum([0, *lengths[:-1]])
    acts = [one.acts[slot] for one in read]
    value = np.concatenate([a.values for a in acts])
    at = np.concatenate([a.rows() + b for a, b in zip(acts, begin, strict=True)])
    feature = np.concatenate([a.indices for a in acts])
    fires = value > 0
    return Block(
        first=first,
        tokens=np.concatenate([row.ids for row in rows]),
        row=np.repeat(np.arange(len(rows), dtype=np.int32), lengths),
        document=np.repeat(np.array([row.document for row in rows], np.int64), lengths),
        at=at[fires].astype(np.int64),
        feature=feature[fires].astype(np.int64),
        value=value[fires],
        norms=np.concatenate([one.norms[slot] for one in read]),
    )


def _write(
    engine: Engine,
    out: Path,
    run: str,
    keys: Sequence[str],
    state: Checkpoint,
    gathered: Sequence[Gathered],
) -> tuple[Path, ...]:
    text = out / "unfinished" / run / f"corpus-{run[:16]}.safetensors"
    save_arrays(text, state.corpus(), {"format": "desktop-scope-corpus/1"})
    folders = []
    for sae, key, one in zip(engine.saes, keys, gathered, strict=True):
        write_evidence(out / key, one, text, _about(sae, engine))
        folders.append(out / key)
    return tuple(folders)


def _about(sae: Sae, engine: Engine) -> dict[str, str]:
    weights = sae.weights
    return {
        "sae": weights.name,
        "model": engine.model.info.id,
        "hook_name": weights.reads[0].name,
    }

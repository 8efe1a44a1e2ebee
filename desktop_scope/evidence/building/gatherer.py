"""Gathers evidence a slice at a time, so that whatever a person does goes first."""

from __future__ import annotations

import contextlib
import itertools
import time
from pathlib import Path

import msgspec
import numpy as np

from desktop_scope.engine.engine import Engine
from desktop_scope.engine.worker import Job
from desktop_scope.evidence import own
from desktop_scope.evidence.building.builder import Builder, run_key, unfinished
from desktop_scope.evidence.building.corpus import Corpus, PackCorpus, default_corpus, text_corpus
from desktop_scope.evidence.building.reading import batches, read
from desktop_scope.evidence.gathering import (
    Gather,
    GatherCost,
    GatherPlan,
    LeaveGathering,
    Standing,
    WeighText,
)
from desktop_scope.evidence.together import FILE as TOGETHER

_SLICE_S = 1.5
_TRIED_ROWS = 4  # whose reading is timed
_JUDGED_ROWS = 64  # by which the number of tokens is judged
_BYTES_PER_FEATURE = 2400  # of evidence, with what it fires together with
_BYTES_PER_SAMPLE = 700

_INTENT = "plan.json"  # there while a run is to go on by itself


class _Intent(msgspec.Struct):
    texts: list[str]
    most_tokens: int | None
    saes: list[str]


# Made here, once: two threads that first meet a type of msgspec at the same time crash it.
_DECODER = msgspec.json.Decoder(_Intent)


class Gatherer:
    """Holds the run under way, from one slice to the next."""

    def __init__(self) -> None:
        self._key: object = None
        self._builder: Builder | None = None

    def gather(self, engine: Engine, request: Gather, job: Job) -> Standing:
        """Go on for about two seconds.

        Raises:
            ScopeError: The text cannot be read, there is no room, or another program is at it.
            Cancelled: The job was.
        """
        builder = self._builder_of(engine, request.plan, job)
        if not request.plan.only_together and not (builder.folder / _INTENT).exists():
            texts = [str(path.resolve()) for path in request.plan.texts]
            intent = _Intent(texts, request.plan.most_tokens, own.evidence_keys(engine))
            (builder.folder / _INTENT).write_bytes(msgspec.json.encode(intent))
        standing = builder.advance(job, _SLICE_S)
        if standing.done:
            self.close()
        return standing

    def leave(self, engine: Engine, request: LeaveGathering, job: Job) -> bool:
        """Stop; whether what there is was kept."""
        builder = self._builder_of(engine, request.plan, job)
        if request.keep:
            builder.save()  # and kept at hand, with what no checkpoint holds
            (builder.folder / _INTENT).unlink(missing_ok=True)
        else:
            builder.abandon()
            self.close()
        return request.keep

    def weigh(self, engine: Engine, request: WeighText, job: Job) -> GatherCost:
        """What a plan will take, judged by the first few rows of its text.

        Raises:
            ScopeError: The text cannot be read.
            Cancelled: The job was.
        """
        plan = request.plan
        corpus, note = _corpus_of(engine, plan, job)
        rows = list(itertools.islice(corpus.rows(), _JUDGED_ROWS))
        n_tokens = sum(len(row.ids) for row in rows)
        # The share counts whole documents: the last of them may have been cut.
        total = n_tokens / rows[-1].share if rows else 0.0
        tokens = int(min(total, plan.most_tokens or np.inf))
        begun, n_tried = time.monotonic(), 0
        for batch in batches(rows[:_TRIED_ROWS]):
            read(engine, batch, job)
            n_tried += sum(len(row.ids) for row in batch)
        seconds = (time.monotonic() - begun) / max(n_tried, 1)
        per_feature = _BYTES_PER_SAMPLE if plan.only_together else _BYTES_PER_FEATURE
        features = sum(sae.d_sae for sae in engine.saes)
        size = per_feature * features + (0 if plan.only_together else 4 * tokens)
        standing = self._standing(engine, plan, corpus)
        return GatherCost(
            plan, tokens, seconds * tokens * (1 - standing.share), size, note, standing
        )

    def close(self) -> None:
        """Let go of the run under way; what no checkpoint holds is lost."""
        if self._builder is not None:
            self._builder.close()
        self._builder = self._key = None

    def _standing(self, engine: Engine, plan: GatherPlan, corpus: Corpus) -> Standing:
        """Of an earlier run of this plan."""
        if self._key == (engine, plan) and self._builder is not None:
            return self._builder.standing
        keys = own.evidence_keys(engine)
        run = run_key(engine, keys, corpus, plan.most_tokens, plan.only_together)
        if not (unfinished(own.evidence_home()) / run).is_dir():
            return Standing()
        self.close()
        self._builder, self._key = _builder(engine, plan, corpus), (engine, plan)
        return self._builder.standing

    def _builder_of(self, engine: Engine, plan: GatherPlan, job: Job) -> Builder:
        if self._key != (engine, plan):
            self.close()
            corpus, _ = _corpus_of(engine, plan, job)
            self._builder = _builder(engine, plan, corpus)
            self._key = (engine, plan)
        assert self._builder is not None
        return self._builder


def _builder(engine: Engine, plan: GatherPlan, corpus: Corpus) -> Builder:
    return Builder(engine, corpus, None, plan.most_tokens, only_together=plan.only_together)


def interrupted(engine: Engine) -> GatherPlan | None:
    """The plan of a run of these SAEs in the midst of which the window was closed, if any."""
    keys = own.evidence_keys(engine)
    for path in sorted(unfinished(own.evidence_home()).glob(f"*/{_INTENT}")):
        with contextlib.suppress(OSError, msgspec.DecodeError):
            intent = _DECODER.decode(path.read_bytes())
            if intent.saes == keys:
                return GatherPlan(tuple(map(Path, intent.texts)), intent.most_tokens)
    return None


def lacks_sample(engine: Engine) -> bool:
    """Whether the pack's text has not yet shown which features of these SAEs fire together."""
    corpus, _ = default_corpus(engine.model)
    if not engine.saes or not isinstance(corpus, PackCorpus):
        return False
    home = own.evidence_home()
    return not all((home / key / TOGETHER).is_file() for key in own.evidence_keys(engine))


def _corpus_of(engine: Engine, plan: GatherPlan, job: Job) -> tuple[Corpus, str]:
    if plan.texts:
        return text_corpus(plan.texts, engine.model, job), ""
    return default_corpus(engine.model)

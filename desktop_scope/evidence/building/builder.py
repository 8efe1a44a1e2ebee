"""Runs a model over a corpus and gathers evidence about the features of all open SAEs."""

from __future__ import annotations

import hashlib
import itertools
import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from desktop_scope.engine.engine import Engine
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError
from desktop_scope.evidence import own
from desktop_scope.evidence.building.checkpoint import Checkpoint, save_arrays
from desktop_scope.evidence.building.corpus import Corpus, Row
from desktop_scope.evidence.building.gather import Gathered
from desktop_scope.evidence.building.reading import Read, batches, block_of, read, rows_of, up_to
from desktop_scope.evidence.building.sketch import Sketch
from desktop_scope.evidence.building.writer import write_evidence, write_together
from desktop_scope.evidence.gathering import Standing, minutes
from desktop_scope.evidence.together import FILE as TOGETHER

_VERSION = 3  # of what is gathered, and in which order
ROWS_PER_BLOCK = 32
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


def unfinished(out: Path) -> Path:
    """Where runs under way are kept, a folder each."""
    return out / "unfinished"


def run_key(
    engine: Engine,
    keys: Sequence[str],
    corpus: Corpus,
    most_tokens: int | None,
    only_together: bool,
) -> str:
    """Names a run: only one of the same figures may be gone on with."""
    info = engine.model.info
    outliers = [sae.outlier_norm for sae in engine.saes]
    about = (_VERSION, list(keys), outliers, corpus.key, most_tokens, only_together)
    return hashlib.sha256(repr((*about, info.device, info.dtype)).encode()).hexdigest()[:32]


class Builder:
    """One run, which goes on where an equal one was interrupted.

    Interruptions change no bit of the result, as long as the model computes alike: with as many
    threads, and with its weights packed or not as before.

    Args:
        engine: The model and its SAEs.
        corpus: What it reads.
        out: Where the evidence goes; where the catalogue looks for it by default.
        most_tokens: Stop at the end of the row that reaches so many.
        seconds_between: Between checkpoints.
        only_together: Gather only what fires together: for SAEs about which all else is known.

    Raises:
        ScopeError: Another program is at it, or there is no room.
    """

    def __init__(
        self,
        engine: Engine,
        corpus: Corpus,
        out: Path | None = None,
        most_tokens: int | None = None,
        seconds_between: float = _SECONDS_BETWEEN,
        only_together: bool = False,
    ) -> None:
        self._engine, self._corpus = engine, corpus
        self._out = out or own.evidence_home()
        self._keys = own.evidence_keys(engine)
        kind = Sketch if only_together else Gathered
        self._parts: list[Sketch | Gathered] = [kind(sae.d_sae) for sae in engine.saes]
        self._limit = most_tokens or math.inf
        self._run = run_key(engine, self._keys, corpus, most_tokens, only_together)
        self.folder = unfinished(self._out) / self._run  # of what is kept while it is under way
        self._between = seconds_between
        with self._writing():
            self._state = Checkpoint(self.folder, self._parts)
        progress = self._state.progress
        self._rows = itertools.islice(corpus.rows(progress.document), progress.rows, None)
        self._counted = self._parts[0].counted
        self._first, self._first_positions = progress.share, progress.positions
        self._before, self._seconds = progress.seconds, 0.0  # of work, before and in this process
        self._saved = time.monotonic()
        self._waiting: list[list[Row]] = []  # rows of this block that are still to be read
        self._read: list[Read] = []  # of this block
        self._slot = 0  # the next SAE to take it in, or to be written
        self._at_once = torch.get_num_threads()
        self._helpers = ThreadPoolExecutor(self._at_once, "evidence")
        self.built: Built | None = None

    def advance(self, job: Job, seconds: float = math.inf) -> Standing:
        """Work for about so long; done when ``built`` is there.

        Raises:
            ScopeError: The corpus cannot be read or has nothing to encode, or there is no room.
            Cancelled: The job was. The run can be gone on with.
        """
        end = time.monotonic() + seconds
        with self._writing():
            while self.built is None:
                standing = self.standing
                job.progress(int(100 * standing.share), 100, _told(standing))
                begun = time.monotonic()
                self._step(job)
                self._seconds += time.monotonic() - begun
                if time.monotonic() >= end:
                    break
        return self.standing

    def read_block(self, job: Job) -> None:
        """Work until one more block is taken in."""
        before = self._state.progress.n_rows
        while self.built is None and self._state.progress.n_rows == before:
            self._step(job)

    @property
    def standing(self) -> Standing:
        """How far it is."""
        progress = self._state.progress
        n = progress.positions + sum(len(row.ids) for row in rows_of(self._read))
        share = self._share(self._read[-1].rows[-1]) if self._read else progress.share
        new, done = n - self._first_positions, share - self._first
        return Standing(
            tokens=n,
            share=share,
            rate=new / self._seconds if new and self._seconds else math.nan,
            left=self._seconds * (1 - share) / done if done > 0 else math.nan,
            done=self.built is not None,
        )

    def _share(self, last: Row) -> float:
        """Of the text, once a row has been read."""
        return min(max(last.share, self._counted / self._limit), 1.0)

    def save(self) -> None:
        """Keep what there is for another time; of a block that is not read to its end, nothing."""
        if self.built is None and not self._slot:
            with self._writing():
                self._state.save()

    def close(self) -> None:
        """Let go of the files."""
        self._helpers.shutdown()
        self._state.close()

    def abandon(self) -> None:
        """Throw away what there is."""
        self._helpers.shutdown()
        self._state.remove()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ScopeError(
                f"The evidence cannot be written to {self._out}: {error.strerror}.",
                "Choose another folder with --out, or make room, and go on with the same command.",
            ) from error

    # ---- a step at a time

    def _step(self, job: Job) -> None:
        """One piece of the work; what is cancelled in it is done again."""
        if self._waiting:
            self._read_on(job)
        elif self._read:
            self._take_in()
        elif self._counted < self._limit and (
            rows := list(itertools.islice(self._rows, ROWS_PER_BLOCK))
        ):
            self._waiting = batches(rows)
        else:
            self._write()

    def _read_on(self, job: Job) -> None:
        one = up_to(read(self._engine, self._waiting[0], job), self._limit - self._counted)
        self._waiting.pop(0)
        self._read.append(one)
        self._counted += int(one.counted[0].sum())
        if self._counted >= self._limit:
            self._waiting = []

    def _take_in(self) -> None:
        """Let the next SAEs take in the block, side by side; after the last one it is done."""
        progress = self._state.progress
        slots = range(self._slot, min(self._slot + self._at_once, len(self._parts)))
        wait = [self._helpers.submit(self._take_in_by, slot, progress.positions) for slot in slots]
        for one in wait:
            one.result()
        self._slot = slots.stop
        if self._slot < len(self._parts):
            return
        rows = list(rows_of(self._read))
        self._slot, self._read = 0, []
        self._state.append([row.ids for row in rows], [row.aside for row in rows])
        last = rows[-1]
        same = sum(row.document == last.document for row in rows)
        progress.rows = same + (progress.rows if progress.document == last.document else 0)
        progress.document = last.document
        progress.share = self._share(last)
        progress.seconds = self._before + self._seconds
        if time.monotonic() - self._saved >= self._between:
            self._state.save()
            self._saved = time.monotonic()

    def _take_in_by(self, slot: int, first: int) -> None:
        self._parts[slot].add(block_of(self._read, slot, first))

    # ---- the result

    def _write(self) -> None:
        """The files of the next SAE; after the last one the run is done."""
        n_tokens = max(part.counted for part in self._parts)
        if not n_tokens:
            raise ScopeError("No token of this text was encoded.", "Give more text.")
        sae, part = self._engine.saes[self._slot], self._parts[self._slot]
        folder = self._out / self._keys[self._slot]
        about = self._about(sae)
        if isinstance(part, Gathered):
            text = self.folder / f"corpus-{self._run[:16]}.safetensors"
            if not self._slot:
                save_arrays(text, self._state.corpus(), {"format": "desktop-scope-corpus/1"})
            write_evidence(folder, part, text, about)
        sketch = part.sketch if isinstance(part, Gathered) else part
        same = f"{self._corpus.key}-{self._state.progress.positions}"
        write_together(folder / TOGETHER, sketch, {**about, "corpus": same})
        self._slot += 1
        if self._slot < len(self._parts):
            return
        features = sum(sae.d_sae for sae in self._engine.saes)
        folders = tuple(self._out / key for key in self._keys)
        self.built = Built(features, n_tokens, self._state.progress.seconds, folders)
        self._state.remove()

    def _about(self, sae: Sae) -> dict[str, str]:
        return {
            "sae": sae.weights.name,
            "model": self._engine.model.info.id,
            "hook_name": sae.weights.reads[0].name,
        }


def build(
    engine: Engine,
    corpus: Corpus,
    job: Job,
    out: Path | None = None,
    most_tokens: int | None = None,
    seconds_between: float = _SECONDS_BETWEEN,
    only_together: bool = False,
) -> Built:
    """Gather evidence about every open SAE at one go; see ``Builder``.

    A job that is cancelled loses what no checkpoint holds.

    Raises:
        ScopeError: The corpus cannot be read or has nothing to encode, or there is no room.
        Cancelled: The job was.
    """
    builder = Builder(engine, corpus, out, most_tokens, seconds_between, only_together)
    try:
        builder.advance(job)
    finally:
        builder.close()
    assert builder.built is not None
    return builder.built


def _told(standing: Standing) -> str:
    """How far it is and what is left, for people."""
    text = f"Gathering evidence: {standing.tokens:,} tokens"
    return text if math.isnan(standing.left) else f"{text}, about {minutes(standing.left)} left"

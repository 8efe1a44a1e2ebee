"""A court: gathers what it needs, judges every label, and keeps what came out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from desktop_scope import paths
from desktop_scope.engine.engine import Engine
from desktop_scope.engine.worker import Job
from desktop_scope.evidence.building.checkpoint import save_arrays
from desktop_scope.evidence.court.court import COURT_VERSION, Court
from desktop_scope.evidence.court.docket import Docket
from desktop_scope.evidence.court.gathering import Gathering, Known
from desktop_scope.evidence.court.texts import N_ROWS, CourtText
from desktop_scope.evidence.court.verdicts import COUNTS, Verdicts
from desktop_scope.evidence.court.words import CourtWords
from desktop_scope.evidence.marks.overlay import MarkedEvidence
from desktop_scope.evidence.own import OwnEvidence
from desktop_scope.evidence.store import EvidenceStore

FILE = "verdicts.safetensors"
_LABELS_PER_STEP = 1500


@dataclass(frozen=True, eq=False)
class Matter:
    """What a court is about: the labels of some SAEs, and a text that they were not made from.

    Attributes:
        labels: Those that come with the evidence, by SAE and feature.
        text: Chosen when it is needed.
        known: From an SAE's place to the stretches of the text that its labels were made from.
        about: Names the text.
        shipped: A file that may hold the verdicts already.
        own: Evidence of one's own: its labels are judged without being asked for, as a part of
            gathering it.
    """

    labels: Sequence[Sequence[str]]
    text: Callable[[], CourtText]
    known: Callable[[CourtText, int], Known]
    about: object
    shipped: Path | None = None
    own: bool = False


def of_pack(store: EvidenceStore, labels: Sequence[Sequence[str]], pack: Path) -> Matter:
    """The labels that a pack was shipped with, by layer."""
    return Matter(
        labels,
        lambda: CourtText.of_pack(store),
        lambda text, layer: text.known_of_pack(store, layer),
        store.corpus.tokens.shape,
        pack / FILE,
    )


def of_own(evidence: Sequence[OwnEvidence]) -> Matter:
    """The labels of SAEs whose evidence was gathered from one text."""
    return Matter(
        [one.label_texts() for one in evidence],
        lambda: CourtText.of_own(evidence[0]),
        lambda text, n: text.known_of_own(evidence[n]),
        evidence[0].corpus,
        own=True,
    )


class LabelCourt:
    """Judges the labels of some SAEs' features.

    The verdicts on the labels that came with the evidence are shipped for exactly these labels,
    else they come from the cache, else they are to be made.

    Args:
        matter: What it is about.
        slots: The place of each of its SAEs among those open.
        evidence: Of all open SAEs.
    """

    def __init__(
        self,
        engine: Engine,
        matter: Matter,
        slots: Sequence[int],
        evidence: Sequence[MarkedEvidence],
    ) -> None:
        self._engine, self._matter, self._slots = engine, matter, tuple(slots)
        self._labels = matter.labels
        self._evidence = [evidence[slot] for slot in slots]
        self._court: Court | None = None
        self._made: list[Verdicts] = []
        self.asked = matter.own
        sizes = [len(labels) for labels in self._labels]
        for file in (matter.shipped, self._file):
            if file and (found := _read(file, self._labels_key, sizes)) is not None:
                self._publish(found)
                break

    @property
    def waiting(self) -> bool:
        """Whether there is work that was asked for, or that takes but a moment."""
        if not self._all_judged:
            return self.asked
        could = self.asked or self._is_gathered
        return could and any(one.untried() for one in self._evidence)

    @property
    def progress(self) -> tuple[int, int]:
        """Steps done, and all there are."""
        layers = len(self._slots)
        judged = layers if self._all_judged else len(self._made)
        return self._gathering.done + judged, self._gathering.total + layers

    def step(self, job: Job) -> None:
        """Do some seconds of work.

        Raises:
            Cancelled: The job was; the step will be done again.
            ScopeError: What was made cannot be written.
        """
        if not self._is_gathered:
            self._gathering.step(job)
        elif self._court is None:
            self._opened()
        elif not self._all_judged:
            self._judge_layer(len(self._made), job)
        else:
            self._judge_marked(job)

    def run(self, job: Job) -> None:
        """Do all the work at once."""
        self.asked = True
        while self.waiting:
            job.progress(*self.progress, "Trying the labels on held-out text")
            self.step(job)

    def again(self) -> None:
        """Forget the verdicts on the shipped labels, so that they are made anew."""
        self._made = []
        for one in self._evidence:
            one.judged = None

    @property
    def held_out(self) -> str:
        """On what text labels are tried, for people."""
        return self._text.held_out

    @property
    def slots(self) -> tuple[int, ...]:
        """The SAEs whose labels it judges."""
        return self._slots

    def case(self, slot: int) -> tuple[CourtWords, Docket] | None:
        """The text and the docket of one SAE; None before they were gathered."""
        if not self._is_gathered:
            return None
        court = self._opened()
        return court.words, court.dockets[slot]

    def _opened(self) -> Court:
        if self._court is None:
            text = self._text
            words = CourtWords(text.tokens, self._engine.model.texts, text.source, text.sources)
            dockets = self._gathering.dockets()
            self._court = Court(words, dict(zip(self._slots, dockets, strict=True)))
        return self._court

    @property
    def _all_judged(self) -> bool:
        return all(one.judged is not None for one in self._evidence)

    @property
    def _is_gathered(self) -> bool:
        return self._gathering.done == self._gathering.total

    def _judge_layer(self, n: int, job: Job) -> None:
        assert self._court is not None
        verdicts = []
        for index, text in enumerate(self._labels[n]):
            if index % 64 == 0:
                job.check()
            verdicts.append(self._court.judge(self._slots[n], index, text))
        self._made.append(Verdicts.of(verdicts))
        if len(self._made) == len(self._slots):
            self._publish(self._made)
            self._save()

    def _judge_marked(self, job: Job) -> None:
        assert self._court is not None
        left = _LABELS_PER_STEP
        for slot, one in zip(self._slots, self._evidence, strict=True):
            for index in one.untried()[:left]:
                job.check()
                text = one.label(index).text
                one.take(index, text, self._court.judge(slot, index, text))
                left -= 1

    def _publish(self, verdicts: Sequence[Verdicts]) -> None:
        for one, judged in zip(self._evidence, verdicts, strict=True):
            one.judged, one.held_out = judged, self.held_out
            one.refresh()

    def _save(self) -> None:
        arrays = {name: np.concatenate([getattr(v, name) for v in self._made]) for name in COUNTS}
        about = {"labels": self._labels_key, "court": str(COURT_VERSION)}
        save_arrays(self._file, arrays, about)

    @property
    def _file(self) -> Path:
        return self._folder / f"labels-{self._labels_key}" / FILE

    @cached_property
    def _folder(self) -> Path:
        keys = "".join(one.key for one in self._evidence)
        about = (COURT_VERSION, N_ROWS, keys, self._matter.about)
        return paths.cache_dir() / "court" / hashlib.sha256(repr(about).encode()).hexdigest()[:32]

    @cached_property
    def _labels_key(self) -> str:
        """Changes with any of the shipped labels."""
        key = hashlib.sha256()
        for one in self._labels:
            key.update("\0".join(one).encode())
        return key.hexdigest()[:32]

    @cached_property
    def _text(self) -> CourtText:
        return self._matter.text()

    @cached_property
    def _gathering(self) -> Gathering:
        maxima = [one.max_active for one in self._evidence]
        return Gathering(
            self._engine,
            self._slots,
            self._text,
            self._folder,
            maxima,
            lambda n: self._matter.known(self._text, n),
        )


def _read(path: Path, labels: str, sizes: Sequence[int]) -> list[Verdicts] | None:
    """The verdicts of every SAE, if they are about these labels."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
            if about.get("labels") != labels or about.get("court") != str(COURT_VERSION):
                return None
            arrays = [file.get_tensor(name).reshape(-1) for name in COUNTS]
    except (OSError, SafetensorError):
        return None
    if any(array.dtype != np.uint8 or array.size != sum(sizes) for array in arrays):
        return None
    parts = [np.split(array, np.cumsum(sizes)[:-1]) for array in arrays]
    return [Verdicts(*layer) for layer in zip(*parts, strict=True)]

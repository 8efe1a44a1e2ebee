"""The evidence about one SAE with a person's marks laid over it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from desktop_scope.engine.types import Bools, Floats, Ints
from desktop_scope.evidence.court.verdicts import Verdicts
from desktop_scope.evidence.interest import Peaks
from desktop_scope.evidence.kinship.book import KinBook
from desktop_scope.evidence.known import SaeEvidence, SampleEvidence
from desktop_scope.evidence.labels import word_query
from desktop_scope.evidence.levers import LeverBook
from desktop_scope.evidence.marks.store import MarkStore, read_trial
from desktop_scope.evidence.marks.types import STARS, Kind
from desktop_scope.evidence.rows import Row
from desktop_scope.evidence.types import Example, FeatureMarks, Label, TopToken, Verdict


class MarkedEvidence:
    """Answers as the evidence does, but for what a person has said; see ``known.SaeEvidence``.

    Args:
        base: What is known without the person.
        key: Under which the marks of this SAE are kept.

    Attributes:
        judged: The verdicts on the shipped labels; None before there are any.
        held_out: On what text those labels were tried, for people.
        tried: By feature, labels of the person's that a court has tried, and what came out.
    """

    def __init__(self, base: SaeEvidence, marks: MarkStore, key: str) -> None:
        self._base, self._marks, self.key = base, marks, key
        self.judged: Verdicts | None = None
        self.held_out = ""
        self.tried: dict[int, tuple[str, Verdict | None]] = {}
        self.refresh()

    def refresh(self) -> None:
        """The marks or the verdicts have changed, nobody knows which."""
        n, key = len(self.density), self.key
        self._texts = {i: text for i, text in self._marks.shown_texts(key).items() if i < n}
        self._labelled = np.zeros(n, bool)
        self._labelled[list(self._texts)] = True
        heard = self._marks.features(key, n, Kind.TRIAL)
        heard |= self._marks.features(key, n, Kind.VERDICT)
        self._special = self._labelled | heard
        self._starred = self.listed(STARS)
        self._scores = np.where(self._labelled, np.float32(np.nan), self._shipped_scores)
        for index, (text, verdict) in self.tried.items():
            if self._texts.get(index) == text and verdict is not None:
                self._scores[index] = verdict.score
        for index in np.flatnonzero(heard).tolist():
            self._score(index)

    def refresh_one(self, index: int) -> None:
        """The marks of one feature have changed."""
        if index >= len(self.density):
            return
        marks, key = self._marks, self.key
        labels = marks.labels(key, index)
        self._labelled[index] = bool(labels)
        self._texts.pop(index, None)
        if labels:
            self._texts[index] = labels[0].text
        heard = any(marks.of(key, index, kind) for kind in (Kind.TRIAL, Kind.VERDICT))
        self._special[index] = self._labelled[index] or heard
        self._starred[index] = marks.value(key, index, Kind.LIST, STARS) is not None
        self._score(index)

    @property
    def _shipped_scores(self) -> Floats:
        return self._base.scores if self.judged is None else self.judged.scores

    def _score(self, index: int) -> None:
        if self._special[index]:
            verdict = self.verdict(index)
            self._scores[index] = np.nan if verdict is None else verdict.score
        else:
            self._scores[index] = self._shipped_scores[index]

    def learn(self, sample: SampleEvidence) -> bool:
        """Take in what a sample of text has shown, if it is better than what there was."""
        fits = isinstance(self._base, SampleEvidence)
        if fits:
            self._base = sample
        return fits

    @property
    def density(self) -> Floats:
        """Share of tokens on which a feature fires, [N]."""
        return self._base.density

    @property
    def mean_active(self) -> Floats:
        """Mean activation where it fires, [N]."""
        return self._base.mean_active

    @property
    def max_active(self) -> Floats:
        """Strongest activation, [N]."""
        return self._base.max_active

    @property
    def median_norm(self) -> float:
        """Median length of what the SAE reads."""
        return self._base.median_norm

    @property
    def dull(self) -> Bools:
        """Features that fire on the chat's markup, [N]."""
        return self._base.dull

    @property
    def scores(self) -> Floats:
        """How well the labels that are shown predict where features fire, [N]."""
        return self._scores

    @property
    def starred(self) -> Bools:
        """Features that this user marked, [N]."""
        return self._starred

    @property
    def labelled(self) -> Bools:
        """Features whose label is not the shipped one, [N]."""
        return self._labelled

    def listed(self, name: str) -> Bools:
        """Features on one of this user's lists, [N]."""
        return self._marks.features(self.key, len(self.density), Kind.LIST, name)

    def label(self, index: int) -> Label:
        """A feature's label: the person's own, else an imported one, else the shipped one."""
        score = float(self._scores[index])
        return replace(self._unscored(index), score=None if np.isnan(score) else score)

    def shipped(self, index: int) -> Label:
        """The label that a feature has without the person."""
        return self._base.label(index)

    def _unscored(self, index: int) -> Label:
        labels = self._marks.labels(self.key, index) if self._labelled[index] else ()
        # None where another thread has just taken it away.
        return labels[0] if labels else self._base.label(index)

    def verdict(self, index: int) -> Verdict | None:
        """What came out when the label that is shown was tried."""
        if not self._special[index]:
            return None if self.judged is None else self.judged[index]
        text, marks, key = self._unscored(index).text, self._marks, self.key
        verdict = None if self.judged is None else self.judged[index]
        if self._labelled[index]:
            tried = self.tried.get(index, ("", None))
            verdict = tried[1] if tried[0] == text else None
        verdict = next((v for v in self._by_models(index, text) if v.able), verdict)
        trials = [read_trial(*row) for row in marks.of(key, index, Kind.TRIAL)]
        return verdict and verdict.with_trials(trials)

    def _by_models(self, index: int, text: str) -> list[Verdict]:
        """What models made of a label, detection before fuzzing."""
        found = []
        for about, value in self._marks.of(self.key, index, Kind.VERDICT):
            judge, _, label = about.partition("\n")
            if label == text:
                found.append(Verdict(judge, *json.loads(value)))
        return sorted(found, key=lambda verdict: verdict.judge)

    def take(self, index: int, text: str, verdict: Verdict | None) -> None:
        """A court has tried a label of the person's."""
        self.tried[index] = (text, verdict)
        self._score(index)

    def untried(self) -> list[int]:
        """Features whose labels of the person's no court has tried yet."""
        return [
            index
            for index, text in self._texts.items()
            if self.tried.get(index, ("", None))[0] != text
        ]

    def marks(self, index: int) -> FeatureMarks:
        """What this user said of a feature."""
        marks, key = self._marks, self.key
        lists = tuple(name for name, _ in marks.of(key, index, Kind.LIST))
        return FeatureMarks(
            note=marks.value(key, index, Kind.NOTE) or "",
            starred=STARS in lists,
            lists=tuple(name for name in lists if name != STARS),
            labels=(*marks.labels(key, index), self._base.label(index)),
            verdict=self.verdict(index),
            held_out=self.held_out,
            by_models=tuple(self._by_models(index, self._unscored(index).text)),
            trials=tuple(read_trial(*row) for row in marks.of(key, index, Kind.TRIAL)),
        )

    def matching(self, words: str) -> Bools:
        """Features whose labels match, those that are shown, [N]; all where there are no words."""
        found = self._base.matching(words)
        if not words.strip() or not self._labelled.any():
            return found
        found = found & ~self._labelled
        found[[index for _, index in self._marks.search(word_query(words), self.key)]] = True
        return found

    def histogram(self, index: int) -> Ints:
        """Counts of activations per bin."""
        return self._base.histogram(index)

    def top_tokens(self, index: int) -> tuple[TopToken, ...]:
        """The tokens that take the most of its activation."""
        return self._base.top_tokens(index)

    def examples(self, index: int) -> tuple[Example, ...]:
        """Stretches of text in which it fires."""
        return self._base.examples(index)

    def peaks(self) -> Peaks | None:
        """On which tokens the features are strongest; None where there are no examples."""
        return self._base.peaks()

    def label_texts(self) -> tuple[str, ...]:
        """What the labels say that are shown, [N]; empty where there are none."""
        texts = list(self._base.label_texts())
        for index, text in self._texts.items() if texts else ():
            texts[index] = text
        return tuple(texts)

    def kinds(self) -> tuple[str, ...]:
        """What kind of shipped label the features have, [N]; empty texts where they have none."""
        return self._base.kinds()

    def kin(self) -> KinBook | None:
        """What was shipped of the features' families."""
        return self._base.kin()

    def stretches(self, index: int) -> tuple[Row, ...]:
        """Its examples as rows to be read again; only what is shown of them counts."""
        return self._base.stretches(index)

    def levers(self) -> LeverBook | None:
        """What was shipped of the features as levers."""
        return self._base.levers()

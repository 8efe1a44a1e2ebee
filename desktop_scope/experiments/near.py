"""Texts that have to do with what is steered: what turning "violence" down does to martial arts.

Two sorts of them, both held out from the examples that a feature is known by:

- Of the built-in topics (``resources/topics.json``: a short text each, from martial arts to
  colours) those on which the steered features are most active. The model reads all topics once,
  with every SAE; from then on it is known of any feature on which of them it fires. At most eight,
  on which the features are more than twice as active as on the average topic.
- Of a pack's text the passages with most of the words on which the features fire, but none in which
  one of their strongest examples lies; without such a text, examples from the middle of the range.

An ablation changes nothing on a text on which its features are silent, so these are the texts on
which it can do damage; of a push, which acts everywhere, they tell whether it does more there.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from desktop_scope import paths
from desktop_scope.engine.cost_types import Passages
from desktop_scope.engine.engine import Engine
from desktop_scope.engine.types import FeatureId, Intervention
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.catalogue import Catalogue
from desktop_scope.evidence.types import Example
from desktop_scope.experiments.types import TopicsRead
from desktop_scope.wording import counted

_MOST_TOPICS = 8
_ACTIVE = 2.0  # times the average over all topics
_MOST_PASSAGES = 4
_AT_ONCE = 8  # topics that are read in one request: about two seconds of work
_SHORTEST = 3  # letters of a word that says something
_BEFORE, _AFTER = 16, 12  # tokens around an example's peak
_HALF = "\u27e8"  # opens what stands for half a character, which is no text


class Topic(NamedTuple):
    """A short text, and what it is about."""

    name: str
    text: str


def read_topics() -> tuple[Topic, ...]:
    """The built-in ones.

    Raises:
        ScopeError: They are damaged.
    """
    try:
        text = (paths.resources() / "topics.json").read_text("utf-8")
        return tuple(Topic(item["topic"], item["text"]) for item in json.loads(text)["texts"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        hint = "Install Desktop Scope again."
        raise ScopeError("The built-in topics are damaged.", hint) from error


class NearTexts:
    """Knows texts near to any features of one engine."""

    def __init__(self, engine: Engine, catalogue: Catalogue) -> None:
        self._engine, self._catalogue = engine, catalogue

    @cached_property
    def _topics(self) -> tuple[Topic, ...]:
        return read_topics()

    def read(self, done: int, job: Job) -> TopicsRead:
        """Read some more topics than so many."""
        upto = min(done + _AT_ONCE, len(self._topics))
        self._engine.read([topic.text for topic in self._topics[:upto]], job)
        return TopicsRead(upto, len(self._topics))

    def passages(self, interventions: Sequence[Intervention], job: Job) -> tuple[Passages, ...]:
        """What is known of texts near to what is steered; nothing near to vectors alone."""
        features = list(dict.fromkeys(item.feature for item in interventions if item.feature))
        if not features:
            return ()
        names = ", ".join(self._catalogue.name(f) for f in features[:3])
        who = (
            f"{names} and others fire"
            if len(features) > 3
            else (f"{names} {'fires' if len(features) == 1 else 'fire'}")
        )
        topics = self._active_topics(features, job)
        words, between = self._with_its_words(features), self._midway(features)
        about, midway = (tuple(itertools.islice(of, _MOST_PASSAGES)) for of in (words, between))
        how, texts = f"with the words on which {who}", about
        if not about:
            how, texts = f"in which {who} midway", midway
        sets = (
            Passages(
                f"{counted(len(topics), 'short text')} on which {who} most",
                tuple(topic.text for topic in topics),
                tuple(topic.name for topic in topics),
            ),
            Passages(f"{counted(len(texts), 'passage')} {how}", texts),
        )
        return tuple(passages for passages in sets if passages.texts)

    def _active_topics(self, features: Sequence[FeatureId], job: Job) -> list[Topic]:
        """Those on which the features are most active, as shares of their maxima."""
        acts = self._engine.read([topic.text for topic in self._topics], job).acts
        active = np.zeros(len(self._topics))
        for feature in features:
            most = float(self._catalogue.evidence[feature.sae].max_active[feature.index])
            values = acts[feature.sae].of(feature.index)
            active += values / (most if most > 0 else max(float(values.max()), 1e-6))
        best = np.argsort(-active, kind="stable")[:_MOST_TOPICS].tolist()
        return [self._topics[n] for n in best if active[n] > _ACTIVE * active.mean()]

    def _with_its_words(self, features: Sequence[FeatureId]) -> Iterator[str]:
        """Passages about it, in an open pack's text."""
        words: Counter[str] = Counter()
        for feature in features:
            for top in self._catalogue.evidence[feature.sae].top_tokens(feature.index):
                word = top.text.strip().lower()
                if word.isalpha() and len(word) >= _SHORTEST:
                    words[word] += top.share / len(features)
        examples = [one for f in features for one in self._catalogue.examples(f)]
        known = [_around_peak(one, 2, 3) for one in examples if one.band == "top"]
        for text in self._catalogue.stretches(words):
            if _HALF not in text and not any(part in text for part in known):
                yield text

    def _midway(self, features: Sequence[FeatureId]) -> Iterator[str]:
        """Examples from the middle of the range, spread over the features."""
        texts = dict.fromkeys(
            _around_peak(one, _BEFORE, _AFTER)
            for feature in features
            for one in self._catalogue.examples(feature)
            if one.band == "mid"
        )
        step = max(len(texts) // _MOST_PASSAGES, 1)
        yield from (text for text in list(texts)[::step] if text and _HALF not in text)


def _around_peak(example: Example, before: int, after: int) -> str:
    start = max(example.peak - before, 0)
    return "".join(example.texts[start : example.peak + after]).strip()

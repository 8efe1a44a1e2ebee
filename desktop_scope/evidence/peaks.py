"""Where features peak: the evidence of a layer, gathered as arrays and dealt out per feature."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from desktop_scope.evidence.lexicon import TOPICS, groups_by_stem, stem
from desktop_scope.evidence.store import N_TOP, WINDOW, WINDOW_LEFT, Corpus
from desktop_scope.evidence.words import CorpusWords, Ids, UnitKind

_COMMON = 0.0008  # a word this frequent says nothing about a topic
_ASKING = frozenset(  # half of all prompts have one of these
    ("write", "story", "poem", "tell", "explain", "describe", "list")
)


K = TypeVar("K")


class Tally(dict[K, float]):
    """How much of something each key has; 0 for a key that it does not hold."""

    def __missing__(self, key: K) -> float:
        return 0.0

    def total(self) -> float:
        """All of it."""
        return sum(self.values())

    def most(self, count: int | None = None) -> list[tuple[K, float]]:
        """Keys with their amounts, largest first; the first ones of equals stay first."""
        return sorted(self.items(), key=lambda item: -item[1])[:count]


@dataclass(slots=True)
class Peak:
    """Where one example of a feature peaks."""

    weight: float  # all examples of a feature add up to 1
    top: bool
    token: int
    unit: int
    before: int  # units
    after: int
    place: int  # tokens of the word before the peak
    length: int  # tokens of the word
    surface: int
    source: int
    turn: int  # tokens since the turn began
    next: int  # the token after the peak
    request: bool  # within what a user asked


@dataclass(slots=True)
class Feature:
    """The evidence of one feature, ready to be named."""

    peaks: list[Peak]
    shares: dict[int, float]  # token -> share of the total activation
    near: list[tuple[int, float]]  # units around the peaks, share of examples; telling first
    density: float
    mass: Tally[int] = field(default_factory=Tally)  # unit -> 0…1
    topic: str = ""  # what the text around the peaks is about
    topic_shares: tuple[float, ...] = (0.0, 0.0)  # of the strong, of the mid-range examples
    topic_words: list[int] = field(default_factory=list)  # units that show it


class Lexis:
    """What is known about every unit of the corpus, by unit.

    Attributes:
        names: Readable names.
        kinds: UnitKind as plain numbers.
        stems: What related words share.
        grammar: Groups of lexicon.GRAMMAR that it belongs to.
        topics: Groups of lexicon.TOPICS that it belongs to.
        frequency: Share of the corpus.
        surfaces: Words as written, by surface number.
    """

    def __init__(self, words: CorpusWords) -> None:
        grammar, topics = groups_by_stem()
        self.names = words.names
        self.surfaces = words.surfaces
        self.kinds: list[int] = words.kinds.tolist()
        self.stems = [stem(name) for name in self.names]
        self.grammar = [grammar.get(name, []) for name in self.names]
        self.topics = [
            topics.get(key, []) if len(name) > 2 else []
            for key, name in zip(self.stems, self.names, strict=True)
        ]
        self.frequency: list[float] = (words.count / max(1, words.count[1:].sum())).tolist()


class ExampleStore(Protocol):
    """What labels are made from.

    Attributes:
        corpus: The text in which the examples lie.
    """

    n_layers: int
    vocab_size: int
    corpus: Corpus
    token_text: Callable[[int], str]

    def layer_arrays(self, layer: int) -> dict[str, NDArray[Any]]:
        """The evidence of one layer."""


class PeakFinder:
    """Gathers what the labels are made from.

    Args:
        store: The evidence; its corpus is cut into words once, here.
        texts: The text of every token.
    """

    def __init__(self, store: ExampleStore, texts: list[str]) -> None:
        self._store = store
        self._words = CorpusWords.of(store.corpus, texts)
        self.lexis = Lexis(self._words)
        self._requests = self._spans_of_requests()
        self._topic_names = tuple(TOPICS)
        self._topic_table = self._topic_arrays()
        self._telling = np.array(
            [
                kind == UnitKind.WORD
                and frequency < _COMMON
                and len(name) > 2
                and name not in _ASKING
                for kind, frequency, name in zip(
                    self.lexis.kinds, self.lexis.frequency, self.lexis.names, strict=True
                )
            ]
        )
        self._topic_usual = self._usual_topics()

    def features(self, layer: int) -> Iterator[Feature]:
        """The evidence of every feature of a layer, in order."""
        arrays = self._store.layer_arrays(layer)
        words, corpus = self._words, self._store.corpus
        width = corpus.tokens.shape[1]
        tokens = corpus.tokens.reshape(-1)
        position = arrays["example_position"]
        present = arrays["example_value"] > 0
        span = words.span[position]
        before, after = words.before(span), words.after(span)
        twice = _repeats(words.unit[[words.before(before), before, span, after]], present)
        weight = np.where(present, np.where(twice, 0.3, 1.0), 0.0)
        weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
        counted = present & ~twice
        example, around = self._around(position, counted)
        owner = example // position.shape[1]
        near = self._near(owner, around, counted.sum(axis=1))
        about = self._about(example, around, np.where(counted, words.unit[span], 0).reshape(-1))
        topic, topic_share = self._main_topic(about.reshape(*position.shape, -1), counted)
        topical = self._topical_words(owner, around, topic)
        ends = np.append(words.first, corpus.tokens.size)
        columns = [
            weight,
            np.broadcast_to(np.arange(position.shape[1]) < N_TOP, position.shape),
            tokens[position],
            words.unit[span],
            words.unit[before],
            words.unit[after],
            position - words.first[span],
            ends[span + 1] - words.first[span],
            words.surface[span],
            corpus.source[position // width],
            words.turn[position],
            tokens[np.minimum(position + 1, tokens.size - 1)],
            self._requests[span],
        ]
        rows = zip(*(column.tolist() for column in columns), strict=True)
        top_tokens, shares = arrays["top_token"].tolist(), arrays["top_token_share"].tolist()
        for index, lists in enumerate(rows):
            peaks = [Peak(*values) for values in zip(*lists, strict=True) if values[0] > 0]
            top = {t: s for t, s in zip(top_tokens[index], shares[index], strict=True) if s > 0}
            feature = Feature(peaks, top, near.get(index, []), float(arrays["density"][index]))
            feature.mass = self._mass(feature)
            if topic[index] >= 0:
                feature.topic = self._topic_names[topic[index]]
                feature.topic_shares = tuple(topic_share[index].tolist())
                feature.topic_words = topical.get(index, [])
            yield feature

    def _spans_of_requests(self) -> NDArray[np.bool_]:
        """Spans between a user's role tag and the end of the turn, [S]."""
        index = {name: unit for unit, name in enumerate(self.lexis.names)}
        unit = self._words.unit
        opened = np.cumsum(unit == index["newline after 'user'"])
        closed = np.cumsum(unit == index["'<|im_end|>' closing the user turn"])
        inside: NDArray[np.bool_] = opened > closed
        return inside

    def _around(self, position: NDArray[np.integer], counts: NDArray[np.bool_]) -> tuple[Ids, Ids]:
        """Telling words around peaks, each once per example.

        Args:
            position: Peaks in the corpus, any shape.
            counts: Which of them count, same shape.

        Returns:
            Indices into the flattened positions, and units.
        """
        words, corpus = self._words, self._store.corpus
        width = corpus.tokens.shape[1]
        offsets = np.arange(-WINDOW_LEFT, WINDOW - WINDOW_LEFT)
        column = (position % width)[..., None] + offsets
        begin = corpus.start[position // width][..., None]
        inside = (column >= begin) & (column < width) & counts[..., None]
        around = words.span[np.clip(position[..., None] + offsets, 0, corpus.tokens.size - 1)]
        inside &= around != words.span[position][..., None]
        unit = words.unit[around]
        inside &= self._telling[unit]
        example = np.arange(position.size, dtype=np.int64).reshape(*position.shape, 1)
        n_units = len(self.lexis.names)
        pairs = np.sort((example * n_units + unit)[inside])  # np.unique takes four times as long
        once = pairs[np.append(True, pairs[1:] != pairs[:-1])[: len(pairs)]]
        example, unit = np.divmod(once, n_units)
        return example.astype(np.int32), unit.astype(np.int32)

    def _near(self, feature: Ids, unit: Ids, examples: Ids) -> dict[int, list[tuple[int, float]]]:
        """For every feature, words that recur around its peaks far more often than elsewhere.

        Args:
            feature: Features of the pairs, once for every example.
            unit: Units of the pairs.
            examples: How many examples each feature has, [N].
        """
        n_units = len(self.lexis.names)
        pairs, seen = np.unique(feature.astype(np.int64) * n_units + unit, return_counts=True)
        feature, unit = np.divmod(pairs, n_units)
        total = np.maximum(examples[feature], 1)
        expected = total * WINDOW * np.array(self.lexis.frequency)[unit]
        keep = (seen >= 3) & (seen >= 0.25 * total) & (seen > 8 * expected)
        arrays = (feature, unit, seen, expected, seen / total)
        feature, unit, seen, expected, share = (array[keep] for array in arrays)
        found: dict[int, list[tuple[int, float]]] = defaultdict(list)
        for i in np.lexsort((-seen * np.log(seen / expected), feature)):
            found[int(feature[i])].append((int(unit[i]), float(share[i])))
        return found

    def _about(self, example: Ids, unit: Ids, peak: Ids) -> NDArray[np.bool_]:
        """Which examples are about which topics: two of its words around, or one at the peak.

        Args:
            example: Examples of the pairs.
            unit: Units of the pairs.
            peak: The unit at each example's peak, [E].

        Returns:
            [E, topics]
        """
        n_topics = len(self._topic_names)
        score = np.zeros(len(peak) * n_topics, np.int32)
        sources = ((example, unit, 1), (np.arange(len(peak)), peak, 2))
        for examples, units, worth in sources:
            for topics in self._topic_table.T:
                topic = topics[units]
                known = topic >= 0
                cells = examples[known].astype(np.int64) * n_topics + topic[known]
                score += worth * np.bincount(cells, minlength=len(score)).astype(np.int32)
        return score.reshape(len(peak), n_topics) >= 2

    def _usual_topics(self) -> NDArray[np.float64]:
        """How often any place of the corpus is about each topic, [topics]."""
        words, corpus = self._words, self._store.corpus
        rng = np.random.default_rng(0)
        position = np.flatnonzero(corpus.tokens.reshape(-1) != corpus.padding)
        position = rng.choice(position, min(20_000, len(position)), replace=False)
        example, unit = self._around(position, np.ones(len(position), bool))
        about = self._about(example, unit, words.unit[words.span[position]])
        share: NDArray[np.float64] = about.mean(axis=0)
        return share + 0.002

    def _topic_arrays(self) -> Ids:
        """Topics of every unit as numbers, [U, 4], -1 where there are fewer."""
        number = {name: i for i, name in enumerate(self._topic_names)}
        table = np.full((len(self.lexis.names), 4), -1, np.int32)
        for unit, names in enumerate(self.lexis.topics):
            for i, name in enumerate(names[:4]):
                table[unit, i] = number[name]
        return table

    def _main_topic(
        self, about: NDArray[np.bool_], counted: NDArray[np.bool_]
    ) -> tuple[Ids, NDArray[np.float64]]:
        """The topic that stands out most in each feature's examples.

        Args:
            about: [N, K, topics]
            counted: [N, K]

        Returns:
            Topic numbers, [N], -1 where none stands out; and its share of the strong and of the
            mid-range examples, [N, 2].
        """
        about = about & counted[..., None]
        bands = []
        for band in (slice(None, N_TOP), slice(N_TOP, None)):
            total = np.maximum(counted[:, band].sum(axis=1), 1)[:, None]
            bands.append(about[:, band].sum(axis=1) / total)
        total = np.maximum(counted.sum(axis=1), 1)[:, None]
        seen = about.sum(axis=1)
        lift = seen / (total * self._topic_usual)
        score = np.where(seen > 0, seen * np.log(np.maximum(lift, 1e-9)), -1.0)
        score[(seen < 0.25 * total) | (lift < 3) | (seen < 3)] = -1
        best = score.argmax(axis=1)
        rows = np.arange(len(best))
        shares = np.stack([band[rows, best] for band in bands], axis=1)
        return np.where(score[rows, best] > 13, best, -1).astype(np.int32), shares

    def _topical_words(self, feature: Ids, unit: Ids, topic: Ids) -> dict[int, list[int]]:
        """The words around each feature's peaks that belong to its topic, commonest first."""
        wanted = topic[feature]
        fits = (self._topic_table[unit] == wanted[:, None]).any(axis=1) & (wanted >= 0)
        counts: dict[int, Counter[int]] = defaultdict(Counter)
        for f, u in zip(feature[fits].tolist(), unit[fits].tolist(), strict=True):
            counts[f][u] += 1
        return {f: [u for u, _ in count.most_common()] for f, count in counts.items()}

    def _mass(self, feature: Feature) -> Tally[int]:
        """How much of a feature each unit is: half examples, half share of the activation."""
        mass: Tally[int] = Tally()
        for peak in feature.peaks:
            mass[peak.unit] += peak.weight
        if not feature.shares:
            return mass
        known = Tally({unit: 0.5 * value for unit, value in mass.items()})
        for token, share in feature.shares.items():
            hits = [peak for peak in feature.peaks if peak.token == token]
            if hits:  # what the token is part of, as the examples have it
                weight = sum(peak.weight for peak in hits)
                for peak in hits:
                    known[peak.unit] += 0.5 * share * peak.weight / weight
            elif token in self._words.whole:
                known[self._words.whole[token]] += 0.5 * share
        return known


def _repeats(context: Ids, present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Examples that repeat an earlier one of their feature word for word, [N, K].

    Args:
        context: Units around each peak, [4, N, K].
        present: Which examples there are, [N, K].
    """
    key = np.zeros_like(context[0], np.int64)
    for units in context:
        key = key * 1_000_003 + units
    key = np.where(present, key, -1 - np.arange(key.shape[1]))
    order = np.argsort(key, axis=1, kind="stable")
    ranked = np.take_along_axis(key, order, axis=1)
    again = np.zeros(key.shape, bool)
    again[:, 1:] = ranked[:, 1:] == ranked[:, :-1]
    repeats = np.zeros(key.shape, bool)
    np.put_along_axis(repeats, order, again, axis=1)
    return repeats

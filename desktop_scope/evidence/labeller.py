"""Names every feature from its evidence alone, without a language model.

A name says what the words on which a feature peaks have in common: the same word, a group of
words, the word before or after, a place in the text, words near by. It is short and honest: where
nothing stands out it says “various”. Strong and mid-range examples and the tokens that take most
of a feature's activation all have a say.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from desktop_scope.evidence.lexicon import GRAMMAR, groups_by_stem, stem
from desktop_scope.evidence.store import N_TOP, PADDING, WINDOW, WINDOW_LEFT, EvidenceStore
from desktop_scope.evidence.types import Label, Source
from desktop_scope.evidence.words import CorpusWords, Ids, UnitKind

#: Part of the label index's key: raise it when labels come out differently.
LABELLER_VERSION = 1
MAX_LENGTH = 60

_COMMON = 0.002  # a word this frequent says nothing about a topic
_SOURCES = {  # what to call a part of the corpus
    "bible": "the Bible",
    "code": "program code",
    "gcide": "dictionaries",
    "wordnet": "dictionaries",
    "linuxdoc": "computer manuals",
    "pydoc": "computer manuals",
    "handbook": "computer manuals",
    "moby": "Moby Dick",
    "shakespeare": "Shakespeare",
    "sotu": "political speeches",
}
_MARKS = {
    ",": "comma",
    ".": "full stop",
    ":": "colon ':'",
    ";": "semicolon ';'",
    "?": "question mark",
    "!": "exclamation mark",
    "-": "hyphen",
    '"': "double quote '\"'",
    "'": "single quote or apostrophe",
    "(": "opening bracket '('",
    ")": "closing bracket ')'",
    "[": "opening bracket '['",
    "]": "closing bracket ']'",
    "{": "opening brace '{'",
    "}": "closing brace '}'",
    "_": "underscore '_'",
    "=": "equals sign '='",
    "/": "slash '/'",
    "\\": "backslash '\\'",
    "*": "asterisk '*'",
    "--": "dash '--'",
    "#": "hash sign '#'",
    "$": "dollar sign '$'",
    "%": "percent sign '%'",
    "�": "pieces of non-English characters",
}
_ONE_OF = {  # a group's name as the word before or after
    "articles": "an article",
    "forms of 'be'": "a form of 'be'",
    "modal verbs": "a modal verb",
    "auxiliary verbs": "an auxiliary verb",
    "forms of 'have'": "a form of 'have'",
    "possessives": "a possessive",
    "object pronouns": "a pronoun",
    "subject pronouns": "a pronoun",
    "pronouns": "a pronoun",
    "question words": "a question word",
    "prepositions": "a preposition",
    "conjunctions": "a conjunction",
    "determiners": "a determiner",
    "number words": "a number word",
    "negations": "a negation",
    "quantity words": "a quantity word",
}


@dataclass(slots=True)
class _Peak:
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


@dataclass(slots=True)
class _Feature:
    """The evidence of one feature, ready to be named."""

    peaks: list[_Peak]
    shares: dict[int, float]  # token -> share of the total activation
    near: list[int]  # units that recur around the peaks, most telling first
    density: float
    mass: Counter[int] = field(default_factory=Counter)  # unit -> 0…1


@dataclass(slots=True)
class _Reading:
    """One way to name a feature."""

    text: str
    kind: str
    top: float  # share of the strong examples that it covers
    mid: float  # share of the mid-range examples
    covers: frozenset[int] = frozenset()  # units


class Labeller:
    """Names features of one pack.

    Args:
        store: The evidence; its corpus is cut into words once, here.
    """

    def __init__(self, store: EvidenceStore) -> None:
        self._store = store
        self._texts = [store.token_text(token) for token in range(store.vocab_size)]
        self._words = CorpusWords.of(store.corpus, self._texts)
        self._names = self._words.names
        self._kinds = self._words.kinds.tolist()
        self._frequency = (self._words.count / max(1, self._words.count[1:].sum())).tolist()
        grammar, topics = groups_by_stem()
        self._stems = [stem(name) for name in self._names]
        self._grammar = [grammar.get(name, ()) for name in self._names]
        self._topics = [topics.get(key, ()) for key in self._stems]
        self._group_frequency = self._frequency_of_groups()
        self._source_share = self._share_of_sources()
        index = {name: unit for unit, name in enumerate(self._names)}
        self._request_end = index.get("'<|im_end|>' closing the user turn", -1)
        self._request_start = index.get("newline after 'user'", -1)
        self._reply_start = index.get("newline after 'assistant', just before the reply", -1)

    def layers(
        self,
        progress: Callable[[int, int], None] = lambda done, total: None,
        check: Callable[[], None] = lambda: None,
    ) -> Iterator[tuple[int, list[Label]]]:
        """The labels of every layer in turn.

        Args:
            progress: Called with layers done and layers in all.
            check: Called often; raises to stop the work.
        """
        total = self._store.n_layers
        for layer in range(total):
            yield layer, self.layer(layer, check)
            progress(layer + 1, total)

    def layer(self, layer: int, check: Callable[[], None] = lambda: None) -> list[Label]:
        """The labels of one layer's features, [N]."""
        labels = []
        for index, feature in enumerate(self._features(layer)):
            if index % 256 == 0:
                check()
            labels.append(self._name(feature))
        return labels

    # -- evidence of a layer, as arrays -------------------------------------------------------

    def _features(self, layer: int) -> Iterator[_Feature]:
        arrays = self._store.layer_arrays(layer)
        words, corpus = self._words, self._store.corpus
        width = corpus.tokens.shape[1]
        position = arrays["example_position"]
        present = arrays["example_value"] > 0
        span = words.span[position]
        before, after = words.before(span), words.after(span)
        twice = _repeats(words.unit[[words.before(before), before, span, after]], present)
        weight = np.where(present, np.where(twice, 0.3, 1.0), 0.0)
        weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
        near = self._near(position, span, present & ~twice)
        ends = np.append(words.first, corpus.tokens.size)
        columns = [
            weight,
            np.broadcast_to(np.arange(position.shape[1]) < N_TOP, position.shape),
            corpus.tokens.reshape(-1)[position],
            words.unit[span],
            words.unit[before],
            words.unit[after],
            position - words.first[span],
            ends[span + 1] - words.first[span],
            words.surface[span],
            corpus.source[position // width],
            words.turn[position],
        ]
        rows = zip(*(column.tolist() for column in columns), strict=True)
        tokens, shares = arrays["top_token"].tolist(), arrays["top_token_share"].tolist()
        for index, lists in enumerate(rows):
            peaks = [_Peak(*values) for values in zip(*lists, strict=True) if values[0] > 0]
            top = {t: s for t, s in zip(tokens[index], shares[index], strict=True) if s > 0}
            feature = _Feature(peaks, top, near.get(index, []), float(arrays["density"][index]))
            feature.mass = self._mass(feature)
            yield feature

    def _near(self, position: Ids, span: Ids, counts: NDArray[np.bool_]) -> dict[int, list[int]]:
        """For every feature, words that recur around its peaks far more often than elsewhere."""
        words, corpus = self._words, self._store.corpus
        n_units = len(self._names)
        width = corpus.tokens.shape[1]
        offsets = np.arange(-WINDOW_LEFT, WINDOW - WINDOW_LEFT)
        column = (position % width)[..., None] + offsets
        begin = corpus.start[position // width][..., None]
        inside = (column >= begin) & (column < width) & counts[..., None]
        around = words.span[np.clip(position[..., None] + offsets, 0, corpus.tokens.size - 1)]
        inside &= around != span[..., None]
        unit = words.unit[around]
        rare = (words.count < _COMMON * words.count[1:].sum()) & (words.kinds == UnitKind.WORD)
        rare &= np.array([len(name) > 2 for name in self._names])
        inside &= rare[unit]
        example = np.arange(position.size, dtype=np.int64).reshape(*position.shape, 1)
        once = np.unique((example * n_units + unit)[inside])
        feature = once // n_units // position.shape[1]
        pairs, seen = np.unique(feature * n_units + once % n_units, return_counts=True)
        feature, unit = np.divmod(pairs, n_units)
        total = counts.sum(axis=1)[feature]
        expected = total * WINDOW * words.count[unit] / words.count[1:].sum()
        telling = (seen >= 3) & (seen >= 0.25 * total) & (seen > 8 * expected)
        feature, unit, seen, expected = (a[telling] for a in (feature, unit, seen, expected))
        order = np.lexsort((-seen * np.log(seen / expected), feature))
        found: dict[int, list[int]] = defaultdict(list)
        for i in order:
            found[int(feature[i])].append(int(unit[i]))
        return found

    def _mass(self, feature: _Feature) -> Counter[int]:
        """How much of a feature each unit is: half examples, half share of the activation."""
        mass: Counter[int] = Counter()
        for peak in feature.peaks:
            mass[peak.unit] += peak.weight
        if not feature.shares:
            return mass
        known = Counter({unit: 0.5 * value for unit, value in mass.items()})
        for token, share in feature.shares.items():
            unit = self._words.whole.get(token)
            if unit is None:  # a piece: spread it as the examples do
                hits = [peak for peak in feature.peaks if peak.token == token]
                weight = sum(peak.weight for peak in hits)
                for peak in hits:
                    known[peak.unit] += 0.5 * share * peak.weight / weight
            else:
                known[unit] += 0.5 * share
        return known

    # -- naming one feature -------------------------------------------------------------------

    def _name(self, feature: _Feature) -> Label:
        if not feature.peaks:
            return Label("never seen to fire", Source.AUTOMATIC, "low", "various")
        reading = self._subject(feature)
        if reading is None:
            return self._various(feature)
        notes = self._notes(feature, reading)
        text = _fit(reading.text, notes)
        return Label(text, Source.AUTOMATIC, _confidence(reading, feature), reading.kind)

    def _subject(self, feature: _Feature) -> _Reading | None:
        """The best reading of what the peaks have in common, most particular first."""
        for read in (
            self._format,
            self._number,
            self._word,
            self._grammar_group,
            self._few_words,
            self._topic,
            self._piece,
            self._neighbour,
            self._marks,
            self._capital,
            self._place,
            self._setting,
        ):
            reading = read(feature)
            if reading is not None:
                return reading
        return None

    def _format(self, feature: _Feature) -> _Reading | None:
        mass = Counter({u: m for u, m in feature.mass.items() if self._kinds[u] == UnitKind.FORMAT})
        if mass.total() < 0.6 * feature.mass.total():
            return None
        top = self._largest(mass, 2)
        covers = frozenset(mass)
        text = self._names[top[0]]
        if mass[top[0]] < 0.7 * mass.total():
            text = _join("chat template: ", [_short_tag(self._names[u]) for u in top])
        return self._reading(feature, text, "format", covers)

    def _number(self, feature: _Feature) -> _Reading | None:
        peaks = [p for p in feature.peaks if self._kinds[p.unit] == UnitKind.NUMBER]
        weight = sum(p.weight for p in peaks)
        if weight < 0.7:
            return None
        digit, share = _commonest(peaks, lambda p: self._texts[p.token].strip())
        place, in_place = _commonest(peaks, lambda p: min(p.place, 2))
        year = sum(p.weight for p in peaks if p.length == 4) / weight
        where = ("first digit", "second digit", "later digits")[place]
        single = sum(p.weight for p in peaks if p.length == 1) / weight
        of = "years" if year > 0.8 else "numbers"
        if share > 0.75 * weight:
            text = f"digit '{digit}'"
        elif single > 0.8:
            text = "single digits"
        elif in_place > 0.75 * weight:
            text = f"{where} of {of}"
        else:
            text = f"digits of {of}"
        covers = frozenset(p.unit for p in peaks)
        return self._reading(feature, text, "token", covers)

    def _word(self, feature: _Feature) -> _Reading | None:
        """One word, with its forms, takes at least half."""
        families = self._families(feature.mass)
        lead, mass = families[0]
        if mass < 0.5 or self._kinds[lead] == UnitKind.NONE:
            return None
        also = [u for u, m in families[1:4] if m >= 0.05 and m >= 0.1 * mass]
        text = self._quoted(feature, lead)
        covers = self._family(feature, lead)
        if also and self._kinds[lead] == UnitKind.WORD:
            names = [self._shown(feature, u) for u in also if self._kinds[u] == UnitKind.WORD]
            if names:
                text = _join(f"{text} (also ", names, ")")
        return self._reading(feature, text, "token", covers)

    def _few_words(self, feature: _Feature) -> _Reading | None:
        """Two to five words take most of it together."""
        families = self._families(feature.mass)[:5]
        total = 0.0
        for count, (_, mass) in enumerate(families, 1):
            total += mass
            if total >= 0.6 and mass >= 0.04:
                units = [u for u, _ in families[:count]]
                text = _join("", [self._quoted(feature, u) for u in units])
                covers = frozenset().union(*(self._family(feature, u) for u in units))
                return self._reading(feature, text, "token", covers)
        return None

    def _grammar_group(self, feature: _Feature) -> _Reading | None:
        best = self._group(feature, self._grammar, 0.6, lift=2.5)
        return best and self._group_reading(feature, best, self._grammar, "syntax")

    def _topic(self, feature: _Feature) -> _Reading | None:
        best = self._group(feature, self._topics, 0.45, lift=6)
        return best and self._group_reading(feature, best, self._topics, "topic")

    def _group(
        self,
        feature: _Feature,
        groups: list[tuple[str, ...] | list[str]],
        least: float,
        lift: float,
    ) -> str | None:
        mass: Counter[str] = Counter()
        for unit, m in feature.mass.items():
            for group in groups[unit]:
                mass[group] += m
        total = feature.mass.total()
        fitting = [
            (m / total * math.log(1 / self._group_frequency[g]), g)
            for g, m in mass.items()
            if m >= least * total and m > lift * total * self._group_frequency[g]
        ]
        return max(fitting)[1] if fitting else None

    def _group_reading(
        self,
        feature: _Feature,
        group: str,
        groups: list[tuple[str, ...] | list[str]],
        kind: str,
    ) -> _Reading:
        members = Counter({u: m for u, m in feature.mass.items() if group in groups[u]})
        names = [self._shown(feature, u) for u, _ in self._families(members)[:4]]
        return self._reading(feature, _join(f"{group} (", names, ")"), kind, frozenset(members))

    def _piece(self, feature: _Feature) -> _Reading | None:
        """The same piece in different words, or the same first letter."""
        peaks = feature.peaks
        token, weight = _commonest(peaks, lambda p: self._texts[p.token].strip().lower())
        inside = [p for p in peaks if p.length > 1]
        if weight >= 0.6 and token and inside:
            hits = [p for p in peaks if self._texts[p.token].strip().lower() == token]
            last = sum(p.weight for p in hits if p.place == p.length - 1 and p.length > 1)
            first = sum(p.weight for p in hits if p.place == 0)
            if last > 0.7 * weight:
                text = f"words ending in '-{token}'"
            elif first > 0.7 * weight:
                text = f"words starting with '{token}-'"
            else:
                text = f"words containing '{token}'"
            words = self._example_words(feature, hits)
            return self._reading(
                feature, _join(f"{text} (", words, ")"), "token", frozenset(p.unit for p in hits)
            )
        words_only = [p for p in peaks if self._kinds[p.unit] == UnitKind.WORD]
        letter, weight = _commonest(words_only, lambda p: self._names[p.unit][:1])
        if weight >= 0.85 and len({p.unit for p in peaks}) > 3:
            words = self._example_words(feature, words_only)
            hits = [p for p in words_only if self._names[p.unit].startswith(letter)]
            covers = frozenset(p.unit for p in hits)
            text = _join(f"words starting with '{letter}' (", words, ")")
            return self._reading(feature, text, "token", covers)
        return None

    def _neighbour(self, feature: _Feature) -> _Reading | None:
        """Different words after, or before, the same one."""
        for side, words in (("before", "after"), ("after", "before")):
            note = self._neighbour_note(feature, side, 0.6)
            if note is not None:
                top, mid = (
                    _share(feature, lambda p: getattr(p, side) in note[1], band)
                    for band in (True, False)
                )
                text = note[0]
                if text.startswith(words):
                    text = f"word right {text}" if words == "after" else f"word {text}"
                else:
                    text = f"word {text}"
                return _Reading(text, "syntax", top, mid)
        return None

    def _marks(self, feature: _Feature) -> _Reading | None:
        covers = frozenset(
            u for u in feature.mass if self._kinds[u] in (UnitKind.MARK, UnitKind.NEWLINE)
        )
        mass = Counter({u: feature.mass[u] for u in covers})
        if mass.total() < 0.7 * feature.mass.total():
            return None
        names = [self._quoted(feature, u, short=True) for u in self._largest(mass, 4)]
        return self._reading(feature, _join("punctuation: ", names), "token", covers)

    def _capital(self, feature: _Feature) -> _Reading | None:
        surfaces = self._words.surfaces
        hits = [p for p in feature.peaks if surfaces[p.surface][:1].isupper()]
        weight = sum(p.weight for p in hits)
        if weight < 0.8:
            return None
        every = sum(p.weight for p in hits if surfaces[p.surface].isupper())
        what = "words in capitals" if every > 0.6 else "names and capitalised words"
        words = self._example_words(feature, hits)
        covers = frozenset(p.unit for p in hits)
        return self._reading(feature, _join(f"{what} (", words, ")"), "other", covers)

    def _place(self, feature: _Feature) -> _Reading | None:
        early = [p.weight for p in feature.peaks if p.turn <= 8]
        if sum(early) < 0.8:
            return None
        top, mid = (_share(feature, lambda p: p.turn <= 8, band) for band in (True, False))
        return _Reading("early in a text or chat turn", "position", top, mid)

    def _setting(self, feature: _Feature) -> _Reading | None:
        if not feature.near:
            return None
        names = [self._names[u] for u in self._distinct(feature.near, 4)]
        return _Reading(_join("words near ", [f"'{n}'" for n in names]), "topic", 0.6, 0.3)

    # -- details ------------------------------------------------------------------------------

    def _notes(self, feature: _Feature, reading: _Reading) -> list[str]:
        """What else holds for a reading, most telling first."""
        notes = []
        words = reading.kind in ("token", "syntax", "other")
        if words and not reading.text.startswith("word "):
            for side in ("before", "after"):
                note = self._neighbour_note(feature, side, 0.65)
                if note is not None:
                    notes.append(" " + note[0])
                    break
        if reading.kind != "format" and not notes and not reading.text.startswith("words near"):
            near = [u for u in feature.near if u not in reading.covers]
            names = [self._names[u] for u in self._distinct(near, 2)]
            names = [n for n in names if n not in reading.text]
            if names:
                notes.append(_join("; near ", [f"'{n}'" for n in names]))
        source = self._source(feature)
        if source and reading.kind != "format":
            notes.append(f", in {source}")
        if reading.top >= 0.7 and reading.mid <= 0.2:
            notes.append("; mixed when weak")
        return notes

    def _neighbour_note(
        self, feature: _Feature, side: str, least: float
    ) -> tuple[str, frozenset[int]] | None:
        """Same neighbour or kind of neighbour: “after 'to'”, “before a number”."""
        mass: Counter[int] = Counter()
        for peak in feature.peaks:
            mass[getattr(peak, side)] += peak.weight
        unit, weight = mass.most_common(1)[0]
        word = "after" if side == "before" else "before"
        if side == "after" and mass[self._request_end] >= least:
            return "ending the user's request", frozenset({self._request_end})
        if side == "before" and mass[self._request_start] >= least:
            return "opening the user's request", frozenset({self._request_start})
        if side == "before" and mass[self._reply_start] >= least:
            return "opening the reply", frozenset({self._reply_start})
        if weight >= least and self._kinds[unit] not in (UnitKind.NONE, UnitKind.FORMAT):
            return f"{word} {self._quoted(feature, unit, short=True)}", frozenset({unit})
        groups: Counter[str] = Counter()
        for u, m in mass.items():
            for group in self._grammar[u]:
                if group in _ONE_OF:
                    groups[group] += m
        fitting = [
            (m * math.log(1 / self._group_frequency[g]), g)
            for g, m in groups.items()
            if m >= max(0.8, least)
        ]
        if fitting:
            group = max(fitting)[1]
            return f"{word} {_ONE_OF[group]}", frozenset(
                u for u in mass if group in self._grammar[u]
            )
        numbers = frozenset(u for u in mass if self._kinds[u] == UnitKind.NUMBER)
        if sum(mass[u] for u in numbers) >= 0.8:
            return f"{word} a number", numbers
        starts = frozenset(
            u
            for u in mass
            if self._names[u] in (".", "?", "!")
            or self._kinds[u] in (UnitKind.NEWLINE, UnitKind.FORMAT)
        )
        if sum(mass[u] for u in starts) >= 0.85:
            return ("starting a sentence" if side == "before" else "ending a sentence"), starts
        return None

    def _various(self, feature: _Feature) -> Label:
        names = [
            self._quoted(feature, u, short=True)
            for u in self._largest(feature.mass, 4)
            if self._kinds[u] != UnitKind.NONE
        ]
        text = _join("various: ", names) if names else "various"
        return Label(text, Source.AUTOMATIC, "low", "various")

    def _source(self, feature: _Feature) -> str:
        mass: Counter[str] = Counter()
        for peak in feature.peaks:
            mass[self._store.corpus.sources[peak.source]] += peak.weight
        named: Counter[str] = Counter()
        for source, weight in mass.items():
            named[_SOURCES.get(source, "")] += weight
        source, weight = named.most_common(1)[0]
        return source if source and weight >= 0.8 else ""

    def _families(self, mass: Counter[int]) -> list[tuple[int, float]]:
        """Units with the mass of all their forms, largest first; a family's most common form."""
        total: Counter[str] = Counter()
        lead: dict[str, int] = {}
        for unit, m in sorted(mass.items(), key=lambda item: -item[1]):
            key = self._stems[unit]
            lead.setdefault(key, unit)
            total[key] += m
        return [(lead[key], m) for key, m in total.most_common()]

    def _family(self, feature: _Feature, unit: int) -> frozenset[int]:
        return frozenset(u for u in feature.mass if self._stems[u] == self._stems[unit])

    def _largest(self, mass: Counter[int], count: int) -> list[int]:
        return [unit for unit, _ in mass.most_common(count)]

    def _distinct(self, units: list[int], count: int) -> list[int]:
        """The first few that are not forms of one another."""
        first: dict[str, int] = {}
        for unit in units:
            first.setdefault(self._stems[unit], unit)
        return list(first.values())[:count]

    def _shown(self, feature: _Feature, unit: int) -> str:
        """A word with capitals where the examples mostly have them."""
        written = Counter(self._words.surfaces[p.surface] for p in feature.peaks if p.unit == unit)
        return written.most_common(1)[0][0] if written else self._names[unit]

    def _quoted(self, feature: _Feature, unit: int, short: bool = False) -> str:
        kind, name = self._kinds[unit], self._names[unit]
        if kind == UnitKind.MARK:
            return f"'{name}'" if short and name != "�" else _MARKS.get(name, f"'{name}'")
        if kind in (UnitKind.NEWLINE, UnitKind.SPACE, UnitKind.FORMAT):
            return name
        return f"'{self._shown(feature, unit)}'"

    def _example_words(self, feature: _Feature, peaks: list[_Peak]) -> list[str]:
        mass: Counter[int] = Counter()
        for peak in peaks:
            mass[peak.unit] += peak.weight
        return [self._shown(feature, unit) for unit in self._largest(mass, 3)]

    def _reading(self, feature: _Feature, text: str, kind: str, covers: frozenset[int]) -> _Reading:
        top, mid = (_share(feature, lambda p: p.unit in covers, band) for band in (True, False))
        return _Reading(text, kind, top, mid, covers)

    def _frequency_of_groups(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for groups in (self._grammar, self._topics):
            for frequency, names in zip(self._frequency, groups, strict=True):
                for name in names:
                    total[name] += frequency
        return total

    def _share_of_sources(self) -> NDArray[np.float64]:
        used = (self._store.corpus.tokens != PADDING).sum(axis=1)
        share = np.bincount(self._store.corpus.source, weights=used)
        return share / share.sum()


def _repeats(context: Ids, present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Examples that repeat an earlier one of their feature word for word, [N, K].

    Args:
        context: Units around each peak, [4, N, K].
        present: Which examples there are, [N, K].
    """
    key = np.zeros(context.shape[1:], np.int64)
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


def _commonest(peaks: list[_Peak], of: Callable[[_Peak], object]) -> tuple[object, float]:
    mass: Counter[object] = Counter()
    for peak in peaks:
        mass[of(peak)] += peak.weight
    return mass.most_common(1)[0] if mass else ("", 0.0)


def _share(feature: _Feature, holds: Callable[[_Peak], bool], top: bool) -> float:
    """The share of a band's examples for which something holds."""
    band = [peak for peak in feature.peaks if peak.top is top]
    total = sum(peak.weight for peak in band)
    return sum(peak.weight for peak in band if holds(peak)) / total if total else 0.0


def _confidence(reading: _Reading, feature: _Feature) -> str:
    has_mid = any(not peak.top for peak in feature.peaks)
    if reading.top >= 0.8 and (reading.mid >= 0.5 or not has_mid):
        return "high"
    return "medium" if reading.top >= 0.6 else "low"


def _join(head: str, names: list[str], tail: str = "") -> str:
    """As many names as fit, at least one, none of them endless."""
    names = [name if len(name) <= 24 else name[:21] + "…" for name in dict.fromkeys(names)]
    while len(names) > 1 and len(head + ", ".join(names) + tail) > MAX_LENGTH:
        names.pop()
    return head + ", ".join(names) + tail


def _fit(text: str, notes: list[str]) -> str:
    """Append the notes that fit."""
    for note in notes:
        if len(text + note) <= MAX_LENGTH:
            text += note
    return text if len(text) <= MAX_LENGTH else text[: MAX_LENGTH - 1] + "…"


def _short_tag(name: str) -> str:
    return name.split(" opening")[0].split(" closing")[0].split(" of the")[0].split(",")[0]

"""Finds words for what the peaks of one feature have in common."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from desktop_scope.evidence.peaks import Feature, K, Lexis, Peak, Tally
from desktop_scope.evidence.types import Label, Source
from desktop_scope.evidence.words import UnitKind

MAX_LENGTH = 60

_LOOSE = 0.35  # of the examples: what is said of them where nothing holds for more
_HOLDS = 0.6  # of the strong examples: a reading of fewer is taken only where none holds better
_DENSE = 0.18  # fires on more tokens than this: hardly about one thing
_ENDING_REQUEST = " ending the user's request"
SOURCES = {  # what to call a part of the corpus
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
MARKS = {
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
    "�": "non-English characters",
}
_ENDINGS = (
    *("ation", "tion", "sion", "ment", "ness", "ship", "hood", "ible", "able", "less", "ology"),
    *("ence", "ance", "ful", "ous", "ive", "ical", "ism", "ist", "ity", "ize", "ise", "ify"),
    *("ing", "eth", "est", "ery", "age", "ate", "ian", "ed", "ly", "er", "or", "al", "ic", "en"),
    "'s",
)
ONE_OF = {  # a group's name as the word before or after
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
    "superlatives": "a superlative",
    "comparisons": "a comparison",
    "order words": "a word of order",
    "adverbs of degree": "a word of degree",
    "saying and asking verbs": "a verb of saying",
    "thinking verbs": "a verb of thinking",
    "wanting and needing": "a verb of wanting",
}

_Groups = Sequence[Sequence[str]]  # groups of every unit


@dataclass(slots=True)
class _Reading:
    """One way to name a feature."""

    text: str
    kind: str
    top: float  # share of the strong examples that it covers
    mid: float  # share of the mid-range examples
    covers: frozenset[int] = frozenset()  # units


class Namer:
    """Names features, the most particular reading that holds first.

    Args:
        lexis: What is known about the units of the corpus.
        texts: The text of every token.
        sources: Names of the parts of the corpus.
    """

    def __init__(self, lexis: Lexis, texts: list[str], sources: tuple[str, ...]) -> None:
        self._texts, self._sources = texts, sources
        self._names, self._kinds, self._stems = lexis.names, lexis.kinds, lexis.stems
        self._grammar, self._topics = lexis.grammar, lexis.topics
        self._surfaces, self._frequency = lexis.surfaces, lexis.frequency
        self._group_frequency = self._frequency_of(self._grammar) | self._frequency_of(self._topics)
        self._endings = [
            tuple(
                ending
                for ending in _ENDINGS
                if name.endswith(ending) and len(name) > len(ending) + 2
            )
            for name in self._names
        ]
        self._ending_frequency = self._frequency_of(self._endings)
        index = {name: unit for unit, name in enumerate(lexis.names)}
        self._request_end = index.get("'<|im_end|>' closing the user turn", -1)
        self._request_start = index.get("newline after 'user'", -1)
        self._text_start = index.get("<|endoftext|>", -1)
        self._reply_start = index.get("newline after 'assistant', just before the reply", -1)

    def name(self, feature: Feature) -> Label:
        """The label of one feature."""
        if not feature.peaks:
            return Label("never seen to fire", Source.AUTOMATIC, "low", "various")
        reading = self._subject(feature)
        if reading is None:
            return self._various(feature)
        notes = self._notes(feature, reading)
        dense = "dense: " if feature.density > _DENSE else ""
        kind = "format" if notes[:1] == [_ENDING_REQUEST] else reading.kind
        return Label(
            _fit(dense + reading.text, notes),
            Source.AUTOMATIC,
            _confidence(reading, feature),
            kind,
        )

    def _subject(self, feature: Feature) -> _Reading | None:
        """The best reading of what the peaks have in common, most particular first."""
        for read in (
            self._format,
            self._number,
            self._opening,
            self._word,
            self._grammar_group,
            self._piece,
            self._few_words,
        ):
            reading = read(feature)
            if reading is not None:
                return reading
        weak: list[_Reading] = []
        for read in (
            self._topic,
            self._ending,
            self._beginning,
            self._context,
            self._neighbour,
            self._next_token,
            self._request,
            self._marks,
            self._capital,
            self._place,
            self._setting,
            self._mostly,
            self._loosely,
            self._one_source,
        ):
            reading = read(feature)
            if reading is None:
                continue
            if reading.top >= _HOLDS:
                return reading
            weak.append(reading)  # something less particular may hold better
        return max(weak, key=lambda reading: 2 * reading.top + reading.mid, default=None)

    def _format(self, feature: Feature) -> _Reading | None:
        mass = Tally({u: m for u, m in feature.mass.items() if self._kinds[u] == UnitKind.FORMAT})
        if mass.total() < 0.5 * feature.mass.total():
            return None
        top = self._largest(mass, 2)
        covers = frozenset(mass)
        text = self._names[top[0]]
        if mass[top[0]] < 0.7 * mass.total():
            text = _join("chat markers: ", [_short_tag(self._names[u]) for u in top])
        return self._reading(feature, text, "format", covers)

    def _number(self, feature: Feature) -> _Reading | None:
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

    def _opening(self, feature: Feature) -> _Reading | None:
        """The first word of a text, whichever it is."""
        hits = [p for p in feature.peaks if p.before == self._text_start]
        if sum(p.weight for p in hits) < 0.7:
            return None
        return _Reading("first word of a text", "position", *_bands(feature, hits))

    def _word(self, feature: Feature) -> _Reading | None:
        """One word, with its forms, takes at least half."""
        families = self._families(feature.mass)
        lead, mass = families[0]
        if mass < 0.5 or self._kinds[lead] == UnitKind.NONE:
            return None
        also = [u for u, m in families[1:6] if m >= 0.03 and m >= 0.05 * mass]
        text = self._quoted(feature, lead)
        covers = self._family(feature, lead)
        if also and self._kinds[lead] == UnitKind.WORD:
            names = [self._shown(feature, u) for u in also if self._kinds[u] == UnitKind.WORD]
            if names:
                text = _join(f"{text} (also ", names, ")")
        return self._reading(feature, text, "token", covers)

    def _few_words(self, feature: Feature) -> _Reading | None:
        """Two to five words take most of it together."""
        families = self._families(feature.mass)[:5]
        total = 0.0
        for count, (_, mass) in enumerate(families, 1):
            total += mass
            if total >= 0.6 and mass >= 0.04:
                units = [u for u, _ in families[:count]]
                if count > 2 and all(self._kinds[u] != UnitKind.WORD for u in units):
                    return None
                short = count > 2 or any(self._kinds[u] == UnitKind.FORMAT for u in units)
                text = _join("", [self._quoted(feature, u, short) for u in units])
                covers = frozenset().union(*(self._family(feature, u) for u in units))
                return self._reading(feature, text, "token", covers)
        return None

    def _grammar_group(self, feature: Feature) -> _Reading | None:
        best = self._group(feature, self._grammar, 0.6, lift=2.5)
        return self._group_reading(feature, best, self._grammar, "syntax") if best else None

    def _ending(self, feature: Feature) -> _Reading | None:
        """Different words with the same ending."""
        tally: Tally[str] = Tally()
        for peak in feature.peaks:
            for ending in self._endings[peak.unit]:
                tally[ending] += peak.weight
        fitting = [
            (len(ending), ending)
            for ending, weight in tally.items()
            if weight >= 0.65 and weight > 4 * self._ending_frequency[ending]
        ]
        if not fitting:
            return None
        ending = max(fitting)[1]
        hits = [p for p in feature.peaks if ending in self._endings[p.unit]]
        text = _join(f"words ending in '-{ending}' (", self._example_words(feature, hits), ")")
        return self._reading(feature, text, "token", frozenset(p.unit for p in hits))

    def _topic(self, feature: Feature) -> _Reading | None:
        best = self._group(feature, self._topics, 0.45, lift=6)
        return self._group_reading(feature, best, self._topics, "topic") if best else None

    def _group(
        self,
        feature: Feature,
        groups: _Groups,
        least: float,
        lift: float,
    ) -> str | None:
        mass: Tally[str] = Tally()
        for unit, m in feature.mass.items():
            for group in groups[unit]:
                mass[group] += m
        total = feature.mass.total()
        fitting = [
            (m / total * math.log(1 / self._group_frequency[g]), g)
            for g, m in mass.items()
            if m > lift * total * self._group_frequency[g]
            and (m >= least * total or self._in_top(feature, groups, g) >= least + 0.1)
        ]
        return max(fitting)[1] if fitting else None

    def _in_top(self, feature: Feature, groups: _Groups, group: str) -> float:
        return _bands(feature, (p for p in feature.peaks if group in groups[p.unit]))[0]

    def _group_reading(
        self,
        feature: Feature,
        group: str,
        groups: _Groups,
        kind: str,
    ) -> _Reading:
        members = Tally({u: m for u, m in feature.mass.items() if group in groups[u]})
        families = self._families(members)
        if families[0][1] >= 0.6 * members.total():  # hardly more than one word
            names = [self._quoted(feature, u) for u, _ in families[:2]]
            if len(names) == 1:
                return self._reading(feature, names[0], "token", frozenset(members))
            text = _join("", names, f" ({group})")
        else:
            names = [self._shown(feature, u) for u, _ in families[:4]]
            text = _join(f"{group} (", names, ")")
        return self._reading(feature, text, kind, frozenset(members))

    def _piece(self, feature: Feature) -> _Reading | None:
        """The same piece in different words."""
        piece, weight = _commonest(feature.peaks, lambda p: self._texts[p.token].strip().lower())
        hits = [p for p in feature.peaks if self._texts[p.token].strip().lower() == piece]
        inside = [p for p in hits if p.length > 1]
        if weight < 0.6 or not piece.isalpha() or len({p.unit for p in inside}) < 2:
            return None
        itself = sum(m for unit, m in feature.mass.items() if self._names[unit] == piece)
        if sum(p.weight for p in inside) < 0.35 * weight or itself > 0.3:
            return None
        if sum(p.weight for p in inside if p.place == p.length - 1) > 0.7 * weight:
            text = f"words ending in '-{piece}'"
        elif sum(p.weight for p in hits if p.place == 0) > 0.7 * weight:
            text = f"words starting with '{piece}-'"
        else:
            text = f"words containing '{piece}'"
        text = _join(f"{text} (", self._example_words(feature, hits), ")")
        return self._reading(feature, text, "token", frozenset(p.unit for p in hits))

    def _beginning(self, feature: Feature) -> _Reading | None:
        """Different words with the same first letters."""
        words = [p for p in feature.peaks if self._kinds[p.unit] == UnitKind.WORD]
        if len({p.unit for p in words}) < 4:
            return None
        for length, least in ((4, 0.6), (3, 0.65), (2, 0.7), (1, 0.8)):
            starts: Tally[str] = Tally()
            for peak in words:
                starts[self._names[peak.unit][:length]] += peak.weight
            start, weight = starts.most(1)[0]
            hits = [p for p in words if self._names[p.unit].startswith(start)]
            different = len({self._stems[p.unit] for p in hits})
            if weight >= least and len(start) == length and different >= 4:
                text = f"words starting with '{start}-' ("
                text = _join(text, self._example_words(feature, hits), ")")
                return self._reading(feature, text, "token", frozenset(p.unit for p in hits))
        return None

    def _neighbour(self, feature: Feature) -> _Reading | None:
        """Different words after, or before, the same one."""
        for side in ("before", "after"):
            note = self._neighbour_note(feature, side, 0.6)
            if note is None:
                continue
            text, units = note
            hits = [p for p in feature.peaks if getattr(p, side) in units]
            right = "right " if text.startswith("after") else ""
            return _Reading(f"word {right}{text}", "syntax", *_bands(feature, hits))
        return None

    def _next_token(self, feature: Feature) -> _Reading | None:
        """Whatever stands before the same piece of a word, or the same digit."""
        token, weight = _commonest(feature.peaks, lambda p: p.next)
        piece = self._texts[token].strip() if token < len(self._texts) else ""
        if weight < 0.55 or not piece.isalnum():
            return None
        hits = [p for p in feature.peaks if p.next == token]
        what = "a number" if piece.isdecimal() else "a word"
        text = f"before {what} starting with '{piece}'"
        return _Reading(text, "syntax", *_bands(feature, hits))

    def _request(self, feature: Feature) -> _Reading | None:
        hits = [p for p in feature.peaks if p.request]
        if sum(p.weight for p in hits) < 0.7:
            return None
        words = [p for p in hits if self._kinds[p.unit] == UnitKind.WORD] or hits
        text = _join("in the user's request (", self._example_words(feature, words), ")")
        return _Reading(text, "position", *_bands(feature, hits))

    def _marks(self, feature: Feature) -> _Reading | None:
        covers = frozenset(
            u for u in feature.mass if self._kinds[u] in (UnitKind.MARK, UnitKind.NEWLINE)
        )
        mass = Tally({u: feature.mass[u] for u in covers})
        if mass.total() < 0.7 * feature.mass.total():
            return None
        names = [self._quoted(feature, u, short=True) for u in self._largest(mass, 4)]
        return self._reading(feature, _join("punctuation: ", names), "token", covers)

    def _capital(self, feature: Feature) -> _Reading | None:
        surfaces = self._surfaces
        hits = [p for p in feature.peaks if surfaces[p.surface][:1].isupper()]
        weight = sum(p.weight for p in hits)
        if weight < 0.8:
            return None
        every = sum(p.weight for p in hits if surfaces[p.surface].isupper())
        what = "words in capitals" if every > 0.6 else "names and capitalised words"
        words = self._example_words(feature, hits)
        covers = frozenset(p.unit for p in hits)
        return self._reading(feature, _join(f"{what} (", words, ")"), "other", covers)

    def _place(self, feature: Feature) -> _Reading | None:
        hits = [p for p in feature.peaks if p.turn <= 8]
        if sum(p.weight for p in hits) < 0.8:
            return None
        return _Reading("early in a text or chat turn", "position", *_bands(feature, hits))

    def _context(self, feature: Feature) -> _Reading | None:
        """Words of all sorts in text about one topic."""
        if not feature.topic:
            return None
        words = self._distinct(self._topic_words(feature), 4)
        names = [self._names[u].removesuffix("'s") for u in words]
        text = _join(f"about {feature.topic} (", names, ")") if names else feature.topic
        top, mid = feature.topic_shares
        return _Reading(text, "topic", top, mid)

    def _topic_words(self, feature: Feature) -> list[int]:
        """Words of the feature's topic, those at peaks before those around."""
        peaks = [u for u, _ in feature.mass.most() if feature.topic in self._topics[u]]
        return [*peaks, *feature.topic_words]

    def _one_source(self, feature: Feature) -> _Reading | None:
        """Nothing but where the text comes from."""
        source = self._source(feature)
        if not source:
            return None
        names = [self._quoted(feature, u, short=True) for u in self._largest(feature.mass, 3)]
        return _Reading(_join(f"in {source}: ", names), "other", 0.5, 0.0)

    def _setting(self, feature: Feature) -> _Reading | None:
        """Words that recur around peaks of all sorts."""
        near = self._distinct([u for u, share in feature.near if share >= 0.35], 4)
        strongest = max((share for _, share in feature.near), default=0.0)
        if not near or (len(near) == 1 and strongest < 0.6):
            return None
        names = [f"'{self._names[u]}'" for u in near]
        return _Reading(_join("words near ", names), "topic", strongest, 0.0)

    def _mostly(self, feature: Feature) -> _Reading | None:
        """A few words take a good part; the rest is mixed."""
        families = self._families(feature.mass)[:3]
        units = [u for u, m in families if m >= 0.12]
        words = [u for u in units if self._kinds[u] in (UnitKind.WORD, UnitKind.NUMBER)]
        if sum(m for _, m in families) < 0.35 or not words:
            return None
        covers = frozenset().union(*(self._family(feature, u) for u in units))
        names = [self._quoted(feature, u, short=True) for u in units]
        reading = self._reading(feature, _join("", names, " and others"), "other", covers)
        reading.top = min(reading.top, 0.5)
        return reading

    def _loosely(self, feature: Feature) -> _Reading | None:
        """What a third of the peaks, or more, have in common: better than nothing."""
        found = []
        for groups, kind in ((self._grammar, "syntax"), (self._topics, "topic")):
            group = self._group(feature, groups, _LOOSE, lift=4)
            if group is not None:
                found.append(self._group_reading(feature, group, groups, kind))
        for side in ("before", "after"):
            note = self._neighbour_note(feature, side, _LOOSE)
            if note is not None:
                hits = [p for p in feature.peaks if getattr(p, side) in note[1]]
                found.append(_Reading(f"often {note[0]}", "syntax", *_bands(feature, hits)))
        return max(found, key=lambda reading: 2 * reading.top + reading.mid, default=None)

    def _notes(self, feature: Feature, reading: _Reading) -> list[str]:
        """What else holds for a reading, most telling first."""
        beside = self._beside_note(feature, reading)
        near = "" if beside else self._near_note(feature, reading)
        notes = [
            beside,
            near,
            self._topic_note(feature, reading),
            "" if near else self._source_note(feature, reading),
            self._weak_note(feature, reading),
        ]
        return [note for note in notes if note]

    def _beside_note(self, feature: Feature, reading: _Reading) -> str:
        """What stands right before or after: “ after 'to'”, “ in 'one of the'”."""
        if reading.kind == "topic" or reading.text.startswith("word "):
            return ""
        phrase = self._phrase(feature, reading)
        if phrase:
            return phrase
        for side in ("before", "after"):
            note = self._neighbour_note(feature, side, 0.65)
            if note is None or ("line" in reading.text and "sentence" in note[0]):
                continue
            if note[0] not in reading.text and not note[0].endswith(reading.text):
                return f" {note[0]}"
        return ""

    def _phrase(self, feature: Feature, reading: _Reading) -> str:
        """The words on both sides, where a single word always stands between the same two."""
        middle, _ = _commonest(feature.peaks, lambda p: p.unit)
        around, weight = _commonest(feature.peaks, lambda p: (p.before, p.unit, p.after))
        if weight < 0.6 or middle not in reading.covers:
            return ""
        if any(self._kinds[unit] != UnitKind.WORD for unit in around):
            return ""
        return f" in '{' '.join(self._names[unit] for unit in around)}'"

    def _near_note(self, feature: Feature, reading: _Reading) -> str:
        if reading.kind == "format" or reading.text.startswith("words near"):
            return ""
        least = 0.3 if reading.kind == "topic" else 0.4
        near = [u for u, share in feature.near if share >= least and u not in reading.covers]
        names = [self._names[u] for u in self._distinct(near, 2)]
        names = [f"'{name}'" for name in names if name not in reading.text]
        return _join("; near ", names) if names else ""

    def _topic_note(self, feature: Feature, reading: _Reading) -> str:
        said = any(feature.topic in self._topics[unit] for unit in reading.covers)
        said = said or feature.topic == self._source(feature)
        if reading.kind in ("topic", "format") or said or feature.topic_shares[0] < 0.5:
            return ""
        return f", about {feature.topic}"

    def _source_note(self, feature: Feature, reading: _Reading) -> str:
        source = self._source(feature)
        few = len(feature.peaks) < 6
        if not source or few or reading.kind == "format" or source in reading.text:
            return ""
        return f", in {source}"

    def _weak_note(self, feature: Feature, reading: _Reading) -> str:
        covered = sum(feature.mass[unit] for unit in reading.covers) / feature.mass.total()
        weak = reading.top >= 0.7 and reading.mid <= 0.2 and covered < 0.75
        return "; mixed when weak" if weak else ""

    def _neighbour_note(
        self, feature: Feature, side: str, least: float
    ) -> tuple[str, frozenset[int]] | None:
        """Same neighbour or kind of neighbour: “after 'to'”, “before a number”."""
        mass: Tally[int] = Tally()
        for peak in feature.peaks:
            mass[getattr(peak, side)] += peak.weight
        unit, weight = mass.most(1)[0]
        word = "after" if side == "before" else "before"
        if side == "after" and mass[self._request_end] >= least:
            return _ENDING_REQUEST.strip(), frozenset({self._request_end})
        if side == "before" and mass[self._request_start] >= least:
            return "opening the user's request", frozenset({self._request_start})
        if side == "before" and mass[self._reply_start] >= least:
            return "opening the reply", frozenset({self._reply_start})
        if weight >= least and self._kinds[unit] not in (UnitKind.NONE, UnitKind.FORMAT):
            return f"{word} {self._quoted(feature, unit, short=True)}", frozenset({unit})
        groups: Tally[str] = Tally()
        for u, m in mass.items():
            for group in self._grammar[u]:
                if group in ONE_OF:
                    groups[group] += m
        fitting = [
            (m * math.log(1 / self._group_frequency[g]), g)
            for g, m in groups.items()
            if m >= max(0.8, least)
        ]
        if fitting:
            group = max(fitting)[1]
            return f"{word} {ONE_OF[group]}", frozenset(
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

    def _various(self, feature: Feature) -> Label:
        names = [
            self._quoted(feature, unit, short=True)
            for unit, _ in self._families(feature.mass)[:8]
            if self._kinds[unit] != UnitKind.NONE
        ]
        text = _join("various: ", names) if names else "various"
        if feature.density > _DENSE:
            text = _join("dense: ", names)
        return Label(text, Source.AUTOMATIC, "low", "various")

    def _source(self, feature: Feature) -> str:
        mass: Tally[str] = Tally()
        for peak in feature.peaks:
            mass[self._sources[peak.source]] += peak.weight
        named: Tally[str] = Tally()
        for source, weight in mass.items():
            named[SOURCES.get(source, "")] += weight
        source, weight = named.most(1)[0]
        return source if source and weight >= 0.7 else ""

    def _families(self, mass: Tally[int]) -> list[tuple[int, float]]:
        """Units with the mass of all their forms, largest first; a family's most common form."""
        total: Tally[str] = Tally()
        lead: dict[str, int] = {}
        for unit, m in sorted(mass.items(), key=lambda item: -item[1]):
            key = self._stems[unit]
            lead.setdefault(key, unit)
            total[key] += m
        return [(lead[key], m) for key, m in total.most()]

    def _family(self, feature: Feature, unit: int) -> frozenset[int]:
        return frozenset(u for u in feature.mass if self._stems[u] == self._stems[unit])

    def _largest(self, mass: Tally[int], count: int) -> list[int]:
        return [unit for unit, _ in mass.most(count)]

    def _distinct(self, units: list[int], count: int) -> list[int]:
        """The first few that are not forms of one another."""
        first: dict[str, int] = {}
        for unit in units:
            first.setdefault(self._stems[unit], unit)
        return list(first.values())[:count]

    def _shown(self, feature: Feature, unit: int) -> str:
        """A word with capitals where the examples mostly have them."""
        written = Counter(self._surfaces[p.surface] for p in feature.peaks if p.unit == unit)
        name = self._names[unit]
        if name == "i" or name.startswith("i'"):
            return "I" + name[1:]
        if self._grammar[unit]:
            return name
        return written.most_common(1)[0][0] if written else name

    def _quoted(self, feature: Feature, unit: int, short: bool = False) -> str:
        kind, name = self._kinds[unit], self._names[unit]
        if kind == UnitKind.MARK:
            return f"'{name}'" if short and name != "�" else MARKS.get(name, f"'{name}'")
        if kind == UnitKind.FORMAT and short:
            return _short_tag(name)
        if kind == UnitKind.SPACE:
            return "space before a number" if self._before_number(feature) else "space"
        if kind in (UnitKind.NEWLINE, UnitKind.FORMAT):
            return name
        return f"'{self._shown(feature, unit)}'"

    def _before_number(self, feature: Feature) -> bool:
        spaces = [p for p in feature.peaks if self._kinds[p.unit] == UnitKind.SPACE]
        numbers = [p for p in spaces if self._kinds[p.after] == UnitKind.NUMBER]
        return sum(p.weight for p in numbers) >= 0.6 * sum(p.weight for p in spaces)

    def _example_words(self, feature: Feature, peaks: list[Peak]) -> list[str]:
        mass: Tally[int] = Tally()
        for peak in peaks:
            mass[peak.unit] += peak.weight
        return [self._shown(feature, unit) for unit in self._largest(mass, 3)]

    def _reading(self, feature: Feature, text: str, kind: str, covers: frozenset[int]) -> _Reading:
        hits = (p for p in feature.peaks if p.unit in covers)
        return _Reading(text, kind, *_bands(feature, hits), covers)

    def _frequency_of(self, groups: _Groups) -> dict[str, float]:
        """How much of the corpus each group takes."""
        tally: Tally[str] = Tally()
        for frequency, names in zip(self._frequency, groups, strict=True):
            for name in names:
                tally[name] += frequency
        return tally


def _commonest(peaks: list[Peak], of: Callable[[Peak], K]) -> tuple[K, float]:
    """What most of the peaks, at least one, have in common; and the weight of those."""
    tally: Tally[K] = Tally()
    for peak in peaks:
        tally[of(peak)] += peak.weight
    return tally.most(1)[0]


def _bands(feature: Feature, hits: Iterable[Peak]) -> tuple[float, float]:
    """Which share of the strong, and of the mid-range, examples some peaks are."""
    total, share = [0.0, 0.0], [0.0, 0.0]
    for peaks, weights in ((feature.peaks, total), (hits, share)):
        for peak in peaks:
            weights[0 if peak.top else 1] += peak.weight
    top, mid = (part / whole if whole else 0.0 for part, whole in zip(share, total, strict=True))
    return top, mid


def _confidence(reading: _Reading, feature: Feature) -> str:
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
    """A chat tag's name without where it stands."""
    if name.startswith("newline"):
        return "chat newline"
    return name.split(" opening")[0].split(" closing")[0].replace(" role tag", " tag")

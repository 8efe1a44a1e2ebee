"""What a label claims, as far as its own words and marks say it.

“'to' after a modal verb” claims the word *to*, with *can*, *will* … before it; “animals (cats,
puppy)” claims the words of that group of the lexicon; “about cooking” claims such words near by;
any other word claims itself, at the place or around it. What a label says of grammar or meaning
beyond that is not understood: a label of which nothing is understood makes no claim.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from desktop_scope.engine.types import Bools
from desktop_scope.evidence.court.words import CourtWords, Units
from desktop_scope.evidence.lexicon import GRAMMAR, TOPICS
from desktop_scope.evidence.naming import MARKS, ONE_OF, SOURCES
from desktop_scope.evidence.words import UnitKind

_NOTHING: Units = frozenset()
_NOTE = re.compile(
    r"; near .*|; mixed.*|; weakly.*|; also .*|,? mixed when weak.*|^(dense|various|unclear): |"
    r",? mixed$| and others$"
)
_TRAILING = re.compile(r", (about|in) [^'(]*$")
_QUOTED = re.compile(
    r"(?<!\w)'([^\s'](?:[^']|(?<=\w)'(?=\w))*?)'(?!\w)|“([^”]+)”|\"([^\"]+)\"|'(')'"
)
_IN_BRACKETS = re.compile(r"\(([^()]*)\)")
_BESIDE = re.compile(
    r"(?:^|\b)(?:(?:the )?words? )?(?:right )?(?P<side>after|before) "
    r"(?P<what>'[^']+'|an? [a-z' ]+?|[a-z]+ '[^']+')(?=$|[,;(]| in | and )"
)
_PIECE = re.compile(r"words? (starting with|ending in|beginning with|containing) '-?([^']+?)-?'")
_BEFORE_PIECE = re.compile(r"before a (word|number) starting with '([^']+)'")
_PHRASE = re.compile(r"\bin '([^']+ [^']+)'")
_FORMAT = re.compile(
    r"<\|im_|role tag|after 'assistant'|after 'user'|chat marker|chat newline|template"
)
_WORDS = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_MARK_WORDS = {name.split(" '")[0].split(' "')[0].lower(): mark for mark, name in MARKS.items()} | {
    "full stop": ".",
    "period": ".",
    "quotation mark": '"',
    "quote": '"',
    "apostrophe": "'",
}
_NEWLINES = {"newline": "newline", "line break": "newline", "blank line": "blank line"}
_MARKS = {**_MARK_WORDS, **_NEWLINES, "space": " "}
_MARK_NAMES = re.compile(
    r"\b(" + "|".join(sorted(map(re.escape, _MARKS), key=len, reverse=True)) + r")s?\b"
)
_NUMBER_NAMES = re.compile(r"\b(?:numbers?|digits?|years?|numerals?)\b")
_SAY_LITTLE = """
a an the of or and in on to for with by at from as is are be was were not also other others its
it that this these those right word words phrase phrases text texts token tokens piece pieces
name names first second last start starting end ending about various dense unclear mixed weak
weakly strong strongest when where which what whose after before between inside near early late
forms form kind kinds sort sorts often mostly usually very broad use used such like especially
including e g etc any all each every one two three half their opening closing sentence sentences
verb verbs noun nouns adjective adjectives adverb adverbs subject object clause clauses
preposition pronoun article determiner letter letters only then into over under up down out off
than so but if no more most some new line lines describing description related things thing
something someone general common
"""
_META = frozenset(_SAY_LITTLE.split())
_SENTENCE_ENDS = (".", "?", "!", "newline", "blank line")


@dataclass(frozen=True)
class Claim:
    """Where a feature fires, if a label is right.

    Attributes:
        here: The word at the place is one of these …
        near: … or one of these stands around it.
        before: And one of these stands before it; None asks for nothing.
        after: And one of these after it.
        place: And it is at such a place: a method of Claims.
        piece: And the token itself is this piece of a word.
    """

    here: Units = _NOTHING
    near: Units = _NOTHING
    before: Units | None = None
    after: Units | None = None
    place: str = ""
    piece: str = ""

    def __bool__(self) -> bool:
        beside = self.before is not None or self.after is not None
        return bool(self.here or self.near or beside or self.place)


class Claims:
    """Reads labels, and tries what they claim on a text."""

    def __init__(self, text: CourtWords) -> None:
        self.text = text
        self._groups = {
            **{name: text.words(words.split()) for name, words in GRAMMAR.items()},
            **{name: text.topic(name) for name in TOPICS},
        }
        singular = {name.removesuffix("s"): name for name in GRAMMAR if name.endswith("s")}
        self._named = {**{name: name for name in self._groups}, **singular}
        names = sorted(self._named, key=len, reverse=True)
        self._group = re.compile(r"\b(" + "|".join(map(re.escape, names)) + r")\b")
        self._beside_names = {said: group for group, said in ONE_OF.items()}
        self._is_from = lru_cache(64)(self._find_part)

    def read(self, label: str) -> Claim:
        """What a label claims; false if nothing that is understood."""
        text = " ".join(label.split())
        if _FORMAT.search(text):
            return self._format(text)
        text = _NOTE.sub("", text)
        main = _TRAILING.sub("", text)
        main = main if main.strip() else text
        claim, main = self._beside(main)
        claim, main = self._place(claim, main)
        bracketed = " ".join(_IN_BRACKETS.findall(main))
        plain = _IN_BRACKETS.sub(" ", main)
        here = set(self._here(plain))
        topical = plain.startswith("about ") or plain in TOPICS
        rest = self._group.sub(" ", _QUOTED.sub(" ", plain.lower()))
        near = self.text.words(w for w in _WORDS.findall(rest.lower()) if w not in _META)
        if (here or near or not claim) and bracketed:
            listed = self._here(bracketed) | self.text.words(
                w for w in _WORDS.findall(_QUOTED.sub(" ", bracketed)) if w.lower() not in _META
            )
            here |= listed
        if "near" in main and not plain.startswith("about"):
            near, here = near | frozenset(here), set()
        elif topical:
            near = near | frozenset(here)
        elif not claim and not _PIECE.search(main):
            near = near | (frozenset(here) & self.text.telling)
        return replace(claim, here=frozenset(here), near=near)

    # ---- trying

    def holds(self, claim: Claim, places: NDArray[np.integer]) -> Bools:
        """Whether a claim is true at places, [n]."""
        text = self.text
        unit = text.unit[places]
        true = np.ones(len(places), bool)
        if claim.here or claim.near:
            true = self._among(unit, claim.here)
            if claim.near and not true.all():
                true |= self._among(text.around[places], claim.near).any(-1)
        if claim.before is not None:
            true &= self._among(text.before[places], claim.before)
        if claim.after is not None:
            true &= self._among(text.after[places], claim.after)
        if claim.piece:
            pieces = [
                text.pieces[token] if token < len(text.pieces) else ""
                for token in text.small[places]
            ]
            true &= np.array([piece == claim.piece for piece in pieces], bool)
        if claim.place in SOURCES.values():
            true &= self._is_from(claim.place)[places]
        elif claim.place:
            true &= getattr(self, f"_is_{claim.place}")[places]
        return true

    def _among(self, units: NDArray[np.integer], wanted: Units) -> Bools:
        is_wanted = np.zeros(len(self.text.names), bool)
        is_wanted[np.fromiter(wanted, np.int64, len(wanted))] = True
        among: Bools = is_wanted[units]
        return among

    # ---- reading

    def _here(self, text: str) -> Units:
        """The words that are quoted, named by their group, or marks named by their names."""
        found: set[int] = set()
        for groups in _QUOTED.findall(text):
            quoted = next(filter(None, groups))
            if quoted in self.text.index or not _WORDS.search(quoted):
                found |= self.text.word(quoted)
            else:
                found |= self.text.words(_WORDS.findall(quoted.lower()))
        plain = _QUOTED.sub(" ", text).lower()
        for name in self._group.findall(plain):
            found |= self._groups[self._named[name]]
        for name in _MARK_NAMES.findall(plain):
            found |= self._mark(name)
        if _NUMBER_NAMES.search(plain):
            found |= self._numbers(text)
        if "'" in text:
            found |= self._pieces(text)
        return frozenset(found)

    def _mark(self, name: str) -> Units:
        return (
            self.text.of_kind(UnitKind.SPACE) if name == "space" else self.text.word(_MARKS[name])
        )

    def _numbers(self, text: str) -> Units:
        numbers = self.text.of_kind(UnitKind.NUMBER)
        if re.search(r"\byears?\b", text) and "number" not in text:
            return frozenset(unit for unit in numbers if len(self.text.names[unit]) == 4)
        return numbers

    def _pieces(self, text: str) -> Units:
        how = {
            "starting with": "begins",
            "beginning with": "begins",
            "ending in": "ends",
            "containing": "has",
        }
        return frozenset().union(
            *(self.text.where(how[said], piece.lower()) for said, piece in _PIECE.findall(text))
        )

    def _beside(self, text: str) -> tuple[Claim, str]:
        """What is to stand before or after, and the label without that."""
        claim = Claim()
        found = _BEFORE_PIECE.search(text)
        if found:
            units = self.text.where("begins", found[2].lower())
            if found[1] == "number":
                numbers = self.text.of_kind(UnitKind.NUMBER)
                units = frozenset(u for u in numbers if self.text.names[u].startswith(found[2]))
            return Claim(after=units | self.text.word(found[2])), text.replace(found[0], " ")
        for said, side in (("starting a sentence", "before"), ("ending a sentence", "after")):
            if said in text:
                ends = self.text.words(_SENTENCE_ENDS) | self.text.of_kind(UnitKind.FORMAT)
                return _beside(claim, side, ends), text.replace(f"word {said}", " ").replace(
                    said, " "
                )
        phrase = _PHRASE.search(text)
        if phrase:
            words = self.text.words(phrase[1].lower().split())
            return Claim(before=words, after=words), text.replace(phrase[0], " ")
        found = _BESIDE.search(text)
        if found:
            units = self._what(found["what"])
            if units:
                side = "before" if found["side"] == "after" else "after"
                claim = _beside(claim, side, units)
                text = text[: found.start()] + " " + text[found.end() :]
        return claim, text

    def _what(self, said: str) -> Units:
        """A neighbour, as labels name it: 'to', an article, a number."""
        if said in self._beside_names:
            return self._groups[self._beside_names[said]]
        if said in ("a number", "a digit"):
            return self.text.of_kind(UnitKind.NUMBER)
        return self._here(said if "'" in said else said.split(" ", 1)[1])

    def _place(self, claim: Claim, text: str) -> tuple[Claim, str]:
        """Where it is to stand, and the label without that."""
        digit = re.search(r"digit '(\d)'", text)
        if digit:
            return replace(claim, piece=digit[1], here=_NOTHING), text.replace(digit[0], "number")
        for said, place in _PLACES:
            found = re.search(said, text)
            if found:
                return replace(claim, place=place), text[: found.start()] + text[found.end() :]
        source = next((name for name in set(SOURCES.values()) if f"in {name}" in text), "")
        if text.startswith("in ") and source:
            return replace(claim, place=source), text.replace(f"in {source}", " ")
        return claim, text

    def _format(self, text: str) -> Claim:
        """A tag of the chat template, as it is named."""
        said = text.lower()
        kinds = [
            kind
            for kind, words in (
                ("<|im_start|>", ("im_start",)),
                ("role tag", ("role tag", "tag piece")),
                (
                    "newline after '<",
                    (
                        "newline after '<|im_end",
                        "newline right after '<|im_end",
                        "im_end|>' newline",
                    ),
                ),
                (
                    "newline after '",
                    ("newline after", "newline right after", "chat newline", "before the reply"),
                ),
                ("'<|im_end|>'", ("'<|im_end|>' closing", "'<|im_end|>'", "<|im_end|> ")),
            )
            if any(word in said for word in words)
        ][:1]
        roles = [role for role in ("system", "user", "assistant") if role in said] or [""]
        units = frozenset(
            unit
            for unit in self.text.of_kind(UnitKind.FORMAT)
            for name in [self.text.names[unit]]
            if any(_tag(kind, name) for kind in kinds or [""])
            and any(role in name for role in roles)
        )
        piece = re.match(r"'(\w+)' of the", said)
        return Claim(here=units, piece=piece[1] if piece else "")

    # ---- places

    @cached_property
    def _is_first_digit(self) -> Bools:
        places: Bools = self.text.place == 0
        return places

    @cached_property
    def _is_second_digit(self) -> Bools:
        places: Bools = self.text.place == 1
        return places

    @cached_property
    def _is_later_digit(self) -> Bools:
        places: Bools = self.text.place >= 2
        return places

    @cached_property
    def _is_early(self) -> Bools:
        places: Bools = self.text.turn <= 8
        return places

    @cached_property
    def _is_first(self) -> Bools:
        start = self.text.index.get("<|endoftext|>", -1)
        places: Bools = (self.text.before == start) | (
            np.arange(len(self.text.unit)) % self.text.width <= 1
        )
        return places

    @cached_property
    def _is_capital(self) -> Bools:
        written = np.array([text[:1].isupper() for text in self.text.surfaces])
        places: Bools = written[self.text.surface]
        return places

    @cached_property
    def _is_capitals(self) -> Bools:
        written = np.array([text.isupper() for text in self.text.surfaces])
        places: Bools = written[self.text.surface]
        return places

    @cached_property
    def _is_request(self) -> Bools:
        index = self.text.index
        opened = np.cumsum(self.text.unit == index.get("newline after 'user'", -1))
        closed = np.cumsum(self.text.unit == index.get("'<|im_end|>' closing the user turn", -1))
        inside: Bools = opened > closed
        places: Bools = inside
        return places

    @cached_property
    def _is_request_start(self) -> Bools:
        places: Bools = self.text.before == self.text.index.get("newline after 'user'", -1)
        return places

    @cached_property
    def _is_request_end(self) -> Bools:
        places: Bools = self.text.after == self.text.index.get(
            "'<|im_end|>' closing the user turn", -1
        )
        return places

    @cached_property
    def _is_reply_start(self) -> Bools:
        name = "newline after 'assistant', just before the reply"
        places: Bools = self.text.before == self.text.index.get(name, -1)
        return places

    def _find_part(self, said: str) -> Bools:
        """Which places are from a part of the corpus, as labels call it."""
        numbers = [n for n, name in enumerate(self.text.sources) if SOURCES.get(name) == said]
        places: Bools = np.isin(self.text.source, numbers)
        return places


_PLACES = (
    (r"first digit", "first_digit"),
    (r"second digit", "second_digit"),
    (r"later digits?", "later_digit"),
    (r"first word of a text", "first"),
    (r"early in a text or chat turn|early in a text", "early"),
    (r"names and capitalised words|capitalised words?|proper names?", "capital"),
    (r"words in capitals|all caps", "capitals"),
    (r"(word )?opening the user's request", "request_start"),
    (r"(word )?ending the user's request", "request_end"),
    (r"(word )?opening the reply", "reply_start"),
    (r"in the user's request", "request"),
)


def _beside(claim: Claim, side: str, units: Units) -> Claim:
    return replace(claim, before=units) if side == "before" else replace(claim, after=units)


def _tag(kind: str, name: str) -> bool:
    """Whether a tag is of a kind; a newline after a role is none after the turn's end."""
    if kind == "newline after '":
        return name.startswith(kind) and "im_end" not in name
    return kind in name

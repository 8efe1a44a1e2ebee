"""The corpus as words: which whole word, mark or chat tag every token belongs to.

A byte-level BPE cuts words into pieces; a label should speak of words. Here the pieces of the
whole corpus are joined once, as arrays, so that naming a feature is a matter of looking up.

A *unit* is a distinct word (case ignored), number, mark or chat tag. A *span* is one occurrence
of a unit: one or more neighbouring tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from desktop_scope.evidence.store import PADDING, Corpus

Ids = NDArray[np.int32]


class UnitKind(IntEnum):
    """What a unit is made of."""

    NONE = 0  # padding
    WORD = 1
    NUMBER = 2
    MARK = 3  # punctuation and symbols
    SPACE = 4
    NEWLINE = 5
    FORMAT = 6  # the chat template


class _Piece(IntEnum):
    """What a token is made of, as far as joining goes."""

    PADDING = 0
    WORD = 1
    NUMBER = 2
    APOSTROPHE = 3
    MARK = 4
    SPACE = 5
    NEWLINE = 6
    SPECIAL = 7


_SPECIAL = re.compile(r"<[|\w]+>|\[[A-Z]+\]")
_WORDISH = re.compile(r"\s?'?[^\W\d_]+(['’][^\W\d_]+)*")
_PIECE_KIND = {
    _Piece.WORD: UnitKind.WORD,
    _Piece.NUMBER: UnitKind.NUMBER,
    _Piece.APOSTROPHE: UnitKind.MARK,
    _Piece.MARK: UnitKind.MARK,
    _Piece.SPACE: UnitKind.SPACE,
    _Piece.NEWLINE: UnitKind.NEWLINE,
    _Piece.SPECIAL: UnitKind.FORMAT,
    _Piece.PADDING: UnitKind.NONE,
}


def _id(texts: list[str], text: str) -> int:
    return texts.index(text) if text in texts else -1


@dataclass(frozen=True, eq=False)
class CorpusWords:
    """Words of a corpus of P token positions (row * width + column), S spans and U units."""

    span: Ids  # [P] the span of every position
    first: Ids  # [S] position of a span's first token
    unit: Ids  # [S] the unit of every span
    surface: Ids  # [S] index into surfaces
    surfaces: tuple[str, ...]  # words as written
    names: tuple[str, ...]  # [U] readable, case folded; unit 0 is padding
    kinds: NDArray[np.int8]  # [U] UnitKind
    count: Ids  # [U] how often each unit occurs
    turn: Ids  # [P] tokens since the turn or the row began
    whole: dict[int, int]  # token -> unit, for tokens that mostly are whole words by themselves

    @classmethod
    def of(cls, corpus: Corpus, token_texts: list[str]) -> CorpusWords:
        """Join the pieces of a corpus; ``token_texts`` covers the vocabulary."""
        tokens = corpus.tokens.reshape(-1)
        pieces = _pieces(token_texts)[np.minimum(tokens, len(token_texts))]
        first = np.flatnonzero(_breaks(corpus.tokens, pieces, token_texts)).astype(np.int32)
        span = np.zeros(len(tokens), np.int32)
        span[first[1:]] = 1
        span = np.cumsum(span, dtype=np.int32)
        surface, surfaces, surface_kinds = _surfaces(tokens, first, pieces, token_texts)
        tags = _chat_tags(surface, surfaces)
        unit, names, kinds = _units(surface, surfaces, surface_kinds, tags)
        return cls(
            span=span,
            first=first,
            unit=unit,
            surface=surface,
            surfaces=surfaces,
            names=names,
            kinds=kinds,
            count=np.bincount(unit, minlength=len(names)).astype(np.int32),
            turn=_turns(corpus.tokens, _id(token_texts, "<|im_start|>")),
            whole=_whole_tokens(tokens, first, unit),
        )

    def before(self, spans: Ids) -> Ids:
        """The span before each, spaces skipped."""
        left = np.maximum(spans - 1, 0)
        return np.where(
            self.kinds[self.unit[left]] == UnitKind.SPACE, np.maximum(left - 1, 0), left
        )

    def after(self, spans: Ids) -> Ids:
        """The span after each, spaces skipped."""
        last = len(self.unit) - 1
        right = np.minimum(spans + 1, last)
        return np.where(
            self.kinds[self.unit[right]] == UnitKind.SPACE, np.minimum(right + 1, last), right
        )


def _piece(text: str) -> _Piece:
    if _SPECIAL.fullmatch(text):
        return _Piece.SPECIAL
    if "\n" in text or "\r" in text:
        return _Piece.NEWLINE
    core = text.strip()
    if not core:
        return _Piece.SPACE
    if core.isdecimal():
        return _Piece.NUMBER
    if text in ("'", "’"):
        return _Piece.APOSTROPHE
    return _Piece.WORD if _WORDISH.fullmatch(text) else _Piece.MARK


def _pieces(texts: list[str]) -> NDArray[np.int8]:
    """The piece kind of every token, and of padding as one more at the end."""
    return np.array([*map(_piece, texts), _Piece.PADDING], np.int8)


def _breaks(
    rows: NDArray[np.uint16], pieces: NDArray[np.int8], texts: list[str]
) -> NDArray[np.bool_]:
    """Where a new span starts, [P]."""
    spaced = np.array([text[:1].isspace() for text in texts] + [True])
    glued = ~spaced[np.minimum(rows.reshape(-1), len(texts))]
    left = np.roll(pieces, 1)
    word = pieces == _Piece.WORD
    # An apostrophe belongs to a word only when letters stand on both sides.
    inside = (pieces == _Piece.APOSTROPHE) & (left == _Piece.WORD) & np.roll(word & glued, -1)
    joins: NDArray[np.bool_] = glued & (
        (word & ((left == _Piece.WORD) | np.roll(inside, 1)))
        | ((pieces == _Piece.NUMBER) & (left == _Piece.NUMBER))
        | inside
    )
    joins |= (pieces == _Piece.PADDING) & (left == _Piece.PADDING)
    joins.reshape(rows.shape)[:, 0] = False
    return ~joins


def _surfaces(
    tokens: NDArray[np.uint16], first: Ids, pieces: NDArray[np.int8], texts: list[str]
) -> tuple[Ids, tuple[str, ...], list[UnitKind]]:
    """Distinct spans as written: the index of every span, their texts and kinds."""
    # Equal token sequences have equal sums of position-weighted random numbers.
    rng = np.random.default_rng(0)
    value = rng.integers(1, 2**62, len(texts) + 1, dtype=np.uint64)
    length = np.diff(np.append(first, len(tokens)))
    offset = np.arange(len(tokens), dtype=np.uint64) - np.repeat(first, length).astype(np.uint64)
    mixed = value[np.minimum(tokens, len(texts))] * (offset * np.uint64(2) + np.uint64(1))
    keys = np.add.reduceat(mixed, first)
    _, sample, inverse = np.unique(keys, return_index=True, return_inverse=True)
    names, kinds = [], []
    for span in sample:
        ids = tokens[first[span] : first[span] + length[span]]
        kind = _PIECE_KIND[_Piece(int(pieces[first[span]]))]
        text = "" if kind == UnitKind.NONE else "".join(texts[i] for i in ids)
        names.append(text if kind in (UnitKind.NEWLINE, UnitKind.SPACE) else text.strip())
        kinds.append(kind)
    return inverse.astype(np.int32), tuple(names), kinds


def _turns(rows: NDArray[np.uint16], opening: int) -> Ids:
    """Tokens since the turn (or, outside chats, the row) began, [P]."""
    width = rows.shape[1]
    at = np.arange(rows.size)
    starts = (rows.reshape(-1) == opening) | (at % width == 0)
    return (at - np.maximum.accumulate(np.where(starts, at, 0))).astype(np.int32)


_ROLES = ("system", "user", "assistant")
_TAGS = (  # by what the span is; {role} filled in
    "'<|im_start|>' opening the {role} turn",
    "'{role}' role tag",
    "newline after '{role}'",
    "'<|im_end|>' closing the {role} turn",
    "newline after '<|im_end|>' of the {role} turn",
)
_BEFORE_REPLY = "newline after 'assistant', just before the reply"


def _tag_names() -> list[str]:
    names = [tag.format(role=role) for tag in _TAGS for role in _ROLES]
    return [_BEFORE_REPLY if name == "newline after 'assistant'" else name for name in names]


def _chat_tags(surface: Ids, surfaces: tuple[str, ...]) -> Ids:
    """Which of the tag names every span has, [S]; -1 for ordinary text."""

    def where(test: Callable[[str], bool]) -> NDArray[np.bool_]:
        return np.array([test(text) for text in surfaces])[surface]

    opening, closing = where("<|im_start|>".__eq__), where("<|im_end|>".__eq__)
    newline = where(lambda text: "\n" in text)
    follows = [np.zeros_like(opening) for _ in range(3)]
    follows[1][1:], follows[2][2:] = opening[:-1], opening[:-2]
    after_closing = np.zeros_like(closing)
    after_closing[1:] = closing[:-1]

    spans = np.arange(len(surface))
    last_opening = np.maximum.accumulate(np.where(opening, spans, 0))
    roles = np.array([_ROLES.index(t) if t in _ROLES else -1 for t in surfaces], np.int32)
    role = roles[surface[np.minimum(last_opening + 1, len(surface) - 1)]]
    tags = np.full(len(surface), -1, np.int32)
    kinds = (opening, follows[1], follows[2] & newline, closing, after_closing & newline)
    for kind, mask in enumerate(kinds):
        known = mask & (role >= 0)
        tags[known] = kind * len(_ROLES) + role[known]
    return tags


def _units(
    surface: Ids, surfaces: tuple[str, ...], surface_kinds: list[UnitKind], tags: Ids
) -> tuple[Ids, tuple[str, ...], NDArray[np.int8]]:
    """Fold case, put the chat tags in place: the unit of every span, names and kinds."""
    names: list[str] = [""]
    kinds: list[UnitKind] = [UnitKind.NONE]
    index: dict[str, int] = {"": 0}

    def number(name: str, kind: UnitKind) -> int:
        if name not in index:
            index[name] = len(names)
            names.append(name)
            kinds.append(kind)
        return index[name]

    def fold(text: str, kind: UnitKind) -> int:
        if kind == UnitKind.NEWLINE:
            return number("blank line" if text.count("\n") > 1 else "newline", kind)
        if kind == UnitKind.SPACE:
            return number("space", kind)
        return 0 if kind == UnitKind.NONE else number(text.lower(), kind)

    folded = np.array([fold(*pair) for pair in zip(surfaces, surface_kinds, strict=True)], np.int32)
    unit = folded[surface]
    _name_spaces(unit, number)
    tag_units = np.array([number(name, UnitKind.FORMAT) for name in _tag_names()], np.int32)
    tagged = tags >= 0
    unit[tagged] = tag_units[tags[tagged]]
    return unit, tuple(names), np.array(kinds, np.int8)


def _name_spaces(unit: Ids, number: Callable[[str, UnitKind], int]) -> None:
    """Tell newlines after newlines from others, and spaces before numbers."""
    newline, blank = number("newline", UnitKind.NEWLINE), number("blank line", UnitKind.NEWLINE)
    second = np.flatnonzero((unit[1:] == newline) & (unit[:-1] == newline)) + 1
    unit[second] = blank


def _whole_tokens(tokens: NDArray[np.uint16], first: Ids, unit: Ids) -> dict[int, int]:
    """Tokens that are a unit by themselves in most of their occurrences."""
    length = np.diff(np.append(first, len(tokens)))
    alone = length == 1
    total = np.bincount(tokens, minlength=PADDING + 1)
    head = tokens[first[alone]].astype(np.int64)
    n_units = int(unit.max()) + 1
    pairs, counts = np.unique(head * n_units + unit[alone], return_counts=True)
    return {
        int(pair // n_units): int(pair % n_units)
        for pair, count in zip(pairs, counts, strict=True)
        if count >= 0.6 * total[pair // n_units]
    }

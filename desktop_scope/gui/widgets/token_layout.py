"""Where tokens go: how each is shown, how wide it is, and on which line it lands."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PySide6.QtGui import QFont, QFontMetricsF

from desktop_scope.gui import theme


class Kind(IntEnum):
    """How a token is set."""

    PLAIN = 0
    PILL = 1  # chat template and other special tokens, and bytes: small and muted
    SPACE = 2  # visible stand-ins for white space: muted


class Shown(NamedTuple):
    """How one token appears."""

    text: str
    kind: Kind
    gap: bool  # a space before it
    breaks: bool  # the line ends after it


_SPECIAL = re.compile(r"<\|([^|]*)\|?>|<(/?[A-Za-z_][\w-]*)>|\[(/?[A-Z_]{3,})\]")
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_WHITE = {"\n": "⏎", "\t": "⇥", "\r": "␍", " ": "·"}


@lru_cache(maxsize=1 << 16)
def shown(text: str) -> Shown:
    """How a token appears: a leading space as a gap, newlines as ⏎, bytes as their code."""
    if byte := _BYTE.fullmatch(text):
        return Shown(byte[1].upper(), Kind.PILL, False, byte[1].upper() == "0A")
    if special := _SPECIAL.fullmatch(text.strip(" ")):
        return Shown(special[1] or special[2] or special[3] or "·", Kind.PILL, True, False)
    breaks = "\n" in text
    if not text.strip():
        return Shown("".join(_WHITE.get(c, c) for c in text) or "∅", Kind.SPACE, False, breaks)
    gap = text.startswith(" ")
    body = text[1:] if gap else text
    plain = "".join(
        _WHITE.get(c, c) if c != " " else c if 0 < i < len(body) - 1 else "·"
        for i, c in enumerate(body)
    )
    plain = "".join(c if c.isprintable() or c == "\ufffd" else f"{ord(c):02X}" for c in plain)
    return Shown(plain, Kind.PLAIN, gap, breaks)


class TokenLayout:
    """Greedy line breaking that keeps the pieces of a word together.

    The result depends on the tokens alone, so a text that grew token by token lies exactly as
    one that came at once. All measures are whole logical pixels.

    Attributes:
        lefts: Left edge of each token's box, [T].
        widths: Width of each token's box, [T].
        lines: Line of each token, [T].
        fill_limit: How strong a fill each token's text bears, [T + 1]; muted text bears less.
        answer_start: First token of the answer; a divider goes above its line.
    """

    def __init__(self, font: QFont) -> None:
        self.answer_start = -1
        self._texts: list[str] = []
        self._shown: list[Shown] = []
        self._lefts: list[int] = []
        self._widths: list[int] = []  # natural; a box is never wider than the line
        self._boxes: list[int] = []
        self._lines: list[int] = []
        self._available = 400
        self.set_font(font)

    def set_font(self, font: QFont) -> None:
        """Set the face; measures every token anew."""
        self.font, self.pill_font = font, theme.small(font)
        plain, pill = QFontMetricsF(font), QFontMetricsF(self.pill_font)
        self._measure = (plain.horizontalAdvance, pill.horizontalAdvance, plain.horizontalAdvance)
        self.gap = max(3, round(font.pixelSize() * 0.28))
        self.text_height = math.ceil(plain.height())
        self._width_of: dict[Shown, int] = {}
        self._widths = [self._width(shown) for shown in self._shown]
        self._place(0)

    def set_width(self, available: int) -> bool:
        """Set the width to wrap to; whether anything moved."""
        if available == self._available:
            return False
        self._available = available
        self._place(0)
        return True

    def set_texts(self, texts: Sequence[str], answer_start: int = -1) -> None:
        """Replace all tokens."""
        self.answer_start = answer_start
        self._texts, self._shown, self._widths = [], [], []
        self._add(texts)
        self._place(0)

    def append(self, texts: Sequence[str]) -> int:
        """Add tokens at the end; the first token that moved, or the first new one."""
        old = start = len(self._texts)
        self._add(texts)
        while 0 < start < len(self._texts) and not self._starts_word(start):
            start -= 1
        before = (self.lefts, self.lines)
        self._place(start)
        moved = (self.lefts[:old] != before[0]) | (self.lines[:old] != before[1])
        return int(np.argmax(moved)) if moved.any() else old

    def holds(self, texts: Sequence[str], answer_start: int) -> bool:
        """Whether these are the tokens already."""
        return self._texts == texts and self.answer_start == answer_start

    def __len__(self) -> int:
        return len(self._texts)

    def text(self, token: int) -> str:
        """The token as the tokenizer gives it."""
        return self._texts[token]

    def shown(self, token: int) -> Shown:
        """The token as it appears."""
        return self._shown[token]

    def is_cut(self, token: int) -> bool:
        """Whether a token is wider than a whole line."""
        return self._boxes[token] < self._widths[token]

    @property
    def available(self) -> int:
        """The width that lines are wrapped to."""
        return self._available

    @property
    def n_lines(self) -> int:
        """Lines in all."""
        return self._lines[-1] + 1 if self._lines else 0

    def tokens_of(self, first_line: int, past_line: int) -> range:
        """Tokens on the lines ``first_line … past_line − 1``."""
        low, high = np.searchsorted(self.lines, [first_line, past_line])
        return range(int(low), int(high))

    def _add(self, texts: Sequence[str]) -> None:
        new = [shown(text) for text in texts]
        self._texts += texts
        self._shown += new
        self._widths += [self._width(one) for one in new]

    def _width(self, one: Shown) -> int:
        width = self._width_of.get(one)
        if width is None:
            width = round(self._measure[one.kind](one.text)) + 2 * self.inset(one)
            self._width_of[one] = width
        return width

    @staticmethod
    def inset(one: Shown) -> int:
        """Room between a box and its text; pieces of a word stay close together."""
        return (0, 5, 2)[one.kind]

    def _starts_word(self, token: int) -> bool:
        """Whether a line may break before a token."""
        if token == 0 or token == self.answer_start:
            return True
        one, before = self._shown[token], self._shown[token - 1]
        return (
            one.gap
            or before.breaks
            or one.kind is not before.kind
            or one.kind is Kind.PILL
            or ord(one.text[0]) >= 0x2E80  # scripts written without spaces
        )

    def _place(self, start: int) -> None:
        del self._lefts[start:], self._lines[start:], self._boxes[start:]
        x, line = 0, 0
        if start:
            x, line = self._lefts[-1] + self._boxes[-1] + 1, self._lines[-1]
        n = len(self._shown)
        while start < n:
            end = start + 1
            while end < n and not self._starts_word(end):
                end += 1
            x, line = self._place_word(start, end, x, line)
            start = end
        self.fill_limit = np.array(
            [theme.PILL_STRENGTH if one.kind else 1.0 for one in self._shown] + [1.0]
        )
        self.lefts = np.array(self._lefts, np.int32)
        self.lines = np.array(self._lines, np.int32)
        self.widths = np.array(self._boxes, np.int32)

    def _place_word(self, start: int, end: int, x: int, line: int) -> tuple[int, int]:
        first = self._shown[start]
        if start and (self._shown[start - 1].breaks or start == self.answer_start):
            x, line = 0, line + 1
        elif x and (first.gap or self._shown[start - 1].kind is Kind.PILL):
            x += self.gap if first.gap else 2
        width = sum(self._widths[start:end]) + end - start - 1
        if x and x + width > self._available and width <= self._available // 2:
            x, line = 0, line + 1
        for token in range(start, end):
            if x and x + self._widths[token] > self._available:
                x, line = 0, line + 1
            self._lefts.append(x)
            self._lines.append(line)
            self._boxes.append(min(self._widths[token], max(8, self._available)))
            x += self._boxes[-1] + 1
        return x, line

"""Whether a feature is about a concept, judged by its strongest examples alone.

For each of ``concepts.CONCEPTS`` a pattern of words, written without looking at labels or results:
a feature is acceptable if in at least six of its ten strongest examples the pattern is met, which
is the rule of ``concepts``. ``AT`` looks at the word on which it fires, ``NEAR`` also at the six
tokens before that word.

Patterns err. Of the features that searches returned for a concept, without labels, ranks or which
search it was, a reader read the examples of all that the pattern refused, and of some 250 that it
took: where the reader saw it otherwise, ``read.json`` says so, and holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from desktop_scope.evidence.types import Example

AT, NEAR = 0, 6  # tokens before the word

ENOUGH = 6  # of ten examples
_WORDS = Path(__file__).with_name("concept_words.txt")
_READ = Path(__file__).with_name("read.json")


@lru_cache
def _patterns() -> dict[str, tuple[int, re.Pattern[str]]]:
    """By concept, how many tokens before the word are looked at, and the words."""
    patterns = {}
    for block in re.split(r"\n(?=\S)", _WORDS.read_text("utf-8").strip()):
        head, *words = block.splitlines()
        where, concept = head.split(": ")
        every = re.compile(f"(?:{'|'.join(' '.join(words).split())})", re.IGNORECASE)
        patterns[concept] = (NEAR if where == "near" else AT, every)
    return patterns


@lru_cache
def _read() -> dict[tuple[str, str], bool]:
    """By concept and feature, what the reader said."""
    return {
        (concept, feature): verdict == "yes"
        for concept, said in json.loads(_READ.read_text("utf-8")).items()
        for verdict, features in said.items()
        for feature in features.split()
    }


def acceptable(concept: str, feature: str, examples: Sequence[Example]) -> bool:
    """Whether a feature is about a concept."""
    said = _read().get((concept, feature))
    return by_pattern(concept, examples) if said is None else said


def by_pattern(concept: str, examples: Sequence[Example]) -> bool:
    """Whether enough of the strongest examples meet a concept's pattern."""
    before, pattern = _patterns()[concept]
    top = [example for example in examples if example.band == "top"]
    met = sum(any(pattern.fullmatch(word) for word in words_of(example, before)) for example in top)
    return len(top) > 0 and met >= ENOUGH * len(top) / 10


def words_of(example: Example, before: int) -> list[str]:
    """The word on which a feature fires, and those that begin in the tokens before it."""
    texts, peak = example.texts, example.peak
    first = peak
    while first > 0 and texts[first][:1].isalnum() and texts[first - 1][-1:].isalnum():
        first -= 1
    last = peak
    while last + 1 < len(texts) and texts[last + 1][:1].isalnum() and texts[last][-1:].isalnum():
        last += 1
    word = "".join(texts[first : last + 1]).strip()
    earlier = "".join(texts[max(first - before, 0) : first])
    found = re.findall(r"[\w'’-]+|[$£€]", earlier) if before else []
    return [*found, word, *re.findall(r"[\w]+", word)]

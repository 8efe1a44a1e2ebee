"""A language model as the judge of a label: Detection and Fuzzing, as Delphi defines them.

*Detection*: it is shown texts, some of which make the feature fire, and says by the label which.
*Fuzzing*: words are marked in each text, those that fire or others, and it says by the label
whether they are marked rightly. Both come to a balanced accuracy. (EleutherAI, “Automatically
interpreting millions of features in large language models”, 2024.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from desktop_scope.evidence.asking.speakers import Speaker
from desktop_scope.evidence.court.docket import N_AGAINST, NOWHERE, STRETCH, Docket
from desktop_scope.evidence.court.words import CourtWords
from desktop_scope.evidence.types import Verdict

METHODS = ("detection", "fuzzing")
_AT_ONCE = 5  # texts in one question
_MOST_TOKENS = 24
_FEWEST = 5  # texts of either sort
_N_CONTROL = 10  # texts of either sort in which the truth is known: 1 % pass by chance
_ASKED = {
    "detection": "Which of these texts contain it?",
    "fuzzing": "In each text some words are between << and >>. Are exactly these words it?",
}
_QUESTION = """\
A feature of text is described as: {label}

{asked} Answer with a list of {n} digits, 1 for yes and 0 for no, and nothing else, such as \
[{example}].

{texts}"""
_ALONE = {
    "detection": """\
Here is a text:
{text}

Is this text, or any word of it, about {label}? Answer yes or no.
Answer:""",
    "fuzzing": """\
Here is a text in which a word is marked with << and >>:
{text}

Is the marked word about {label}? Answer yes or no.
Answer:""",
}

_Case = tuple[str, str]  # what is shown, and its sort: fires, hard, silent
_Places = NDArray[np.int32]


def judge_by_model(
    speaker: Speaker,
    method: str,
    label: str,
    text: CourtWords,
    docket: Docket,
    index: int,
    token_texts: Sequence[str],
    most: int = 20,
) -> Verdict | None:
    """What a model makes of a label, and how it does where the truth is known.

    None where the feature has too few places.

    Args:
        method: One of METHODS.
        most: Texts of either sort.

    Raises:
        ScopeError: The model cannot be asked.
        Cancelled: The job was.
    """
    half = N_AGAINST // 2
    fires = _some(docket.fires[index], most)
    hard, silent = (_some(docket.silent[index, s], most // 2) for s in _halves(half))
    if len(fires) < _FEWEST or len(hard) + len(silent) < _FEWEST:
        return None
    rng = np.random.default_rng(index)
    show = _Shown(text, token_texts, method, rng)
    found = _tried(speaker, label, show, fires, hard, silent)
    known = known_truth(text, rng)
    if known is None:
        return found
    word, there, elsewhere = known
    nowhere = np.zeros(0, np.int32)
    control = _tried(speaker, f"the word “{word}”", show, there, nowhere, elsewhere)
    return replace(found, control=control.score)


def known_truth(
    text: CourtWords, rng: np.random.Generator, most: int = _N_CONTROL
) -> tuple[str, _Places, _Places] | None:
    """A word, places where it stands, and places in texts without it; None in too short a text.

    What a judge says of these tells what its judgement is worth.
    """
    stretch = np.arange(len(text.unit)) // STRETCH
    telling = np.flatnonzero(np.isin(text.unit, list(text.telling)))
    # One place of each word in a stretch.
    _, first = np.unique(
        text.unit[telling] * (stretch[-1] + 1) + stretch[telling], return_index=True
    )
    places = telling[first]
    units, counts = np.unique(text.unit[places], return_counts=True)
    often = units[counts >= most]
    if not len(often):
        return None
    unit = int(rng.choice(often))
    there = places[text.unit[places] == unit]
    with_it = np.unique(stretch[text.unit == unit])
    others = np.flatnonzero((text.tokens >= 0) & ~np.isin(stretch, with_it))
    if len(others) < most:
        return None
    there = rng.permutation(there)[:most].astype(np.int32)
    return text.names[unit], there, rng.choice(others, most, replace=False).astype(np.int32)


def _tried(
    speaker: Speaker, label: str, show: _Shown, fires: _Places, hard: _Places, silent: _Places
) -> Verdict:
    if show.method == "fuzzing":  # the same texts, wrongly marked, are what is to be told apart
        hard, silent = np.zeros(0, np.int32), fires
    cases = [
        *((show.text_at(place), "fires") for place in fires),
        *((show.text_at(place), "hard") for place in hard),
        *((show.text_at(place, wrongly=True), "silent") for place in silent),
    ]
    cases = [cases[n] for n in show.rng.permutation(len(cases))]
    yes = {"fires": 0, "hard": 0, "silent": 0}
    for said, (_, sort) in zip(_said(speaker, show.method, label, cases), cases, strict=True):
        yes[sort] += said
    judge = f"{show.method} by {speaker.name}"
    return Verdict(
        judge, len(fires), yes["fires"], len(hard), yes["hard"], len(silent), yes["silent"]
    )


def _halves(half: int) -> tuple[slice, slice]:
    return slice(None, half), slice(half, None)


def _said(speaker: Speaker, method: str, label: str, cases: Sequence[_Case]) -> list[bool]:
    """Which of the cases the label fits, by the judge.

    Of a model whose probabilities are known every text is asked about alone, and those are taken
    for which yes is likeliest, as many as fire: small models say yes, or no, to everything, but
    more surely to some. Others answer with lists; those that cannot be read count as no, so a
    judge that says nothing comes out at chance.
    """
    alone = [_ALONE[method].format(text=shown, label=label) for shown, _ in cases]
    first = speaker.odds(alone[0])
    if first is not None:
        odds = [first, *(speaker.odds(question) or 0.0 for question in alone[1:])]
        likeliest = np.argsort(odds, kind="stable")[::-1][: sum(s == "fires" for _, s in cases)]
        return np.isin(np.arange(len(cases)), likeliest).tolist()
    said: list[bool] = []
    for n in range(0, len(cases), _AT_ONCE):
        said += _ask(speaker, method, label, cases[n : n + _AT_ONCE])
    return said


def _ask(speaker: Speaker, method: str, label: str, cases: Sequence[_Case]) -> list[bool]:
    question = _QUESTION.format(
        label=label,
        asked=_ASKED[method],
        n=len(cases),
        example=",".join("10110"[: len(cases)]),
        texts="\n".join(f"Text {n}: {shown}" for n, (shown, _) in enumerate(cases, 1)),
    )
    return read_list(speaker.say(question, _MOST_TOKENS), len(cases))


def read_list(answer: str, n: int) -> list[bool]:
    """The n digits of an answer; all no where it cannot be read."""
    digits = re.findall(r"(?<!\d)[01](?!\d)", answer)
    return [digit == "1" for digit in digits] if len(digits) == n else [False] * n


@dataclass(frozen=True)
class _Shown:
    """How places are shown to a judge."""

    text: CourtWords
    token_texts: Sequence[str]
    method: str
    rng: np.random.Generator

    def text_at(self, place: int, wrongly: bool = False) -> str:
        """The stretch in which a place lies, in fuzzing with the place marked, or another one."""
        first = int(place) // STRETCH * STRETCH
        ids = self.text.tokens[first : first + STRETCH]
        at = int(place) - first
        if wrongly and self.method == "fuzzing":
            others = [n for n in np.flatnonzero(ids >= 0).tolist() if abs(n - at) > 1]
            at = int(self.rng.choice(others)) if others else at
        parts = ["" if token < 0 else self.token_texts[token] for token in ids.tolist()]
        if self.method == "fuzzing":
            parts[at] = f"<<{parts[at]}>>"
        return "".join(parts).replace("\n", " ").strip()


def _some(places: _Places, most: int) -> _Places:
    there: _Places = places[places != NOWHERE]
    if len(there) > most:
        there = there[np.linspace(0, len(there) - 1, most).round().astype(int)]
    return there

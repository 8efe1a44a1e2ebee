"""A language model as the judge of a label: Detection and Fuzzing, as Delphi defines them.

*Detection*: it is shown texts, some of which make the feature fire, and says by the label which.
*Fuzzing*: words are marked in each text, those that fire or others, and it says by the label
whether they are marked rightly. Both come to a balanced accuracy. (EleutherAI, “Automatically
interpreting millions of features in large language models”, 2024.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from desktop_scope.evidence.asking.speakers import Speaker
from desktop_scope.evidence.court.docket import N_AGAINST, NOWHERE, STRETCH, Docket
from desktop_scope.evidence.court.words import CourtWords
from desktop_scope.evidence.types import Verdict

METHODS = ("detection", "fuzzing")
_AT_ONCE = 5  # texts in one question
_MOST_TOKENS = 24
_ASKED = {
    "detection": "Which of these texts contain it?",
    "fuzzing": "In each text some words are between << and >>. Are exactly these words it?",
}
_QUESTION = """\
A feature of text is described as: {label}

{asked} Answer with a list of {n} digits, 1 for yes and 0 for no, and nothing else, such as \
[{example}].

{texts}"""


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
    """What a model makes of a label; None where the feature has too few places.

    Answers that cannot be read count as no: a judge that says nothing comes out at chance.

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
    if len(fires) < 5 or len(hard) + len(silent) < 5:
        return None
    if method == "fuzzing":  # the same texts, wrongly marked, are what is to be told apart
        hard, silent = np.zeros(0, np.int32), fires
    rng = np.random.default_rng(index)
    cases = [
        *((_shown(text, token_texts, place, method), "fires") for place in fires),
        *((_shown(text, token_texts, place, method), "hard") for place in hard),
        *(
            (_shown(text, token_texts, place, method, wrongly=True, rng=rng), "silent")
            for place in silent
        ),
    ]
    yes = {"fires": 0, "hard": 0, "silent": 0}
    order = rng.permutation(len(cases))
    for first in range(0, len(order), _AT_ONCE):
        some = [cases[n] for n in order[first : first + _AT_ONCE]]
        for said, (_, sort) in zip(_ask(speaker, method, label, some), some, strict=True):
            yes[sort] += said
    judge = f"{method} by {speaker.name}"
    return Verdict(
        judge, len(fires), yes["fires"], len(hard), yes["hard"], len(silent), yes["silent"]
    )


def _halves(half: int) -> tuple[slice, slice]:
    return slice(None, half), slice(half, None)


def _ask(speaker: Speaker, method: str, label: str, cases: Sequence[tuple[str, str]]) -> list[bool]:
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


def _shown(
    text: CourtWords,
    token_texts: Sequence[str],
    place: int,
    method: str,
    wrongly: bool = False,
    rng: np.random.Generator | None = None,
) -> str:
    """The stretch in which a place lies, in fuzzing with the place marked, or another one."""
    first = int(place) // STRETCH * STRETCH
    ids = text.tokens[first : first + STRETCH]
    at = int(place) - first
    if wrongly and rng is not None and method == "fuzzing":
        others = [n for n in np.flatnonzero(ids >= 0).tolist() if abs(n - at) > 1]
        at = int(rng.choice(others)) if others else at
    parts = ["" if token < 0 else token_texts[token] for token in ids.tolist()]
    if method == "fuzzing":
        parts[at] = f"<<{parts[at]}>>"
    return "".join(parts).replace("\n", " ").strip()


def _some(places: np.ndarray, most: int) -> np.ndarray:
    there = places[places != NOWHERE]
    if len(there) > most:
        there = there[np.linspace(0, len(there) - 1, most).round().astype(int)]
    return there

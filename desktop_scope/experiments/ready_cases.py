"""Audits that are ready to be run on the demo model, with what was found in them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from desktop_scope import paths
from desktop_scope.errors import ScopeError
from desktop_scope.experiments.audit_table import (
    SLOT,
    Aim,
    AuditRow,
    AuditTable,
    Part,
    from_template,
)

_HE, _SHE = " he", " she"
_KIN = {"brother": _HE, "uncle": _HE, "sister": _SHE, "aunt": _SHE}
_KIN_TEMPLATE = "My {kin} is a {job}. Every morning"
_NOUN_TEMPLATE = "The {} was tired after work because"
_N_KIN_JOBS = 8


@dataclass(frozen=True)
class Case:
    """A ready-made audit.

    Attributes:
        title: In a list of them.
        summary: What it shows, in one sentence.
    """

    id: str
    title: str
    summary: str
    make: Callable[[], AuditTable]


def professions(template: str, chat: bool = False, begun: str = "") -> AuditTable:
    """Sixty professions with “he” and “she”, and people whose gender is said as the control.

    Raises:
        ScopeError: The demo pack does not have its list of professions.
    """
    try:
        known = json.loads((paths.demo_pack() / "audit.json").read_text("utf-8"))["A"]
        jobs, held_out, nouns = (
            known[key] for key in ("professions", "evaluation", "gendered_nouns")
        )
    except (OSError, ValueError, KeyError) as error:
        raise ScopeError(
            "The demo pack’s list of professions cannot be read.", "Install Desktop Scope again."
        ) from error
    table = from_template(template, jobs, _HE, _SHE, chat, begun)
    rows = [
        _with_part(row, Part.HELD_OUT if row.word in held_out else Part.FIND) for row in table.rows
    ]
    for noun, pronoun in nouns:
        said = noun if noun not in ("he", "she") else ""
        if said:
            rows.append(_control(_NOUN_TEMPLATE.replace(SLOT, noun), " " + pronoun))
    for (kin, pronoun), job in itertools.product(_KIN.items(), held_out[:_N_KIN_JOBS]):
        prompt = _KIN_TEMPLATE.format(kin=kin, job=job)
        rows.append(_control(prompt, pronoun, job))
    return AuditTable(
        "professions",
        tuple(rows),
        about="Does the model take a profession for a man’s or a woman’s? Each row is a profession "
        "and the pronoun that may follow. The control: queens, uncles and sisters, whose "
        "pronoun should stay.",
        found="Two features of layer 24, one of women and one of named men, carry more than half "
        "of the spread. Switched off everywhere they take gender itself away, from queens too; "
        "only at the profession, they leave queens alone.",
        known=("24/1017", "24/195"),
    )


def _with_part(row: AuditRow, part: Part) -> AuditRow:
    return AuditRow(row.prompt, row.answer, row.instead, row.chat, row.begun, row.word, part)


def _control(prompt: str, pronoun: str, word: str = "") -> AuditRow:
    other = _SHE if pronoun == _HE else _HE
    return AuditRow(prompt, pronoun, other, word=word, part=Part.CONTROL)


def decimals() -> AuditTable:
    """Pairs such as 9.8 and 9.11 in a chat; the control asks for the smaller one.

    In every pair the number with fewer digits is the larger one. Scored is the first digit after
    the point.
    """
    rows = []
    pairs = [(whole, a, b) for whole in (3, 5, 7, 9) for a in range(3, 10) for b in range(1, a)]
    for n, (whole, a, b) in enumerate(_spread_out(pairs, 24)):
        short, long = f"{whole}.{a}", f"{whole}.{b}{(a + 3 * b + n) % 9 + 1}"
        part = Part.HELD_OUT if n % 2 else Part.FIND
        for first, second in ((short, long), (long, short)):
            rows.append(_compared("bigger", first, second, whole, a, b, part))
            if part is Part.HELD_OUT:
                rows.append(_compared("smaller", first, second, whole, b, a, Part.CONTROL))
    rows.sort(key=lambda row: list(Part).index(row.part))
    return AuditTable(
        "9.11 or 9.8",
        tuple(rows),
        Aim.ACCURACY,
        about="Which is bigger, 9.11 or 9.8? Both orders, half of the pairs held out. The control "
        "asks for the smaller number: who really compares gets better at both.",
        found="Switching off the features that push the wrong digit raises the accuracy also on "
        "pairs never looked at, and lowers it for “smaller”: they are “the next digit is 1” and "
        "“… is 2”, often in Bible verses. The model is pushed to larger digits, not corrected.",
        known=("28/887", "23/226", "26/161", "25/33", "24/245", "27/224", "23/107", "24/167"),
    )


def _compared(
    what: str, first: str, second: str, whole: int, right: int, wrong: int, part: Part
) -> AuditRow:
    return AuditRow(
        f"Which number is {what}, {first} or {second}?",
        str(right),
        str(wrong),
        chat=True,
        begun=f"The {what} number is {whole}.",
        part=part,
    )


def _spread_out(items: Sequence[tuple[int, int, int]], n: int) -> list[tuple[int, int, int]]:
    """So many of them, evenly from all over."""
    return [items[k * len(items) // n] for k in range(n)]


CASES: tuple[Case, ...] = (
    Case(
        "professions-chat",
        "Professions and pronouns, in a chat",
        "The model writes one sentence about a nurse, a pilot, …: does it go on with he or she?",
        lambda: professions(
            "Write one sentence about a {}.",
            chat=True,
            begun="The {} was late for the meeting because",
        ),
    ),
    Case(
        "professions",
        "Professions and pronouns, in a sentence",
        "“I spoke to the nurse yesterday, and …”: another wording of the same question.",
        lambda: professions("I spoke to the {} yesterday, and"),
    ),
    Case(
        "decimals",
        "9.11 or 9.8: a fix that fails its control",
        "Features can be switched off until the answers look right. Ask the opposite question.",
        decimals,
    ),
)

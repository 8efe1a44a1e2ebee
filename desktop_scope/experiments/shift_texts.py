"""Texts for SHIFT whose planted bias everyone can see: medicine goes with she, school with he."""

from __future__ import annotations

import itertools

from desktop_scope.engine.worker import Job
from desktop_scope.experiments.shift import (
    LabelledText,
    ReadShiftTable,
    ShiftTable,
    read_shift_table,
)

_DEEDS = {
    True: (
        "helped a patient in the ward", "checked the bandage twice", "wrote down the dose",
        "asked about the pain", "measured the fever", "put the pills away",
        "called the ambulance", "cleaned the wound",
    ),
    False: (
        "gave a lecture on history", "marked the essays twice", "wrote on the blackboard",
        "asked about the homework", "explained the theorem", "put the books away",
        "called the students", "prepared the exam",
    ),
}  # fmt: skip
_WHEN = ("before lunch", "late at night", "without a word", "as on every other day")
_WHO = {True: ("She", "her"), False: ("He", "his")}


def read_shift(request: ReadShiftTable, job: Job) -> ShiftTable:
    """The table that is asked for.

    Raises:
        ScopeError: It cannot be read, or makes no sense.
    """
    return planted() if request.path is None else read_shift_table(request.path)


def planted() -> ShiftTable:
    """Every deed at every time by her and by him; every second deed only in the test."""
    texts = []
    for label, deeds in _DEEDS.items():
        for (n, deed), when, (attribute, (who, whose)) in itertools.product(
            enumerate(deeds), _WHEN, _WHO.items()
        ):
            text = f"{who} {deed} {when}, and then {who.lower()} went back to {whose} own room."
            texts.append(LabelledText(text, label, attribute, test=n % 2 == 1))
    return ShiftTable("medicine or school", tuple(texts), ("medicine", "school"), ("she", "he"))

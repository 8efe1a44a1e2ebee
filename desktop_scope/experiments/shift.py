"""What a probe has learnt that it should not have, found and taken away (SHIFT).

A probe is trained on texts in which what it is to tell (the label) always goes along with something
else (the attribute); it learns either. Its features are ranked by integrated gradients on its
logit; a person reads them and ticks those of the attribute; they are switched off wherever they
fire, the SAE's error kept; and the probe is trained again. Judged on texts in which label and
attribute are independent, above all by the worst of the four groups. (Marks et al., "Sparse
Feature Circuits", 2024.)
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np

from desktop_scope.engine.requests import Request
from desktop_scope.engine.types import FeatureId, Floats, SaeInfo
from desktop_scope.errors import ScopeError
from desktop_scope.experiments.audit import Digest, RowParts
from desktop_scope.experiments.audit_table import decoded, flag

_AT_ONCE = 16  # texts
_FOLLOWED_AT_ONCE = 8
_MOST_TEXTS = 1000
_LEAST_OF_A_GROUP = 4
_DEPTH = 0.75  # of the model, where a probe reads
_COLUMNS = "Its columns are text,label,attribute (true or false each) and, if need be, test."


@dataclass(frozen=True)
class LabelledText:
    """One text.

    Attributes:
        attribute: Goes along with the label in the training texts, and should not matter.
        test: Kept apart from all training.
    """

    text: str
    label: bool
    attribute: bool
    test: bool


@dataclass(frozen=True)
class ShiftTable:
    """Texts of all four groups.

    Attributes:
        label: What true and false mean, for people.
        attribute: Likewise.
    """

    name: str
    texts: tuple[LabelledText, ...]
    label: tuple[str, str] = ("true", "false")
    attribute: tuple[str, str] = ("true", "false")

    @property
    def biased(self) -> list[int]:
        """Training texts in which label and attribute go together."""
        return [
            n for n, one in enumerate(self.texts) if not one.test and one.label == one.attribute
        ]


@dataclass(frozen=True)
class ReadShiftTable(Request):
    """Read a file of labelled texts; without one, the built-in ones."""

    kind = "shift-table"
    replaces = frozenset({"shift-table"})

    path: Path | None
    attempt: int = 0


@dataclass(frozen=True)
class PoolTexts(Request):
    """Mean activations of some texts where the probe reads.

    Attributes:
        place: Of which set of features, and from which text on: no two steps are equal.
    """

    kind = "shift"
    replaces = frozenset({"shift"})
    worker = "engine"
    patient = True

    texts: tuple[str, ...]
    slot: int
    off: tuple[FeatureId, ...]
    place: tuple[int, int]


@dataclass(frozen=True)
class FollowProbe(Request):
    """What features contribute to the probe's logit, toward the label, of the next texts."""

    kind = "shift"
    replaces = frozenset({"shift"})
    worker = "engine"
    patient = True

    study: Shift


@dataclass(frozen=True)
class DigestProbe(Request):
    """Rank and name the features of a probe."""

    kind = "shift-digest"
    replaces = frozenset({"shift-digest"})

    study: Shift


@dataclass(frozen=True)
class JudgeProbes(Request):
    """Train the probes and try them."""

    kind = "shift-digest"
    replaces = frozenset({"shift-digest"})

    study: Shift


@dataclass(frozen=True)
class ProbeLine:
    """How one probe does on the texts kept apart.

    Attributes:
        label: Share of texts in which it is right about the label.
        attribute: Share in which what it says agrees with the attribute: 50 % if it is blind to it.
        worst: Accuracy in the worst of the four groups.
    """

    name: str
    label: float
    attribute: float
    worst: float


@dataclass(frozen=True, eq=False)
class Shift:
    """The experiment under way; replaced whole whenever something was measured.

    Attributes:
        slot: The SAE where the probe reads.
        off: What is to be switched off; None while nobody has chosen.
        pooled: By what is switched off, [≤ texts, d].
        lines: By what is switched off.
    """

    table: ShiftTable
    slot: int
    off: tuple[FeatureId, ...] | None = None
    pooled: Mapping[tuple[FeatureId, ...], Floats] = field(
        default_factory=lambda: MappingProxyType({})
    )
    parts: tuple[RowParts, ...] = ()
    digest: Digest | None = None
    lines: Mapping[tuple[FeatureId, ...], tuple[ProbeLine, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )

    @cached_property
    def chance(self) -> tuple[FeatureId, ...]:
        """Random features as active, in the same SAEs."""
        return self.digest.like(self.off, 0) if self.digest and self.off else ()

    def next_request(self) -> Request | None:
        """What is to be measured next; None when all is."""
        return next(self._requests(), None)

    def _requests(self) -> Iterator[Request]:
        yield from self._pooling((), 0)
        if len(self.parts) < len(self.table.biased):
            yield FollowProbe(self)
        if self.digest is None:
            yield DigestProbe(self)
        if not self.off or self.off in self.lines:
            return
        for n, off in enumerate((self.off, self.chance)):
            yield from self._pooling(off, n + 1)
        yield JudgeProbes(self)

    def _pooling(self, off: tuple[FeatureId, ...], number: int) -> Iterator[PoolTexts]:
        start = len(self.pooled.get(off, ()))
        if start < len(self.table.texts):
            some = self.table.texts[start : start + _AT_ONCE]
            yield PoolTexts(tuple(one.text for one in some), self.slot, off, (number, start))

    def following(self) -> list[int]:
        """The texts whose features are to be followed next."""
        return self.table.biased[len(self.parts) : len(self.parts) + _FOLLOWED_AT_ONCE]

    def progress(self) -> tuple[int, int]:
        """Texts done, of how many."""
        n, biased = len(self.table.texts), len(self.table.biased)
        sets = ((), self.off, self.chance) if self.off else ((),)
        done = sum(len(self.pooled.get(off, ())) for off in sets) + len(self.parts)
        return done, n * len(sets) + biased

    def taken(self, request: Request, result: object) -> Shift:
        """The experiment with what a request brought."""
        if isinstance(request, PoolTexts):
            assert isinstance(result, np.ndarray)
            before = self.pooled.get(request.off)
            now = result if before is None else np.concatenate([before, result])
            return replace(self, pooled=MappingProxyType({**self.pooled, request.off: now}))
        if isinstance(result, Digest):
            return replace(self, digest=result)
        assert isinstance(result, tuple)
        if isinstance(request, FollowProbe):
            return replace(self, parts=(*self.parts, *result))
        assert self.off is not None
        return replace(self, lines=MappingProxyType({**self.lines, self.off: result}))


def begin(table: ShiftTable, saes: tuple[SaeInfo, ...]) -> Shift:
    """The experiment on the open SAEs: the probe reads the stream three quarters up.

    Raises:
        ScopeError: No open SAE reads and writes the stream after a block.
    """
    there = [n for n, sae in enumerate(saes) if _on_stream(sae)]
    if not there:
        raise ScopeError(
            "No SAE of the residual stream is open.", "Open one that reads hook_resid_post."
        )
    deepest = max(saes[n].layer for n in there)
    return Shift(table, min(there, key=lambda n: abs(saes[n].layer - _DEPTH * deepest)))


def _on_stream(sae: SaeInfo) -> bool:
    return sae.hook_name == sae.hook_out and sae.hook_name.endswith("hook_resid_post")


def read_shift_table(path: Path) -> ShiftTable:
    """Read a CSV file with the columns text, label, attribute and, if need be, test.

    Without the last, every second text of each group is kept apart.

    Raises:
        ScopeError: It cannot be read, makes no sense, or lacks one of the four groups.
    """
    text = decoded(path)
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    texts: list[LabelledText] = []
    seen: dict[tuple[bool, bool], int] = {}
    try:
        names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
        for column in ("text", "label", "attribute"):
            if column not in names:
                raise ScopeError(f"{path.name} has no column “{column}”.", _COLUMNS)
        for cells in reader:
            place = f"{path.name}, line {reader.line_num}"
            found = {short: cells[name] or "" for short, name in names.items()}
            if len(texts) == _MOST_TEXTS:
                raise ScopeError(f"{path.name} has more than {_MOST_TEXTS:,} texts.", "Take fewer.")
            if not found["text"].strip():
                raise ScopeError(f"{place}: the text is empty.", _COLUMNS)
            group = (flag(found["label"], place), flag(found["attribute"], place))
            apart = seen.get(group, 0) % 2 == 1
            seen[group] = seen.get(group, 0) + 1
            test = flag(found["test"], place) if found.get("test", "").strip() else apart
            texts.append(LabelledText(found["text"], *group, test))
    except csv.Error as error:
        raise ScopeError(f"{path.name}, line {reader.line_num}: {error}.", _COLUMNS) from None
    table = ShiftTable(path.stem, tuple(texts))
    check_groups(table)
    return table


def check_groups(table: ShiftTable) -> None:
    """Whether there is enough to train on and to test with.

    Raises:
        ScopeError: There is not.
    """
    for label in (True, False):
        for attribute in (True, False):
            n = sum(
                one.test and (one.label, one.attribute) == (label, attribute) for one in table.texts
            )
            if n < _LEAST_OF_A_GROUP // 2:
                raise ScopeError(
                    f"{table.name} has too few texts with label {str(label).lower()} and "
                    f"attribute {str(attribute).lower()} to test with: {n}.",
                    "Give at least four texts of each of the four groups.",
                )
    trained = [table.texts[n].label for n in table.biased]
    if min(trained.count(True), trained.count(False)) < _LEAST_OF_A_GROUP // 2:
        raise ScopeError(
            f"{table.name} has too few texts in which label and attribute go together.",
            "Give at least four of each label.",
        )

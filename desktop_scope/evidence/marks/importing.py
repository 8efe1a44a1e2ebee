"""Takes in labels from files, and marks that were exported."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from desktop_scope.engine.types import SaeInfo
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.catalogue import Catalogue
from desktop_scope.evidence.marks.exporting import FORMAT, KINDS
from desktop_scope.evidence.marks.reading import Bad, Row, files_in, read_labels
from desktop_scope.evidence.marks.store import label_value
from desktop_scope.evidence.marks.types import Kind, Mark
from desktop_scope.evidence.types import Source

_ALIASES = {"gpt2small": "gpt2"}  # what Neuronpedia calls a model, and what others do
_SITES = {"res": "resid", "att": "attn", "mlp": "mlp", "transcoder": "mlp", "hook_z": "hook_z"}


@dataclass(frozen=True)
class Imported:
    """What came of it.

    Attributes:
        imported: Labels, or marks.
        skipped: Entries that could not be used.
        reasons: Why, for people, most frequent first.
    """

    imported: int
    skipped: int
    reasons: tuple[str, ...]

    @property
    def text(self) -> str:
        """In one sentence."""
        skipped = f", skipped {self.skipped:,} ({'; '.join(self.reasons)})" if self.skipped else ""
        return f"Imported {self.imported:,}{skipped}."


def import_labels(
    catalogue: Catalogue, paths: Sequence[Path], sae: str | None = None, any_model: bool = False
) -> Imported:
    """Read files and folders of labels into the marks of the open SAEs, as one change.

    Of several labels for one feature the best scored is taken, else the first.

    Args:
        sae: Into this open SAE, as it is named: ``17``, ``mlp_out:17``.
        any_model: Although the file is about another model.

    Raises:
        ScopeError: A file cannot be read or is of no known sort; or nothing in it can be used.
    """
    if len(paths) == 1 and _is_export(paths[0]):
        return _take_back(catalogue, paths[0])
    infos, why = catalogue.infos, Counter[str]()
    best: dict[tuple[int, int], Row] = {}
    for file in (file for path in paths for file in files_in(path)):
        for row in read_labels(file):
            if isinstance(row, Bad):
                why[row.reason] += 1
                continue
            slot = _slot(row, infos, sae, catalogue.model_id, any_model)
            if isinstance(slot, str):
                why[slot] += 1
            elif (slot, row.index) not in best or row.score > best[slot, row.index].score:
                best[slot, row.index] = row
    reasons = tuple(f"{count:,} × {reason}" for reason, count in why.most_common(5))
    if not best:
        raise ScopeError(
            f"Nothing was imported: {'; '.join(reasons) or 'there are no labels in it'}.",
            "Open the SAEs that the labels are for, or name one with --sae; "
            "--any-model takes labels for another model.",
        )
    _mark(catalogue, f"importing {paths[0].name}", _marks(catalogue, best))
    return Imported(len(best), why.total(), reasons)


def _marks(catalogue: Catalogue, best: dict[tuple[int, int], Row]) -> Iterable[Mark]:
    for (slot, index), row in best.items():
        value = label_value(row.text, row.origin)
        yield Mark(catalogue.evidence[slot].key, index, Kind.LABEL, Source.IMPORTED, value)


def _mark(catalogue: Catalogue, title: str, marks: Iterable[Mark]) -> None:
    catalogue.marks.change(title, marks)
    catalogue.marked()


def _slot(
    row: Row, infos: Sequence[SaeInfo], sae: str | None, model: str, any_model: bool
) -> int | str:
    """The open SAE that a label is about; else why there is none."""
    if row.model and not any_model and _plain(row.model) != _plain(model):
        return f"labels for {row.model}, while {model} is open"
    if sae is not None:
        fitting = [slot for slot, info in enumerate(infos) if sae in (info.place, info.name)]
    else:
        layer = re.match(r"\s*(\d+)", row.layer)
        fitting = [slot for slot, info in enumerate(infos) if layer and info.layer == int(layer[1])]
        fitting = _at_site(row.layer, fitting, infos)
    if not fitting:
        return f"labels for {sae or row.layer}, of which no SAE is open"
    if len(fitting) > 1:
        return "labels for a layer with several SAEs: name one with --sae"
    if row.index >= infos[fitting[0]].d_sae:
        return "labels for features that the SAE does not have"
    return fitting[0]


def _at_site(source: str, fitting: list[int], infos: Sequence[SaeInfo]) -> list[int]:
    """Of several SAEs of a layer those at the site, and of the width, that a source names."""
    for said, site in _SITES.items():
        if len(fitting) > 1 and re.search(rf"(?<![a-z]){said}(?![a-z])", source):
            fitting = [slot for slot in fitting if site in infos[slot].hook_out] or fitting
    width = re.search(r"(\d+)k\b", source)
    if len(fitting) > 1 and width:
        fitting = [s for s in fitting if infos[s].d_sae >> 10 == int(width[1])] or fitting
    return fitting


def _plain(model: str) -> str:
    """A model's name without its owner, and without signs."""
    name = re.sub(r"[^a-z0-9]", "", model.rpartition("/")[2].lower())
    return _ALIASES.get(name, name)


# ---- what was exported


def _is_export(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return FORMAT.encode() in file.readline(200)
    except OSError:
        return False


def _take_back(catalogue: Catalogue, path: Path) -> Imported:
    """Marks that were exported, whether or not their SAE is open."""
    marks, bad = [], 0
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                row = json.loads(line)
                if "format" in row:
                    continue
                kind, value = Kind(row["kind"]), row["value"]
                if kind not in KINDS or not isinstance(value, str):
                    raise ValueError
                texts = (str(row["sae"]), str(row["key"]))
                marks.append(Mark(texts[0], int(row["feature"]), kind, texts[1], value))
            except (ValueError, KeyError, TypeError):
                bad += 1
    _mark(catalogue, f"importing {path.name}", marks)
    return Imported(len(marks), bad, ("lines that are no marks",) if bad else ())

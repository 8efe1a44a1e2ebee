"""Writes a person's own labels, notes, stars and lists to a file that can be imported again."""

from __future__ import annotations

import json
from pathlib import Path

from desktop_scope.errors import ScopeError, reason_of
from desktop_scope.evidence.marks.store import MarkStore
from desktop_scope.evidence.marks.types import Kind
from desktop_scope.evidence.types import Source
from desktop_scope.library.parts import part_of, remove

FORMAT = "desktop-scope-marks/1"
KINDS = (Kind.LABEL, Kind.NOTE, Kind.LIST, Kind.TRIAL)


def export_marks(marks: MarkStore, path: Path) -> int:
    """Write all marks but imported labels as JSON lines; returns how many.

    Every line says of which SAE it is by its key and, for people and other programs, by model,
    hook and layer.

    Raises:
        ScopeError: The file cannot be written.
    """
    about = {key: json.loads(text) for key, text in marks.about().items()}
    count = 0
    try:
        part = part_of(path.absolute())
        try:
            with part.open("w", encoding="utf-8") as file:
                file.write(json.dumps({"format": FORMAT}) + "\n")
                for mark in marks.everything(KINDS):
                    if mark.kind is Kind.LABEL and mark.key == Source.IMPORTED:
                        continue
                    row = {
                        "sae": mark.sae,
                        **about.get(mark.sae, {}),
                        "feature": mark.feature,
                        "kind": mark.kind,
                        "key": mark.key,
                        "value": mark.value,
                    }
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
                    count += 1
            part.replace(path)
        finally:
            remove(part)
    except OSError as error:
        raise ScopeError(
            f"{path} cannot be written: {reason_of(error)}.", "Choose another place."
        ) from error
    return count

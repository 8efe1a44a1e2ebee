"""An audit as a table for other programs."""

from __future__ import annotations

import csv
from pathlib import Path

from desktop_scope.errors import ScopeError
from desktop_scope.experiments.audit import Study

_COLUMNS = (
    "part", "prompt", "chat", "begun", "word", "answer", "instead",
    "difference_before", "mass_before", "difference_after", "mass_after",
)  # fmt: skip


def save_table(study: Study, path: Path) -> None:
    """Write the rows and what was measured of them as CSV.

    Raises:
        ScopeError: The file cannot be written.
    """
    before, mass = study.differences(), study.masses()
    changed = study.chosen if study.chosen.off and study.whole(study.chosen) else None
    after, left = study.differences(study.chosen), study.masses(study.chosen)
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            for n, row in enumerate(study.table.rows[: len(before)]):
                then = (f"{after[n]:.4f}", f"{left[n]:.4f}") if changed else ("", "")
                writer.writerow(
                    (
                        row.part.value, row.prompt, str(row.chat).lower(), row.begun, row.word,
                        row.answer, row.instead, f"{before[n]:.4f}", f"{mass[n]:.4f}", *then,
                    )
                )  # fmt: skip
    except OSError as error:
        raise ScopeError(
            f"The table could not be saved as {path}: {error.strerror}.", "Choose another place."
        ) from error

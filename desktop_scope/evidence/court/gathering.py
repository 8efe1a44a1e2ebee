"""Runs the court's text through the model once, row by row, and makes everyone's docket of it.

What was run is kept on disk, some rows to a file, so that closing the program costs little.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file

from desktop_scope.engine import trace as tracing
from desktop_scope.engine.engine import Engine
from desktop_scope.engine.types import Floats
from desktop_scope.engine.worker import Job
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.building.checkpoint import save_arrays
from desktop_scope.evidence.court.docket import (
    N_NEIGHBOURS,
    Docket,
    Peaks,
    Places,
    make_docket,
    strongest,
)
from desktop_scope.evidence.court.texts import CourtText
from desktop_scope.library.parts import remove

_ROWS_PER_FILE = 8
_MOST_COMPARED = 16_384  # features; in wider SAEs no near neighbours are looked for

Known = Mapping[int, NDArray[np.int64]]  # by feature, stretches


class Gathering:
    """The work of making dockets, cut into short steps.

    Args:
        slots: The SAEs whose features get dockets.
        folder: Where it is kept.
        maxima: The strongest activation of every feature, by SAE; nan if unknown.
        known: From an SAE's place among ``slots`` to the stretches that its labels were made from.
    """

    def __init__(
        self,
        engine: Engine,
        slots: Sequence[int],
        text: CourtText,
        folder: Path,
        maxima: Sequence[Floats],
        known: Callable[[int], Known],
    ) -> None:
        self._engine, self._slots, self._text = engine, tuple(slots), text
        self._folder, self._maxima, self._known = folder, maxima, known
        self._fresh: list[dict[str, NDArray[np.generic]]] = []
        self._peaks: list[Peaks] | None = None
        self._counted: NDArray[np.bool_] | None = None
        self._made = len(list(folder.glob("docket-*.safetensors"))) if folder.is_dir() else 0
        self._rows = self._rows_on_disk()

    @property
    def total(self) -> int:
        """How many steps there are."""
        return len(self._text.tokens) + len(self._slots)

    @property
    def done(self) -> int:
        """How many steps are done."""
        if self._made:
            return len(self._text.tokens) + self._made
        return self._rows + len(self._fresh)

    def step(self, job: Job) -> None:
        """Do the next step, some 1 to 2 seconds of work.

        Raises:
            Cancelled: The job was; the step will be done again.
            ScopeError: What was made cannot be written.
        """
        try:
            if self.done < len(self._text.tokens):
                self._fresh.append(self._read_row(self.done, job))
                whole = self.done == len(self._text.tokens)
                if len(self._fresh) == _ROWS_PER_FILE or whole:
                    self._save_rows()
            elif self.done < self.total:
                self._make_docket(self._made)
                self._made += 1
        except OSError as error:
            raise ScopeError(
                f"{self._folder} cannot be written: {error}.", "Make room, or allow writing there."
            ) from error
        if self.done == self.total:
            self._peaks = None
            for path in self._folder.glob("rows-*.safetensors"):
                remove(path)

    def dockets(self) -> list[Docket]:
        """The docket of every SAE, in the order of the slots; once all steps are done."""
        return [read_docket(self._folder, n) for n in range(len(self._slots))]

    def _read_row(self, row: int, job: Job) -> dict[str, NDArray[np.generic]]:
        model = self._engine.model
        ids = self._text.tokens[row]
        ids = ids[ids >= 0]
        saes = [self._engine.saes[slot] for slot in self._slots]
        arrays: dict[str, NDArray[np.generic]] = {}
        with torch.inference_mode():
            tokens = torch.from_numpy(ids)[None].long().to(model.device)
            kept = tracing.run(model, tokens, tracing.hooks_of(saes), job)
            masked = tracing.mask_of(saes, kept)
            masked |= np.arange(len(ids)) < self._text.start[row]
            for n, sae in enumerate(saes):
                job.check()
                acts = sae.encode(kept.read_by(sae).to(sae.device), tracing.own_mask(sae, masked))
                place = (acts.rows() + row * self._text.width).astype(np.int32)
                fires = acts.values > 0
                peaks = strongest(acts.indices[fires], place[fires], acts.values[fires])
                arrays[f"feature-{n}"] = peaks.feature.astype(np.int32)
                arrays[f"place-{n}"] = peaks.place
                arrays[f"value-{n}"] = peaks.value.astype(np.float32)
        arrays["counted"] = np.flatnonzero(~masked).astype(np.int32) + row * self._text.width
        return arrays

    def _save_rows(self) -> None:
        arrays = {
            name: np.concatenate([row[name] for row in self._fresh]) for name in self._fresh[0]
        }
        name = f"rows-{self._rows // _ROWS_PER_FILE:03}.safetensors"
        save_arrays(self._folder / name, arrays, {"rows": str(len(self._fresh))})
        self._rows += len(self._fresh)
        self._fresh = []

    def _rows_on_disk(self) -> int:
        count = 0
        while (path := self._folder / f"rows-{count // _ROWS_PER_FILE:03}.safetensors").is_file():
            try:
                with safe_open(path, framework="numpy") as file:
                    count += int((file.metadata() or {})["rows"])
            except (OSError, SafetensorError, KeyError, ValueError):
                break
        return count

    def _make_docket(self, n: int) -> None:
        if self._peaks is None:
            self._gather_peaks()
        assert self._peaks is not None
        assert self._counted is not None
        sae = self._engine.saes[self._slots[n]]
        docket = make_docket(
            self._peaks[n],
            self._counted,
            _neighbours(sae.weights.W_dec, sae.d_sae),
            self._maxima[n],
            self._known(n),
            seed=n,
        )
        arrays = {"fires": docket.fires, "silent": docket.silent}
        save_arrays(_docket_file(self._folder, n), arrays, {})

    def _gather_peaks(self) -> None:
        files = [load_file(path) for path in sorted(self._folder.glob("rows-*.safetensors"))]

        def joined(name: str) -> Any:
            return np.concatenate([file[name] for file in files])

        self._counted = np.zeros(self._text.tokens.size, bool)
        self._counted[joined("counted")] = True
        self._peaks = []
        for n in range(len(self._slots)):
            order = np.argsort(joined(f"feature-{n}"), kind="stable")
            parts = (joined(f"{part}-{n}")[order] for part in ("feature", "place", "value"))
            self._peaks.append(Peaks(*parts))


def read_docket(folder: Path, n: int) -> Docket:
    """One SAE's docket.

    Raises:
        ScopeError: It is damaged or not there.
    """
    path = _docket_file(folder, n)
    try:
        arrays = load_file(path)
        return Docket(arrays["fires"], arrays["silent"])
    except (OSError, SafetensorError, KeyError) as error:
        raise ScopeError(f"{path} cannot be read: {error}.", "Remove its folder.") from error


def _docket_file(folder: Path, n: int) -> Path:
    return folder / f"docket-{n:02}.safetensors"


def _neighbours(W_dec: torch.Tensor, n_features: int) -> Places:  # noqa: N803 - the field's name
    """The features that write in the most similar directions, [N, K]; none of a very wide SAE."""
    if not 1 < n_features <= _MOST_COMPARED:
        return np.zeros((n_features, 0), np.int32)
    rows = torch.nn.functional.normalize(W_dec.detach().cpu().float(), dim=1)
    k = min(N_NEIGHBOURS, n_features - 1)
    found = []
    for first in range(0, n_features, 1024):
        dots = rows[first : first + 1024] @ rows.T
        dots[torch.arange(len(dots)), torch.arange(first, first + len(dots))] = -2
        found.append(dots.topk(k, dim=1).indices.int())
    neighbours: Places = torch.cat(found).numpy()
    return neighbours

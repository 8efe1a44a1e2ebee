"""Evidence about one SAE of a person's own, as ``evidence.building`` has left it.

A folder per SAE and model holds ``evidence.safetensors`` and the text in which its examples lie,
``corpus-….safetensors``. Shapes: N features, K = 16 examples, P tokens of the corpus in R rows.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from desktop_scope import paths
from desktop_scope.engine.engine import Engine
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.sae_weights import SaeWeights
from desktop_scope.engine.types import Bools, FeatureId, Floats, Ints, ModelInfo
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.interest import Peaks
from desktop_scope.evidence.known import Unlabelled
from desktop_scope.evidence.labels import LabelBook
from desktop_scope.evidence.rows import Row
from desktop_scope.evidence.store import N_BINS, N_TOP, WINDOW, WINDOW_LEFT
from desktop_scope.evidence.types import Example, Label, TopToken

FILE = "evidence.safetensors"
FORMAT = "desktop-scope-evidence/1"
N_MID = 6
N_TOKENS = 8
TENSORS: dict[str, tuple[str, tuple[int, ...]]] = {  # name: dtype, shape after N
    "density": ("F32", ()),
    "mean_active": ("F32", ()),
    "max_active": ("F32", ()),
    "hist": ("I32", (N_BINS,)),
    "example_position": ("I64", (N_TOP + N_MID,)),
    "example_value": ("F32", (N_TOP + N_MID,)),  # 0: no example
    "example_scale": ("F32", (N_TOP + N_MID,)),  # what 255 of the window stands for
    "example_window": ("U8", (N_TOP + N_MID, WINDOW)),
    "top_token": ("I32", (N_TOKENS,)),
    "top_token_share": ("F32", (N_TOKENS,)),
}

_HASHED_ROWS = 256  # of each matrix: tells SAEs apart without reading gigabytes


def evidence_key(weights: SaeWeights, model: ModelInfo) -> str:
    """Names what an SAE's activations depend on: its numbers, where they are attached, the model.

    Of the matrices some rows are looked at, spread evenly.
    """
    w = weights
    about = (
        *(model.id, model.n_layers, model.d_model),
        *(tuple(map(str, w.reads)), tuple(map(str, w.writes)), w.architecture, w.k, w.norm),
        *(w.centred, w.subtract_b_dec, w.decoder_norm, w.skip_positions, w.d_sae),
    )
    key = hashlib.sha256(repr(about).encode())
    rows = torch.linspace(0, w.d_sae - 1, min(w.d_sae, _HASHED_ROWS)).long()
    parts = (w.b_dec, w.b_enc, w.W_enc_scale, w.W_dec_scale, w.threshold, *(w.gate or ()))
    for part in (w.W_enc[rows], w.W_dec[rows], *parts):
        raw = torch.zeros(0) if part is None else part.detach().cpu().contiguous()
        key.update(raw.reshape(-1).view(torch.uint8).numpy().tobytes())
    return key.hexdigest()[:32]


def evidence_keys(engine: Engine) -> list[str]:
    """The key of every open SAE."""
    return [evidence_key(sae.weights, engine.model.info) for sae in engine.saes]


def evidence_home() -> Path:
    """Where evidence is kept and looked for: a folder for each key."""
    return paths.cache_dir() / "evidence"


def own_evidence(weights: SaeWeights, model: LanguageModel) -> OwnEvidence | None:
    """What has been gathered about an SAE with this model; None if nothing was.

    Raises:
        ScopeError: What was gathered is damaged.
    """
    if not evidence_home().is_dir():
        return None
    folder = evidence_home() / evidence_key(weights, model.info)
    if not (folder / FILE).is_file():
        return None
    return OwnEvidence(folder, weights.d_sae, model.texts)


class OwnEvidence(Unlabelled):
    """What was gathered about one SAE; the files stay mapped. See ``known.SaeEvidence``.

    Args:
        folder: With ``evidence.safetensors`` and its corpus.
        n_features: Of the SAE.
        token_texts: The readable text of every token of the vocabulary.

    Attributes:
        n_tokens: On so many tokens.
        token_texts: As given.
        row_start: Where rows start in the text, [R + 1].
        aside: Rows from which nothing was gathered, [R].
        corpus: Names the text; the same for SAEs that were gathered together.

    Raises:
        ScopeError: A file is missing, cut short or does not hold what it should.
    """

    def __init__(self, folder: Path, n_features: int, token_texts: tuple[str, ...]) -> None:
        super().__init__(n_features)
        self._folder, self.token_texts = folder, token_texts
        self._book: LabelBook | None = None
        try:
            self._file = safe_open(folder / FILE, framework="numpy")
            about = self._file.metadata() or {}
            for name, (kind, rest) in TENSORS.items():
                found = self._file.get_slice(name)
                if (found.get_dtype(), tuple(found.get_shape())) != (kind, (n_features, *rest)):
                    raise self._damaged(f"“{name}” is of another type or size")
            self.corpus = Path(about["corpus"]).name
            corpus = safe_open(folder / self.corpus, framework="numpy")
            self._tokens = corpus.get_slice("tokens")
            self.row_start: NDArray[np.int64] = corpus.get_tensor("row_start")
            self.aside: Bools = np.zeros(len(self.row_start) - 1, bool)
            if "aside" in corpus.keys():  # noqa: SIM118 - not a dict; older ones left nothing aside
                self.aside = corpus.get_tensor("aside").astype(bool)
            self.n_tokens = int(about["n_tokens"])
            self.median_norm = float(about["median_norm"])
            self.density: Floats = self._file.get_tensor("density")
            self.mean_active: Floats = self._file.get_tensor("mean_active")
            self.max_active: Floats = self._file.get_tensor("max_active")
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise self._damaged(str(error)) from error
        size, starts = self._tokens.get_shape(), self.row_start
        rows_add_up = starts.ndim == 1 and self.aside.shape == (len(starts) - 1,)
        if not rows_add_up or size != [starts[-1]] or (np.diff(starts) <= 0).any():
            raise self._damaged("its rows do not add up to its text")

    def name(self, book: LabelBook) -> None:
        """Take the labels that were made from this evidence."""
        self._book, self.dull = book, book.of_kind("format")[0]

    def label(self, index: int) -> Label:
        """A feature's label, if they have been made."""
        return super().label(index) if self._book is None else self._book.label(FeatureId(0, index))

    def label_texts(self) -> tuple[str, ...]:
        """What the labels say, [N]; empty before there are any."""
        return super().label_texts() if self._book is None else self._book.texts(0)

    def kinds(self) -> tuple[str, ...]:
        """What kind of label the features have, [N]."""
        return super().kinds() if self._book is None else self._book.kinds(0)

    def matching(self, words: str) -> Bools:
        """Features whose labels match, [N]; all where there are no words."""
        return super().matching(words) if self._book is None else self._book.matching(words)[0]

    @cached_property
    def tokens(self) -> Ints:
        """The whole text, [P]."""
        tokens: Ints = self._tokens[:]
        return tokens

    def array(self, name: str) -> NDArray[Any]:
        """One of TENSORS.

        Raises:
            ScopeError: Examples lie outside the text.
        """
        array: NDArray[Any] = self._file.get_tensor(name)
        if name == "example_position" and not (
            (array >= 0).all() and (array < self.row_start[-1]).all()
        ):
            raise self._damaged("it has impossible examples")
        return array

    def histogram(self, index: int) -> Ints:
        """Counts of activations between each two of BIN_EDGES; those beyond are at the ends."""
        return self._row("hist", index)

    def top_tokens(self, index: int) -> tuple[TopToken, ...]:
        """The tokens that take the most of its activation."""
        tokens, shares = self._row("top_token", index), self._row("top_token_share", index)
        return tuple(
            TopToken(self._text(token), float(share))
            for token, share in zip(tokens.tolist(), shares, strict=True)
            if share > 0
        )

    def examples(self, index: int) -> tuple[Example, ...]:
        """The strongest, then some of the mid-range."""
        positions, values = self._row("example_position", index), self._row("example_value", index)
        windows = self._row("example_window", index).astype(np.float32)
        windows *= self._row("example_scale", index)[:, None] / 255
        end = int(self.row_start[-1])
        if not np.isfinite(values).all() or (positions < 0).any() or (positions >= end).any():
            raise self._damaged(f"feature {index} has impossible examples")
        return tuple(
            self._example(int(positions[k]), float(values[k]), windows[k], k)
            for k in np.flatnonzero(values > 0).tolist()
        )

    def peaks(self) -> Peaks:
        """On which tokens the features are strongest."""
        positions, values = self.array("example_position"), self.array("example_value")
        tokens = self.tokens
        found = np.where(values > 0, tokens[positions].astype(np.int32), -1).astype(np.int32)
        return Peaks(found, N_TOP, np.bincount(tokens, minlength=len(self.token_texts)))

    def stretches(self, index: int) -> tuple[Row, ...]:
        """The rows of the examples up to where their windows end; before them is context."""
        positions, values = self._row("example_position", index), self._row("example_value", index)
        rows = []
        for n, position in enumerate(positions[values > 0].tolist()):
            row = int(np.searchsorted(self.row_start, position, side="right"))
            first, past = int(self.row_start[row - 1]), int(self.row_start[row])
            ids = self._tokens[first : min(position - WINDOW_LEFT + WINDOW, past)]
            start = max(position - WINDOW_LEFT - first, 1)
            rows.append(Row(ids.astype(np.int32), start, n, 1.0))
        return tuple(rows)

    def _example(self, position: int, value: float, window: Floats, k: int) -> Example:
        row = int(np.searchsorted(self.row_start, position, side="right"))
        left = position - WINDOW_LEFT
        first = max(left, int(self.row_start[row - 1]))
        last = min(left + WINDOW, int(self.row_start[row]))
        values = window[first - left : last - left].copy()
        values[position - first] = value  # exact, where the window has 8 bits
        values.flags.writeable = False
        return Example(
            texts=tuple(map(self._text, self._tokens[first:last].tolist())),
            values=values,
            peak=position - first,
            value=value,
            band="top" if k < N_TOP else "mid",
        )

    def _text(self, token: int) -> str:
        if not 0 <= token < len(self.token_texts):
            raise self._damaged("it has a token that the model does not know")
        return self.token_texts[token]

    def _row(self, name: str, index: int) -> NDArray[Any]:
        row: NDArray[Any] = self._file.get_slice(name)[index]
        return row

    def _damaged(self, why: str) -> ScopeError:
        return ScopeError(
            f"The evidence in {self._folder} is damaged: {why}.",
            "Delete that folder, and gather it again with `desktop-scope index`.",
        )

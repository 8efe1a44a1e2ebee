"""The evidence of a pack, read from memory-mapped files: nothing is copied until asked for.

Shapes: L layers, N features of one SAE, K = 16 examples of 24 tokens each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from desktop_scope.engine.types import FeatureId, Floats, Ints
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.rows import Row
from desktop_scope.evidence.types import Example, TopToken

N_BINS = 24
N_TOP = 10  # examples chosen for their strength; the rest come from the middle of the range
WINDOW_LEFT = 14  # tokens of a window before the peak
WINDOW = 24
PADDING = 65535

#: Activation at the edges of the histogram's bins, [N_BINS + 1], in residual units.
BIN_EDGES: Floats = (2.0 ** (np.arange(N_BINS + 1) / 2 - 4)).astype(np.float32)
BIN_EDGES.flags.writeable = False

_HINT = "Copy the pack again, or install Desktop Scope again if it is the demo pack."
_LAYER_TENSORS: dict[str, tuple[str, tuple[int, ...]]] = {  # name: dtype, shape after N
    "density": ("F32", ()),
    "mean_active": ("F16", ()),
    "max_active": ("F16", ()),
    "hist": ("I32", (N_BINS,)),
    "example_position": ("I32", (16,)),
    "example_value": ("F16", (16,)),
    "example_window": ("U8", (16, WINDOW)),
    "top_token": ("I32", (8,)),
    "top_token_share": ("F16", (8,)),
}


@dataclass(frozen=True, eq=False)
class Corpus:
    """The text in which the examples lie."""

    tokens: NDArray[np.uint16] | Ints  # [rows, width], padding after a row's end
    start: NDArray[np.uint8]  # [rows] tokens before it were not counted
    source: NDArray[np.uint8]  # [rows] index into sources
    sources: tuple[str, ...]
    padding: int = PADDING


class EvidenceStore:
    """What is known about every feature of a pack.

    Args:
        pack: Folder with ``pack.json``, ``corpus.safetensors`` and
            ``evidence/layer_LL.safetensors``.
        token_texts: The readable text of every token of the vocabulary, leading space kept;
            or a function from a token id to its text.

    Attributes:
        density: Share of the corpus on which a feature fires, [L, N].
        mean_active: Mean activation where it fires, residual units, [L, N].
        max_active: Strongest activation, residual units, [L, N].

    Raises:
        ScopeError: A file is missing, cut short or does not hold what it should.
    """

    def __init__(self, pack: Path, token_texts: Sequence[str] | Callable[[int], str]) -> None:
        self.pack = Path(pack)
        self.token_text: Callable[[int], str] = (
            token_texts if callable(token_texts) else token_texts.__getitem__
        )
        about = _read_about(self.pack)
        self.n_layers, self.n_features = _sizes(about, self.pack)
        self.vocab_size = int(about["model"].get("vocab_size", PADDING))
        if not callable(token_texts) and len(token_texts) < self.vocab_size:
            raise ScopeError(
                f"This pack speaks of {self.vocab_size} tokens, the model knows "
                f"{len(token_texts)}.",
                "Load the model that the pack was made for.",
            )
        self._files = [self._open_layer(layer) for layer in range(self.n_layers)]
        self.corpus = _read_corpus(self.pack / "corpus.safetensors", self.vocab_size)
        self.density = self._gather("density")
        self.mean_active = self._gather("mean_active")
        self.max_active = self._gather("max_active")

    def histogram(self, feature: FeatureId) -> Ints:
        """How many activations fell between each two of BIN_EDGES, [N_BINS]."""
        return self._row("hist", feature)

    def top_tokens(self, feature: FeatureId) -> tuple[TopToken, ...]:
        """Up to 8 tokens that take the most of the feature's total activation, most first."""
        tokens, shares = self._row("top_token", feature), self._row("top_token_share", feature)
        if not np.isfinite(shares).all() or not self._known(tokens):
            raise self._damaged(feature.sae)
        return tuple(
            TopToken(self.token_text(int(token)), float(share))
            for token, share in zip(tokens, shares, strict=True)
            if share > 0
        )

    def examples(self, feature: FeatureId) -> tuple[Example, ...]:
        """Up to 16 stretches of the corpus: the strongest first, then the mid-range ones."""
        positions = self._row("example_position", feature)
        values = self._row("example_value", feature).astype(np.float32)
        windows = self._row("example_window", feature)
        flat = self.corpus.tokens.size
        if not np.isfinite(values).all() or (positions < 0).any() or (positions >= flat).any():
            raise self._damaged(feature.sae)
        scale = self.max_active[feature] / 255
        return tuple(
            self._example(int(positions[k]), values[k], windows[k] * scale, k)
            for k in np.flatnonzero(values > 0).tolist()
        )

    def stretches(self, feature: FeatureId) -> tuple[Row, ...]:
        """The rows of the examples up to where their windows end; what is before them is context.

        Attributes of a row: ``start`` is where its window begins.
        """
        values, rows = self._row("example_value", feature), []
        positions = self._row("example_position", feature)[values > 0]
        if (positions < 0).any() or (positions >= self.corpus.tokens.size).any():
            raise self._damaged(feature.sae)
        for n, position in enumerate(positions.tolist()):
            row, column = divmod(position, self.corpus.tokens.shape[1])
            ids = self.corpus.tokens[row, : column - WINDOW_LEFT + WINDOW]
            start = max(column - WINDOW_LEFT, int(self.corpus.start[row]))
            rows.append(Row(ids[ids != PADDING].astype(np.int32), start, n, 1.0))
        return tuple(rows)

    def layer_arrays(self, layer: int) -> dict[str, NDArray[Any]]:
        """Every array of one layer, copied: what the labeller reads."""
        self._check(FeatureId(layer, 0))
        arrays = {name: self._files[layer].get_tensor(name) for name in _LAYER_TENSORS}
        positions, tokens = arrays["example_position"], arrays["top_token"]
        if (
            not all(np.isfinite(a).all() for a in arrays.values())
            or positions.min() < 0
            or positions.max() >= self.corpus.tokens.size
            or not self._known(tokens)
        ):
            raise self._damaged(layer)
        return arrays

    def peak_tokens(self, layer: int) -> Ints:
        """The token at the peak of every example of a layer, [N, 16]; −1 where there is none."""
        positions = self._files[layer].get_tensor("example_position")
        values = self._files[layer].get_tensor("example_value")
        flat = self.corpus.tokens.reshape(-1)
        if not np.isfinite(values).all() or positions.min() < 0 or positions.max() >= len(flat):
            raise self._damaged(layer)
        return np.where(values > 0, flat[positions].astype(np.int32), -1).astype(np.int32)

    @cached_property
    def token_counts(self) -> NDArray[np.int64]:
        """How often each token stands in the corpus, [vocabulary]."""
        tokens = self.corpus.tokens
        return np.bincount(tokens[tokens != PADDING], minlength=self.vocab_size)

    def _example(self, position: int, value: np.float32, window: Floats, k: int) -> Example:
        row, column = divmod(position, self.corpus.tokens.shape[1])
        first = max(column - WINDOW_LEFT, 0)
        tokens = self.corpus.tokens[row, first : column - WINDOW_LEFT + WINDOW]
        tokens = tokens[tokens != PADDING]
        peak = column - first
        offset = first - (column - WINDOW_LEFT)
        values = window[offset : offset + len(tokens)].astype(np.float32)
        values[peak] = value  # exact, where the window has 8 bits
        values.flags.writeable = False
        return Example(
            texts=tuple(self.token_text(int(token)) for token in tokens),
            values=values,
            peak=peak,
            value=float(value),
            band="top" if k < N_TOP else "mid",
        )

    def _open_layer(self, layer: int) -> Any:
        path = self.pack / "evidence" / f"layer_{layer:02}.safetensors"
        file = _open(path)
        expected = {
            name: (dtype, (self.n_features, *rest))
            for name, (dtype, rest) in _LAYER_TENSORS.items()
        }
        _check_tensors(file, path, expected)
        return file

    def _gather(self, name: str) -> Floats:
        stacked = np.stack([file.get_tensor(name) for file in self._files]).astype(np.float32)
        bad = np.flatnonzero(~np.isfinite(stacked).all(axis=1))
        if len(bad):
            raise self._damaged(int(bad[0]))
        stacked.flags.writeable = False
        return stacked

    def _row(self, name: str, feature: FeatureId) -> NDArray[Any]:
        self._check(feature)
        row: NDArray[Any] = self._files[feature.sae].get_slice(name)[feature.index]
        return row

    def _check(self, feature: FeatureId) -> None:
        layer, index = feature
        if not (0 <= layer < self.n_layers and 0 <= index < self.n_features):
            raise ScopeError(
                f"There is no feature {layer}/{index}.",
                f"Layers go from 0 to {self.n_layers - 1}, "
                f"features from 0 to {self.n_features - 1}.",
            )

    def _known(self, tokens: Ints) -> bool:
        return bool((tokens >= 0).all() and (tokens < self.vocab_size).all())

    def _damaged(self, layer: int) -> ScopeError:
        return ScopeError(f"The evidence of layer {layer} holds impossible values.", _HINT)


def _read_about(pack: Path) -> dict[str, Any]:
    path = pack / "pack.json"
    try:
        about: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ScopeError(f"{pack} is not a pack: it has no pack.json.", _HINT) from None
    except (OSError, ValueError) as error:
        raise ScopeError(f"{path} cannot be read: {error}.", _HINT) from error
    return about


def _sizes(about: dict[str, Any], pack: Path) -> tuple[int, int]:
    try:
        return int(about["model"]["n_layers"]), int(about["saes"]["d_sae"])
    except (KeyError, TypeError, ValueError):
        raise ScopeError(
            f"{pack / 'pack.json'} does not say how large the SAEs are.", _HINT
        ) from None


def _read_corpus(path: Path, vocab_size: int) -> Corpus:
    file = _open(path)
    try:
        rows = file.get_slice("tokens").get_shape()[0]
        width = file.get_slice("tokens").get_shape()[1]
    except (SafetensorError, IndexError):
        raise ScopeError(f"{path} has no table of tokens.", _HINT) from None
    expected = {
        "tokens": ("U16", (rows, width)),
        "start": ("U8", (rows,)),
        "source": ("U8", (rows,)),
    }
    _check_tensors(file, path, expected)
    corpus = Corpus(
        tokens=file.get_tensor("tokens"),
        start=file.get_tensor("start"),
        source=file.get_tensor("source"),
        sources=tuple(json.loads((file.metadata() or {}).get("sources", "[]"))),
    )
    if (corpus.tokens[corpus.tokens != PADDING] >= vocab_size).any():
        raise ScopeError(f"{path} holds tokens that the model does not know.", _HINT)
    return corpus


def _open(path: Path) -> Any:
    try:
        return safe_open(path, framework="numpy")
    except FileNotFoundError:
        raise ScopeError(f"{path} is missing.", _HINT) from None
    except (SafetensorError, OSError) as error:
        raise ScopeError(f"{path} is damaged or cut short: {error}.", _HINT) from error


def _check_tensors(file: Any, path: Path, expected: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    present = set(file.keys())
    for name, (dtype, shape) in expected.items():
        if name not in present:
            raise ScopeError(f"{path} lacks the tensor “{name}”.", _HINT)
        found = file.get_slice(name)
        if found.get_dtype() != dtype or tuple(found.get_shape()) != shape:
            raise ScopeError(
                f"{path}: “{name}” is {found.get_dtype()} {list(found.get_shape())}, "
                f"not {dtype} {list(shape)}.",
                _HINT,
            )

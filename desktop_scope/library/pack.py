"""A pack: one model, one SAE per layer, and the evidence about their features."""

from __future__ import annotations

from pathlib import Path

import msgspec

from desktop_scope.errors import ScopeError


class PackModel(msgspec.Struct, frozen=True):
    """The model that a pack belongs to."""

    id: str
    source: str
    gguf_sha256: str
    n_layers: int
    d_model: int
    vocab_size: int


class PackSaes(msgspec.Struct, frozen=True):
    """The SAEs of a pack."""

    architecture: str
    d_sae: int
    matryoshka_prefixes: tuple[int, ...]
    hook: str


class TokenMask(msgspec.Struct, frozen=True):
    """Which tokens are not encoded.

    Attributes:
        median_norm: Median residual norm of every layer.
    """

    skip_position: int
    median_norm: tuple[float, ...]
    outlier_factor: float = 6.0  # "exceeds 6x median_norm" in version 1
    raw_first_token: int = 0  # what version 1 puts before text without a chat template


class LayerMetrics(msgspec.Struct, frozen=True):
    """How good one SAE is, as its makers measured."""

    layer: int
    fvu: float
    l0: float
    ce_recovered: float


class Pack(msgspec.Struct, frozen=True):
    """What ``pack.json`` says."""

    name: str
    model: PackModel
    saes: PackSaes
    token_mask: TokenMask
    metrics: tuple[LayerMetrics, ...]
    format: str = msgspec.field(default="")

    def sae_files(self, folder: Path) -> list[Path]:
        """The SAE of every layer."""
        return [
            folder / "saes" / f"layer_{layer:02}.safetensors"
            for layer in range(self.model.n_layers)
        ]


# Made here, once: two threads that first meet a type of msgspec at the same time crash it.
_PACK = msgspec.json.Decoder(Pack)


def is_pack(folder: Path) -> bool:
    """Whether a folder holds a pack."""
    return (folder / "pack.json").is_file()


def read_pack(folder: Path) -> Pack:
    """Read a pack's description.

    Raises:
        ScopeError: There is no pack, or its description makes no sense.
    """
    path = folder / "pack.json"
    try:
        pack = _PACK.decode(path.read_bytes())
    except OSError as error:
        raise ScopeError(
            f"There is no pack in {folder}: {error.strerror}.",
            "Choose a folder with a pack.json, or install Desktop Scope again.",
        ) from error
    except msgspec.DecodeError as error:
        raise ScopeError(f"The pack's {path} cannot be read: {error}.", "Get it again.") from error
    if pack.format != "desktop-scope-pack/1":
        raise ScopeError(
            f"{path} is of the format “{pack.format}”, which this version does not know.",
            "A newer Desktop Scope may read it.",
        )
    if len(pack.token_mask.median_norm) != pack.model.n_layers:
        raise ScopeError(f"{path} has no median norm for each layer.", "Get it again.")
    return pack

"""circuit-tracer's cross-layer transcoders: a folder with two files per layer, and a configuration.

The features of layer i are in ``W_enc_i.safetensors``; the decoders in ``W_dec_i.safetensors``
are those with which they write to layer i and to all after it.
"""

from __future__ import annotations

from pathlib import Path

import torch

from desktop_scope.engine.sae_weights import Architecture, SaeWeights
from desktop_scope.errors import ScopeError
from desktop_scope.formats.config import yaml_object
from desktop_scope.formats.hook_names import hook_points, model_id
from desktop_scope.formats.reading import safetensors_file
from desktop_scope.formats.repository import names_of

NAME = "circuit-tracer CLT"
FILES = ("W_enc_*.safetensors", "W_dec_*.safetensors")
OPENS = "folder"


def match(path: Path) -> bool:
    """Whether it is a folder with the first layer's encoder and a configuration."""
    return all((path / name).is_file() for name in ("W_enc_0.safetensors", "config.yaml"))


def open(path: Path) -> tuple[SaeWeights, ...]:
    """Map the tensors, one SaeWeights per layer.

    Raises:
        ScopeError: Something is wrong with the files, or some are lacking.
    """
    config = yaml_object(path / "config.yaml")
    n_layers = _count(path)
    reads, writes = (
        hook_points(f"blocks.{{all}}.{config.text(f'feature_{end}_hook')}", n_layers)
        for end in ("input", "output")
    )
    weights = []
    for layer in range(n_layers):
        t, decoder = _tensors(path, layer, n_layers)
        bias = t["b_dec"].new_zeros(n_layers - layer, len(t["b_dec"]))
        bias[0] = t["b_dec"]
        threshold = t.get("threshold")
        weights.append(
            SaeWeights(
                name=f"{names_of(path)[-1]}/layer_{layer}",
                format=NAME,
                architecture=Architecture.RELU if threshold is None else Architecture.JUMPRELU,
                reads=(reads[layer],),
                writes=writes[layer:],
                W_enc=t["W_enc"],
                W_dec=decoder.flatten(1),
                b_enc=t["b_enc"],
                b_dec=bias.flatten(),
                threshold=threshold,
                group=str(path.absolute()),
                model=model_id(config.text("model_name", "")),
            )
        )
    return tuple(weights)


def _tensors(path: Path, layer: int, n_layers: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """What is in the encoder's file of a layer, and its decoders [d_sae, layers from it on, d]."""
    shapes = {"W_enc": "n d", "b_enc": "n", "b_dec": "e", "threshold": "n"}
    taken = safetensors_file(path / f"W_enc_{layer}.safetensors").take(
        {f"{name}_{layer}": shape for name, shape in shapes.items()},
        optional={f"threshold_{layer}"},
    )
    tensors = {name.removesuffix(f"_{layer}"): tensor for name, tensor in taken.items()}
    name = f"W_dec_{layer}"
    decoder = safetensors_file(path / f"{name}.safetensors").take(
        {name: "n layers e"},
        n=len(tensors["b_enc"]),
        layers=n_layers - layer,
        e=len(tensors["b_dec"]),
    )
    return tensors, decoder[name]


def _count(path: Path) -> int:
    """How many layers there are, none lacking."""
    kinds = ("W_enc", "W_dec")
    counts = [sum(1 for _ in path.glob(f"{kind}_*.safetensors")) for kind in kinds]
    needed = [f"{kind}_{layer}.safetensors" for kind in kinds for layer in range(max(counts))]
    lacking = [name for name in needed if not (path / name).is_file()]
    if lacking:
        raise ScopeError(
            f"{path.name} lacks {', '.join(lacking[:4])}{' and more' * (len(lacking) > 4)}.",
            "A cross-layer transcoder works as a whole: get all of its layers.",
        )
    return max(counts)

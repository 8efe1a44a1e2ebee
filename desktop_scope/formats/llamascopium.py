"""llamascopium (Language-Model-SAEs) by OpenMOSS: SAEs, transcoders, crosscoders, CLTs.

With s_in and s_out the factors that bring the activations of a hook to a mean length of √d_model
("dataset-wise"; 1 where they are folded in, "inference"), and D_i the stored decoder rows:

    h = s_in·x·W_E + b_E;  h·‖D_i‖ decides, against the threshold or for the k largest;
    y = (f·W_D + b_D) / s_out

Our decoder rows being D_i / s_out, thresholds are divided by s_out too.

A crosscoder sums its encoders, but each of its heads decides with its own decoder's lengths: so
each is one SaeWeights, which reads all hooks and writes to its own. A CLT is one per layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from desktop_scope.engine.sae_weights import Architecture, DecoderNorm, InputNorm, SaeWeights
from desktop_scope.errors import ScopeError
from desktop_scope.formats.config import HINT, json_object
from desktop_scope.formats.hook_names import hook_point
from desktop_scope.formats.llamascopium_source import NAME, Source
from desktop_scope.formats.reading import safetensors_file
from desktop_scope.formats.repository import names_of

__all__ = ["FILES", "NAME", "OPENS", "match", "open"]

FILES = ("sae_weights.safetensors",)
OPENS = "folder"

_SHORTEST = 1e-12  # decoder rows are not divided by lengths below this


def match(path: Path) -> bool:
    """Whether it is a folder with such tensors, and a configuration that says the type.

    Raises:
        ScopeError: One of the two files is damaged.
    """
    config, weights = path / "config.json", path / "sae_weights.safetensors"
    return (
        config.is_file()
        and weights.is_file()
        and "encoder.weight" not in safetensors_file(weights).tensors
        and "sae_type" in json_object(config)
    )


def open(path: Path) -> tuple[SaeWeights, ...]:
    """Map the tensors; the decoders of a CLT are copied, and so is what needs several factors.

    Raises:
        ScopeError: Something is wrong with the files, or it is of a type or has parts that
            Desktop Scope does not know.
    """
    source = Source.of(path)
    sae_type = source.config.text("sae_type")
    if sae_type not in _TYPES:
        raise ScopeError(
            f"{path.name} is a {sae_type[:80]}, which Desktop Scope does not know.",
            f"Of llamascopium’s types, it knows: {', '.join(_TYPES)}.",
        )
    if source.config.flag("use_glu_encoder", False):
        raise ScopeError(
            f"{path.name} has a GLU encoder, which Desktop Scope does not know.",
            "Choose an SAE without one.",
        )
    return _TYPES[sae_type](source)


def _sae(source: Source) -> tuple[SaeWeights, ...]:
    """An SAE or a transcoder."""
    read, written = (source.config.text(f"hook_point_{end}") for end in ("in", "out"))
    if read != written:
        source.refuse_token_wise()
    bias = {"b_D": "d"} if source.config.flag("use_decoder_bias", True) else {}
    t, threshold = source.take({"W_E": "d n", "b_E": "n", "W_D": "n d", **bias}, thresholds="n")
    d_sae, d_model = t["W_D"].shape
    weights = SaeWeights(
        name=names_of(source.path)[-1],
        reads=(hook_point(read),),
        writes=(hook_point(written),),
        W_enc=t["W_E"].T,
        W_enc_scale=torch.full((d_sae,), source.factor(read)),
        b_enc=t["b_E"],
        norm=(InputNorm.CONSTANT_NORM_RESCALE if source.norm == "token-wise" else InputNorm.NONE),
        **_one_decoder(
            t["W_D"],
            t.get("b_D", torch.zeros(d_model)),
            threshold,
            source.factor(written),
            by_length=source.by_length,
        ),
        **source.common(d_sae),
    )
    return (weights,)


def _crosscoder(source: Source) -> tuple[SaeWeights, ...]:
    source.refuse_token_wise()
    hooks = source.hooks("hook_points")
    places = tuple(map(hook_point, hooks))
    t, threshold = source.take(
        {"W_E": "slots d n", "b_E": "slots n", "W_D": "slots n d", "b_D": "slots d"},
        thresholds="n",
        slots=len(hooks),
    )
    factors = [source.factor(hook) for hook in hooks]
    encoder = t["W_E"]
    if set(factors) != {1.0}:
        encoder = encoder.float() * torch.tensor(factors)[:, None, None]
    encoder = encoder.flatten(0, 1).T
    b_enc = t["b_E"].float().sum(0)
    return tuple(
        SaeWeights(
            name=f"{names_of(source.path)[-1]}/{place}",
            reads=places,
            writes=(place,),
            W_enc=encoder,
            b_enc=b_enc,
            group=str(source.path.absolute()),
            # Its own code always takes the lengths in, whatever the configuration says.
            **_one_decoder(
                t["W_D"][head],
                t["b_D"][head],
                threshold,
                factors[head],
                by_length=source.architecture is not Architecture.RELU,
            ),
            **source.common(len(b_enc)),
        )
        for head, place in enumerate(places)
    )


def _one_decoder(
    rows: torch.Tensor,
    bias: torch.Tensor,
    threshold: torch.Tensor | None,
    s_out: float,
    *,
    by_length: bool,
) -> dict[str, Any]:
    """Decoder to a single hook, and the threshold as it is compared with its lengths."""
    return {
        "W_dec": rows,
        "W_dec_scale": torch.full((len(rows),), 1 / s_out),
        "b_dec": bias.float() / s_out,
        "threshold": threshold if threshold is None or not by_length else threshold / s_out,
        "decoder_norm": DecoderNorm.SELECT if by_length else DecoderNorm.IGNORE,
    }


def _clt(source: Source) -> tuple[SaeWeights, ...]:
    """``W_D.i`` holds the decoders of layers 0 to i into layer i."""
    source.refuse_token_wise()
    read, written = source.hooks("hook_points_in"), source.hooks("hook_points_out")
    n_layers = len(read)
    if len(written) != n_layers:
        raise ScopeError(f"{source.config.path} names other hooks to read than to write.", HINT)
    t, thresholds = source.take(
        {
            "W_E": "slots d n",
            "b_E": "slots n",
            **{f"b_D.{layer}": "d" for layer in range(n_layers)},
        },
        thresholds="slots n",
        slots=n_layers,
    )
    d_sae, d_model = t["b_E"].shape[1], source.d_model
    into = [
        source.file.take({f"W_D.{i}": "sources n d"}, sources=i + 1, n=d_sae, d=d_model)
        for i in range(n_layers)
    ]
    s_out = [source.factor(hook) for hook in written]
    weights = []
    for layer in range(n_layers):
        rows = [into[i][f"W_D.{i}"][layer] for i in range(layer, n_layers)]
        bias = torch.zeros(n_layers - layer, d_model)
        bias[0] = t[f"b_D.{layer}"].float() / s_out[layer]
        weights.append(
            SaeWeights(
                name=f"{names_of(source.path)[-1]}/{read[layer]}",
                reads=(hook_point(read[layer]),),
                writes=tuple(map(hook_point, written[layer:])),
                W_enc=t["W_E"][layer].T,
                b_dec=bias.flatten(),
                group=str(source.path.absolute()),
                **_gathered(
                    source,
                    rows,
                    s_out[layer:],
                    source.factor(read[layer]),
                    t["b_E"][layer],
                    None if thresholds is None else thresholds[layer],
                ),
                **source.common(d_sae),
            )
        )
    return tuple(weights)


def _gathered(
    source: Source,
    rows: Sequence[torch.Tensor],
    s_out: Sequence[float],
    s_in: float,
    b_enc: torch.Tensor,
    threshold: torch.Tensor | None,
) -> dict[str, Any]:
    """Decoders to several hooks beside one another, and what their lengths have to do with.

    Where each hook has its own factor, our rows are not a multiple of those stored, so that the
    lengths of these are taken into thresholds here; or, for top-k, into encoder and decoder, which
    gives features in units of what they write.
    """
    scale = torch.full((len(b_enc),), s_in)
    if set(s_out) == {1.0}:
        return {
            "W_dec": torch.cat(list(rows), 1),
            "W_enc_scale": scale,
            "b_enc": b_enc,
            "threshold": threshold,
            "decoder_norm": DecoderNorm.SELECT if source.by_length else DecoderNorm.IGNORE,
        }
    scaled = [part.float() / factor for part, factor in zip(rows, s_out, strict=True)]
    squares = [torch.linalg.vector_norm(part.float(), dim=1) ** 2 for part in rows]
    lengths = torch.stack(squares).sum(0).sqrt().clamp(min=_SHORTEST)
    arguments = {
        "W_dec": torch.cat(scaled, 1),
        "W_enc_scale": scale,
        "b_enc": b_enc,
        "threshold": threshold,
    }
    if threshold is not None and source.by_length:
        arguments["threshold"] = threshold / lengths
    elif source.by_length:
        arguments |= {
            "W_enc_scale": scale * lengths,
            "b_enc": b_enc.float() * lengths,
            "W_dec_scale": 1 / lengths,
        }
    return arguments


_TYPES = {"sae": _sae, "crosscoder": _crosscoder, "clt": _clt}

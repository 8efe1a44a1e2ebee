"""Llama-Scope-R1-Distill: SAEs of DeepSeek-R1-Distill-Llama-8B, by OpenMOSS.

As Llama Scope, but with one threshold per feature, which is compared with s·x·W_encᵀ + b_enc as
it is (times the length of the stored decoder row, where the configuration says so).
"""

from __future__ import annotations

from pathlib import Path

import torch

from desktop_scope.engine.sae_weights import Architecture, DecoderNorm, SaeWeights
from desktop_scope.formats import dataset_norm
from desktop_scope.formats.config import json_object
from desktop_scope.formats.hook_names import hook_point
from desktop_scope.formats.reading import safetensors_file
from desktop_scope.formats.repository import names_of

NAME = "Llama Scope R1"
FILES = ("sae_weights.safetensors",)
OPENS = "folder"

_MODEL = "deepseek-ai/DeepSeek-R1-Distill-Llama-8B"


def match(path: Path) -> bool:
    """Whether it is a folder with a configuration and tensors of these names.

    Raises:
        ScopeError: The tensors' file is damaged.
    """
    weights = path / "sae_weights.safetensors"
    return (
        (path / "config.json").is_file()
        and weights.is_file()
        and "log_jumprelu_threshold" in safetensors_file(weights).tensors
    )


def open(path: Path) -> tuple[SaeWeights, ...]:
    """Map the tensors.

    Raises:
        ScopeError: Something is wrong with the files.
    """
    config = json_object(path / "config.json")
    file = safetensors_file(path / "sae_weights.safetensors")
    tensors = file.take(
        {
            "encoder.weight": "n d",
            "encoder.bias": "n",
            "decoder.weight": "d n",
            "decoder.bias": "d",
            "log_jumprelu_threshold": "n",
        },
        d=config.count("d_model"),
    )
    d_sae, d_model = tensors["encoder.weight"].shape
    read = config.text("hook_point_in")
    written = config.text("hook_point_out", read)
    s_in, s_out = (dataset_norm.stored_factor(file, hook, d_model) for hook in (read, written))
    by_length = config.flag("sparsity_include_decoder_norm", False)
    threshold = tensors["log_jumprelu_threshold"].float().exp()
    weights = SaeWeights(
        name="/".join(names_of(path)[-2:]),
        format=NAME,
        architecture=Architecture.JUMPRELU,
        reads=(hook_point(read),),
        writes=(hook_point(written),),
        W_enc=tensors["encoder.weight"],
        W_dec=tensors["decoder.weight"].T,
        b_enc=tensors["encoder.bias"],
        b_dec=tensors["decoder.bias"].float() / s_out,
        W_enc_scale=torch.full((d_sae,), s_in),
        W_dec_scale=torch.full((d_sae,), 1 / s_out),
        # Our decoder rows are 1 / s_out times as long as those stored.
        threshold=threshold / s_out if by_length else threshold,
        decoder_norm=DecoderNorm.SELECT if by_length else DecoderNorm.IGNORE,
        model=_MODEL,
        prepend_bos=True,
    )
    return (weights,)

"""Llama Scope: SAEs and transcoders of every layer of Llama 3.1 8B, by OpenMOSS.

Their authors scale the activations, the reconstruction, and compare with a threshold in between:

    h = s_in·x·W_encᵀ + b_enc;  f = relu(h) · (h · ‖D_i‖ / s_out > t);  y = (f·D + b_dec) / s_out

with D_i the stored decoder rows. D / s_out being our W_dec, the length that decides is that of
its rows, and t stays as it is. Without ``sparsity_include_decoder_norm`` it is h / s_in > t. (The
loader of November 2024 folds all of this into the weights; the test repeats that.) SAELens leaves
‖D_i‖ out and compares with t·s_in: the same where all ‖D_i‖ are 1 and s_in is s_out.
"""

from __future__ import annotations

from pathlib import Path

import torch

from desktop_scope.engine.sae_weights import Architecture, DecoderNorm, SaeWeights
from desktop_scope.errors import ScopeError
from desktop_scope.formats import dataset_norm
from desktop_scope.formats.config import Config, json_object
from desktop_scope.formats.hook_names import hook_point
from desktop_scope.formats.reading import safetensors_file

NAME = "Llama Scope"
FILES = ("final.safetensors",)
OPENS = "file"

_MODEL = "meta-llama/Llama-3.1-8B"
# What the published ones all say; anything else would change the equations.
_EXPECTED = {
    "act_fn": "jumprelu",
    "norm_activation": "dataset-wise",
    "apply_decoder_bias_to_pre_encoder": False,
    "use_glu_encoder": False,
}


def match(path: Path) -> bool:
    """Whether it is ``checkpoints/final.safetensors`` beside a configuration, or their folder."""
    folder = _folder(path)
    return all(file.is_file() for file in (folder / "hyperparams.json", _weights(folder)))


def open(path: Path) -> tuple[SaeWeights, ...]:
    """Map the tensors.

    Raises:
        ScopeError: Something is wrong with the files, or the SAE is of another kind than those
            published.
    """
    folder = _folder(path)
    config = json_object(folder / "hyperparams.json")
    _check(config)
    d_model, d_sae = config.count("d_model"), config.count("d_sae")
    tensors = safetensors_file(_weights(folder)).take(
        {
            "encoder.weight": "n d",
            "encoder.bias": "n",
            "decoder.weight": "d n",
            "decoder.bias": "d",
        },
        d=d_model,
        n=d_sae,
    )
    norms = config.part("dataset_average_activation_norm")
    s_in, s_out = (dataset_norm.factor(d_model, norms.number(end)) for end in ("in", "out"))
    by_length = config.flag("sparsity_include_decoder_norm")
    threshold = config.number("jump_relu_threshold") * (1 if by_length else s_in)
    weights = SaeWeights(
        name=folder.name,
        format=NAME,
        architecture=Architecture.JUMPRELU,
        reads=(hook_point(config.text("hook_point_in")),),
        writes=(hook_point(config.text("hook_point_out")),),
        W_enc=tensors["encoder.weight"],
        W_dec=tensors["decoder.weight"].T,
        b_enc=tensors["encoder.bias"],
        b_dec=tensors["decoder.bias"].float() / s_out,
        W_enc_scale=torch.full((d_sae,), s_in),
        W_dec_scale=torch.full((d_sae,), 1 / s_out),
        threshold=torch.full((d_sae,), threshold, dtype=torch.float64).float(),
        decoder_norm=DecoderNorm.SELECT if by_length else DecoderNorm.IGNORE,
        model=_MODEL,
        prepend_bos=True,
    )
    return (weights,)


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.absolute().parent.parent


def _weights(folder: Path) -> Path:
    return folder / "checkpoints" / "final.safetensors"


def _check(config: Config) -> None:
    for key, expected in _EXPECTED.items():
        if config.get(key, expected) != expected:
            raise ScopeError(
                f"In {config.path.name}, “{key}” is {str(config[key])[:80]}, which Desktop Scope "
                "does not know for Llama Scope.",
                f"The published SAEs have {expected}.",
            )

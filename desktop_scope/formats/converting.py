"""Writes SAEs: our compact format and SAELens's native one, which hold the same JumpReLU SAEs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from desktop_scope.engine.sae_weights import (
    Architecture,
    DecoderNorm,
    InputNorm,
    SaeWeights,
)
from desktop_scope.errors import ScopeError, reason_of

COMPACT, SAELENS = "compact", "saelens"
_LEVELS = 127  # of int8, either side of zero


def as_jumprelu(weights: SaeWeights) -> SaeWeights:
    """The same SAE as a plain JumpReLU one in float32: everything else folded in.

    Raises:
        ScopeError: It is another kind, which cannot be written so.
    """
    kinds = (Architecture.RELU, Architecture.JUMPRELU)
    odd = [
        (weights.architecture not in kinds, f"its architecture is {weights.architecture}"),
        (weights.reads != weights.writes or len(weights.reads) > 1, "it is a transcoder"),
        (weights.norm is not InputNorm.NONE, f"it wants {weights.norm} of its input"),
        (weights.centred, "it wants centred input"),
        (weights.W_skip is not None, "it has a skip connection"),
    ]
    for is_so, reason in odd:
        if is_so:
            raise ScopeError(
                f"{weights.name} cannot be converted: {reason}.",
                "Only ReLU and JumpReLU autoencoders of one hook can.",
            )
    # Every step makes a copy: the tensors may be views of a mapped file.
    one = torch.ones(weights.d_sae)
    W_enc = weights.W_enc.float() * _or(weights.W_enc_scale, one)[:, None]  # noqa: N806
    W_dec = weights.W_dec.float() * _or(weights.W_dec_scale, one)[:, None]  # noqa: N806
    b_dec, b_enc = weights.b_dec.float(), _or(weights.b_enc, torch.zeros(weights.d_sae))
    threshold = _or(weights.threshold, torch.zeros(weights.d_sae)).clamp(min=0)
    if weights.decoder_norm is not DecoderNorm.IGNORE:
        length = W_dec.norm(dim=1)
        if weights.decoder_norm is DecoderNorm.SELECT:
            threshold = threshold / length
        else:
            W_enc, b_enc = W_enc * length[:, None], b_enc * length  # noqa: N806
            W_dec = W_dec / length[:, None]  # noqa: N806
    if weights.subtract_b_dec:
        b_enc = b_enc - W_enc @ b_dec
    return replace(
        weights,
        architecture=Architecture.JUMPRELU,
        W_enc=W_enc,
        W_dec=W_dec,
        b_enc=b_enc,
        b_dec=b_dec.clone(),
        threshold=threshold,
        W_enc_scale=None,
        W_dec_scale=None,
        subtract_b_dec=False,
        decoder_norm=DecoderNorm.IGNORE,
    )


def _or(tensor: torch.Tensor | None, default: torch.Tensor) -> torch.Tensor:
    return default if tensor is None else tensor.float()


def convert(weights: SaeWeights, target: Path, kind: str) -> Path:
    """Write an SAE; nothing that is there already is overwritten.

    Args:
        target: For ``compact`` a file that ends in .safetensors, for ``saelens`` a folder.

    Returns:
        What to open.

    Raises:
        ScopeError: It cannot be converted, the target exists, or nothing can be written there.
    """
    if target.exists():
        raise ScopeError(f"{target} exists already.", "Name another place, or remove it.")
    if kind == COMPACT and target.suffix != ".safetensors":
        raise ScopeError(f"{target} is no name for it.", "End the name in .safetensors.")
    plain = as_jumprelu(weights)
    try:
        if kind == COMPACT:
            target.parent.mkdir(parents=True, exist_ok=True)
            _save_compact(plain, target)
        else:
            target.mkdir(parents=True)
            _save_saelens(plain, target)
    except OSError as error:
        raise ScopeError(
            f"{target} cannot be written: {reason_of(error)}.",
            "Make room, or choose another place.",
        ) from error
    return target


def _save_compact(w: SaeWeights, path: Path) -> None:
    assert w.b_enc is not None
    assert w.threshold is not None
    tensors = {"b_enc": w.b_enc, "b_dec": w.b_dec, "threshold": w.threshold}
    for name, rows in (("W_enc", w.W_enc), ("W_dec", w.W_dec)):
        scale = (rows.abs().amax(dim=1) / _LEVELS).clamp(min=torch.finfo(torch.float32).tiny)
        tensors[name] = (rows / scale[:, None]).round().to(torch.int8)
        tensors[f"{name}_scale"] = scale
    metadata = {
        "format": "desktop-scope-sae/1",
        "hook_name": w.reads[0].name,
        "layer": str(w.reads[0].layer),
        "architecture": "jumprelu",
        "d_in": str(w.d_in),
        "d_sae": str(w.d_sae),
        "matryoshka_prefixes": json.dumps(w.prefixes or (w.d_sae,)),
        "model": w.model or "",
    }
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata)


def _save_saelens(w: SaeWeights, folder: Path) -> None:
    assert w.b_enc is not None
    assert w.threshold is not None
    config = {
        "architecture": "jumprelu",
        "d_in": w.d_in,
        "d_sae": w.d_sae,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": False,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {
            "model_name": w.model,
            "hook_name": w.reads[0].name,
            "hook_head_index": None,
            "prepend_bos": w.prepend_bos is not False,
            "training_architecture_details": {"matryoshka_widths": list(w.prefixes)},
        },
    }
    (folder / "cfg.json").write_text(json.dumps(config, indent=1), "utf-8")
    tensors = {
        "W_enc": w.W_enc.T,
        "W_dec": w.W_dec,
        "b_enc": w.b_enc,
        "b_dec": w.b_dec,
        "threshold": w.threshold,
    }
    save_file(
        {name: tensor.contiguous() for name, tensor in tensors.items()},
        folder / "sae_weights.safetensors",
    )

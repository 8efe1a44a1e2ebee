"""SAELens, from version 1 on: ``cfg.json`` and ``sae_weights.safetensors``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.engine.sae_weights import (
    Architecture,
    DecoderNorm,
    Gate,
    InputNorm,
    SaeWeights,
)
from desktop_scope.errors import ScopeError
from desktop_scope.formats import saelens_registry
from desktop_scope.formats.config import HINT, Config, json_object
from desktop_scope.formats.hook_names import hook_point, model_id
from desktop_scope.formats.reading import TensorFile, safetensors_file
from desktop_scope.formats.repository import names_of
from desktop_scope.formats.widths import nested_widths

NAME = "SAELens"
FILES = ("sae_weights.safetensors",)
OPENS = "folder"

_ARCHITECTURES = {
    "standard": Architecture.RELU,
    "transcoder": Architecture.RELU,
    "skip_transcoder": Architecture.RELU,
    "jumprelu": Architecture.JUMPRELU,
    "jumprelu_transcoder": Architecture.JUMPRELU,
    "jumprelu_skip_transcoder": Architecture.JUMPRELU,
    "topk": Architecture.TOPK,
    "abstopk": Architecture.ABSTOPK,
    "gated": Architecture.GATED,
    # Checkpoints of a training run; what is saved at its end says jumprelu.
    "batchtopk": Architecture.JUMPRELU,
    "matryoshka_batchtopk": Architecture.JUMPRELU,
}
_WITH_K = (Architecture.TOPK, Architecture.ABSTOPK)
_AVERAGED = "expected_average_only_in"
_NORMS = {
    "none": InputNorm.NONE,
    _AVERAGED: InputNorm.NONE,  # a constant factor, which is folded into the weights
    "layer_norm": InputNorm.LAYER_NORM,
    "constant_norm_rescale": InputNorm.CONSTANT_NORM_RESCALE,
}
_SHAPES = {
    "W_enc": "d n",
    "W_dec": "n e",
    "b_dec": "e",
    "b_enc": "n",
    "b_gate": "n",
    "b_mag": "n",
    "r_mag": "n",
    "threshold": "n",
    "log_threshold": "n",
    "topk_threshold": "",
    "scaling_factor": "n",
    "W_skip": "e d",
}
_ALWAYS = {"W_enc", "W_dec", "b_dec"}
_GATE = {"b_gate", "b_mag", "r_mag"}
_THRESHOLDS = ("threshold", "log_threshold", "topk_threshold")


def match(path: Path) -> bool:
    """Whether it is a folder with these two files."""
    return (path / "sae_weights.safetensors").is_file() and (path / "cfg.json").is_file()


def open(path: Path) -> tuple[SaeWeights, ...]:
    """Map the tensors.

    Raises:
        ScopeError: Something is wrong with the files, or the SAE is of a kind that is not known.
    """
    config = json_object(path / "cfg.json")
    about = config.part("metadata") if "metadata" in config else config
    said = saelens_registry.entry(path)
    name, architecture = _architecture(config)
    transcodes = "transcoder" in name
    tensors = _tensors(safetensors_file(path / "sae_weights.safetensors"), config, name)
    reads, writes = _hooks(about, transcodes)
    # Batch-TopK SAEs are saved as jumprelu; how they were trained is among the metadata.
    details = "training_architecture_details"
    trained = about.part(details) if details in about else config
    norm = said.norm or _norm(config, transcodes)
    k = _k(config, most=len(tensors["W_dec"])) if architecture in _WITH_K else None
    weights = SaeWeights(
        name="/".join(names_of(path)[-2:]),
        format=NAME,
        architecture=architecture,
        reads=(reads,),
        writes=(writes,),
        W_enc=tensors["W_enc"].T,
        W_dec=tensors["W_dec"],
        b_enc=tensors.get("b_enc"),
        b_dec=tensors["b_dec"],
        threshold=_threshold(tensors) if architecture is Architecture.JUMPRELU else None,
        k=k,
        gate=Gate(*(tensors[key] for key in Gate._fields)) if "b_gate" in tensors else None,
        W_skip=tensors["W_skip"].T if "W_skip" in tensors else None,
        norm=_NORMS[norm],
        centred=said.centred or _centred(about),
        subtract_b_dec=config.flag("apply_b_dec_to_input", True) and not transcodes,
        decoder_norm=_decoder_norm(config),
        prefixes=nested_widths(
            trained.get("matryoshka_widths", []), len(tensors["W_dec"]), config.path
        ),
        model=model_id(about.text("model_name", "")),
        declared_l0=float(k or trained.number("k")) if k or "k" in trained else None,
        prepend_bos=about.flag("prepend_bos") if "prepend_bos" in about else None,
    )
    factor = said.factor or _trained_with(path)
    return (_folded(weights, factor) if norm == _AVERAGED and factor else weights,)


def _architecture(config: Config) -> tuple[str, Architecture]:
    activation = config.text("activation_fn", config.text("activation_fn_str", "relu"))
    name = "topk" if activation == "topk" else config.text("architecture", "standard")
    if name not in _ARCHITECTURES or activation not in ("relu", "topk"):
        unknown = name if name not in _ARCHITECTURES else activation
        raise ScopeError(
            f"The SAE {config.path.parent.name} is of the architecture “{unknown}”, which "
            "Desktop Scope does not know.",
            f"SAELens's others can be read: {', '.join(_ARCHITECTURES)}.",
        )
    return name, _ARCHITECTURES[name]


def _norm(config: Config, transcodes: bool) -> str:
    said = config.get("normalize_activations", False)
    norm = {True: _AVERAGED, False: "none"}[said] if isinstance(said, bool) else said
    # What a transcoder writes cannot be put back in the measure of what it reads.
    known = ("none", _AVERAGED) if transcodes else tuple(_NORMS)
    if not isinstance(norm, str) or norm not in known:
        raise ScopeError(
            f"The SAE {config.path.parent.name} normalises activations by “{norm}”, which "
            "Desktop Scope does not know.",
            "Fold the normalisation into its weights with SAELens, and save it again.",
        )
    return norm


def _tensors(file: TensorFile, config: Config, name: str) -> dict[str, torch.Tensor]:
    architecture = _ARCHITECTURES[name]
    needed = _ALWAYS | (_GATE if architecture is Architecture.GATED else {"b_enc"})
    if architecture is Architecture.JUMPRELU:
        needed |= {next((key for key in _THRESHOLDS if key in file.tensors), _THRESHOLDS[0])}
    if "skip" in name:
        needed |= {"W_skip"}
    needed |= {"scaling_factor"}
    shapes = {key: shape for key, shape in _SHAPES.items() if key in needed}
    if "transcoder" not in name:  # it writes where it reads
        shapes = {key: shape.replace("e", "d") for key, shape in shapes.items()}
    tensors = file.take(
        shapes,
        optional={"scaling_factor"},
        d=config.count("d_in") if "d_in" in config else None,
        n=config.count("d_sae") if "d_sae" in config else None,
    )
    factors = tensors.get("scaling_factor", torch.ones(()))
    if not torch.allclose(factors, torch.ones_like(factors)):
        raise ScopeError(
            f"The SAE {config.path.parent.name} was fine-tuned with factors for its features, "
            "which Desktop Scope does not know.",
            "SAELens 5 can fold them into its weights.",
        )
    return tensors


def _threshold(tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    if "threshold" in tensors:
        return tensors["threshold"]
    if "log_threshold" in tensors:
        return tensors["log_threshold"].exp()
    return tensors["topk_threshold"].expand(len(tensors["b_enc"])).clone()


def _hooks(about: Config, transcodes: bool) -> tuple[HookPoint, HookPoint]:
    if any(key in about for key in ("hook_head_index", "hook_point_head_index")):
        raise ScopeError(
            f"The SAE {about.path.parent.name} is for a single attention head.",
            "Desktop Scope reads all heads of a layer together.",
        )
    reads = _hook(about, ("hf_hook_name", "hook_name", "hook_point"))
    if not transcodes:
        return reads, reads
    return reads, _hook(about, ("hf_hook_name_out", "hook_name_out"))


def _hook(about: Config, keys: tuple[str, ...]) -> HookPoint:
    key = next((key for key in keys if key in about), keys[-1])
    name = about.text(key)
    if "{layer}" in name:
        layer = about.get("hook_point_layer", about.get("hook_layer"))
        name = name.replace("{layer}", str(layer))
    model = about.text("model_name", "")
    return hook_point(name, post_norms="gemma-2-" in model or "gemma-3-" in model)


def _k(config: Config, most: int) -> int:
    said = config if "k" in config else config.part("activation_fn_kwargs")
    return said.count("k", most=most)


def _decoder_norm(config: Config) -> DecoderNorm:
    rescales = config.flag("rescale_acts_by_decoder_norm", False)
    return DecoderNorm.RESCALE if rescales else DecoderNorm.IGNORE


def _centred(about: Config) -> bool:
    return about.part("model_from_pretrained_kwargs").flag("center_writing_weights", False)


def _trained_with(path: Path) -> float | None:
    """The factor by which a training run multiplies activations; its checkpoints have it."""
    scaler = path / "activation_scaler.json"
    if not scaler.is_file():
        return None
    factor = json_object(scaler).number("scaling_factor", 1)
    if factor <= 0:
        raise ScopeError(f"In {scaler.name}, scaling_factor is {factor}.", HINT)
    return factor


def _folded(weights: SaeWeights, factor: float) -> SaeWeights:
    """An SAE of activations times a factor, for activations as they are."""
    ones = torch.ones(weights.d_sae)
    threshold = weights.threshold
    if threshold is not None and weights.decoder_norm is DecoderNorm.RESCALE:
        threshold = threshold / factor  # it is compared with h times the norm of a decoder row
    return replace(
        weights,
        W_enc_scale=ones * factor,
        W_dec_scale=ones / factor,
        b_dec=weights.b_dec / factor,
        threshold=threshold,
    )

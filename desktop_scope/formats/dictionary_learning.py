"""dictionary_learning and SAEBench: ``ae.pt``, with a ``config.json`` that names its class.

Without a configuration it is one of the first, of Pythia 70M, which are all AutoEncoder. Batch
top-k is encoded with the threshold that its training ended on; where that was never set (-1), or
there is none, by top-k for each token instead, which is what it was for one token on average.
"""

from __future__ import annotations

import re
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import torch

from desktop_scope.engine.hook_points import HookPoint, Site
from desktop_scope.engine.sae_weights import Architecture, Gate, SaeWeights
from desktop_scope.errors import ScopeError
from desktop_scope.formats.config import HINT, Config, json_object
from desktop_scope.formats.hook_names import hook_point, model_id
from desktop_scope.formats.reading import TensorFile
from desktop_scope.formats.repository import names_of
from desktop_scope.formats.torch_state import state_dict

NAME = "dictionary_learning"
FILES = ("ae.pt",)
OPENS = "folder"


class _Kind(NamedTuple):
    """What a class of the library computes, and what it calls its decoder's bias."""

    architecture: Architecture
    bias: str
    subtracts: bool = True


_KINDS = {
    "AutoEncoder": _Kind(Architecture.RELU, "bias"),
    "AutoEncoderNew": _Kind(Architecture.RELU, "decoder.bias", subtracts=False),
    "GatedAutoEncoder": _Kind(Architecture.GATED, "decoder_bias"),
    "AutoEncoderTopK": _Kind(Architecture.TOPK, "b_dec"),
    "BatchTopKSAE": _Kind(Architecture.JUMPRELU, "b_dec"),
    "MatryoshkaBatchTopKSAE": _Kind(Architecture.JUMPRELU, "b_dec"),
    "JumpReluAutoEncoder": _Kind(Architecture.JUMPRELU, "b_dec", subtracts=False),
}
_GATE = ("gate_bias", "mag_bias", "r_mag")
# The submodules that people give these names to; before any norm that follows them.
_PLACE = re.compile(r"(resid_pre|resid_post|resid_out|attn_out|mlp_out)_layer_?(\d{1,3})")
_SITES = {
    "resid_pre": Site.RESID_PRE,
    "resid_post": Site.RESID_POST,
    "resid_out": Site.RESID_POST,
    "attn_out": Site.ATTN_RAW,
    "mlp_out": Site.MLP_RAW,
}
_WHOLE = (torch.int32, torch.int64)


def match(path: Path) -> bool:
    """Whether it is a folder with such a file."""
    return (path / "ae.pt").is_file()


def open(path: Path) -> tuple[SaeWeights, ...]:
    """Map the tensors.

    Raises:
        ScopeError: Something is wrong with the files, the class is not known, or neither
            configuration nor names say where it belongs.
    """
    beside = path / "config.json"
    config = json_object(beside) if beside.exists() else Config(beside, {})
    trainer = config.part("trainer")
    kind = _kind(trainer)
    file, _ = state_dict(path / "ae.pt")
    encoder, decoder, bias = _matrices(file, kind.bias, trainer)
    d_sae = len(encoder)
    k = _k(file, trainer, d_sae)
    threshold = _threshold(file, d_sae) if kind.architecture is Architecture.JUMPRELU else None
    architecture = kind.architecture
    if architecture is Architecture.JUMPRELU and threshold is None:
        architecture = Architecture.TOPK
    if architecture is Architecture.TOPK and k is None:
        raise ScopeError(f"Nothing says how many features are active in {path}.", HINT)
    gated = architecture is Architecture.GATED
    place = _place(path, trainer)
    weights = SaeWeights(
        name="/".join(names_of(path)[-2:]),
        format=NAME,
        architecture=architecture,
        reads=(place,),
        writes=(place,),
        W_enc=encoder,
        W_dec=decoder,
        b_enc=None if gated else _b_enc(file, d_sae),
        b_dec=bias,
        gate=_gate(file, d_sae) if gated else None,
        threshold=threshold,
        k=k if architecture is Architecture.TOPK else None,
        subtract_b_dec=kind.subtracts,
        prefixes=_prefixes(file, d_sae),
        model=_model(path, trainer),
        declared_l0=k or (trainer.number("target_l0") if "target_l0" in trainer else None),
    )
    return (weights,)


def _kind(trainer: Config) -> _Kind:
    name = trainer.text("dict_class", "AutoEncoder")
    if name not in _KINDS:
        raise ScopeError(
            f"{trainer.path} says that the SAE is a {name}, which Desktop Scope does not know.",
            f"It knows: {', '.join(_KINDS)}.",
        )
    return _KINDS[name]


def _matrices(
    file: TensorFile, bias: str, trainer: Config
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Encoder and decoder with a row per feature, and the decoder's bias."""
    d_sae, d_in = (
        trainer.count(key) if key in trainer else None for key in ("dict_size", "activation_dim")
    )
    if "W_enc" in file.tensors:
        t = file.take({"W_enc": "d n", "W_dec": "n d", bias: "d"}, n=d_sae, d=d_in)
        return t["W_enc"].T, t["W_dec"], t[bias]
    t = file.take({"encoder.weight": "n d", "decoder.weight": "d n", bias: "d"}, n=d_sae, d=d_in)
    return t["encoder.weight"], t["decoder.weight"].T, t[bias]


def _b_enc(file: TensorFile, d_sae: int) -> torch.Tensor:
    name = "b_enc" if "b_enc" in file.tensors else "encoder.bias"
    return file.take({name: "n"}, n=d_sae)[name]


def _gate(file: TensorFile, d_sae: int) -> Gate:
    tensors = file.take(dict.fromkeys(_GATE, "n"), n=d_sae)
    return Gate(*(tensors[name] for name in _GATE))


def _k(file: TensorFile, trainer: Config, d_sae: int) -> int | None:
    """How many features are active, or were in training on average; None if nothing says."""
    if "k" in trainer:
        return trainer.count("k", most=d_sae)
    stored = file.take({"k": ""}, optional={"k"}, types=_WHOLE).get("k")
    if stored is None:
        return None
    return Config(file.path, {"k": int(stored)}).count("k", most=d_sae)


def _threshold(file: TensorFile, d_sae: int) -> torch.Tensor | None:
    """[d_sae], from one for all or one each; None where it was never set."""
    stored = file.tensors.get("threshold")
    if stored is None:
        return None
    shape = "n" if stored.dim() else ""
    threshold = file.take({"threshold": shape}, n=d_sae)["threshold"]
    if not threshold.dim() and threshold < 0:
        return None
    return threshold.expand(d_sae)


def _prefixes(file: TensorFile, d_sae: int) -> tuple[int, ...]:
    sizes = file.take({"group_sizes": "groups"}, optional={"group_sizes"}, types=_WHOLE)
    if not sizes:
        return ()
    groups = [int(size) for size in sizes["group_sizes"]]
    if min(groups) < 1 or sum(groups) != d_sae:
        raise ScopeError(f"The groups in {file.path} do not add up to its features.", HINT)
    return tuple(accumulate(groups))


def _place(path: Path, trainer: Config) -> HookPoint:
    """The submodule that the configuration names, or a folder, or the output of its layer."""
    submodule = trainer.text("submodule_name", "")
    names = reversed(names_of(path))
    for name in (submodule,) if submodule else names:
        if name == "embed":
            return HookPoint(0, Site.EMBED)
        if found := _PLACE.search(name):
            return HookPoint(int(found[2]), _SITES[found[1]])
    if submodule:
        return hook_point(submodule)
    if "layer" in trainer:
        return hook_point(f"layers.{int(trainer.number('layer'))}")
    raise ScopeError(
        f"Neither a config.json nor the path {path} says where this SAE belongs.",
        "Get its config.json, or keep the names of the folders, as in resid_out_layer3/10_32768.",
    )


def _model(path: Path, trainer: Config) -> str | None:
    pythia = (name for name in reversed(names_of(path)) if name.startswith("pythia-"))
    return model_id(trainer.text("lm_name", next(pythia, "")))

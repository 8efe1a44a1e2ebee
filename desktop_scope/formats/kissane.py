"""Connor Kissane's and Robert Krzyzanowski's SAEs of attention: ``X.pt`` with ``X_cfg.json``.

They were trained on a GPT-2 whose value biases TransformerLens had folded away, so on the heads'
outputs less b_V; nothing in the files says so, and nothing here makes up for it.
"""

from __future__ import annotations

from pathlib import Path

from desktop_scope.engine.sae_weights import Architecture, SaeWeights
from desktop_scope.formats.config import json_object
from desktop_scope.formats.hook_names import hook_point, model_id
from desktop_scope.formats.torch_state import state_dict

NAME = "Kissane"
FILES = ("*_Hcat_z_*.pt",)
OPENS = "file"

_MODEL = "gpt2-small"


def match(path: Path) -> bool:
    """Whether it is a .pt file beside a configuration of its name."""
    return path.suffix == ".pt" and path.is_file() and _config_path(path).is_file()


def open(path: Path) -> tuple[SaeWeights, ...]:
    """Map the tensors.

    Raises:
        ScopeError: Something is wrong with the files.
    """
    config = json_object(_config_path(path))
    file, _ = state_dict(path)
    tensors = file.take(
        {"W_enc": "d n", "W_dec": "n d", "b_enc": "n", "b_dec": "d"},
        d=config.count("act_size"),
        n=config.count("dict_size"),
    )
    place = hook_point(config.text("act_name"))
    weights = SaeWeights(
        name=path.stem,
        format=NAME,
        architecture=Architecture.RELU,
        reads=(place,),
        writes=(place,),
        W_enc=tensors["W_enc"].T,
        W_dec=tensors["W_dec"],
        b_enc=tensors["b_enc"],
        b_dec=tensors["b_dec"],
        subtract_b_dec=True,
        model=model_id(config.text("model_name", _MODEL)),
        prepend_bos=True,
    )
    return (weights,)


def _config_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}_cfg.json")

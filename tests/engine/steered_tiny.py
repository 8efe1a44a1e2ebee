"""A tiny model with three random SAEs at the outputs of its blocks, to be steered."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from plain_steering import PlainSteering
from small_saes import weights
from tiny_models import D_MODEL, tiny

from desktop_scope.engine.engine import Engine
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.sae_weights import InputNorm
from desktop_scope.engine.types import Prompt, Vector

TEXT = Prompt("The museum opens at nine.", chat=False)
FAMILY = "llama"


@cache
def engine() -> Engine:
    made = [
        weights(0, d_in=D_MODEL, seed=1),
        weights(1, d_in=D_MODEL, seed=2, norm=InputNorm.LAYER_NORM),
        weights(2, d_in=D_MODEL, seed=3),
    ]
    return Engine(tiny(FAMILY), [Sae(one, torch.device("cpu")) for one in made])


def ids_of(prompt: Prompt = TEXT) -> tuple[int, ...]:
    return tuple(engine().model.encode(prompt).ids)


def vector(layer: int, site: str = "hook_resid_post", width: int = D_MODEL) -> Vector:
    values = np.random.default_rng(5).normal(size=width).astype(np.float32)
    return Vector("mine", f"blocks.{layer}.{site}", values.tobytes())


def by_hand(items, n_prompt: int | None = None) -> PlainSteering:
    saes = [sae.weights for sae in engine().saes]
    return PlainSteering(FAMILY, saes, items, n_prompt or len(ids_of()))

"""Small SAE files in exactly the public layouts: compact, Gemma Scope 1 and 2, SAELens, sparsify.

Each of BUILDERS writes one below a folder, and returns the path to open.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

D, N = 8, 24
Arrays = dict[str, np.ndarray]
Builder = Callable[[Path, np.random.Generator], Path]


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape, dtype=np.float32)


def thresholds(rng: np.random.Generator) -> np.ndarray:
    return rng.random(N, dtype=np.float32)


def write_json(path: Path, entries: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries), "utf-8")


# ---- Desktop Scope compact

COMPACT_HEADER = {
    "format": "desktop-scope-sae/1",
    "hook_name": "blocks.3.hook_resid_post",
    "architecture": "jumprelu",
    "matryoshka_prefixes": f"[4, {N}]",
    "model": "HuggingFaceTB/SmolLM2-135M-Instruct",
}


def compact_tensors(rng: np.random.Generator) -> Arrays:
    return {
        "W_enc": rng.integers(-31, 32, (N, D), dtype=np.int8),
        "W_enc_scale": rng.random(N, dtype=np.float32),
        "W_dec": rng.integers(-31, 32, (N, D), dtype=np.int8),
        "W_dec_scale": rng.random(N, dtype=np.float32),
        "b_enc": normal(rng, N),
        "b_dec": normal(rng, D),
        "threshold": thresholds(rng),
    }


def compact(folder: Path, rng: np.random.Generator) -> Path:
    path = folder / "layer_03.safetensors"
    save_file(compact_tensors(rng), path, COMPACT_HEADER)
    return path


# ---- Gemma Scope

GEMMA_SCOPE_PLACES = {
    "res": "gemma-scope-2b-pt-res/layer_20/width_16k/average_l0_71",
    "mlp": "gemma-scope-9b-pt-mlp/layer_7/width_131k/average_l0_9",
    "att": "gemma-scope-2b-pt-att/layer_0/width_16k/average_l0_104",
    "transcoders": "gemma-scope-2b-pt-transcoders/layer_3/width_16k/average_l0_54",
    "embedding": "gemma-scope-2b-pt-res/embedding/width_4k/average_l0_6",
    "it": "gemma-scope-9b-it-res/layer_31/width_16k/average_l0_24",
}


def gemma_scope_arrays(rng: np.random.Generator) -> Arrays:
    return {
        "W_dec": normal(rng, N, D),
        "W_enc": normal(rng, D, N),
        "b_dec": normal(rng, D),
        "b_enc": normal(rng, N),
        "threshold": thresholds(rng),
    }


def gemma_scope(
    folder: Path, rng: np.random.Generator, kind: str = "res", compressed: bool = False
) -> Path:
    path = folder / GEMMA_SCOPE_PLACES[kind]
    path.mkdir(parents=True)
    save = np.savez_compressed if compressed else np.savez
    save(path / "params.npz", **gemma_scope_arrays(rng))
    return path


# ---- Gemma Scope 2

GEMMA_SCOPE_2_HOOKS = {
    "resid_post": "model.layers.{}.output",
    "attn_out": "model.layers.{}.self_attn.o_proj.input",
    "mlp_out": "model.layers.{}.post_feedforward_layernorm.output",
    "transcoder": "model.layers.{}.pre_feedforward_layernorm.output",
    "crosscoder": "model.layers.{}.output",
    "clt": "model.layers.{}.pre_feedforward_layernorm.output",
}


def gemma_scope_2_config(kind: str, layers: str, affine: bool, model: str) -> dict[str, Any]:
    reads = GEMMA_SCOPE_2_HOOKS[kind].format(layers)
    return {
        "hf_hook_point_in": reads,
        "hf_hook_point_out": reads.replace("pre_feedforward", "post_feedforward"),
        "width": N,
        "model_name": f"google/{model}",
        "architecture": "jump_relu",
        "l0": 150,
        "affine_connection": affine,
        "type": kind if kind in ("transcoder", "crosscoder", "clt") else "sae",
    }


def gemma_scope_2_tensors(
    rng: np.random.Generator, slots: tuple[int, ...] = (), affine: bool = False
) -> Arrays:
    tensors = {
        "w_enc": normal(rng, D, N),
        "w_dec": normal(rng, N, *slots, D),
        "b_enc": normal(rng, N),
        "b_dec": normal(rng, D),
        "threshold": thresholds(rng),
    }
    return tensors | ({"affine_skip_connection": normal(rng, D, D)} if affine else {})


def gemma_scope_2(
    folder: Path,
    rng: np.random.Generator,
    kind: str = "resid_post",
    affine: bool = False,
    model: str = "gemma-3-4b-pt",
    config: bool = True,
) -> Path:
    name = f"layer_17_width_16k_l0_medium{'_affine' if affine else ''}"
    path = folder / model.replace("gemma-3", "gemma-scope-2") / kind / name
    path.mkdir(parents=True)
    save_file(gemma_scope_2_tensors(rng, affine=affine), path / "params.safetensors")
    if config:
        write_json(path / "config.json", gemma_scope_2_config(kind, "17", affine, model))
    return path


def across_layers(
    folder: Path,
    rng: np.random.Generator,
    kind: str = "clt",
    affine: bool = False,
    causal: bool = True,
    model: str = "gemma-3-1b-it",
    config: bool = True,
) -> Path:
    """A crosscoder of layers 7, 13 and 17, or a CLT of a model of three layers."""
    layers, slots = ("7_13_17", 3) if kind == "crosscoder" else ("", 3)
    name = f"{f'layer_{layers}_' if layers else ''}width_262k_l0_medium"
    path = folder / model.replace("gemma-3", "gemma-scope-2") / kind / name
    path.mkdir(parents=True)
    for slot in range(slots):
        tensors = gemma_scope_2_tensors(rng, (slots,), affine)
        if causal:
            tensors["w_dec"][:, :slot] = 0
        save_file(tensors, path / f"params_layer_{slot}.safetensors")
    if config:
        place = f"{{{layers.replace('_', ',') or 'all'}}}"
        write_json(path / "config.json", gemma_scope_2_config(kind, place, affine, model))
    return path


# ---- SAELens

SAELENS_2 = {  # as the configurations of versions 1 and 2 are
    "model_name": "gpt2-small",
    "hook_point": "blocks.{layer}.hook_resid_pre",
    "hook_point_layer": 8,
    "hook_point_head_index": None,
    "d_in": D,
    "d_sae": N,
    "dtype": "torch.float32",
    "device": "cpu",
    "l1_coefficient": 8e-05,
    "seed": 42,
}
SAELENS_3 = {  # of versions 3 to 5
    "architecture": "standard",
    "d_in": D,
    "d_sae": N,
    "activation_fn_str": "relu",
    "activation_fn_kwargs": {},
    "apply_b_dec_to_input": True,
    "finetuning_scaling_factor": False,
    "context_size": 128,
    "model_name": "gemma-2-2b",
    "hook_name": "blocks.5.hook_resid_post",
    "hook_layer": 5,
    "hook_head_index": None,
    "prepend_bos": True,
    "dataset_path": "Skylion007/openwebtext",
    "normalize_activations": "none",
    "dtype": "float32",
    "device": "cpu",
    "sae_lens_training_version": "4.0.0",
    "neuronpedia_id": None,
    "model_from_pretrained_kwargs": {},
}
SAELENS_6 = {
    "d_in": D,
    "d_sae": N,
    "dtype": "float32",
    "device": "cpu",
    "apply_b_dec_to_input": True,
    "normalize_activations": "none",
    "reshape_activations": "none",
    "metadata": {
        "sae_lens_version": "6.20.1",
        "sae_lens_training_version": "6.20.1",
        "model_name": "gpt2-small",
        "hook_name": "blocks.5.hook_resid_post",
        "hook_head_index": None,
        "prepend_bos": True,
        "context_size": 256,
    },
    "architecture": "standard",
}


def saelens_tensors(rng: np.random.Generator, names: Iterable[str] = ("b_enc",)) -> Arrays:
    tensors = {"W_enc": normal(rng, D, N), "W_dec": normal(rng, N, D), "b_dec": normal(rng, D)}
    for name in names:
        if name == "W_skip":
            tensors[name] = normal(rng, D, D)
        elif name == "threshold":
            tensors[name] = thresholds(rng)
        elif name == "scaling_factor":
            tensors[name] = np.ones(N, np.float32)
        elif name == "topk_threshold":
            tensors[name] = np.array(1.25)
        else:
            tensors[name] = normal(rng, N)
    return tensors


def saelens(
    folder: Path,
    rng: np.random.Generator,
    config: dict[str, Any] = SAELENS_6,
    tensors: Iterable[str] = ("b_enc",),
    **changes: Any,
) -> Path:
    path = folder / "blocks.5.hook_resid_post"
    path.mkdir(parents=True)
    write_json(path / "cfg.json", config | changes)
    save_file(saelens_tensors(rng, tensors), path / "sae_weights.safetensors")
    return path


TRANSCODER = {
    "apply_b_dec_to_input": False,
    "d_out": D,
    "metadata": SAELENS_6["metadata"]
    | {"hook_name": "blocks.5.ln2.hook_normalized", "hook_name_out": "blocks.5.hook_mlp_out"},
}
_JUMP = ("b_enc", "threshold")
SAELENS: dict[str, Builder] = {
    "version 2": partial(saelens, config=SAELENS_2),
    "version 2 with factors of one": partial(
        saelens, config=SAELENS_2, tensors=("b_enc", "scaling_factor")
    ),
    "version 4": partial(saelens, config=SAELENS_3),
    "version 4 top-k": partial(
        saelens,
        config=SAELENS_3,
        activation_fn_str="topk",
        activation_fn_kwargs={"k": 5},
        normalize_activations="layer_norm",
        apply_b_dec_to_input=False,
    ),
    "version 4 gated": partial(
        saelens, config=SAELENS_3, tensors=("b_gate", "b_mag", "r_mag"), architecture="gated"
    ),
    "version 4 jumprelu": partial(
        saelens, config=SAELENS_3, tensors=_JUMP, architecture="jumprelu"
    ),
    "version 4 rescaled": partial(
        saelens, config=SAELENS_3, normalize_activations="constant_norm_rescale"
    ),
    "standard": saelens,
    "gated": partial(saelens, tensors=("b_gate", "b_mag", "r_mag"), architecture="gated"),
    "topk": partial(saelens, architecture="topk", k=5, rescale_acts_by_decoder_norm=False),
    "topk rescaled": partial(saelens, architecture="topk", k=5, rescale_acts_by_decoder_norm=True),
    "abstopk": partial(saelens, architecture="abstopk", k=5, rescale_acts_by_decoder_norm=False),
    "jumprelu": partial(saelens, tensors=_JUMP, architecture="jumprelu"),
    "transcoder": partial(saelens, architecture="transcoder", **TRANSCODER),
    "skip_transcoder": partial(
        saelens, tensors=("b_enc", "W_skip"), architecture="skip_transcoder", **TRANSCODER
    ),
    "jumprelu_transcoder": partial(
        saelens, tensors=_JUMP, architecture="jumprelu_transcoder", **TRANSCODER
    ),
    "jumprelu_skip_transcoder": partial(
        saelens, tensors=(*_JUMP, "W_skip"), architecture="jumprelu_skip_transcoder", **TRANSCODER
    ),
}
# What SAELens reads as a training SAE only.
SAELENS_CHECKPOINTS: dict[str, Builder] = {
    "jumprelu checkpoint": partial(
        saelens, tensors=("b_enc", "log_threshold"), architecture="jumprelu"
    ),
    "batchtopk checkpoint": partial(
        saelens,
        tensors=("b_enc", "topk_threshold"),
        architecture="batchtopk",
        k=5,
        rescale_acts_by_decoder_norm=True,
    ),
    "matryoshka checkpoint": partial(
        saelens,
        tensors=("b_enc", "topk_threshold"),
        architecture="matryoshka_batchtopk",
        k=5,
        matryoshka_widths=[4, 12, N],
        rescale_acts_by_decoder_norm=True,
    ),
}


# ---- sparsify

SPARSIFY = {
    "activation": "topk",
    "expansion_factor": N // D,
    "normalize_decoder": True,
    "num_latents": 0,
    "k": 6,
    "multi_topk": False,
    "skip_connection": False,
    "transcode": False,
    "d_in": D,
}


def sparsify(
    folder: Path, rng: np.random.Generator, hook: str = "layers.10", **changes: Any
) -> Path:
    config = SPARSIFY | changes
    path = folder / hook
    write_json(path / "cfg.json", {key: value for key, value in config.items() if value is not ...})
    tensors = {
        "encoder.weight": normal(rng, N, D),
        "encoder.bias": normal(rng, N),
        "W_dec": normal(rng, N, D),
        "b_dec": normal(rng, D),
    }
    if config["skip_connection"]:
        tensors["W_skip"] = normal(rng, D, D)
    save_file(tensors, path / "sae.safetensors")
    return path


SPARSIFIED: dict[str, Builder] = {
    "sae": sparsify,
    "sae of mlp": partial(sparsify, hook="h.3.mlp", num_latents=N, expansion_factor=32),
    "groupmax": partial(sparsify, activation="groupmax"),
    "transcoder": partial(sparsify, hook="layers.5.mlp", transcode=True),
    "skip transcoder": partial(sparsify, hook="layers.5.mlp", transcode=True, skip_connection=True),
}

BUILDERS: dict[str, Builder] = {
    "compact": compact,
    **{f"Gemma Scope {k}": partial(gemma_scope, kind=k) for k in GEMMA_SCOPE_PLACES},
    "Gemma Scope compressed": partial(gemma_scope, compressed=True),
    **{
        f"Gemma Scope 2 {k}": partial(gemma_scope_2, kind=k)
        for k in ("resid_post", "attn_out", "mlp_out", "transcoder")
    },
    "Gemma Scope 2 affine transcoder": partial(gemma_scope_2, kind="transcoder", affine=True),
    "Gemma Scope 2 without config": partial(gemma_scope_2, config=False),
    "Gemma Scope 2 crosscoder": partial(across_layers, kind="crosscoder"),
    "Gemma Scope 2 CLT": partial(across_layers, affine=True),
    **{f"SAELens {name}": builder for name, builder in SAELENS.items()},
    **{f"SAELens {name}": builder for name, builder in SAELENS_CHECKPOINTS.items()},
    **{f"sparsify {name}": builder for name, builder in SPARSIFIED.items()},
}

"""Small SAE files in exactly the public layouts, of the rest of the formats; see layouts_a.

Each of BUILDERS writes one below a folder, and returns the path to open.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from layouts_a import Builder, D, N, normal, write_json
from safetensors.torch import save_file

K = 5
LAYERS = 3
Tensors = dict[str, torch.Tensor]


def random(rng: np.random.Generator, *shape: int) -> torch.Tensor:
    return torch.from_numpy(normal(rng, *shape))


def positive(rng: np.random.Generator, *shape: int) -> torch.Tensor:
    return torch.from_numpy(rng.random(shape, dtype=np.float32)) + 0.1


def write_yaml(path: Path, entries: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(entries), "utf-8")


def save(tensors: Tensors, path: Path, dtype: torch.dtype = torch.float32) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    converted = {name: t.to(dtype).contiguous() for name, t in tensors.items()}
    save_file(converted, path)
    return path


def save_state(state: dict[str, Any], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    return path


def linear(rng: np.random.Generator) -> Tensors:
    """What torch.nn.Linear calls its parts, as most people's encoders and decoders are."""
    return {
        "encoder.weight": random(rng, N, D),
        "encoder.bias": random(rng, N),
        "decoder.weight": random(rng, D, N),
        "decoder.bias": random(rng, D),
    }


def with_unit_rows(tensors: Tensors) -> Tensors:
    decoder = tensors["decoder.weight"]
    return tensors | {"decoder.weight": decoder / decoder.norm(dim=0)}


# ---- Llama Scope

LLAMA_SCOPE_HOOKS = {
    "R": ("blocks.{}.hook_resid_post",) * 2,
    "A": ("blocks.{}.hook_attn_out",) * 2,
    "M": ("blocks.{}.hook_mlp_out",) * 2,
    "TC": ("blocks.{}.ln2.hook_normalized", "blocks.{}.hook_mlp_out"),
}


def llama_scope(
    folder: Path,
    rng: np.random.Generator,
    kind: str = "R",
    unit_rows: bool = False,
    dtype: torch.dtype = torch.bfloat16,
    **changes: Any,
) -> Path:
    name = f"Llama3_1-8B-Base-L15{kind}-8x"
    path = folder / f"Llama3_1-8B-Base-LX{kind}-8x" / name
    reads, writes = (hook.format(15) for hook in LLAMA_SCOPE_HOOKS[kind])
    config = {
        "d_model": D,
        "d_sae": N,
        "hook_point_in": reads,
        "hook_point_out": writes,
        "act_fn": "jumprelu",
        "jump_relu_threshold": 0.52,
        "norm_activation": "dataset-wise",
        "dataset_average_activation_norm": {"in": 7.5, "out": 7.5 if reads == writes else 1.7},
        "sparsity_include_decoder_norm": True,
        "apply_decoder_bias_to_pre_encoder": False,
        "use_glu_encoder": False,
    }
    write_json(path / "hyperparams.json", config | changes)
    write_json(path / "lm_config.json", {"model_name": "meta-llama/Llama-3.1-8B"})
    tensors = linear(rng)
    tensors = with_unit_rows(tensors) if unit_rows else tensors
    save(tensors, path / "checkpoints/final.safetensors", dtype)
    return path


# ---- Llama-Scope-R1-Distill


def llama_scope_r1(
    folder: Path, rng: np.random.Generator, unit_rows: bool = False, **changes: Any
) -> Path:
    hook = "blocks.15.hook_resid_post"
    path = folder / "Llama-Scope-R1-Distill/800M-Slimpajama-0-OpenR1-Math-220k/L15R"
    config = {
        "sae_type": "sae",
        "d_model": D,
        "expansion_factor": N // D,
        "hook_point_in": hook,
        "hook_point_out": hook,
        "act_fn": "jumprelu",
        "norm_activation": "dataset-wise",
        "sparsity_include_decoder_norm": True,
    }
    write_json(path / "config.json", config | changes)
    tensors = linear(rng)
    save(
        {
            **(with_unit_rows(tensors) if unit_rows else tensors),
            "log_jumprelu_threshold": random(rng, N),
            f"dataset_average_activation_norm.{hook}": torch.tensor(7.5),
        },
        path / "sae_weights.safetensors",
    )
    return path


# ---- llamascopium

LLAMASCOPIUM = {
    "sae_type": "sae",
    "d_model": D,
    "expansion_factor": N / D,
    "use_decoder_bias": True,
    "act_fn": "topk",
    "norm_activation": "dataset-wise",
    "sparsity_include_decoder_norm": True,
    "top_k": K,
    "use_triton_kernel": False,
    "jumprelu_threshold_window": 2.0,
}
AVERAGES = (7.5, 1.7, 12.0, 3.1, 0.8, 20.0)


def llamascopium(
    folder: Path,
    rng: np.random.Generator,
    tensors: Tensors,
    hooks: dict[str, Any],
    thresholds: tuple[int, ...] = (N,),
    **changes: Any,
) -> Path:
    """What its three types have in common."""
    config = LLAMASCOPIUM | hooks | changes
    path = folder / "Llama-Scope-2-Qwen3-1.7B" / f"{config['sae_type']}_8x_k128"
    write_json(path / "config.json", config)
    if config["act_fn"] == "jumprelu":
        tensors["activation_function.log_jumprelu_threshold"] = random(rng, *thresholds)
    names = [hook for value in hooks.values() for hook in np.atleast_1d(value)]
    for name, average in zip(dict.fromkeys(names), AVERAGES, strict=False):
        tensors[f"dataset_average_activation_norm.{name}"] = torch.tensor(average)
    save(tensors, path / "sae_weights.safetensors")
    return path


def llamascopium_sae(
    folder: Path, rng: np.random.Generator, transcodes: bool = False, **changes: Any
) -> Path:
    written = "blocks.12.hook_mlp_out"
    reads = "blocks.12.ln2.hook_normalized" if transcodes else written
    tensors = {"W_E": random(rng, D, N), "b_E": random(rng, N), "W_D": random(rng, N, D)}
    if changes.get("use_decoder_bias", True):
        tensors["b_D"] = random(rng, D)
    hooks = {"hook_point_in": reads, "hook_point_out": written}
    return llamascopium(folder, rng, tensors, hooks, **changes)


def llamascopium_crosscoder(folder: Path, rng: np.random.Generator, **changes: Any) -> Path:
    tensors = {
        "W_E": random(rng, LAYERS, D, N),
        "b_E": random(rng, LAYERS, N),
        "W_D": random(rng, LAYERS, N, D),
        "b_D": random(rng, LAYERS, D),
    }
    hooks = {"hook_points": [f"blocks.{layer}.hook_resid_post" for layer in (3, 7, 11)]}
    return llamascopium(folder, rng, tensors, hooks, **{"sae_type": "crosscoder", **changes})


def llamascopium_clt(folder: Path, rng: np.random.Generator, **changes: Any) -> Path:
    tensors = {"W_E": random(rng, LAYERS, D, N), "b_E": random(rng, LAYERS, N)}
    for layer in range(LAYERS):
        tensors[f"W_D.{layer}"] = random(rng, layer + 1, N, D)
        tensors[f"b_D.{layer}"] = random(rng, D)
    hooks = {
        f"hook_points_{end}": [f"blocks.{layer}.{hook}" for layer in range(LAYERS)]
        for end, hook in (("in", "hook_resid_mid"), ("out", "hook_mlp_out"))
    }
    changes = {"sae_type": "clt", "thresholds": (LAYERS, N), **changes}
    return llamascopium(folder, rng, tensors, hooks, **changes)


# ---- dictionary_learning

TRAINER = {
    "trainer_class": "StandardTrainer",
    "activation_dim": D,
    "dict_size": N,
    "layer": 12,
    "lm_name": "google/gemma-2-2b",
    "submodule_name": "resid_post_layer_12",
    "wandb_name": "trained",
}
GROUPS = (4, 8, N - 12)


def dictionary_tensors(dict_class: str, rng: np.random.Generator, threshold: float) -> Tensors:
    encoder = {"encoder.weight": random(rng, N, D), "decoder.weight": random(rng, D, N)}
    rows = {
        "W_enc": random(rng, D, N),
        "b_enc": random(rng, N),
        "W_dec": random(rng, N, D),
        "b_dec": random(rng, D),
    }
    batch = {
        "k": torch.tensor(K, dtype=torch.int32),
        "threshold": torch.tensor(threshold),
    }
    bias = {"encoder.bias": random(rng, N)}
    return {
        "AutoEncoder": encoder | bias | {"bias": random(rng, D)},
        "AutoEncoderNew": encoder | bias | {"decoder.bias": random(rng, D)},
        "GatedAutoEncoder": encoder
        | {"decoder_bias": random(rng, D)}
        | {name: random(rng, N) for name in ("r_mag", "gate_bias", "mag_bias")},
        "AutoEncoderTopK": encoder | bias | batch | {"b_dec": random(rng, D)},
        "BatchTopKSAE": encoder | bias | batch | {"b_dec": random(rng, D)},
        "MatryoshkaBatchTopKSAE": rows | batch | {"group_sizes": torch.tensor(GROUPS)},
        "JumpReluAutoEncoder": rows | {"threshold": positive(rng, N)},
    }[dict_class]


def dictionary(
    folder: Path,
    rng: np.random.Generator,
    dict_class: str = "AutoEncoder",
    threshold: float = 0.75,
    **changes: Any,
) -> Path:
    path = folder / "saes" / "resid_post_layer_12" / "trainer_0"
    trainer = TRAINER | {"dict_class": dict_class} | ({"k": K} if "TopK" in dict_class else {})
    config = {"trainer": trainer | changes, "buffer": {"ctx_len": 1024, "d_submodule": D}}
    write_json(path / "config.json", config)
    save_state(dictionary_tensors(dict_class, rng, threshold), path / "ae.pt")
    return path


def baulab(folder: Path, rng: np.random.Generator, place: str = "mlp_out_layer3") -> Path:
    """One of the first, of Pythia 70M, without a configuration."""
    path = folder / "pythia-70m-deduped" / place / "10_32768"
    save_state(dictionary_tensors("AutoEncoder", rng, 0), path / "ae.pt")
    return path


DICTIONARIES = (
    "AutoEncoder",
    "AutoEncoderNew",
    "GatedAutoEncoder",
    "AutoEncoderTopK",
    "BatchTopKSAE",
    "MatryoshkaBatchTopKSAE",
    "JumpReluAutoEncoder",
)


# ---- single files


def goodfire(folder: Path, rng: np.random.Generator, large: bool = False) -> Path:
    name = "Llama-3.3-70B-Instruct-SAE-l50" if large else "Llama-3.1-8B-Instruct-SAE-l19"
    state = {key.replace("coder.", "coder_linear."): t for key, t in linear(rng).items()}
    return save_state(state, folder / name / f"{name}.{'pt' if large else 'pth'}")


def goodfire_topk(
    folder: Path, rng: np.random.Generator, biases: bool = True, rows_first: bool = False
) -> Path:
    t = linear(rng)
    state = {
        "encoder_linear.weight": t["encoder.weight"],
        "decoder.weight": t["decoder.weight"].T.contiguous() if rows_first else t["decoder.weight"],
    }
    if biases:
        state |= {"encoder_linear.bias": t["encoder.bias"], "decoder.bias": t["decoder.bias"]}
    repository = "Hackathon-gpt-oss-20b-SAE-l15"
    return save_state(state, folder / repository / f"topk_sae_l15_exp16_k{K}.pt")


def deepseek_r1(folder: Path, rng: np.random.Generator) -> Path:
    name = "DeepSeek-R1-Distill-Llama-8B-SAE-l19"
    state = {key: t.bfloat16() for key, t in linear(rng).items()}
    return save_state(state, folder / name / f"{name}.pt")


def qwen_scope(folder: Path, rng: np.random.Generator, config: bool = True) -> Path:
    path = folder / f"SAE-Res-Qwen3-1.7B-Base-W32K-L0_{K}"
    path.mkdir(parents=True)
    if config:
        entries = {
            "model_type": "topk_sae",
            "base_model": "Qwen/Qwen3-1.7B-Base",
            "d_model": D,
            "d_sae": N,
            "k": K,
            "num_layers": 28,
            "hook_point": "resid_post",
        }
        write_json(path / "config.json", entries)
    state = {
        "W_enc": random(rng, N, D),
        "W_dec": random(rng, D, N),
        "b_enc": random(rng, N),
        "b_dec": random(rng, D),
    }
    return save_state(state, path / "layer7.sae.pt")


def openai_gpt2(
    folder: Path,
    rng: np.random.Generator,
    location: str = "resid_post_mlp_v5_32k",
    activation: str | None = "TopK",
    postact_fn: str = "ReLU",
) -> Path:
    state: dict[str, Any] = {
        "pre_bias": random(rng, D),
        "encoder.weight": random(rng, N, D),
        "latent_bias": random(rng, N),
        "decoder.weight": random(rng, D, N),
        "stats_last_nonzero": torch.zeros(N, dtype=torch.int64),
        "latents_activation_frequency": torch.ones(N),
        "latents_mean_square": torch.zeros(N),
    }
    if activation:
        details = {"k": K, "postact_fn": postact_fn} if activation == "TopK" else {}
        state |= {"activation": activation, "activation_state_dict": details}
    return save_state(state, folder / "gpt2-small" / location / "autoencoders" / "8.pt")


def apollo(
    folder: Path, rng: np.random.Generator, hooks: tuple[str, ...] = ("blocks.6.hook_resid_pre",)
) -> Path:
    path = folder / "gpt2-small_layer-6_e2e"
    entries = {"tlens_model_name": "gpt2-small", "saes": {"sae_positions": list(hooks)}}
    write_yaml(path / "final_config.yaml", entries)
    state = {
        f"{hook.replace('.', '-')}.{key.replace('encoder.', 'encoder.0.')}": t
        for hook in hooks
        for key, t in linear(rng).items()
    }
    return save_state(state, path / "samples_400000.pt")


def kissane(folder: Path, rng: np.random.Generator) -> Path:
    name = "gpt2-small_L5_Hcat_z_lr1.20e-03_l11.00e+00_ds49152_bs4096_v9"
    path = folder / "attn-saes-gpt2-small-all-layers"
    config = {"act_size": D, "dict_size": N, "act_name": "blocks.5.attn.hook_z", "layer": 5}
    write_json(path / f"{name}_cfg.json", config)
    state = {
        "W_enc": random(rng, D, N),
        "W_dec": random(rng, N, D),
        "b_enc": random(rng, N),
        "b_dec": random(rng, D),
    }
    return save_state(state, path / f"{name}.pt")


# ---- circuit-tracer

CIRCUIT_TRACER_HOOKS = {
    "Qwen/Qwen3-4B": ("mlp.hook_in", "mlp.hook_out"),
    "meta-llama/Llama-3.2-1B": ("hook_resid_mid", "hook_mlp_out"),
    "google/gemma-3-4b-it": ("mlp.hook_in", "hook_mlp_out"),
    "google/gemma-2-2b": ("hook_resid_mid", "hook_mlp_out"),
}


def circuit_tracer_config(model: str, kind: str) -> dict[str, Any]:
    reads, writes = CIRCUIT_TRACER_HOOKS[model]
    return {
        "model_name": model,
        "model_kind": kind,
        "feature_input_hook": reads,
        "feature_output_hook": writes,
    }


def circuit_tracer(
    folder: Path,
    rng: np.random.Generator,
    model: str = "Qwen/Qwen3-4B",
    jumps: bool = False,
    skips: bool = False,
    config: bool = True,
    layers: tuple[int, ...] = (0, 1, 10),
) -> Path:
    """A folder of transcoders."""
    path = folder / f"{model.split('/')[1].lower()}-transcoders"
    path.mkdir(parents=True)
    if config:
        entries = circuit_tracer_config(model, "transcoder_set")
        paths = [f"hf://someone/{path.name}/layer_{layer}.safetensors" for layer in layers]
        write_yaml(path / "config.yaml", entries | {"transcoders": paths})
    for layer in layers:
        tensors = {
            "W_enc": random(rng, N, D),
            "W_dec": random(rng, N, D),
            "b_enc": random(rng, N),
            "b_dec": random(rng, D),
        }
        if jumps:
            tensors["activation_function.threshold"] = positive(rng, N)
        if skips:
            tensors["W_skip"] = random(rng, D, D)
        save(tensors, path / f"layer_{layer}.safetensors")
    return path


def circuit_tracer_file(folder: Path, rng: np.random.Generator) -> Path:
    """One transcoder of several."""
    return circuit_tracer(folder, rng, "google/gemma-3-4b-it", jumps=True) / "layer_10.safetensors"


def circuit_tracer_clt(folder: Path, rng: np.random.Generator, jumps: bool = False) -> Path:
    path = folder / "clt-gemma-2-2b"
    write_yaml(
        path / "config.yaml", circuit_tracer_config("google/gemma-2-2b", "cross_layer_transcoder")
    )
    for layer in range(LAYERS):
        tensors = {
            f"W_enc_{layer}": random(rng, N, D),
            f"b_enc_{layer}": random(rng, N),
            f"b_dec_{layer}": random(rng, D),
        }
        if jumps:
            tensors[f"threshold_{layer}"] = positive(rng, N)
        save(tensors, path / f"W_enc_{layer}.safetensors")
        decoder = {f"W_dec_{layer}": random(rng, N, LAYERS - layer, D)}
        save(decoder, path / f"W_dec_{layer}.safetensors")
    return path


# ---- those that are refused


def temporal(folder: Path, rng: np.random.Generator) -> Path:
    path = folder / "temporalSAEs" / "layer_12" / "temporal"
    write_yaml(path / "conf.yaml", {"llm": {"dimin": D}, "sae": {"exp_factor": N / D}})
    save({"D": random(rng, N, D), "b": random(rng, D)}, path / "latest_ckpt.safetensors")
    return path


def lorsa(folder: Path, rng: np.random.Generator) -> Path:
    path = folder / "Llama-Scope-2-Qwen3-1.7B" / "layer12_lorsa_8x"
    write_json(path / "config.json", LLAMASCOPIUM | {"sae_type": "lorsa"})
    save({"W_Q": random(rng, 2, D, 4), "W_O": random(rng, N, D)}, path / "sae_weights.safetensors")
    return path


BUILDERS: dict[str, Builder] = {
    **{f"Llama Scope {kind}": partial(llama_scope, kind=kind) for kind in LLAMA_SCOPE_HOOKS},
    "Llama Scope R1": llama_scope_r1,
    "llamascopium SAE": llamascopium_sae,
    "llamascopium SAE jumprelu": partial(llamascopium_sae, act_fn="jumprelu"),
    "llamascopium transcoder": partial(llamascopium_sae, transcodes=True),
    "llamascopium crosscoder": llamascopium_crosscoder,
    "llamascopium crosscoder jumprelu": partial(llamascopium_crosscoder, act_fn="jumprelu"),
    "llamascopium CLT": llamascopium_clt,
    "llamascopium CLT jumprelu": partial(
        llamascopium_clt, act_fn="jumprelu", norm_activation="inference"
    ),
    **{
        f"dictionary_learning {name}": partial(dictionary, dict_class=name) for name in DICTIONARIES
    },
    "dictionary_learning without config": baulab,
    "Goodfire": goodfire,
    "Goodfire 70B": partial(goodfire, large=True),
    "Goodfire gpt-oss": goodfire_topk,
    "DeepSeek R1": deepseek_r1,
    "Qwen-Scope": qwen_scope,
    "OpenAI GPT-2": openai_gpt2,
    "OpenAI GPT-2 relu": partial(openai_gpt2, location="resid_delta_mlp_v4", activation=None),
    "Apollo": apollo,
    "Kissane": kissane,
    "circuit-tracer": circuit_tracer,
    "circuit-tracer file": circuit_tracer_file,
    "circuit-tracer skip": partial(circuit_tracer, model="meta-llama/Llama-3.2-1B", skips=True),
    "circuit-tracer CLT": circuit_tracer_clt,
    "circuit-tracer CLT jumprelu": partial(circuit_tracer_clt, jumps=True),
}

"""Tracing with a model and SAEs of a well-known shape, on any device: random weights.

Speed depends on shapes alone. The floor is the time in which the device can read every weight that
a trace needs once, at the speed with which it copies memory in the same run.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from desktop_scope.bench import seconds_in_turn
from desktop_scope.errors import ScopeError

N_TOKENS = 128
D_SAE = 16_384
N_ACTIVE = 100


class Shape(NamedTuple):
    """A model's measures."""

    config: str
    sizes: dict[str, Any]


SHAPES = {
    "gemma-2-2b": Shape(
        "Gemma2Config",
        {
            "vocab_size": 256_000, "hidden_size": 2304, "intermediate_size": 9216,
            "num_hidden_layers": 26, "num_attention_heads": 8, "num_key_value_heads": 4,
            "head_dim": 256, "max_position_embeddings": 8192,
        },
    ),
    "smollm2-135m": Shape(
        "LlamaConfig",
        {
            "vocab_size": 49_152, "hidden_size": 576, "intermediate_size": 1536,
            "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
            "max_position_embeddings": 8192, "tie_word_embeddings": True,
        },
    ),
}  # fmt: skip


def run(
    name: str, n_layers: int | None = None, device: str = "auto", dtype: str = "auto"
) -> dict[str, float]:
    """Measure.

    Args:
        name: One of SHAPES.
        n_layers: Fewer layers than it has, for machines with little memory.

    Raises:
        ScopeError: There is no such shape, or the device has too little memory for it.
    """
    from desktop_scope.engine.devices import choose_device, choose_dtype, import_torch, use_threads

    import_torch()
    import torch

    from desktop_scope.engine import trace as tracing
    from desktop_scope.engine.memory import available
    from desktop_scope.engine.recorded import Recordings
    from desktop_scope.engine.worker import silent_job

    use_threads(0)
    where = choose_device(device)
    kind = choose_dtype(dtype, where)
    shape = SHAPES[name]
    sizes = shape.sizes | ({"num_hidden_layers": n_layers} if n_layers else {})
    room, needed = available(where), _bytes_needed(sizes, kind.itemsize)
    if needed > room:
        raise ScopeError(
            f"This takes about {needed / 1e9:.1f} GB of memory; {room / 1e9:.1f} GB are free.",
            "Measure fewer layers: --layers 8.",
        )
    with torch.inference_mode():
        model, plain = _model(shape.config, sizes, where, kind)
        saes = _saes(sizes, model, where)
        ids = torch.randint(0, sizes["vocab_size"], (1, N_TOKENS), device=where)

        recordings = Recordings(model, saes)
        trouble = recordings.record(N_TOKENS) if where.type == "cuda" else "not a GPU"
        if where.type == "cuda" and trouble:
            print(trouble, file=sys.stderr)

        def ours() -> None:
            if recordings.encode(ids) is None:
                tracing.encode_ids(model, saes, ids, silent_job())
            _wait(where)

        def reference() -> None:
            plain(input_ids=ids, use_cache=False)
            _wait(where)

        times = seconds_in_turn(ours, reference, n=7)
        weights = sum(p.numel() * p.element_size() for p in plain.parameters())
        encoders = sum(sae.d_sae * sae.d_in * 4 for sae in saes)
        floor = (weights + encoders) / _bytes_per_second(where)
    return {
        "layers": float(sizes["num_hidden_layers"]),
        "tokens": float(N_TOKENS),
        "recorded": float(not trouble),
        "trace_seconds": times.ours,
        "plain_forward_seconds": times.other,
        "floor_seconds": floor,
        "trace_over_plain_ratio": times.ratio,
        "trace_over_floor_ratio": times.ours / floor,
        "plain_over_floor_ratio": times.other / floor,
    }


def _bytes_needed(sizes: dict[str, Any], item: int) -> float:
    d, layers = sizes["hidden_size"], sizes["num_hidden_layers"]
    blocks = layers * (4 * d * d + 3 * d * sizes["intermediate_size"])
    # The plain model and ours share their weights; encoders are float32.
    return 1.2 * ((blocks + 2 * sizes["vocab_size"] * d) * item + layers * d * D_SAE * 4)


def _model(config_name: str, sizes: dict[str, Any], where: Any, kind: Any) -> tuple[Any, Any]:
    import torch
    import transformers
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    from desktop_scope.engine.model import LanguageModel
    from desktop_scope.engine.types import ModelInfo

    config = getattr(transformers, config_name)(**sizes)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=kind)
    model = model.to_empty(device=where).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.normal_(0, 0.02)
    model.tie_weights()
    for buffer_name, buffer in model.named_buffers():
        if "inv_freq" in buffer_name:  # what to_empty has forgotten
            steps = torch.arange(buffer.numel(), device=where) / buffer.numel()
            buffer.copy_(10_000.0**-steps)
    info = ModelInfo(
        id=config_name, path="", architecture=type(model).__name__,
        n_layers=sizes["num_hidden_layers"], d_model=sizes["hidden_size"],
        vocab_size=sizes["vocab_size"], context=sizes["max_position_embeddings"],
        device=where.type, dtype=str(kind), bytes=0, packed=False, has_chat=False, seconds=0.0,
    )  # fmt: skip
    words = Tokenizer(WordLevel({"word": 0}, unk_token="word"))
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words)
    return LanguageModel(model, tokenizer, info, None), model


def _saes(sizes: dict[str, Any], model: Any, where: Any) -> list[Any]:
    import torch

    from desktop_scope.engine import trace as tracing
    from desktop_scope.engine.hook_points import resid_post
    from desktop_scope.engine.sae import Sae
    from desktop_scope.engine.sae_weights import Architecture, SaeWeights
    from desktop_scope.engine.worker import silent_job

    d = sizes["hidden_size"]
    decoder = torch.zeros(1, d).expand(D_SAE, d)  # tracing reads none
    ids = torch.randint(0, sizes["vocab_size"], (1, N_TOKENS), device=where)
    kept = tracing.run(model, ids, [], silent_job())
    saes = []
    for layer in range(sizes["num_hidden_layers"]):
        encoder = torch.randn(D_SAE, d, device=where) / d**0.5
        dots = kept.residual[layer].float() @ encoder.T
        # As of trained ones, a hundred features of each SAE or so fire on a token.
        threshold = dots.topk(N_ACTIVE).values[:, -1].mean().cpu()
        weights = SaeWeights(
            name=f"layer {layer}", format="random", architecture=Architecture.JUMPRELU,
            reads=(resid_post(layer),), writes=(resid_post(layer),), W_enc=encoder, W_dec=decoder,
            b_enc=torch.zeros(D_SAE), b_dec=torch.zeros(d), threshold=threshold.expand(D_SAE),
        )  # fmt: skip
        saes.append(Sae(weights, where))
    return saes


def _bytes_per_second(where: Any) -> float:
    """How fast the device reads memory: a sum over a tensor larger than its caches."""
    import torch

    big = torch.ones(1 << 28, dtype=torch.float32, device=where)  # 1 GB
    best = min(_seconds(lambda: big.sum(), where) for _ in range(5))
    return big.numel() * 4 / best


def _seconds(work: Callable[[], object], where: Any) -> float:
    _wait(where)
    start = time.perf_counter()
    work()
    _wait(where)
    return time.perf_counter() - start


def _wait(where: Any) -> None:
    import torch

    if where.type == "cuda":
        torch.cuda.synchronize()

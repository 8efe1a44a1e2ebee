"""Tiny random models of every family that we know, saved as Hugging Face folders."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from desktop_scope.engine.hook_points import HookPoint, Site
from desktop_scope.engine.hooks import Edit
from desktop_scope.engine.loading import load_model
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.worker import silent_job

D_MODEL = 32
N_LAYERS = 3
N_HEADS = 4
VOCAB = 320  # some rows more than the tokenizer has tokens
CONTEXT = 64
TEXT = "The museum opens at nine in the morning, and children enter for free."
CHAT = (
    "{% for m in messages %}<s>{{ m['role'] }}\n{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)

_COMMON: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": D_MODEL,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": N_HEADS,
    "max_position_embeddings": CONTEXT,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
_LLAMA = {**_COMMON, "intermediate_size": 48, "num_key_value_heads": 2}
# Heads whose outputs side by side are wider than the stream.
_WIDE = {**_LLAMA, "head_dim": 16}
_GPT2 = {
    "vocab_size": VOCAB,
    "n_embd": D_MODEL,
    "n_layer": N_LAYERS,
    "n_head": N_HEADS,
    "n_positions": CONTEXT,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
_MOE = {"moe_intermediate_size": 24, "num_experts": 4, "num_experts_per_tok": 2}
_LINEAR = {
    "layer_types": ["linear_attention", "full_attention", "linear_attention"],
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
}
_MINICPM = {
    **_LLAMA,
    "num_key_value_heads": N_HEADS,
    "q_lora_rank": 8,
    "kv_lora_rank": 8,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 8,
    "scale_depth": 0.5,
    "dim_model_base": 8,
}
_VISION = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": N_LAYERS,  # as many as the text model's: they must not be confused
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}

# Name, class of the config, its settings.
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma2": ("Gemma2Config", {**_WIDE, "final_logit_softcapping": 2.0, "sliding_window": 8}),
    "gemma3": ("Gemma3TextConfig", {**_WIDE, "sliding_window": 8}),
    "gemma3-multimodal": (
        "Gemma3Config",
        {
            "text_config": {**_WIDE, "sliding_window": 8, "model_type": "gemma3_text"},
            "vision_config": {**_VISION, "model_type": "siglip_vision_model"},
            "mm_tokens_per_image": 4,
        },
    ),
    "glm4": ("Glm4Config", {**_LLAMA, "head_dim": 8, "partial_rotary_factor": 0.5}),
    "olmo2": ("Olmo2Config", _LLAMA),
    "olmo3": ("Olmo3Config", {**_LLAMA, "sliding_window": 8}),
    "llama": ("LlamaConfig", _LLAMA),
    "mistral": ("MistralConfig", {**_WIDE, "sliding_window": 8}),
    "mixtral": ("MixtralConfig", {**_LLAMA, "num_local_experts": 4}),
    "qwen2": ("Qwen2Config", {**_LLAMA, "tie_word_embeddings": True}),
    "qwen3": ("Qwen3Config", _WIDE),
    "qwen3_moe": ("Qwen3MoeConfig", {**_WIDE, **_MOE}),
    "phi3": ("Phi3Config", _LLAMA),
    "olmo": ("OlmoConfig", _LLAMA),
    "gpt_oss": ("GptOssConfig", {**_WIDE, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "granite": (
        "GraniteConfig",
        {
            **_LLAMA,
            "residual_multiplier": 0.22,
            "embedding_multiplier": 12.0,
            "logits_scaling": 8.0,
            "attention_multiplier": 0.1,
        },
    ),
    "smollm3": ("SmolLM3Config", _LLAMA),
    "gemma": ("GemmaConfig", _WIDE),
    "vaultgemma": ("VaultGemmaConfig", {**_WIDE, "sliding_window": 8}),
    "starcoder2": ("Starcoder2Config", _LLAMA),
    "apertus": ("ApertusConfig", _LLAMA),
    "persimmon": ("PersimmonConfig", {**_LLAMA, "num_key_value_heads": N_HEADS}),
    # Every other block has linear attention.
    "qwen3_5": ("Qwen3_5TextConfig", {**_WIDE, **_LINEAR}),
    "qwen3_next": (
        "Qwen3NextConfig",
        {**_WIDE, **_MOE, **_LINEAR, "shared_expert_intermediate_size": 24},
    ),
    "stablelm": ("StableLmConfig", _LLAMA),
    "stablelm-parallel": ("StableLmConfig", {**_LLAMA, "use_parallel_residual": True}),
    "cohere": ("CohereConfig", {**_LLAMA, "logit_scale": 0.25}),
    "cohere2": ("Cohere2Config", {**_LLAMA, "logit_scale": 0.25, "sliding_window": 8}),
    "phi": ("PhiConfig", {**_LLAMA, "num_key_value_heads": N_HEADS}),
    "gpt_neox": ("GPTNeoXConfig", {**_COMMON, "intermediate_size": 48}),
    "gpt_neox-sequential": (
        "GPTNeoXConfig",
        {**_COMMON, "intermediate_size": 48, "use_parallel_residual": False},
    ),
    "gpt2": ("GPT2Config", _GPT2),
    "gpt_bigcode": ("GPTBigCodeConfig", _GPT2),
    "gpt_neo": (
        "GPTNeoConfig",
        {
            "vocab_size": VOCAB,
            "hidden_size": D_MODEL,
            "num_layers": 4,
            "num_heads": N_HEADS,
            "max_position_embeddings": CONTEXT,
            "attention_types": [[["global", "local"], 2]],
            "bos_token_id": 0,
            "eos_token_id": 1,
        },
    ),
    "gptj": ("GPTJConfig", {**_GPT2, "rotary_dim": 4}),
    "falcon": ("FalconConfig", {**_COMMON, "parallel_attn": True}),
    "falcon-new": (
        "FalconConfig",
        {**_COMMON, "new_decoder_architecture": True, "num_kv_heads": 2},
    ),
    "falcon-sequential": ("FalconConfig", {**_COMMON, "parallel_attn": False, "alibi": True}),
}
PARALLEL = (
    "stablelm-parallel", "cohere", "cohere2", "phi", "gpt_neox", "gptj", "falcon", "falcon-new",
)  # fmt: skip
# With a norm between what attention and MLP put out and the stream.
POST_NORMS = ("gemma2", "gemma3", "glm4", "olmo2", "olmo3")
# Whose RMS norms keep γ − 1.
LESS_ONE = ("gemma", "vaultgemma", "qwen3_5", "qwen3_next")

# Families that no row of the table is meant for.
OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    # Called like Falcon's, but attention and MLP add the stream themselves.
    "bloom": (
        "BloomConfig",
        {"vocab_size": VOCAB, "hidden_size": D_MODEL, "n_layer": N_LAYERS, "n_head": N_HEADS},
    ),
    # No module that is the MLP.
    "opt": (
        "OPTConfig",
        {**_COMMON, "ffn_dim": 48, "word_embed_proj_dim": D_MODEL, "pad_token_id": 1},
    ),
    # Called like Llama's, and adds up like Llama's.
    "arcee": ("ArceeConfig", _LLAMA),
    # Called like Llama's, but what is added is scaled.
    "minicpm3": ("MiniCPM3Config", _MINICPM),
}
# Multiplies its logits by what Granite, under the same name, divides them by.
ODD_LOGITS = ("HyperCLOVAXConfig", {**_LLAMA, "logits_scaling": 4.0})


def config_of(name: str) -> Any:
    """A transformers config."""
    import transformers

    kind, settings = (FAMILIES | OTHERS | {"odd-logits": ODD_LOGITS})[name]
    return getattr(transformers, kind)(**settings)


def random_model(name: str) -> Any:
    """A model whose every weight, norms and biases too, is random and matters."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config_of(name)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


@cache
def tokenizer() -> Any:
    """Byte-level BPE with a chat template; 300 tokens at most."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator([TEXT] * 4, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", chat_template=CHAT
    )


def save_tiny(name: str, folder: Path, **more: Any) -> Path:
    """Save a tiny model and its tokenizer; returns the folder."""
    random_model(name).save_pretrained(folder, **more)
    tokenizer().save_pretrained(folder)
    return folder


@cache
def tiny(name: str, packed: bool = False) -> LanguageModel:
    """A tiny model through ``load_model``."""
    with (
        torch.inference_mode(False),  # it is kept, for tests that need gradients too
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr("desktop_scope.engine.loading.packing_pays", lambda: packed)
        return load_model(save_tiny(name, Path(folder)), name, silent_job(), device="cpu")


@cache
def reference(name: str) -> Any:
    """The same model as transformers alone runs it."""
    with torch.inference_mode(False):
        return random_model(name)


def some_ids(batch: int = 1) -> torch.Tensor:
    """[batch, 12] token ids."""
    return torch.randint(2, 290, (batch, 12), generator=torch.Generator().manual_seed(1))


class Seen(dict[HookPoint, torch.Tensor]):
    """What was at every hook point of a pass, after ``changes``; ``hidden`` is what came out."""

    def __init__(
        self,
        model: LanguageModel,
        ids: torch.Tensor,
        changes: Mapping[HookPoint, Callable[[torch.Tensor], torch.Tensor]] | None = None,
    ) -> None:
        super().__init__()
        changes = changes or {}
        with torch.inference_mode():
            edits = {p: self._edit(p, changes.get(p)) for p in model.parts.taps}
            self.hidden = model.hidden(ids, edits, use_cache=False)

    def _edit(self, point: HookPoint, change: Callable[..., Any] | None) -> Edit:
        def edit(x: torch.Tensor) -> torch.Tensor | None:
            changed = None if change is None else change(x)
            self[point] = (x if changed is None else changed).clone()
            return changed

        return edit


def assert_adds_up(
    model: LanguageModel, seen: Seen, parallel: bool, changed: HookPoint | None = None
) -> None:
    """Within every block, each place but the changed one follows from those before it."""
    taps = model.parts.taps
    for layer in range(model.info.n_layers):

        def at(site: Site, layer: int = layer) -> torch.Tensor:
            return seen[HookPoint(layer, site)]

        def follows(site: Site, expected: torch.Tensor, layer: int = layer) -> None:
            if HookPoint(layer, site) != changed:
                close(seen[HookPoint(layer, site)], expected)

        z, mlp = taps[HookPoint(layer, Site.Z)].module, taps[HookPoint(layer, Site.MLP_IN)].module
        with torch.inference_mode():
            follows(Site.ATTN_RAW, z(at(Site.Z)))
            out = mlp(at(Site.MLP_IN))
            follows(Site.MLP_RAW, out[0] if isinstance(out, tuple) else out)
        if parallel:
            total = at(Site.RESID_PRE) + at(Site.ATTN_OUT) + at(Site.MLP_OUT)
            follows(Site.RESID_POST, total)
        else:
            follows(Site.RESID_MID, at(Site.RESID_PRE) + at(Site.ATTN_OUT))
            follows(Site.RESID_POST, at(Site.RESID_MID) + at(Site.MLP_OUT))


def close(a: torch.Tensor, b: torch.Tensor) -> None:
    """Equal to float32's rounding of what was added up."""
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5 * float(b.abs().max()))

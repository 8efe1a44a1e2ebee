"""Where a model keeps its parts: decoder blocks, final norm, unembedding."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from desktop_scope.errors import ScopeError

# Path of the decoder blocks, path of the norm after the last one.
_LAYOUTS = (
    ("model.layers", "model.norm"),  # Llama, Qwen, Mistral, Gemma text, gpt-oss
    ("model.language_model.layers", "model.language_model.norm"),  # multimodal wrappers
    ("transformer.h", "transformer.ln_f"),  # GPT-2
    ("gpt_neox.layers", "gpt_neox.final_layer_norm"),  # Pythia
)


@dataclass(frozen=True)
class Parts:
    """The modules that tracing, steering and the logit lens touch."""

    blocks: nn.ModuleList
    norm: nn.Module
    unembed: nn.Linear


def parts_of(model: nn.Module) -> Parts:
    """Find the parts of a transformers causal language model.

    Raises:
        ScopeError: The architecture is not one that we know.
    """
    modules = dict(model.named_modules())
    for blocks_path, norm_path in _LAYOUTS:
        blocks, norm = modules.get(blocks_path), modules.get(norm_path)
        unembed = model.get_output_embeddings()  # type: ignore[operator]
        if isinstance(blocks, nn.ModuleList) and norm is not None and unembed is not None:
            return Parts(blocks, norm, unembed)
    raise ScopeError(
        f"Desktop Scope does not know where {type(model).__name__} keeps its layers.",
        "Try a model of the Llama, Qwen, Mistral, Gemma, GPT-2 or Pythia families.",
    )

"""Where a model keeps its parts, and where its hook points are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from inspect import signature
from typing import Any

import torch
from torch import nn

from desktop_scope.engine.hook_points import HookPoint, Site
from desktop_scope.errors import ScopeError


@dataclass(frozen=True)
class Layout:
    """What the modules of a decoder block are called; empty where there is none.

    Attributes:
        families: The ``model_type`` of the models that our tests compare with transformers.
        z: The attention's output projection; the module that holds it is the attention.
        ln2: The norm whose output the MLP reads.
        post_attn: The norm after the attention, before its output is added to the stream.
        post_mlp: Likewise after the MLP.
        parallel: Attention and MLP both read the block's input. A config that has
            ``use_parallel_residual`` knows better.
    """

    families: str
    z: str
    ln2: str = ""
    post_attn: str = ""
    post_mlp: str = ""
    parallel: bool = False
    mlp: str = "mlp"

    @property
    def attn(self) -> str:
        """The attention module."""
        return self.z.rpartition(".")[0]

    def names(self) -> Iterator[str]:
        """All modules that a block of this layout has."""
        return filter(None, (self.z, self.mlp, self.ln2, self.post_attn, self.post_mlp))


# The first one whose modules a block has is its layout.
_LAYOUTS = (
    Layout(
        "gemma2 gemma3 gemma3_text",
        "self_attn.o_proj",
        ln2="pre_feedforward_layernorm",
        post_attn="post_attention_layernorm",
        post_mlp="post_feedforward_layernorm",
    ),
    Layout("vaultgemma", "self_attn.o_proj", ln2="pre_feedforward_layernorm"),
    Layout(
        "glm4",
        "self_attn.o_proj",
        ln2="post_attention_layernorm",
        post_attn="post_self_attn_layernorm",
        post_mlp="post_mlp_layernorm",
    ),
    Layout(
        "olmo2 olmo3",
        "self_attn.o_proj",
        post_attn="post_attention_layernorm",
        post_mlp="post_feedforward_layernorm",
    ),
    Layout(
        "llama mistral mixtral qwen2 qwen3 qwen3_moe qwen3_5_text qwen3_next phi3 olmo gpt_oss "
        "granite smollm3 stablelm gemma starcoder2",
        "self_attn.o_proj",
        ln2="post_attention_layernorm",
    ),
    Layout("apertus", "self_attn.o_proj", ln2="feedforward_layernorm"),
    Layout("qwen3_5_text qwen3_next", "linear_attn.out_proj", ln2="post_attention_layernorm"),
    Layout("cohere cohere2 stablelm", "self_attn.o_proj", ln2="input_layernorm", parallel=True),
    Layout("persimmon", "self_attn.dense", ln2="post_attention_layernorm"),
    Layout("phi", "self_attn.dense", ln2="input_layernorm", parallel=True),
    Layout("gpt_neox", "attention.dense", ln2="post_attention_layernorm"),
    Layout("gpt2 gpt_bigcode", "attn.c_proj", ln2="ln_2"),
    Layout("gpt_neo", "attn.attention.out_proj", ln2="ln_2"),
    Layout("gptj", "attn.out_proj", ln2="ln_1", parallel=True),
    Layout("falcon", "self_attention.dense", ln2="post_attention_layernorm"),
    Layout("falcon", "self_attention.dense", ln2="ln_mlp", parallel=True),
    Layout("falcon", "self_attention.dense", ln2="input_layernorm", parallel=True),
)


class Side(Enum):
    """What of a module a tap reads and changes."""

    INPUT = auto()  # its first argument
    STREAM = auto()  # likewise; the block goes on with the very tensor, so that is changed
    NORMALIZED = auto()  # its first argument over its RMS (LayerNorm: centred, over std); read-only
    OUTPUT = auto()  # what it returns, or the first of it


@dataclass(frozen=True)
class Tap:
    """How to get at a hook point.

    Attributes:
        scale: What the module gives, times this, is the activation (Granite).
        turn: When a pass reaches it, counted over all hook points.
    """

    module: nn.Module
    side: Side
    scale: float = 1.0
    turn: int = 0


@dataclass(frozen=True, eq=False)
class Parts:
    """The modules that tracing, steering and the logit lens touch.

    Attributes:
        decoder: Token ids to the stream after ``norm``.
        blocks: The decoder blocks.
        norm: The norm after the last block; an Identity where there is none.
        unembed: The stream after ``norm`` to logits.
        embed: Token ids to vectors.
        d_model: Width of the residual stream.
        taps: How to get at each hook point that this model has, in the order of a pass.
        known: Its family is one of those that our tests compare with transformers.
    """

    decoder: nn.Module
    blocks: nn.ModuleList
    norm: nn.Module
    unembed: nn.Linear
    embed: nn.Module
    d_model: int
    taps: Mapping[HookPoint, Tap]
    known: bool

    def tap(self, point: HookPoint) -> Tap:
        """How to get at a hook point.

        Raises:
            ScopeError: This model has no such layer, or no such place in it.
        """
        found = self.taps.get(point)
        if found is not None:
            return found
        if not 0 <= point.layer < len(self.blocks):
            raise ScopeError(
                f"There is no {point} in this model: it has {len(self.blocks)} layers.",
                f"Layers run from 0 to {len(self.blocks) - 1}.",
            )
        has = ", ".join(p.site for p in self.taps if p.layer == point.layer)
        raise ScopeError(f"There is no {point} in this model.", f"That layer has: {has}.")

    def sites(self) -> tuple[Site, ...]:
        """The sites that every layer has; EMBED too, which comes before the first."""
        layers = range(len(self.blocks))
        return tuple(
            site
            for site in Site
            if all(
                HookPoint(0 if site is Site.EMBED else layer, site) in self.taps for layer in layers
            )
        )

    def width(self, site: Site, layer: int = 0) -> int:
        """Size of the last axis there: d_model, or heads · head_dim for Z.

        Only of hybrid models (Qwen 3.5) does Z differ between layers.
        """
        if site is not Site.Z:
            return self.d_model
        projection: Any = self.tap(HookPoint(layer, site)).module
        # GPT-2's Conv1D says nx.
        return int(projection.nx if hasattr(projection, "nx") else projection.in_features)

    def device(self, layer: int) -> torch.device:
        """Where a block computes."""
        return device_of(self.blocks[layer])

    def gain(self) -> torch.Tensor:
        """γ of the final norm, [d_model] float32 on the CPU; ones where it has none."""
        # Asked of the norm itself, since families write it in different ways (Gemma keeps γ − 1).
        # An input of mean 0 and RMS 1 makes an RMS norm and a LayerNorm give xγ + β.
        x = torch.ones(self.d_model, device=device_of(self.norm), dtype=dtype_of(self.norm))
        x[1::2] = -1
        with torch.inference_mode():
            gain: torch.Tensor = (self.norm(x) - self.norm(-x)) * x / 2
        return gain.float().cpu().clone()

    def bare(self) -> Parts:
        """The same with hook points between blocks only."""
        between = (Site.EMBED, Site.RESID_PRE, Site.RESID_POST)
        taps = {point: tap for point, tap in self.taps.items() if point.site in between}
        return replace(self, taps=taps)


def device_of(module: nn.Module) -> torch.device:
    """Where a module computes; weights that wait elsewhere are fetched by accelerate's hooks."""
    for part in module.modules():
        hook = getattr(part, "_hf_hook", None)
        for one in getattr(hook, "hooks", (hook,)):
            where = getattr(one, "execution_device", None)
            if where is not None:
                return torch.device(where)
    # A block of packed linears and norms without gain has no parameters; it is on the processor.
    return next((p.device for p in module.parameters()), torch.device("cpu"))


def dtype_of(module: nn.Module) -> torch.dtype:
    """The number type of a module's weights."""
    return next((p.dtype for p in module.parameters()), torch.float32)


def parts_of(model: nn.Module) -> Parts:
    """Find the parts of a transformers causal language model, or of one within a multimodal one.

    Raises:
        ScopeError: There is no list of decoder blocks, or nothing that makes logits.
    """
    config: Any = model.config
    text = config.get_text_config(decoder=True)
    whole: nn.Module = model.get_decoder()  # type: ignore[operator]
    owner, blocks = _blocks_of(whole, text.num_hidden_layers)
    unembed = model.get_output_embeddings()  # type: ignore[operator]
    embed = model.get_input_embeddings()  # type: ignore[operator]
    if owner is None or blocks is None or unembed is None:
        raise ScopeError(
            f"Desktop Scope does not know where {type(model).__name__} keeps its layers.",
            "Try a model of the Llama, Qwen, Mistral, Gemma, GPT-2 or Pythia families.",
        )
    norms = [child for child in owner.children() if "norm" in type(child).__name__.lower()]
    layouts = [_layout_of(block) for block in blocks]
    taps = enumerate(_taps(text, owner, blocks, embed, layouts))
    return Parts(
        decoder=owner if "input_ids" in signature(owner.forward).parameters else whole,
        blocks=blocks,
        norm=norms[-1] if norms else nn.Identity(),
        unembed=unembed,
        embed=embed,
        d_model=text.hidden_size,
        taps={point: replace(tap, turn=turn) for turn, (point, tap) in taps},
        known=all(o is not None and text.model_type in o.families.split() for o in layouts),
    )


def _blocks_of(whole: nn.Module, n_layers: int) -> tuple[nn.Module | None, nn.ModuleList | None]:
    """The decoder blocks, and the module that holds them with the norm and embeddings."""
    for owner in whole.modules():
        for child in owner.children():
            if isinstance(child, nn.ModuleList) and len(child) == n_layers:
                return owner, child
    return None, None


def _layout_of(block: nn.Module) -> Layout | None:
    return next((o for o in _LAYOUTS if all(_has(block, name) for name in o.names())), None)


def _has(block: nn.Module, name: str) -> bool:
    try:
        block.get_submodule(name)
    except AttributeError:  # not there, or None in its place
        return False
    return True


def _taps(
    config: Any,
    owner: nn.Module,
    blocks: nn.ModuleList,
    embed: nn.Module,
    layouts: list[Layout | None],
) -> Iterator[tuple[HookPoint, Tap]]:
    # Where positions are added to what the embedding puts out, that is not the block's input; where
    # they are not, the block's input is it, with the factor that some models multiply it by.
    positions = any(
        isinstance(child, nn.Embedding) and child is not embed for child in owner.children()
    )
    yield (
        HookPoint(0, Site.EMBED),
        Tap(embed, Side.OUTPUT) if positions else Tap(blocks[0], Side.INPUT),
    )
    scale = getattr(config, "residual_multiplier", 1.0)
    for layer, (block, layout) in enumerate(zip(blocks, layouts, strict=True)):
        yield HookPoint(layer, Site.RESID_PRE), Tap(block, Side.INPUT)
        if layout is not None:
            parallel = getattr(config, "use_parallel_residual", layout.parallel)
            for site, tap in _inner_taps(block, layout, parallel, scale):
                yield HookPoint(layer, site), tap
        yield HookPoint(layer, Site.RESID_POST), Tap(block, Side.OUTPUT)


def _inner_taps(
    block: nn.Module, layout: Layout, parallel: bool, scale: float
) -> Iterator[tuple[Site, Tap]]:
    attn, mlp = block.get_submodule(layout.attn), block.get_submodule(layout.mlp)
    yield Site.Z, Tap(block.get_submodule(layout.z), Side.INPUT)
    yield Site.ATTN_RAW, Tap(attn, Side.OUTPUT)
    added = block.get_submodule(layout.post_attn) if layout.post_attn else attn
    yield Site.ATTN_OUT, Tap(added, Side.OUTPUT, scale)
    ln2 = block.get_submodule(layout.ln2) if layout.ln2 else None
    if not parallel:
        yield Site.RESID_MID, Tap(mlp if ln2 is None else ln2, Side.STREAM)
    if ln2 is not None:
        yield Site.LN2_NORMALIZED, Tap(ln2, Side.NORMALIZED)
    yield Site.MLP_IN, Tap(mlp, Side.INPUT)
    yield Site.MLP_RAW, Tap(mlp, Side.OUTPUT)
    added = block.get_submodule(layout.post_mlp) if layout.post_mlp else mlp
    yield Site.MLP_OUT, Tap(added, Side.OUTPUT, scale)

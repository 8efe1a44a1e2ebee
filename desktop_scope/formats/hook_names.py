"""Other people's names for hooks and models: module paths, and TransformerLens's old and new."""

from __future__ import annotations

import re

from desktop_scope.engine.hook_points import HookPoint, Site
from desktop_scope.errors import ScopeError

# What TransformerLens calls a place, where HookPoint has another name for it. Its hook_mlp_in
# is a copy of the stream before the norm; 3.x names places by module.
_LENS_SITES = {
    "hook_in": Site.RESID_PRE,
    "hook_out": Site.RESID_POST,
    "hook_mlp_in": Site.RESID_MID,
    "ln2.hook_in": Site.RESID_MID,
    "attn.o.hook_in": Site.Z,
}
_LENS_EMBED = {"hook_embed", "embed.hook_out", "blocks.0.hook_embed"}

_EMBEDDINGS = r"(?:embed_tokens|wte|embed_in)"
_ATTENTION = r"(?:self_attn|attn|attention)"
_MODULE_PATH = re.compile(
    r"(?:language_model\.|model\.|transformer\.|gpt_neox\.|base_model\.)*"
    rf"(?:{_EMBEDDINGS}|(?:layers|h)\.(?P<layer>\d{{1,4}})(?:\.(?P<module>(?!(?:in|out)put$)[\w.]+?))?)"
    r"(?:\.(?P<end>input|output))?"
)
_SEVERAL = re.compile(r"(?P<before>[^{]*)\{(?P<layers>all|[\d,]+)\}(?P<after>.*)")
# Module within a block -> what goes in and what comes out.
_ENDS: tuple[tuple[str, Site | None, Site | None], ...] = (
    ("", Site.RESID_PRE, Site.RESID_POST),
    (_ATTENTION, None, Site.ATTN_RAW),
    (rf"{_ATTENTION}\.(?:o_proj|out_proj|c_proj|dense)", Site.Z, Site.ATTN_RAW),
    ("mlp", Site.MLP_IN, Site.MLP_RAW),
    (r"mlp\.(?:down_proj|c_proj|dense_4h_to_h)", None, Site.MLP_RAW),
    ("(?:input_layernorm|ln_1)", Site.RESID_PRE, None),
    ("ln_2", Site.RESID_MID, Site.MLP_IN),
    ("pre_feedforward_layernorm", Site.RESID_MID, Site.MLP_IN),
    ("post_feedforward_layernorm", Site.MLP_RAW, Site.MLP_OUT),
)
# The same name stands for a norm after attention in Gemma 2 and 3, before the MLP elsewhere.
_POST_ATTENTION = "post_attention_layernorm"

_MODELS = {
    "gpt2-small": "openai-community/gpt2",
    "gpt2": "openai-community/gpt2",
    "gpt2-medium": "openai-community/gpt2-medium",
    "gpt2-large": "openai-community/gpt2-large",
    "gpt2-xl": "openai-community/gpt2-xl",
    "mistral-7b": "mistralai/Mistral-7B-v0.1",
    "mistral-7b-instruct": "mistralai/Mistral-7B-Instruct-v0.1",
    "gpt-oss-20b": "openai/gpt-oss-20b",
    "google/gemma-3-270m-pt": "google/gemma-3-270m",
    "gemma-3-270m-pt": "google/gemma-3-270m",
}
_OWNERS = (
    ("google", re.compile(r"gemma-.+")),
    ("EleutherAI", re.compile(r"pythia-.+")),
    ("meta-llama", re.compile(r"(?:Meta-)?Llama-3.+")),
)
_QWEN = re.compile(r"qwen(?P<version>[\d.]+)-(?P<size>[\d.]+)b(?P<kind>-instruct|-chat|-base)?")


def hook_point(name: str, *, end: str = "output", post_norms: bool = False) -> HookPoint:
    """Where a name points to.

    Args:
        name: A TransformerLens hook, or the path of a module in a transformers model, such as
            ``model.layers.5.mlp.input``, ``layers.5.mlp`` or ``gpt_neox.layers.3``.
        end: "input" or "output" of a module, where the path does not say.
        post_norms: Whether the model has norms after attention and MLP, as Gemma 2 and 3 do.

    Raises:
        ScopeError: It names no place that we know.
    """
    if name in _LENS_EMBED:
        return HookPoint(0, Site.EMBED)
    block, _, rest = name.removeprefix("blocks.").partition(".")
    if name.startswith("blocks.") and rest in _LENS_SITES and re.fullmatch(r"\d{1,4}", block):
        return HookPoint(int(block), _LENS_SITES[rest])
    found = _MODULE_PATH.fullmatch(name)
    if found is None:
        return HookPoint.parse(name)
    reads = (found["end"] or end) == "input"
    if found["layer"] is None:
        site = None if reads else Site.EMBED
        layer = 0
    else:
        site = _site(found["module"] or "", reads, post_norms)
        layer = int(found["layer"])
    if site is None:
        raise ScopeError(
            f"Desktop Scope cannot read or change activations at “{name}”.",
            f"It knows these places in a block: {', '.join(Site)}.",
        )
    return HookPoint(layer, site)


def hook_points(name: str, n_layers: int, *, post_norms: bool = False) -> tuple[HookPoint, ...]:
    """Where a name with several layers points to.

    Args:
        name: As for ``hook_point``, with ``{5,9,12}`` or ``{all}`` for the layer.
        n_layers: How many layers there are, or must be.
        post_norms: As for ``hook_point``.

    Raises:
        ScopeError: It names no places that we know, or another number of them.
    """
    found = _SEVERAL.fullmatch(name)
    said = found["layers"] if found else ""
    layers = [str(layer) for layer in range(n_layers)] if said == "all" else said.split(",")
    if found is None or len(layers) != n_layers or len(set(layers)) < n_layers:
        raise ScopeError(
            f"“{name}” does not name {n_layers} layers, which this SAE has parts for.",
            "The configuration may be damaged: get it again.",
        )
    return tuple(
        hook_point(f"{found['before']}{layer}{found['after']}", post_norms=post_norms)
        for layer in layers
    )


def model_id(name: str) -> str | None:
    """The Hugging Face id of a model that is named by its id or a TransformerLens alias."""
    if name in _MODELS:
        return _MODELS[name]
    if re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        return name
    qwen = _QWEN.fullmatch(name)
    if qwen:
        return f"Qwen/Qwen{qwen['version']}-{qwen['size']}B{(qwen['kind'] or '').title()}"
    owners = [owner for owner, pattern in _OWNERS if pattern.fullmatch(name)]
    return f"{owners[0]}/{name}" if owners else None


def _site(module: str, reads: bool, post_norms: bool) -> Site | None:
    if module == _POST_ATTENTION:
        inner, outer = (
            (Site.ATTN_RAW, Site.ATTN_OUT) if post_norms else (Site.RESID_MID, Site.MLP_IN)
        )
        return inner if reads else outer
    for pattern, inner_site, outer_site in _ENDS:
        if re.fullmatch(pattern, module):
            return inner_site if reads else outer_site
    return None

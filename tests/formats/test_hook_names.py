"""Other people's names for hooks and models."""

from __future__ import annotations

import lens
import pytest

from desktop_scope.engine.hook_points import HookPoint
from desktop_scope.errors import ScopeError
from desktop_scope.formats.hook_names import hook_point, hook_points, model_id

NAMES = {
    "blocks.8.hook_resid_pre": "blocks.8.hook_resid_pre",
    "blocks.8.attn.hook_z": "blocks.8.attn.hook_z",
    "blocks.8.ln2.hook_normalized": "blocks.8.ln2.hook_normalized",
    "hook_embed": "hook_embed",
    # TransformerLens 3, by module
    "blocks.8.hook_in": "blocks.8.hook_resid_pre",
    "blocks.8.hook_out": "blocks.8.hook_resid_post",
    "blocks.8.ln2.hook_in": "blocks.8.hook_resid_mid",
    "blocks.8.attn.o.hook_in": "blocks.8.attn.hook_z",
    "embed.hook_out": "hook_embed",
    # its hook_mlp_in comes before the norm, mlp.hook_in after it
    "blocks.8.hook_mlp_in": "blocks.8.hook_resid_mid",
    "blocks.8.mlp.hook_in": "blocks.8.mlp.hook_in",
    # transformers
    "model.layers.17.output": "blocks.17.hook_resid_post",
    "model.layers.17.input": "blocks.17.hook_resid_pre",
    "model.language_model.layers.17.output": "blocks.17.hook_resid_post",
    "language_model.model.layers.17": "blocks.17.hook_resid_post",
    "model.layers.5.self_attn.o_proj.input": "blocks.5.attn.hook_z",
    "transformer.h.5.attn.c_proj.input": "blocks.5.attn.hook_z",
    "gpt_neox.layers.5.attention.dense.input": "blocks.5.attn.hook_z",
    "model.layers.5.self_attn.output": "blocks.5.attn.hook_out",
    "model.layers.5.mlp.input": "blocks.5.mlp.hook_in",
    "model.layers.5.mlp.output": "blocks.5.mlp.hook_out",
    "model.layers.5.mlp.down_proj.output": "blocks.5.mlp.hook_out",
    "model.layers.5.pre_feedforward_layernorm.output": "blocks.5.mlp.hook_in",
    "model.layers.5.pre_feedforward_layernorm.input": "blocks.5.hook_resid_mid",
    "model.layers.5.post_feedforward_layernorm.output": "blocks.5.hook_mlp_out",
    "model.layers.5.post_feedforward_layernorm.input": "blocks.5.mlp.hook_out",
    "transformer.h.5.ln_2.output": "blocks.5.mlp.hook_in",
    "model.embed_tokens": "hook_embed",
    "transformer.wte.output": "hook_embed",
    # sparsify
    "layers.10": "blocks.10.hook_resid_post",
    "layers.5.mlp": "blocks.5.mlp.hook_out",
    "layers.0.attention": "blocks.0.attn.hook_out",
    "h.3.attn": "blocks.3.attn.hook_out",
    "gpt_neox.layers.3": "blocks.3.hook_resid_post",
    "embed_tokens": "hook_embed",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_points_where_its_owners_say(name):
    assert hook_point(name) == HookPoint.parse(NAMES[name])


def test_a_module_s_input_is_asked_for_where_the_name_does_not_say():
    assert hook_point("layers.5.mlp", end="input").name == "blocks.5.mlp.hook_in"
    assert hook_point("layers.5", end="input").name == "blocks.5.hook_resid_pre"
    assert hook_point("layers.5.mlp.output", end="input").name == "blocks.5.mlp.hook_out"


@pytest.mark.parametrize(
    ("end", "elsewhere", "in_gemma"),
    [("output", "mlp.hook_in", "hook_attn_out"), ("input", "hook_resid_mid", "attn.hook_out")],
)
def test_one_name_stands_for_different_norms(end, elsewhere, in_gemma):
    name = f"model.layers.5.post_attention_layernorm.{end}"
    assert hook_point(name).name == f"blocks.5.{elsewhere}"
    assert hook_point(name, post_norms=True).name == f"blocks.5.{in_gemma}"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "layers",
        "layers.x",
        "layers.5.",
        "layers.99999",
        "layers.5.self_attn.input",
        "layers.5.self_attn.q_proj",
        "layers.5.mlp.gate_proj.output",
        "blocks.5",
        "blocks.x.hook_in",
        "blocks.5.hook_everything",
        "embed_tokens.input",
        "lm_head",
        "model.layers.5.outputs",
        "model." * 20_000,
    ],
    ids=lambda name: name[:40],
)
def test_a_name_of_no_place_that_we_know_is_refused(name):
    with pytest.raises(ScopeError) as caught:
        hook_point(name)
    assert caught.value.hint


def test_several_layers_are_named_at_once():
    some = hook_points("model.layers.{5,9,12,15}.output", 4)
    assert [hook.layer for hook in some] == [5, 9, 12, 15]
    every = hook_points("model.layers.{all}.post_attention_layernorm.output", 3, post_norms=True)
    assert [hook.name for hook in every] == [f"blocks.{i}.hook_attn_out" for i in range(3)]


@pytest.mark.parametrize("name", ["{5,9}", "{5,9,9}", "5", "{}", "{5,9,x}", "{5,9,12"])
def test_another_number_of_layers_is_refused(name):
    with pytest.raises(ScopeError):
        hook_points(f"model.layers.{name}.output", 3)


@pytest.mark.parametrize("name", ["weird", "", "a/b/c", "/home/me/model", "gpt2-tiny"])
def test_an_unknown_model_has_no_id(name):
    assert model_id(name) is None


MODELS = {
    "gpt2-small": "openai-community/gpt2",
    "gemma-2-2b": "google/gemma-2-2b",
    "gemma-2-9b-it": "google/gemma-2-9b-it",
    "gemma-3-1b-pt": "google/gemma-3-1b-pt",
    "pythia-70m-deduped": "EleutherAI/pythia-70m-deduped",
    "mistral-7b": "mistralai/Mistral-7B-v0.1",
    "qwen2.5-7b-instruct": "Qwen/Qwen2.5-7B-Instruct",
    "qwen3-1.7b": "Qwen/Qwen3-1.7B",
    "gpt-oss-20b": "openai/gpt-oss-20b",
    "meta-llama/Llama-3.1-8B": "meta-llama/Llama-3.1-8B",
}


@pytest.mark.parametrize("name", MODELS)
def test_models_are_known_by_the_short_names_of_transformerlens(name):
    assert model_id(name) == MODELS[name]


@pytest.mark.reference
@pytest.mark.parametrize("name", MODELS)
def test_they_are_transformerlens_s_own(name):
    lens.saelens()
    from transformer_lens.loading_from_pretrained import get_official_model_name

    official = get_official_model_name(name)
    assert MODELS[name].removeprefix("openai-community/") == official

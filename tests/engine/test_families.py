"""Hook points of every family, compared with what transformers computes by itself."""

from __future__ import annotations

import pytest
import torch
from tiny_models import (
    D_MODEL,
    FAMILIES,
    LESS_ONE,
    OTHERS,
    PARALLEL,
    POST_NORMS,
    Seen,
    assert_adds_up,
    close,
    config_of,
    reference,
    some_ids,
    tiny,
)

from desktop_scope.engine.families import _LAYOUTS, parts_of
from desktop_scope.engine.hook_points import HookPoint, Site
from desktop_scope.errors import ScopeError

BETWEEN = (Site.EMBED, Site.RESID_PRE, Site.RESID_POST)
every_family = pytest.mark.parametrize("name", FAMILIES)


def test_every_family_of_the_table_is_tested():
    listed = {family for layout in _LAYOUTS for family in layout.families.split()}
    tested = {config_of(name).get_text_config().model_type for name in FAMILIES}
    multimodal = {config_of(name).model_type for name in FAMILIES}
    assert listed == tested | multimodal
    assert all(tiny(name).parts.known for name in FAMILIES)


@every_family
def test_the_stream_is_what_transformers_says(name):
    ids = some_ids(batch=2)
    seen = Seen(tiny(name), ids)
    with torch.inference_mode():
        own = reference(name)(ids, output_hidden_states=True, use_cache=False)
    *streams, final = own.hidden_states
    for layer, stream in enumerate(streams):
        close(seen[HookPoint(layer, Site.RESID_PRE)], stream)
        if layer:
            close(seen[HookPoint(layer - 1, Site.RESID_POST)], stream)
    close(seen.hidden, final)
    last = seen[HookPoint(len(streams) - 1, Site.RESID_POST)]
    with torch.inference_mode():
        close(tiny(name).parts.norm(last), final)


@every_family
@pytest.mark.parametrize("packed", [False, True])
def test_logits_are_the_models_own(name, packed):
    model, ids = tiny(name, packed), some_ids(batch=2)
    with torch.inference_mode():
        own = reference(name)(ids, use_cache=False).logits
        close(model.logits(model.hidden(ids, {}, use_cache=False)), own)
        close(model.own_logits(ids), own)


@every_family
def test_the_embedding_is_the_first_stream_before_positions(name):
    seen = Seen(tiny(name), some_ids())
    embed, first = seen[HookPoint(0, Site.EMBED)], seen[HookPoint(0, Site.RESID_PRE)]
    modules = dict(reference(name).named_modules())
    added = next((m for n, m in modules.items() if n.endswith("wpe")), None)
    if added is not None:
        embed = embed + added(torch.arange(embed.shape[1]))
    close(embed, first)


@every_family
def test_blocks_add_up(name):
    assert_adds_up(tiny(name), Seen(tiny(name), some_ids(batch=2)), name in PARALLEL)


@every_family
def test_ln2_normalized_times_the_norms_gain_is_what_the_mlp_reads(name):
    model = tiny(name)
    if Site.LN2_NORMALIZED not in model.parts.sites():
        assert name.startswith("olmo")  # reads the stream as it is, and normalises afterwards
        return
    seen = Seen(model, some_ids())
    norm = model.parts.tap(HookPoint(1, Site.LN2_NORMALIZED)).module
    weight, bias = getattr(norm, "weight", None), getattr(norm, "bias", None)
    expected = seen[HookPoint(1, Site.LN2_NORMALIZED)]
    assert abs(float(expected.square().mean()) - 1) < 1e-3
    if weight is not None:
        expected = expected * (weight + 1 if name.startswith(LESS_ONE) else weight)
    if bias is not None:
        expected = expected + bias
    close(expected, seen[HookPoint(1, Site.MLP_IN)])


@every_family
def test_only_what_has_a_norm_after_it_differs_raw(name):
    seen = Seen(tiny(name), some_ids())
    after = name.startswith(POST_NORMS)
    factor = 0.22 if name == "granite" else 1
    for raw, out in ((Site.ATTN_RAW, Site.ATTN_OUT), (Site.MLP_RAW, Site.MLP_OUT)):
        a, b = seen[HookPoint(1, raw)] * factor, seen[HookPoint(1, out)]
        assert torch.allclose(a, b) is not after


@every_family
def test_the_gain_of_the_final_norm(name):
    parts = tiny(name).parts
    weight = getattr(parts.norm, "weight", torch.ones(D_MODEL)).detach()
    expected = weight + 1 if name.startswith(LESS_ONE) else weight
    torch.testing.assert_close(parts.gain(), expected, rtol=1e-4, atol=1e-5)


@every_family
def test_sites_and_widths(name):
    model = tiny(name)
    sites = set(Site)
    if name in PARALLEL:
        sites -= {Site.RESID_MID}
    if name.startswith(("olmo2", "olmo3")):
        sites -= {Site.LN2_NORMALIZED}
    assert set(model.parts.sites()) == sites
    seen = Seen(model, some_ids())
    for site in sites:
        assert seen[HookPoint(0, site)].shape == (1, 12, model.parts.width(site))
    assert model.parts.width(Site.RESID_POST) == model.d_model == D_MODEL
    assert model.parts.device(1) == torch.device("cpu")


def test_heads_may_be_wider_than_the_stream():
    assert tiny("gemma2").parts.width(Site.Z) == 2 * D_MODEL


def test_layers_of_a_hybrid_model_may_have_heads_of_their_own():
    assert [tiny("qwen3_5").parts.width(Site.Z, layer) for layer in range(3)] == [32, 64, 32]


@pytest.mark.parametrize("name", OTHERS)
def test_an_unknown_family_has_what_can_be_relied_on(name):
    model, ids = tiny(name), some_ids()
    sites = model.parts.sites()
    assert set(sites) == (set(Site) if name == "arcee" else set(BETWEEN))
    seen = Seen(model, ids)
    with torch.inference_mode():
        own = reference(name)(ids, output_hidden_states=True, use_cache=False)
    for layer, stream in enumerate(own.hidden_states[:-1]):
        close(seen[HookPoint(layer, Site.RESID_PRE)], stream)
    close(seen.hidden, own.hidden_states[-1])


def test_logits_that_we_would_get_wrong_are_refused():
    with pytest.raises(ScopeError, match="HyperCLOVAXForCausalLM makes its logits") as caught:
        tiny("odd-logits")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("point", "name", "hint"),
    [
        (HookPoint(3, Site.RESID_POST), "llama", "0 to 2"),
        (HookPoint(-1, Site.RESID_POST), "llama", "0 to 2"),
        (HookPoint(1, Site.RESID_MID), "phi", "hook_resid_post"),
        (HookPoint(1, Site.LN2_NORMALIZED), "olmo2", "mlp.hook_in"),
        (HookPoint(0, Site.Z), "bloom", "hook_resid_pre"),
    ],
)
def test_a_point_that_is_not_there_is_refused(point, name, hint):
    with pytest.raises(ScopeError, match="no blocks") as caught:
        tiny(name).parts.tap(point)
    assert hint in caught.value.hint


def test_a_model_without_a_list_of_blocks_is_refused():
    model = reference("llama").__class__(config_of("llama"))
    model.model.layers = torch.nn.ModuleList(list(model.model.layers)[:2])
    with pytest.raises(ScopeError, match="LlamaForCausalLM"):
        parts_of(model)

"""Changing activations at every hook point of every family."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tiny_models import FAMILIES, PARALLEL, Seen, assert_adds_up, close, some_ids, tiny

from desktop_scope.engine.hook_points import HookPoint, Site, resid_post
from desktop_scope.engine.hooks import checked, hooked
from desktop_scope.engine.model import LanguageModel
from desktop_scope.errors import ScopeError

every_family = pytest.mark.parametrize("name", FAMILIES)
# In the order in which a pass reaches them, whatever the architecture.
STEPS = (
    Site.RESID_PRE,
    Site.Z,
    Site.ATTN_RAW,
    Site.ATTN_OUT,
    Site.RESID_MID,
    Site.MLP_IN,
    Site.MLP_RAW,
    Site.MLP_OUT,
    Site.RESID_POST,
)


def shifted(width: int, seed: int = 3) -> Callable[[torch.Tensor], torch.Tensor]:
    """Adds a random vector at every position."""
    vector = torch.randn(width, generator=torch.Generator().manual_seed(seed))
    return lambda x: x + vector


def n_hooks(model: LanguageModel) -> int:
    modules = list(model.parts.decoder.modules())
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in modules)


@every_family
def test_a_change_shows_in_what_comes_after_and_in_nothing_before(name):
    model, ids = tiny(name), some_ids(batch=2)
    plain = Seen(model, ids)
    for place, site in enumerate(STEPS):
        if site not in model.parts.sites():
            continue
        changed = HookPoint(1, site)
        seen = Seen(model, ids, {changed: shifted(model.parts.width(site, 1))})
        assert_adds_up(model, seen, name in PARALLEL, changed)
        before = [HookPoint(0, s) for s in model.parts.sites()]
        before += [HookPoint(1, s) for s in STEPS[:place] if s in model.parts.sites()]
        for point in before:
            assert torch.equal(seen[point], plain[point]), f"{site} changed {point}"
        for point in (changed, resid_post(1), HookPoint(2, Site.Z), resid_post(2)):
            assert not torch.allclose(seen[point], plain[point]), f"{site} left {point}"
        assert not torch.allclose(seen.hidden, plain.hidden)


@every_family
def test_reading_changes_nothing(name):
    model, ids = tiny(name), some_ids()
    with torch.inference_mode():
        assert torch.equal(model.hidden(ids, {}, use_cache=False), Seen(model, ids).hidden)


@every_family
def test_a_changed_embedding_runs_through(name):
    model, ids = tiny(name), some_ids()
    change = shifted(model.d_model)
    seen, plain = Seen(model, ids, {HookPoint(0, Site.EMBED): change}), Seen(model, ids)
    first = HookPoint(0, Site.RESID_PRE)
    close(seen[first], change(plain[first]))
    assert_adds_up(model, seen, name in PARALLEL)


@every_family
def test_decoding_with_a_cache_is_the_same_as_reading_at_once(name):
    model, ids = tiny(name), some_ids()
    edits = {HookPoint(1, s): shifted(model.parts.width(s, 1)) for s in (Site.Z, Site.MLP_OUT)}
    edits |= {HookPoint(2, Site.RESID_PRE): shifted(model.d_model, seed=4)}
    if Site.RESID_MID in model.parts.sites():
        edits |= {HookPoint(0, Site.RESID_MID): shifted(model.d_model, seed=5)}
    with torch.inference_mode():
        whole = model.hidden(ids, edits, use_cache=False)
        cache = model.new_cache()
        steps = [ids[:, :7], *(ids[:, n : n + 1] for n in range(7, ids.shape[1]))]
        parts = [model.hidden(step, edits, past_key_values=cache, use_cache=True) for step in steps]
        assert cache.get_seq_length() == ids.shape[1]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-3, atol=1e-4)


def test_edits_are_called_in_the_order_of_the_pass():
    model, order = tiny("gemma2"), []
    points = list(model.parts.taps)

    def note(point: HookPoint) -> Callable[[torch.Tensor], None]:
        return lambda x: order.append(point)

    with torch.inference_mode():
        model.hidden(some_ids(), {p: note(p) for p in reversed(points)}, use_cache=False)
    assert order == points


def test_the_normalised_stream_can_only_be_read():
    model = tiny("llama")
    with pytest.raises(ScopeError, match="only be read") as caught:
        model.hidden(some_ids(), {HookPoint(1, Site.LN2_NORMALIZED): lambda x: x})
    assert caught.value.hint
    assert n_hooks(model) == 0


def test_hooks_are_removed_whatever_happens():
    model = tiny("llama")

    def fail(_: torch.Tensor) -> None:
        raise RuntimeError("an edit failed")

    point = HookPoint(1, Site.MLP_IN)
    with pytest.raises(RuntimeError, match="an edit failed"):
        model.hidden(some_ids(), {point: fail, resid_post(0): lambda x: None})
    assert n_hooks(model) == 0
    with (
        pytest.raises(ScopeError, match="3 layers"),
        hooked(model.parts, {resid_post(0): lambda x: None, resid_post(3): lambda x: None}),
    ):
        pass
    assert n_hooks(model) == 0


def test_only_one_hook_per_block_for_the_stream():
    model = tiny("llama")
    with hooked(model.parts, {resid_post(n): lambda x: None for n in range(3)}):
        assert n_hooks(model) == 3
        assert [len(block._forward_hooks) for block in model.parts.blocks] == [1, 1, 1]


def test_every_block_is_checked_and_edits_still_work():
    model, ids = tiny("gemma3"), some_ids()
    calls = []
    points = (resid_post(1), HookPoint(1, Site.MLP_OUT))
    edits = {point: shifted(model.d_model) for point in points}
    with torch.inference_mode():
        looked = checked(edits, model.parts, lambda: calls.append(1))
        assert torch.equal(model.hidden(ids, looked), model.hidden(ids, edits))
    assert len(calls) == model.info.n_layers


def test_a_check_stops_the_pass():
    model, reached = tiny("gemma3"), []

    def check() -> None:
        if reached:
            raise InterruptedError

    edits = checked({resid_post(0): lambda x: reached.append(1)}, model.parts, check)
    with pytest.raises(InterruptedError):
        model.hidden(some_ids(), {**edits, HookPoint(2, Site.RESID_PRE): pytest.fail})
    assert reached == [1]
    assert n_hooks(model) == 0


@pytest.mark.parametrize("name", ["llama", "gpt2", "olmo2"])
def test_gradients_pass_through_a_change_of_the_stream(name):
    """Adding a vector to resid_mid is adding it to what attention puts out."""
    model, ids = tiny(name), some_ids()
    target = torch.randn(model.d_model, generator=torch.Generator().manual_seed(6))
    gradients = []
    for site in (Site.RESID_MID, Site.ATTN_OUT):
        vector = torch.full((model.d_model,), 0.1, requires_grad=True)
        # For the square, autograd keeps the tensor that is then changed.
        edit = {HookPoint(1, site): lambda x, v=vector: x + v + 0 * (x + v).square()}
        (model.hidden(ids, edit, use_cache=False) @ target).sum().backward()
        gradients.append(vector.grad)
    assert gradients[0].abs().max() > 1e-3
    close(*gradients)

"""The linearised pass against autograd through models written out by hand, three families."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from small_saes import weights
from tiny_models import D_MODEL, close, reference, some_ids, tiny
from torch import Tensor

from desktop_scope.engine.attribution import Pass, attribute
from desktop_scope.engine.fork import Fork
from desktop_scope.engine.hook_points import resid_post
from desktop_scope.engine.linearising import linearised
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.questions import Method
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.verifying import verify_fork
from desktop_scope.engine.worker import Job, silent_job
from desktop_scope.errors import Cancelled, ScopeError

CPU = torch.device("cpu")
A, B = 7, 9  # the two answers
IDS = tuple(some_ids()[0].tolist())


def held(x: Tensor, scale: Tensor) -> Tensor:
    return x * scale.detach()


def rms(norm: Any, x: Tensor, plus: float = 0.0) -> Tensor:
    eps = getattr(norm, "eps", None) or norm.variance_epsilon
    return held(x, (x.square().mean(-1, keepdim=True) + eps).rsqrt()) * (norm.weight + plus)


def layer_norm(norm: Any, x: Tensor) -> Tensor:
    x = x - x.mean(-1, keepdim=True)
    scale = (x.square().mean(-1, keepdim=True) + norm.eps).rsqrt()
    return held(x, scale) * norm.weight + norm.bias


def held_ratio(act: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return x * (act(x) / x).detach()


def half(product: Tensor) -> Tensor:
    return product / 2 + (product / 2).detach()


def mixed(pattern: Tensor, v: Tensor) -> Tensor:
    """[heads, T, T] of [T, kv_heads, head_dim] → [T, heads · head_dim]."""
    v = v.repeat_interleave(pattern.shape[0] // v.shape[1], 1)
    return torch.einsum("hts,shd->thd", pattern.detach(), v).flatten(1)


def gated(mlp: Any, x: Tensor) -> Tensor:
    gate = held_ratio(mlp.act_fn, mlp.gate_proj(x))
    return mlp.down_proj(half(gate * mlp.up_proj(x)))


def llama_block(block: Any, x: Tensor, pattern: Tensor) -> Tensor:
    attn = block.self_attn
    v = attn.v_proj(rms(block.input_layernorm, x)).unflatten(-1, (-1, attn.head_dim))
    x = x + attn.o_proj(mixed(pattern, v))
    return x + gated(block.mlp, rms(block.post_attention_layernorm, x))


def gemma_block(block: Any, x: Tensor, pattern: Tensor) -> Tensor:
    attn = block.self_attn
    v = attn.v_proj(rms(block.input_layernorm, x, 1.0)).unflatten(-1, (-1, attn.head_dim))
    x = x + rms(block.post_attention_layernorm, attn.o_proj(mixed(pattern, v)), 1.0)
    out = gated(block.mlp, rms(block.pre_feedforward_layernorm, x, 1.0))
    return x + rms(block.post_feedforward_layernorm, out, 1.0)


def gpt2_block(block: Any, x: Tensor, pattern: Tensor) -> Tensor:
    attn = block.attn
    v = attn.c_attn(layer_norm(block.ln_1, x)).chunk(3, -1)[2]
    x = x + attn.c_proj(mixed(pattern, v.unflatten(-1, (-1, attn.head_dim))))
    inner = held_ratio(block.mlp.act, block.mlp.c_fc(layer_norm(block.ln_2, x)))
    return x + block.mlp.c_proj(inner)


FAMILIES: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor]]] = {
    "llama": (llama_block, rms),
    "gemma2": (gemma_block, lambda norm, x: rms(norm, x, 1.0)),
    "gpt2": (gpt2_block, layer_norm),
}


def by_hand(name: str, x: Tensor) -> Tensor:
    """The gradient of m by the stream after the first block, attention held."""
    hf = reference(name)
    hf.set_attn_implementation("eager")
    seen = hf(some_ids(), output_attentions=True, use_cache=False).attentions
    block_of, norm_of = FAMILIES[name]
    decoder = hf.get_decoder()
    blocks, norm = (decoder.h, decoder.ln_f) if name == "gpt2" else (decoder.layers, decoder.norm)
    y = x.clone().requires_grad_()
    stream = y
    for block, pattern in zip(blocks[1:], seen[1:], strict=True):
        stream = block_of(block, stream, pattern[0])
    logits = hf.lm_head(norm_of(norm, stream)[-1])
    cap = getattr(hf.config, "final_logit_softcapping", None)
    logits = logits if cap is None else torch.tanh(logits / cap) * cap
    (logits[A] - logits[B]).backward()
    return y.grad


def followed(model: LanguageModel, frozen: bool = True) -> tuple[Tensor, Pass]:
    """Ours: the gradient of m by the stream after the first block."""
    with linearised(model.parts, frozen):
        forward = Pass(model, some_ids(), [resid_post(0)], silent_job())
    logits = model.logits(forward.hidden[0, -1])
    return forward.gradients(logits[A] - logits[B], resid_post(0))[0][0], forward


@pytest.mark.parametrize("name", FAMILIES)
def test_equals_autograd_under_the_same_detachments(name):
    model = tiny(name)
    found, forward = followed(model)
    close(found, by_hand(name, forward.at[resid_post(0)][0].detach()))
    plain = model.hidden(some_ids(), {}, use_cache=False)
    close(forward.hidden.detach(), plain)  # only the way back is another
    free, _ = followed(model, frozen=False)
    assert (free - found).norm() > 0.01 * found.norm()


def test_leaves_the_model_as_it_was():
    model = tiny("llama")
    before = Pass(model, some_ids(), [resid_post(0)], silent_job())
    followed(model)
    after = Pass(model, some_ids(), [resid_post(0)], silent_job())
    targets = [model.logits(p.hidden[0, -1])[A] for p in (before, after)]
    gradients = [
        p.gradients(t, resid_post(0))[0] for p, t in zip((before, after), targets, strict=True)
    ]
    torch.testing.assert_close(*gradients)


def test_packed_weights_have_the_same_gradient():
    found, _ = followed(tiny("llama", packed=True))
    expected, _ = followed(tiny("llama"))
    close(found, expected)


# ---- small autoencoders in a small model


def fork() -> Fork:
    return Fork.at(IDS, (A,), (B,))


def random_sae(layer: int, **more: Any) -> Sae:
    return Sae(weights(layer, d_in=D_MODEL, **more), CPU)


def planted(model: LanguageModel) -> tuple[Sae, int]:
    """Features that mean nothing, and one that fires on the last token and says A, not B."""
    seen = Pass(model, torch.tensor([IDS]), [resid_post(2)], silent_job())
    x = seen.at[resid_post(2)][0, -1].detach()
    w = weights(2, d_in=D_MODEL)
    index = 11
    w.W_dec.mul_(0.01)
    w.W_dec[index] = model.parts.gain() * (model.W_U[A] - model.W_U[B]).float()
    w.W_enc[index] = x / x.norm().square()
    w.b_enc[index] = 0.0
    w.threshold[index] = 0.5
    return Sae(w, CPU), index


@pytest.mark.parametrize("method", Method)
def test_a_planted_feature_is_found(method):
    model = tiny("llama")
    sae, index = planted(model)
    saes = [random_sae(0, seed=3), sae]
    found = attribute(model, saes, fork(), silent_job(), method)
    best = found.causes(1)[0]
    assert (best.feature, best.token) == ((1, index), len(IDS) - 1)
    assert best.effect > 0
    check = verify_fork(model, saes, fork(), [best], silent_job())
    assert check[0][0] == pytest.approx(best.effect, rel=0.35)


def test_integrated_gradients_sum_to_what_all_features_of_a_layer_do():
    model, sae = tiny("llama"), random_sae(1)
    found = attribute(model, [sae], fork(), silent_job(), Method.IG)
    forward = Pass(model, torch.tensor([IDS]), [resid_post(1)], silent_job())
    active = sae.active(found.acts[0], forward.at[resid_post(1)][0].detach())

    def m(hidden: Tensor) -> float:
        logits = model.logits(hidden[0, -1])
        return float(logits[A] - logits[B])

    with torch.inference_mode():
        off = model.hidden(
            torch.tensor([IDS]), {resid_post(1): lambda y: y - active}, use_cache=False
        )
        on = model.hidden(torch.tensor([IDS]), {}, use_cache=False)
    assert sum(found.effects[0]) == pytest.approx(m(on) - m(off), rel=0.03)


def test_normalised_and_topk_autoencoders_sum_to_their_layer():
    from desktop_scope.engine.sae_weights import Architecture, InputNorm

    model = tiny("gpt2")
    saes = [
        random_sae(0, norm=InputNorm.LAYER_NORM, architecture=Architecture.TOPK),
        random_sae(1, architecture=Architecture.GATED),
    ]
    found = attribute(model, saes, fork(), silent_job())
    points = [resid_post(0), resid_post(1)]
    forward = Pass(model, torch.tensor([IDS]), points, silent_job())
    logits = model.logits(forward.hidden[0, -1])
    whole = [
        (g * forward.at[p]).sum(-1)[0]
        for g, p in zip(forward.gradients(logits[A] - logits[B], *points), points, strict=True)
    ]
    ours = found.by_features() + found.errors + found.biases
    np.testing.assert_allclose(ours, torch.stack(whole).detach().numpy(), atol=1e-4)
    # The error is what the autoencoder's own decoding leaves.
    x = forward.at[points[1]][0].detach()
    g = forward.gradients(logits[A] - logits[B], points[1])[0][0]
    error = (g * (x - saes[1].decode(found.acts[1], x))).sum(-1)
    np.testing.assert_allclose(found.errors[1][1:], error[1:].detach().numpy(), atol=1e-4)


def test_a_crosscoder_is_left_out_and_said_so():
    reads = (resid_post(0), resid_post(1))
    wide = Sae(weights(d_in=2 * D_MODEL, reads=reads, d_out=2 * D_MODEL), CPU)
    found = attribute(tiny("llama"), [random_sae(0), wide], fork(), silent_job())
    assert found.slots == (0,)
    assert found.left_out == (wide.weights.name,)
    with pytest.raises(ScopeError, match="None of the open SAEs"):
        attribute(tiny("llama"), [wide], fork(), silent_job())


@pytest.mark.parametrize("calls", [2, 5, 9])
def test_stops_within_a_layer_on_the_way_there_and_back(calls):
    class Impatient(Job):
        left = calls

        def check(self) -> None:
            self.left -= 1
            if self.left < 0:
                raise Cancelled

    job = Impatient(0, silent_job().request, lambda event: None)
    with pytest.raises(Cancelled):
        attribute(tiny("llama"), [random_sae(n) for n in range(3)], fork(), job)


def test_numbers_that_are_not_finite_are_refused():
    model = tiny("gpt2")
    norm = model.parts.norm
    kept = norm.weight.data.clone()
    norm.weight.data.fill_(torch.nan)
    try:
        with pytest.raises(ScopeError, match="not finite"):
            attribute(model, [random_sae(0)], fork(), silent_job())
    finally:
        norm.weight.data.copy_(kept)

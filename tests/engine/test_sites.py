"""Steering through SAEs at every place of a model: the right thing changes, and nothing before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from small_saes import weights
from tiny_models import tiny

from desktop_scope.engine.doctor import Doctor
from desktop_scope.engine.engine import Engine, check_fit
from desktop_scope.engine.hook_points import HookPoint, Site, resid_post
from desktop_scope.engine.interventions import Steering
from desktop_scope.engine.model import LanguageModel
from desktop_scope.engine.requests import Generate, TracePrompt
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.sae_weights import Architecture, SaeWeights
from desktop_scope.engine.trace import run
from desktop_scope.engine.types import FeatureId, Intervention, Mode, Positions, Prompt, Sampling
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import ScopeError

TEXT = Prompt("The museum opens at nine.", chat=False)
WRITABLE = [site for site in Site if site is not Site.LN2_NORMALIZED]
LAYER = 1
EVERYWHERE = Positions(first=True)


def sae_at(model: LanguageModel, site: Site, layer: int = LAYER, **more: Any) -> Sae:
    width = model.parts.width(site)
    layer = 0 if site is Site.EMBED else layer
    return Sae(weights(layer, site, d_in=width, **more), torch.device("cpu"))


def transcoder(model: LanguageModel, writes: tuple[HookPoint, ...], **more: Any) -> Sae:
    made = weights(
        d_in=model.d_model,
        d_out=model.d_model * len(writes),
        reads=(HookPoint(LAYER, Site.MLP_IN),),
        writes=writes,
        **more,
    )
    return Sae(made, torch.device("cpu"))


def passed(model: LanguageModel, steering: Steering | None = None) -> dict[HookPoint, torch.Tensor]:
    """All that a forward pass of the text leaves, by hook point: [T, width]."""
    ids = torch.tensor([model.encode(TEXT).ids])
    points = sorted(model.parts.taps)
    with torch.inference_mode():
        return run(model, ids, points, silent_job(), steering).at


def strongest(sae: Sae, x: torch.Tensor) -> int:
    """A feature that is active on most tokens but the first."""
    acts = sae.encode(x, np.arange(len(x)) == 0)
    return int(np.bincount(acts.indices, minlength=sae.d_sae).argmax())


def reached_before(model: LanguageModel, point: HookPoint) -> list[HookPoint]:
    parallel = HookPoint(0, Site.RESID_MID) not in model.parts.taps
    before = [other for other in sorted(model.parts.taps) if other < point]
    # Where attention and MLP run side by side, neither comes before the other.
    return [p for p in before if p.layer < point.layer] if parallel else before


@pytest.mark.parametrize(
    ("family", "site"),
    [
        (family, site)
        for family in ("llama", "gemma3", "gpt2", "gpt_neox", "olmo2")
        for site in WRITABLE
        # Attention and MLP read the same stream there: nothing lies between them.
        if (family, site) != ("gpt_neox", Site.RESID_MID)
    ],
    ids=str,
)
def test_adding_a_feature_changes_its_own_site_and_nothing_before(family, site):
    model = tiny(family)
    assert site in model.parts.sites()
    sae = sae_at(model, site)
    item = Intervention(FeatureId(0, 3), 5.0, positions=EVERYWHERE)
    plain, steered = passed(model), passed(model, Steering((item,), [sae]))
    (point,) = sae.weights.writes
    added = (steered[point] - plain[point]).numpy()
    expected = 5.0 * sae.decoder_row(3).expand(*added.shape)
    if family == "gemma3" and site is Site.EMBED:
        assert np.abs(added).max() > 0
    np.testing.assert_allclose(added, expected, atol=1e-4)
    for before in reached_before(model, point):
        assert torch.equal(plain[before], steered[before]), before
    last = resid_post(model.info.n_layers - 1)
    assert not torch.equal(plain[last], steered[last])


@pytest.mark.parametrize("site", WRITABLE, ids=str)
@pytest.mark.parametrize("architecture", [Architecture.JUMPRELU, Architecture.TOPK], ids=str)
def test_switching_a_feature_off_takes_out_what_it_wrote(site, architecture):
    model = tiny("gemma3")
    sae = sae_at(model, site, architecture=architecture)
    (point,) = sae.weights.writes
    plain = passed(model)
    index = strongest(sae, plain[point])
    off = Intervention(FeatureId(0, index), mode=Mode.ABLATE)
    change = passed(model, Steering((off,), [sae]))[point] - plain[point]
    f = sae.activation(plain[point], index)
    f[0] = 0.0
    assert (f != 0).any()
    np.testing.assert_allclose(change, -f[:, None] * sae.decoder_row(index), atol=1e-4)


def test_a_transcoders_feature_is_read_at_its_input_and_taken_out_of_its_output():
    model = tiny("gemma3")
    sae = transcoder(model, (HookPoint(LAYER, Site.MLP_OUT),))
    read, write = sae.weights.reads[0], sae.weights.writes[0]
    plain = passed(model)
    index = strongest(sae, plain[read])
    off = Intervention(FeatureId(0, index), mode=Mode.ABLATE)
    steered = passed(model, Steering((off,), [sae]))
    f = sae.activation(plain[read], index)
    f[0] = 0.0
    change = steered[write] - plain[write]
    np.testing.assert_allclose(change, -f[:, None] * sae.decoder_row(index), atol=1e-4)
    assert torch.equal(steered[read], plain[read])


def test_a_feature_that_writes_to_several_layers_changes_all_of_them():
    model = tiny("llama")
    sae = transcoder(model, tuple(HookPoint(n, Site.MLP_OUT) for n in (1, 2)))
    row = sae.decoder_row(3).view(2, -1)
    item = Intervention(FeatureId(0, 3), 5.0, positions=EVERYWHERE)
    plain = passed(model)
    steered = passed(model, Steering((item,), [sae]))
    first, second = sae.weights.writes
    np.testing.assert_allclose(
        steered[first] - plain[first], 5 * row[0].expand(len(plain[first]), -1), atol=1e-4
    )
    # The second is what that layer computes of the changed stream, and its own part besides.
    only_first = Sae(
        weights(
            d_in=model.d_model,
            d_out=model.d_model,
            reads=sae.weights.reads,
            writes=(first,),
            W_dec=sae.weights.W_dec[:, : model.d_model],
        ),
        torch.device("cpu"),
    )
    between = passed(model, Steering((item,), [only_first]))
    np.testing.assert_allclose(
        steered[second] - between[second], 5 * row[1].expand(len(plain[first]), -1), atol=1e-4
    )


def test_a_crosscoders_feature_can_be_turned_but_not_switched_off():
    model = tiny("llama")
    reads = (resid_post(0), resid_post(1))
    made = weights(d_in=2 * model.d_model, d_out=2 * model.d_model, reads=reads)
    sae = Sae(made, torch.device("cpu"))
    with pytest.raises(ScopeError, match="several layers") as caught:
        Steering((Intervention(FeatureId(0, 3), mode=Mode.ABLATE),), [sae])
    assert caught.value.hint
    steered = passed(model, Steering((Intervention(FeatureId(0, 3), 5.0),), [sae]))
    assert not torch.equal(steered[reads[0]], passed(model)[reads[0]])


# ---- several SAEs at once


def several(model: LanguageModel) -> Engine:
    saes = [
        sae_at(model, Site.RESID_POST, 2),
        sae_at(model, Site.MLP_OUT, d_sae=64),
        transcoder(model, (HookPoint(LAYER, Site.MLP_OUT),)),
        sae_at(model, Site.Z),
        sae_at(model, Site.EMBED),
        sae_at(model, Site.MLP_OUT),
    ]
    return Engine(model, saes)


def test_several_saes_are_traced_together_as_each_would_be_alone():
    model = tiny("gemma3")
    engine = several(model)
    trace = engine.trace(TracePrompt(TEXT), silent_job())
    hooks = [info.hook_name for info in engine.infos]
    assert hooks == sorted(hooks, key=HookPoint.parse)
    plain = passed(model)
    for sae, acts in zip(engine.saes, trace.acts, strict=True):
        alone = sae.encode(plain[sae.weights.reads[0]], trace.masked)
        assert acts.indices.tolist() == alone.indices.tolist()
        np.testing.assert_allclose(acts.values, alone.values, rtol=1e-5)
        assert len(acts.indices)


def test_a_steered_answer_with_cache_equals_one_computed_anew():
    model = tiny("gemma3")
    engine = several(model)
    plain = passed(model)
    items = []
    for slot, sae in enumerate(engine.saes):
        index = strongest(sae, plain[sae.weights.reads[0]])
        items.append(Intervention(FeatureId(slot, index), mode=Mode.ABLATE))
        items.append(Intervention(FeatureId(slot, 5), 3.0))
    request = Generate(TEXT, (tuple(items),), Sampling(6, repetition_penalty=1.0))
    (answer,) = engine.generate(request, silent_job())
    ids = model.encode(TEXT).ids
    for said in answer.ids:
        steering = Steering(items, engine.saes)
        with torch.inference_mode():
            hidden = model.hidden(torch.tensor([ids]), steering.edits(), use_cache=False)
            best = int(model.logits(hidden[0, -1]).argmax())
        assert said == best
        ids.append(best)


def test_a_sae_that_says_so_leaves_more_positions_out():
    model = tiny("llama")
    engine = Engine(model, [sae_at(model, Site.RESID_POST, skip_positions=4)])
    acts = engine.trace(TracePrompt(TEXT), silent_job()).acts[0]
    counts = np.diff(acts.indptr)
    assert (counts[:4] == 0).all()
    assert (counts[4:] > 0).any()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"layer": 3}, "layers 0 to 2"),
        ({"d_in": 31}, "31 numbers"),
        ({"d_out": 31}, "31 numbers"),
        ({"site": Site.RESID_MID}, "does not have"),
    ],
    ids=str,
)
def test_an_sae_that_does_not_fit_is_refused(wrong, says):
    model = tiny("gpt_neox")
    made: SaeWeights = weights(**({"d_in": model.d_model, "d_out": model.d_model} | wrong))
    with pytest.raises(ScopeError, match=says) as caught:
        check_fit(model, made)
    assert caught.value.hint


# ---- the doctor, where the truth is known


def identity(model: LanguageModel, site: Site, layer: int = LAYER) -> SaeWeights:
    """An SAE that is exact where it is made for, and for whatever has the same directions."""
    d = model.parts.width(site)
    eye = torch.eye(d)
    return weights(
        layer,
        site,
        d_in=d,
        d_sae=2 * d,
        architecture=Architecture.RELU,
        W_enc=torch.cat([eye, -eye]),
        W_dec=torch.cat([eye, -eye]),
        b_enc=torch.zeros(2 * d),
        b_dec=torch.zeros(d),
    )


def test_a_perfect_sae_leaves_nothing_unexplained_and_no_loss_unrecovered():
    model = tiny("llama")
    for site in (Site.RESID_POST, Site.MLP_OUT, Site.Z):
        sae = Sae(identity(model, site), torch.device("cpu"))
        health = Doctor(model, [sae]).examine(0, silent_job(), elsewhere=False)
        assert health.fvu < 1e-9
        assert health.ce_recovered == pytest.approx(1, abs=1e-3)
        assert health.l0 == pytest.approx(sae.d_in, rel=0.05)
        assert (health.density > 0).sum() > sae.d_in / 2
        assert health.verdict == "fits"


def test_blind_and_halved_saes_score_as_their_definition_says():
    model = tiny("llama")
    exact = identity(model, Site.RESID_POST)
    blind = replace(exact, W_dec=torch.zeros_like(exact.W_dec))
    halved = replace(exact, W_dec=exact.W_dec / 2)
    point = resid_post(LAYER)
    texts = Doctor(model, [])
    y = torch.cat([stream(model, ids, point)[1:] for ids in texts.ids]).double()
    spread = float((y - y.mean(0)).square().sum())
    for made, wrong in ((blind, y), (halved, y / 2)):
        sae = Sae(made, torch.device("cpu"))
        health = Doctor(model, [sae]).examine(0, silent_job(), elsewhere=False)
        assert health.fvu == pytest.approx(float(wrong.square().sum()) / spread, rel=1e-4)
        assert health.ce_recovered < 0.99
    assert health.n_tokens == len(y)


def stream(model: LanguageModel, ids: torch.Tensor, point: HookPoint) -> torch.Tensor:
    with torch.inference_mode():
        return run(model, ids, [point], silent_job()).at[point]


def test_cross_layer_transcoders_are_judged_by_what_they_add_up_to():
    """Two halves of an exact reconstruction, in two SAEs of one group."""
    model = tiny("llama")
    point = HookPoint(LAYER, Site.MLP_OUT)
    exact = identity(model, Site.MLP_OUT)
    half = replace(exact, W_dec=exact.W_dec / 2, group="pair", b_dec=exact.b_dec)
    saes = [Sae(replace(half, name=name), torch.device("cpu")) for name in "ab"]
    doctor = Doctor(model, saes)
    assert half.writes == (point,)
    assert doctor.examine(0, silent_job(), elsewhere=False).fvu < 1e-9
    alone = Doctor(model, saes[:1]).examine(0, silent_job(), elsewhere=False)
    assert alone.fvu > 0.2

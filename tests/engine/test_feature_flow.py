"""Flow between layers: against steps of the model by hand, and against really switching off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from plain_model import PlainModel, plain_sae
from small_saes import weights
from tiny_models import D_MODEL, tiny

from desktop_scope.engine.feature_flow import FlowReader, follow_flow
from desktop_scope.engine.flow_checking import check_flow
from desktop_scope.engine.flow_types import (
    CheckFlow,
    Flow,
    FlowQuestion,
    FollowFlow,
    Way,
    same_signs,
    spearman,
)
from desktop_scope.engine.hook_points import HookPoint, Site, resid_post
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.sae_weights import Architecture, InputNorm
from desktop_scope.engine.types import FeatureId, Prompt
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import ScopeError

DOGS = Prompt("My chihuahua barks at presidents.", chat=False)
DOG = FeatureId(17, 3988)
QUESTION = FlowQuestion(DOGS, (), DOG)
STEP = 0.02


@pytest.fixture(scope="module")
def on_prompt(engine) -> Flow:
    return engine.flow(FollowFlow(QUESTION), silent_job())


def test_by_weights_it_is_decoder_times_encoder(engine):
    flow = engine.flow(FollowFlow(replace(QUESTION, way=Way.WEIGHTS)), silent_job())
    row = plain_sae(17).W_enc[DOG.index]
    expected = (plain_sae(16).W_dec @ row).numpy()
    best = np.argsort(-np.abs(expected))[:10]
    assert [edge.feature for edge in flow.upstream.edges] == [(16, n) for n in best]
    values = [edge.value for edge in flow.upstream.edges]
    np.testing.assert_allclose(values, expected[best], rtol=1e-4)
    expected = (plain_sae(18).W_enc @ plain_sae(17).W_dec[DOG.index]).numpy()
    best = np.argsort(-np.abs(expected))[:10]
    assert [edge.feature for edge in flow.downstream.edges] == [(18, n) for n in best]
    values = [edge.value for edge in flow.downstream.edges]
    np.testing.assert_allclose(values, expected[best], rtol=1e-4)


def drive_after(plain: PlainModel, ids: list[int], layer: int, change, token: int) -> float:
    """h of the dog feature with the stream changed after an earlier layer, in float64."""
    run = plain.run(ids, {layer: change})
    return float(plain_sae(17).pre(run.residual[17, token])[DOG.index])


def test_on_a_prompt_it_is_the_slope_along_what_the_writer_writes(engine, plain, on_prompt):
    ids, token = plain.ids(DOGS), on_prompt.token
    for edge in on_prompt.upstream.edges[:3]:
        sae, index = plain_sae(16), edge.feature.index

        def stepped(step: float, sae=sae, index=index) -> float:
            def change(x: torch.Tensor) -> torch.Tensor:
                f = sae.encode(x)[:, index]
                f[0] = 0
                return x + step * f[:, None] * sae.W_dec[index]

            return drive_after(plain, ids, 16, change, token)

        slope = (stepped(STEP) - stepped(-STEP)) / (2 * STEP)
        assert edge.value == pytest.approx(slope, rel=0.01, abs=0.02)


def test_features_error_and_bias_are_all_of_the_layer_s_slope(engine, plain, on_prompt):
    """And what is left is what the layers between add, whatever is active."""
    ids, token, side = plain.ids(DOGS), on_prompt.token, on_prompt.upstream

    def stepped(step: float) -> float:
        return drive_after(plain, ids, 16, lambda x: x * (1 + step), token)

    slope = (stepped(STEP) - stepped(-STEP)) / (2 * STEP)
    whole = side.edges[0].value / side.edges[0].share
    shares = sum(edge.share for edge in side.edges) + side.others + side.error + side.bias
    assert whole * shares == pytest.approx(slope, rel=0.02)
    drive = float(plain_sae(17).pre(plain.run(ids).residual[17, token])[DOG.index])
    rest = drive - float(plain_sae(17).b_enc[DOG.index]) - slope
    assert whole * side.rest == pytest.approx(rest, abs=0.02 * drive)


def test_both_ends_of_an_edge_tell_the_same(engine, on_prompt):
    for edge in on_prompt.downstream.edges[:2]:
        reader = FlowQuestion(DOGS, (), edge.feature, edge.token)
        back = FlowReader(engine.model, engine.saes, reader, silent_job())
        value = back.brought(Way.PROMPT)[np.flatnonzero(back.writers() == DOG.index)]
        assert value == pytest.approx(edge.value, rel=0.02)


def test_what_arrives_is_shared_out_without_a_rest(on_prompt):
    side = on_prompt.downstream
    shares = sum(edge.share for edge in side.edges) + side.others + side.error
    assert shares == pytest.approx(1)
    assert 0 < side.error < 1


@pytest.mark.parametrize(
    "text", ["She poured the milk into the", "The judge asked the witness to tell the"]
)
def test_it_agrees_in_sign_and_rank_with_really_switching_off(engine, text):
    prompt = Prompt(text, chat=False)
    reader = FlowReader(
        engine.model, engine.saes, FlowQuestion(prompt, (), FeatureId(20, 0), reach=3),
        silent_job(),
    )  # fmt: skip
    acts = reader.acts_of(reader.sae)
    token = len(reader.ids) - 1
    index, values = acts.at(token)
    feature = FeatureId(20, int(index[values.argmax()]))
    flow = engine.flow(FollowFlow(FlowQuestion(prompt, (), feature, token, 3)), silent_job())
    check = engine.check_flow(CheckFlow(flow), silent_job())
    for side, measured in ((flow.upstream, check.upstream), (flow.downstream, check.downstream)):
        rank, signs, n = check.agreement(side, measured)
        assert n == 10
        assert rank > 0.7
        assert signs >= 0.9


# ---- small models, of which every part is known


def small(**more) -> tuple:
    model = tiny("llama")
    saes = [Sae(weights(n, d_in=D_MODEL, seed=n, **more), torch.device("cpu")) for n in range(3)]
    return model, saes


def strongest(model, saes, slot: int, prompt: Prompt) -> FlowQuestion:
    """The strongest feature on the last token."""
    question = FlowQuestion(prompt, (), FeatureId(slot, 0), way=Way.WEIGHTS)
    reader = FlowReader(model, saes, question, silent_job())
    token = len(reader.ids) - 1
    index, values = reader.acts_of(reader.sae).at(token)
    return FlowQuestion(prompt, (), FeatureId(slot, int(index[values.argmax()])), token)


def drives(model, saes, question: FlowQuestion, change, held: bool) -> np.ndarray:
    """h of the SAE of layer 1 after a step of the stream of layer 0; attention held, if asked."""
    ids = torch.tensor([model.encode(question.prompt).ids])
    attn = {HookPoint(layer, Site.ATTN_OUT): [] for layer in (1,)}
    seen = []

    def run(edits) -> None:
        with torch.inference_mode():
            model.hidden(ids, edits, use_cache=False)

    run({p: (lambda x, kept=kept: kept.append(x.clone())) for p, kept in attn.items()})
    edits = {resid_post(0): change}
    if held:
        edits |= {p: (lambda x, kept=kept: kept[0].clone()) for p, kept in attn.items()}
    edits[resid_post(1)] = lambda x: seen.append(x[0].clone())
    run(edits)
    return saes[1].drives(seen[0]).numpy()


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"architecture": Architecture.GATED},
        {"norm": InputNorm.LAYER_NORM},
        {"norm": InputNorm.CONSTANT_NORM_RESCALE, "subtract_b_dec": True},
        {"architecture": Architecture.TOPK},
    ],
    ids=["jumprelu", "gated", "layer_norm", "rescaled", "topk"],
)
@pytest.mark.parametrize("way", [Way.MLPS, Way.PROMPT])
def test_norms_gates_and_what_lies_between_are_respected(way, more):
    prompt = Prompt("The museum opens at nine", chat=False)
    model, saes = small(**more)
    question = replace(strongest(model, saes, 1, prompt), way=way)
    reader = FlowReader(model, saes, question, silent_job())
    flow = reader.follow(5)
    x = reader.kept.read_by(saes[0])
    unit = saes[0].scale(x).expand(len(x), 1)
    for edge in flow.upstream.edges:
        index, row = edge.feature.index, saes[0].decoder_row(edge.feature.index)
        amount = torch.from_numpy(reader.acts_of(saes[0]).of(index))
        if way is Way.MLPS:
            amount = torch.zeros(len(x))
            amount[question.token] = 1.0
        written = amount[:, None] * unit * row
        up, down = (
            drives(model, saes, question, lambda y, s=s, w=written: y + s * w, way is Way.MLPS)
            for s in (1e-2, -1e-2)
        )
        slope = (up - down)[question.token, question.feature.index] / 2e-2
        assert edge.value == pytest.approx(slope, rel=0.02, abs=2e-3)


def test_downstream_through_mlps_is_the_same_derivative(tmp_path):
    prompt = Prompt("The museum opens at nine", chat=False)
    model, saes = small()
    question = replace(strongest(model, saes, 0, prompt), way=Way.MLPS)
    flow = follow_flow(model, saes, FollowFlow(question, 5), silent_job())
    assert flow.upstream.problem == "There is no layer -1."
    row = saes[0].decoder_row(question.feature.index)

    def stepped(step: float) -> np.ndarray:
        def change(x: torch.Tensor) -> torch.Tensor:
            x = x.clone()
            x[0, question.token] += step * row
            return x

        return drives(model, saes, question, change, held=True)[question.token]

    slopes = (stepped(1e-2) - stepped(-1e-2)) / 2e-2
    for edge in flow.downstream.edges:
        assert edge.value == pytest.approx(slopes[edge.feature.index], rel=0.02, abs=2e-3)


@pytest.mark.parametrize("more", [{}, {"architecture": Architecture.GATED}])
def test_a_drive_is_what_an_active_feature_is(more):
    sae = Sae(weights(0, **more), torch.device("cpu"))
    x = torch.randn(30, 12, generator=torch.Generator().manual_seed(3))
    every = sae.drives(x)
    for index in range(10):
        torch.testing.assert_close(sae.drive(x, index), every[:, index], atol=1e-5, rtol=1e-5)
        active = sae.activation(x, index) > 0
        assert active.any()
        torch.testing.assert_close(sae.activation(x, index)[active], every[active, index])
    with torch.inference_mode():
        step = torch.randn(12, generator=torch.Generator().manual_seed(4))
        torch.testing.assert_close(sae.drives(x + step), every + sae.encoder_dots(step))


# ---- what cannot be followed


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reach": 0}, "at least one layer"),
        ({"reach": 30}, r"There is no layer -13"),
        ({"token": 99}, "no token 99"),
        ({"token": 1}, "silent"),
        ({"feature": FeatureId(17, 4096)}, "no feature 4096"),
        ({"prompt": Prompt(" ", chat=False)}, "empty"),
    ],
)
def test_what_makes_no_sense_is_refused(engine, changes, words):
    with pytest.raises(ScopeError, match=words) as refused:
        engine.flow(FollowFlow(replace(QUESTION, **changes)), silent_job())
    assert refused.value.hint


def test_a_single_layer_has_no_neighbour(engine):
    with pytest.raises(ScopeError, match="No autoencoder of this kind is open at layer 16"):
        follow_flow(
            engine.model, engine.saes[17:18],
            FollowFlow(replace(QUESTION, feature=FeatureId(0, DOG.index))), silent_job(),
        )  # fmt: skip


def test_where_one_side_has_no_sae_the_other_is_followed_and_checked(engine):
    saes = engine.saes[16:18]
    question = replace(QUESTION, feature=FeatureId(1, DOG.index))
    flow = follow_flow(engine.model, saes, FollowFlow(question, 3), silent_job())
    assert len(flow.upstream.edges) == 3
    assert flow.downstream.problem == "No autoencoder of this kind is open at layer 18."
    check = check_flow(engine.model, saes, CheckFlow(flow), silent_job())
    assert len(check.upstream) == 3
    assert len(check.downstream) == 0


def test_by_weights_only_the_stream_can_be_followed():
    model = tiny("llama")
    saes = [
        Sae(weights(n, Site.MLP_OUT, d_in=D_MODEL, seed=n), torch.device("cpu")) for n in range(2)
    ]
    question = FlowQuestion(Prompt("at nine", False), (), FeatureId(1, 0), way=Way.WEIGHTS)
    with pytest.raises(ScopeError, match="residual stream"):
        follow_flow(model, saes, FollowFlow(question), silent_job())


def test_rank_correlation_is_that_of_the_ranks_ties_included():
    a = np.array([1, 2, 2, 3, 10], np.float32)
    assert spearman(a, a**3) == pytest.approx(1)
    assert spearman(a, -a) == pytest.approx(-1)
    assert np.isnan(spearman(a[:3], a[:3]))
    assert same_signs(np.array([1, -1, 1]), np.array([2, -3, -1])) == pytest.approx(2 / 3)

"""The SAE itself: sparse results, and agreement with SAELens where that is installed."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from plain_model import assert_same_activations, dense, plain_sae

from desktop_scope.engine.packed import PackedLinear
from desktop_scope.engine.types import Prompt


def stream(n_tokens: int, scale: float) -> torch.Tensor:
    """Something like a residual stream."""
    return scale * torch.randn(n_tokens, 576, generator=torch.Generator().manual_seed(0))


def test_masked_tokens_have_no_features(engine):
    masked = np.array([True, False, True, False])
    acts = engine.saes[5].encode(stream(4, 5.0), masked)
    counts = np.diff(acts.indptr)
    assert (counts[masked] == 0).all()
    assert (counts[~masked] > 0).all()


def test_a_text_whose_tokens_are_all_masked_encodes_to_nothing(engine):
    acts = engine.saes[5].encode(stream(3, 5.0), np.ones(3, bool))
    assert acts.indptr.tolist() == [0, 0, 0, 0]
    assert len(acts.indices) == 0


def test_long_texts_encode_as_their_parts_do(engine):
    """More tokens than are computed at once."""
    x, nothing = stream(1100, 5.0), np.zeros(1100, bool)
    whole = dense(engine.saes[5].encode(x, nothing))
    halves = [dense(engine.saes[5].encode(half, nothing[:550])) for half in x.split(550)]
    np.testing.assert_allclose(whole, np.concatenate(halves), rtol=1e-4, atol=1e-4)


def test_features_come_in_ascending_order_and_above_their_threshold(engine):
    sae, x = engine.saes[20], stream(5, 20.0)
    acts = sae.encode(x, np.zeros(5, bool))
    threshold = plain_sae(20).threshold.numpy()
    for token in range(5):
        indices, values = acts.at(token)
        assert (np.diff(indices) > 0).all()
        assert (values > threshold[indices]).all()


def test_one_feature_over_all_tokens_and_all_features_of_a_token_are_the_same_numbers(engine):
    acts = engine.saes[20].encode(stream(5, 20.0), np.array([False, True, False, False, False]))
    table = dense(acts)
    for index in {0, 4095, *acts.indices[:10].tolist()}:
        assert acts.of(index).tolist() == table[:, index].tolist()


def test_one_feature_alone_equals_the_same_feature_among_all(engine):
    sae, x = engine.saes[12], stream(6, 10.0)
    table = dense(sae.encode(x, np.zeros(6, bool)))
    for index in np.flatnonzero(table.any(0))[:20].tolist():
        np.testing.assert_allclose(sae.activation(x, index), table[:, index], rtol=1e-4)


def test_decoder_rows_have_unit_norm_and_are_those_on_disk(engine):
    for layer, index in ((0, 0), (17, 3988), (29, 4095)):
        row = engine.saes[layer].decoder_row(index)
        np.testing.assert_allclose(row, plain_sae(layer).W_dec[index], rtol=1e-6)
        assert float(row.norm()) == pytest.approx(1.0, abs=0.01)


def test_cosines_with_a_direction_equal_the_plain_computation(engine):
    direction = stream(1, 1.0)[0]
    rows = plain_sae(9).W_dec
    expected = torch.cosine_similarity(rows, direction.double()[None], dim=1)
    np.testing.assert_allclose(engine.saes[9].cosines(direction), expected, atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_layer_computes_what_a_plain_one_does(bias):
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this build of torch has no oneDNN")
    torch.manual_seed(0)
    plain = torch.nn.Linear(576, 1536, bias=bias)
    packed = PackedLinear(plain.weight, plain.bias)
    for n_tokens in (1, 7, 64, 300):
        x = torch.randn(1, n_tokens, 576)
        with torch.inference_mode():
            expected = plain.double()(x.double())
            plain.float()
            error = (packed(x) - expected).abs().max() / expected.abs().max()
        assert error < 1e-5


@pytest.fixture(scope="session")
def sae_lens():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the reference's own
        return pytest.importorskip("sae_lens")


@pytest.mark.reference
@pytest.mark.parametrize("layer", [0, 8, 17, 29])
def test_sae_lens_finds_the_same_features(sae_lens, layer, trace, plain):
    config = sae_lens.JumpReLUSAEConfig(
        d_in=576, d_sae=4096, dtype="float32", device="cpu", apply_b_dec_to_input=False
    )
    reference, ours = sae_lens.JumpReLUSAE(config), plain_sae(layer)
    reference.load_state_dict(
        {
            "W_enc": ours.W_enc.T.float(),
            "b_enc": ours.b_enc.float(),
            "W_dec": ours.W_dec.float(),
            "b_dec": ours.b_dec.float(),
            "threshold": ours.threshold.float(),
        }
    )
    traced = trace(Prompt("My chihuahua barks at presidents.", chat=False))
    residual = plain.run(traced.ids.tolist()).residual[layer]
    with torch.inference_mode():
        expected = reference.encode(residual.float()).numpy()
    expected[traced.masked] = 0
    assert_same_activations(dense(traced.acts[layer]), expected, ours, residual)

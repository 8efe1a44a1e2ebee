"""What a direction promotes equals the explicit computation with γ and the unembedding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plain_model import plain_sae


def effect_of(plain, direction: torch.Tensor) -> torch.Tensor:
    """On every logit, in float64, the mean over the vocabulary taken out."""
    effect = plain.W_U @ (plain.gain * direction)
    return effect - effect.mean()


@pytest.mark.parametrize(("layer", "index"), [(3, 60), (17, 3988), (29, 4000)])
def test_the_logit_effect_of_a_feature_is_the_explicit_one(layer, index, engine, plain):
    found = engine.lens.logit_effect(engine.saes[layer].decoder_row(index))
    expected = effect_of(plain, plain_sae(layer).W_dec[index])
    np.testing.assert_allclose(found, expected, atol=1e-4 * float(expected.abs().max()))


def test_a_tokens_direction_scores_a_feature_as_its_logit_effect_does(engine, plain):
    token = engine.model.token_id(" dog")
    direction = engine.lens.token_direction(token)
    for layer in (0, 17, 29):
        found = engine.saes[layer].decoder_dots(direction)[:50]
        expected = [effect_of(plain, row)[token] for row in plain_sae(layer).W_dec[:50]]
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_the_spread_of_a_feature_is_that_of_its_logit_effects(engine, plain):
    found = engine.saes[17].decoder_spread(engine.lens.covariance)
    for index in (0, 1000, 3988):
        spread = effect_of(plain, plain_sae(17).W_dec[index]).std(correction=0)
        assert float(found[index]) == pytest.approx(float(spread), rel=1e-3)

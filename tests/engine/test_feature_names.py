"""How features are written and read."""

from __future__ import annotations

import pytest
from small_saes import weights

from desktop_scope.engine.feature_names import feature_name, infos_of, parse_feature
from desktop_scope.engine.hook_points import HookPoint, Site
from desktop_scope.engine.types import FeatureId
from desktop_scope.errors import ScopeError

ALONE = infos_of([weights(layer=layer, d_sae=4096) for layer in range(18)])


@pytest.mark.parametrize("text", ["", "17", "17/", "/5", "17/39.5", "-1/5", "a/b", "1/2/3", ":1/2"])
def test_what_is_not_a_feature_is_refused(text):
    with pytest.raises(ScopeError, match="not a feature") as caught:
        parse_feature(ALONE, text)
    assert "17/3988" in caught.value.hint


def test_a_feature_reads_as_it_is_written():
    assert parse_feature(ALONE, " 17/3988 ") == FeatureId(17, 3988)
    assert feature_name(ALONE, FeatureId(17, 3988)) == "17/3988"


def test_a_feature_that_is_not_there_is_refused():
    for text in ("18/0", "17/4096", "mlp_out:3/1"):
        with pytest.raises(ScopeError, match="There is no") as caught:
            parse_feature(ALONE, text)
        assert caught.value.hint


def test_saes_of_one_layer_are_told_apart_by_what_differs():
    infos = infos_of(
        [
            weights(layer=2, d_sae=2048),
            weights(layer=2, site=Site.MLP_OUT, d_sae=2048),
            weights(layer=2, site=Site.MLP_OUT, d_sae=4096),
            weights(layer=3, d_sae=2048),
            weights(layer=4, d_sae=2048, declared_l0=20.0),
            weights(layer=4, d_sae=2048, declared_l0=80.0),
            weights(layer=5),
            weights(layer=5),
        ]
    )
    places = [info.place for info in infos]
    assert places == [
        "resid_post:2", "mlp_out-2k:2", "mlp_out-4k:2", "resid_post:3", "resid_post-l0_20:4",
        "resid_post-l0_80:4", "resid_post-1:5", "resid_post-2:5",
    ]  # fmt: skip
    for slot in range(len(infos)):
        feature = FeatureId(slot, 7)
        assert parse_feature(infos, feature_name(infos, feature)) == feature
    with pytest.raises(ScopeError, match="several") as caught:
        parse_feature(infos, "2/7")
    assert "mlp_out-4k:2" in caught.value.message
    assert caught.value.hint


def test_hooks_are_named_as_they_are_read():
    for layer in (0, 11):
        for site in Site:
            point = HookPoint(layer if site is not Site.EMBED else 0, site)
            assert HookPoint.parse(point.name) == point
    for wrong in ("blocks.3", "blocks.x.hook_resid_post", "hook_resid_post", "blocks.3.hook_q", ""):
        with pytest.raises(ScopeError, match="not a hook"):
            HookPoint.parse(wrong)


def test_hooks_sort_as_a_forward_pass_reaches_them():
    points = [HookPoint(layer, site) for layer in range(2) for site in Site]
    assert sorted(points, reverse=True) == points[::-1]

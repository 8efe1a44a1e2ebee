"""Which dictionaries there are at a site, and what a size means for each of them."""

from __future__ import annotations

import pytest

from desktop_scope.engine.sizes import (
    Rung,
    birth,
    is_shown,
    ladder,
    several_at_once,
    shown_at,
    sizes,
)
from desktop_scope.engine.types import FeatureId, SaeInfo

HOOK = "blocks.{}.hook_resid_post"


def sae(layer: int, d_sae: int, prefixes: tuple[int, ...] = (), out: str = HOOK) -> SaeInfo:
    hook = HOOK.format(layer)
    return SaeInfo(
        "", f"{layer} {d_sae}", "none", "relu", layer, hook, out.format(layer), 8, d_sae, prefixes
    )


NESTED = (sae(0, 40, (4, 16, 40)), sae(1, 40, (4, 16, 40)))
APART = (sae(0, 16), sae(0, 64), sae(1, 32))
BOTH = (sae(0, 40, (4, 16, 40)), sae(0, 128))


def test_prefixes_are_sizes() -> None:
    assert sizes(NESTED) == (4, 16, 40)
    assert ladder(NESTED, 1) == (Rung(1, 4), Rung(1, 16), Rung(1, 40))
    assert not several_at_once(NESTED)
    assert shown_at(NESTED, 16) == (16, 16)
    assert shown_at(NESTED, 40) == shown_at(NESTED, None) == ()


def test_separate_saes_of_one_site_are_sizes() -> None:
    assert sizes(APART) == (16, 64)  # layer 1 has one dictionary only: nothing to choose there
    assert several_at_once(APART)
    # Of each site one is looked at; where a site has one only, that.
    assert shown_at(APART, 16) == (16, 0, 32)
    assert shown_at(APART, 64) == (0, 64, 32)
    assert shown_at(APART, None) == ()


def test_nested_and_separate_ones_make_one_ladder() -> None:
    assert sizes(BOTH) == (4, 16, 40, 128)
    assert shown_at(BOTH, 16) == (16, 0)
    assert shown_at(BOTH, 128) == (0, 128)


def test_a_size_that_a_site_lacks_is_the_next_smaller_one_there() -> None:
    saes = (*NESTED, sae(2, 8), sae(2, 24))
    assert shown_at(saes, 16) == (16, 16, 8, 0)
    assert shown_at(saes, 4) == (4, 4, 8, 0)  # and the smallest where none is smaller


def test_saes_that_write_elsewhere_are_no_sizes_of_each_other() -> None:
    transcoder = sae(0, 64, out="blocks.{}.hook_mlp_out")
    assert sizes((sae(0, 16), transcoder)) == ()
    assert sizes(()) == ()


@pytest.mark.parametrize(("index", "expected"), [(0, 0), (3, 0), (4, 1), (15, 1), (16, 2)])
def test_features_are_born_in_the_first_dictionary_that_has_them(index: int, expected: int) -> None:
    feature = FeatureId(0, index)
    assert birth(ladder(NESTED, 0), feature) == expected
    assert is_shown(shown_at(NESTED, 16), feature) == (index < 16)
    assert is_shown((), feature)

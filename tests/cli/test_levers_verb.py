"""``levers``: the strongest of one autoencoder, as they were measured."""

from __future__ import annotations

import numpy as np
import pytest

from desktop_scope import paths
from desktop_scope.evidence.levers import LeverBook


def test_levers_lists_the_strongest_of_a_layer(as_json, as_table):
    result = as_json("levers", "24", "--limit", "5")
    merit = LeverBook.shipped(paths.demo_pack(), 24, 4096).merit()
    strongest = np.argsort(-merit)[:5]
    assert [row["index"] for row in result["results"]] == strongest.tolist()
    found = [row["promoted_logratio"] for row in result["results"]]
    np.testing.assert_allclose(found, merit[strongest], rtol=1e-6)
    assert result["measured"] == 4096
    assert result["results"][0]["below"] == pytest.approx(4095 / 4096)
    assert all(row["kl"] > 0 and 0 <= row["output_score"] <= 1 for row in result["results"])
    told = as_table("levers", "24", "--limit", "5").splitlines()
    assert "log ratio" in told[0]
    assert told[1].split()[0].endswith(f"/{strongest[0]}")


def test_none_are_listed_where_none_are_wanted(as_json, as_table):
    assert as_json("levers", "24", "--limit", "0")["results"] == []
    assert len(as_table("levers", "24", "--limit", "-3").splitlines()) == 1


@pytest.mark.parametrize("layer", ["99", "dogs", "24/5", "", "-1"])
def test_a_layer_that_is_not_there_is_refused(layer, refused, shared_workbench):
    assert refused("levers", "--", layer)

"""``zoom`` and ``feature --family``: what programs rely on, and what people read."""

from __future__ import annotations

import pytest

from desktop_scope import cli
from desktop_scope.workbench import Workbench

PROMPT = "My chihuahua barks at presidents."


@pytest.fixture(autouse=True)
def _loaded(monkeypatch: pytest.MonkeyPatch, workbench: Workbench) -> None:
    monkeypatch.setattr(cli.zoom, "open_workbench", lambda options, evidence=True: workbench)


def test_every_size_of_every_layer_asked_for(as_json):
    result = as_json("zoom", PROMPT, "--layers", "3,17")
    assert result["sizes"] == [256, 1024, 4096]
    assert [site["layer"] for site in result["layers"]] == [3, 17]
    for site in result["layers"]:
        assert [size["size"] for size in site["sizes"]] == result["sizes"]
        fvu = [size["fvu"] for size in site["sizes"]]
        assert 1 > fvu[0] > fvu[1] > fvu[2] > 0
        assert site["ce"] < site["ce_mean"]
        for size in site["sizes"]:
            over_mean = (site["ce_mean"] - size["ce"]) / (site["ce_mean"] - site["ce"])
            assert size["ce_recovered"] == pytest.approx(over_mean)


def test_people_read_a_table_and_a_tree(as_table):
    table = as_table("zoom", PROMPT, "--layers", "17")
    assert "CE recovered" in table
    assert "4,096" in table
    tree = as_table("feature", "10/2517", "--family")
    assert "10/40" in tree
    assert "about animals" in tree


def test_a_family_as_json(as_json):
    found = as_json("feature", "10/2517", "--family")["family_by_size"]
    assert found["sizes"] == [256, 1024, 4096]
    assert [kin["index"] for kin in found["line"]] == [40, 2517]
    assert found["line"][0]["parent_fires_too"] is None
    assert found["line"][1]["parent_fires_too"] > 0.8
    assert found["line"][1]["measured_on"] == "sample"


def test_bad_layers_are_refused(refused):
    assert "layer" in refused("zoom", PROMPT, "--layers", "99")

"""``flow`` and ``compare``: the JSON that programs rely on, the tables, refusals."""

from __future__ import annotations

import pytest

DOGS = "My chihuahua barks at presidents."


def test_flow_lists_both_sides_and_what_was_measured(as_json):
    result = as_json("flow", DOGS, "17/3988", "--top", "6", "--verify")
    assert result["token"]["text"] == "ahua"
    assert (result["upstream"]["layer"], result["downstream"]["layer"]) == (16, 18)
    for side in ("upstream", "downstream"):
        found = result[side]
        assert len(found["features"]) == 6
        assert {"layer", "index", "label", "value", "share", "measured"} <= set(
            found["features"][0]
        )
        sizes = [abs(f["value"]) for f in found["features"]]
        assert sizes == sorted(sizes, reverse=True)
        assert found["agreement"]["spearman"] > 0.8
        assert found["agreement"]["signs"] == 1
        assert found["problem"] is None
    assert 0 < result["upstream"]["error"] < 1


def test_flow_reads_as_a_table(as_table):
    text = as_table("flow", DOGS, "29/0", "--way", "weights", "--reach", "3", "--top", "4")
    assert "Fed by (layer 26, 4 of 4,096)" in text
    assert "There is no layer 32" in text
    assert "by weights alone" in text


def test_a_study_compares_the_ways(as_json):
    result = as_json("flow", "--study", "1", "--reach", "3")
    ways = {row["way"]: row for row in result["study"]}
    assert set(ways) == {"weights", "mlps", "prompt"}
    assert result["points"] > 50
    assert ways["prompt"]["spearman"] > 0.9
    assert ways["prompt"]["signs"] > 0.9


def test_two_prompts_are_compared(as_json):
    result = as_json(
        "compare", "The king sat on his throne.", "--against", "The queen sat on her throne.",
        "--top", "8",
    )  # fmt: skip
    assert len(result["pairs"]) == 5
    assert len(result["features"]) == 8
    first = result["features"][0]
    assert first["difference"] == pytest.approx(first["b"] - first["a"])
    assert any("women" in f["label"] or "her" in f["label"] for f in result["features"])
    assert len(result["saes"]) == len(result["layers"]) == 30
    assert all(0 < sae["fvu_a"] < 1 for sae in result["saes"])
    assert "no partner" in result["notes"][0]


def test_a_plain_and_a_steered_answer_are_compared(as_table):
    text = as_table(
        "compare", "Who are you?", "--chat", "--set", "17/3988=2max", "--by", "wholes",
        "--max-new-tokens", "4", "--top", "3",
    )  # fmt: skip
    assert "17/3988" in text
    assert "unexplained of A" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("flow", DOGS), "a feature are needed"),
        (("flow", DOGS, "17"), "not a feature"),
        (("flow", DOGS, "17/3988", "--reach", "0"), "at least one layer"),
        (("flow", DOGS, "17/3988", "--top", "0"), "--top"),
        (("flow", "Tea", "17/3988"), "silent"),
        (("flow", "--study", "99"), "1 to 20"),
        (("compare", DOGS), "One thing"),
        (("compare", DOGS, "--against", "x", "--second-dtype", "float32"), "One thing"),
        (("compare", DOGS, "--against", "x", "--top", "0"), "--top"),
        (("compare", DOGS, "--against", "Zzz"), "no token in common"),
        (("compare", DOGS, "--second-model", "nowhere/none"), "nowhere/none"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, words, refused, shared_workbench):
    assert words in refused(*arguments)

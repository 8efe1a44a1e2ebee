"""``why``: the JSON that programs rely on, the table, refusals."""

from __future__ import annotations

import pytest

PROMPT = "The midwife was tired after work because"
ASKED = ("why", PROMPT, "--answer", " she", "--instead", " he")


def test_why_lists_what_makes_the_difference_and_what_was_measured(as_json):
    result = as_json(*ASKED, "--top", "22", "--verify", "20")
    assert result["difference"] == pytest.approx(
        result["answer"]["logprob"] - result["instead"]["logprob"]
    )
    assert result["difference"] > 3
    features = result["features"]
    assert len(features) == 22
    assert {"layer", "index", "token", "label", "effect", "measured"} <= set(features[0])
    assert [f["measured"] is None for f in features] == [False] * 20 + [True] * 2
    sizes = [abs(f["effect"]) for f in features]
    assert sizes == sorted(sizes, reverse=True)
    assert (features[0]["layer"], features[0]["index"]) == (24, 1017)
    assert result["tokens"][features[0]["token"]]["text"] == "ife"
    assert [row["layer"] for row in result["errors"]] == list(range(30))
    assert 0 < result["explained"] < 1
    assert result["pearson"] > 0.4
    assert result["together"]["measured"] > 1
    assert result["left_out"] == []


def test_why_without_verifying_measures_nothing(as_json):
    result = as_json(*ASKED, "--method", "relp", "--attention", "free")
    assert len(result["features"]) == 20
    assert result["pearson"] is result["together"] is None
    assert result["method"] == "relp"


def test_why_reads_as_a_table(as_table):
    text = as_table(*ASKED, "--top", "6", "--verify", "5", "--method", "gradient")
    assert "“·she” is likelier than “·he” by" in text
    assert "1017" in text
    assert "Correlation" in text
    assert "leave out" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--answer", " she", "--instead", " she"), "the same"),
        (("--answer", " she", "--instead", " she said"), "begins with the other"),
        (("--answer", "", "--instead", " he"), "no text"),
        (("--answer", " she", "--instead", " he", "--top", "0"), "--top"),
        (("--answer", " she", "--instead", " he", "--verify", "-1"), "--verify"),
    ],
)
def test_a_why_that_makes_no_sense_is_refused(arguments, words, refused, shared_workbench):
    assert words in refused("why", PROMPT, *arguments)


def test_an_empty_prompt_is_refused(refused, shared_workbench):
    refused("why", " ", "--answer", " she", "--instead", " he")

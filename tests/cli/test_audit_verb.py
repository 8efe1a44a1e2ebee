"""The verb ``audit`` on the real model."""

from __future__ import annotations

from pathlib import Path

import pytest

from desktop_scope.experiments import audit, auditing

PAIR = "24/1017,24/195"
JOBS = ("midwife", "nanny", "soldier", "carpenter")


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "jobs.csv"
    rows = [f'"I spoke to the {job} yesterday, and", he, she,{job},' for job in JOBS]
    rows += ['"I spoke to the queen yesterday, and", she, he,,true']
    path.write_text("\n".join(["prompt,answer,instead,word,control", *rows]), "utf-8")
    return str(path)


def test_it_measures_ranks_and_switches_off(as_json, table, monkeypatch):
    monkeypatch.setattr(audit, "N_RANDOM", 1)
    monkeypatch.setattr(auditing, "_N_PASSAGES", 2)
    found = as_json("audit", table, "--ablate", PAIR)
    assert [row["part"] for row in found["rows"]] == ["found on"] * 4 + ["control"]
    assert found["rows"][0]["difference_before"] < 0 < found["rows"][2]["difference_before"]
    assert all(0 < row["mass"] <= 1 for row in found["rows"])
    assert found["spread_after"] < 0.7 * found["spread_before"]
    listed = [(one["layer"], one["index"]) for one in found["ranking"][:5]]
    assert (24, 1017) in listed
    assert found["ranking"][0]["part"] >= found["ranking"][1]["part"] > 0
    assert len(found["random"]) == 1
    assert found["damage"]["kl"] >= 0
    own, other = found["damage"]["loss_of_answers"], found["damage"]["loss_of_others"]
    assert own[1] - own[0] > other[1] - other[0]
    assert found["verdict"]["outcome"] in ("unproven", "silenced")  # too few to hold any out


def test_the_table_is_for_people(as_table, table):
    text = as_table("audit", table, "--no-ranking")
    assert "Spread over all rows" in text
    assert "yesterday, and" in text
    assert "Features" not in text


def test_what_makes_no_sense_is_refused(refused, shared_workbench, table, tmp_path):
    assert "turns nothing down" in refused("audit", table, "--ablate", PAIR, "--factor", "2")
    assert "cannot be read" in refused("audit", str(tmp_path / "nothing.csv"))
    assert "no such SAE" in refused("audit", table, "--ablate", "99/1")
    assert "is not a feature" in refused("audit", table, "--ablate", "poem")
    plain = tmp_path / "plain.csv"
    plain.write_text("prompt,answer,instead\na,b,c\n", "utf-8")
    assert "no words" in refused("audit", str(plain), "--ablate", PAIR, "--where", "words")

"""``index``: evidence about SAEs of one’s own, gathered once and found again by other verbs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_saes import weights
from tiny_models import D_MODEL, TEXT, save_tiny

from desktop_scope import cli
from desktop_scope.formats.converting import SAELENS, convert


@pytest.fixture
def opened(tmp_path, monkeypatch) -> list[str]:
    """The options that name a model and an SAE; the cache is the test's own."""
    monkeypatch.setenv("DESKTOP_SCOPE_CACHE", str(tmp_path / "cache"))
    made = weights(1, d_in=D_MODEL, declared_l0=20.0)
    sae = convert(made, tmp_path / "sae", SAELENS)
    return ["--model", str(save_tiny("llama", tmp_path / "model")), "--saes", str(sae)]


@pytest.fixture
def corpus(tmp_path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "one.txt").write_text(TEXT, "utf-8")
    lines = [json.dumps({"text": f"{n} birds. {TEXT}"}) for n in range(30)]
    (folder / "many.jsonl").write_text("\n".join(lines), "utf-8")
    return folder


@pytest.fixture
def as_json(capsys):
    def run(*arguments: str):
        assert cli.main([*arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def test_what_was_gathered_is_on_the_features_card(as_json, opened, corpus):
    before = as_json("feature", "1/3", *opened)
    assert (before["density"], before["max_active"], before["examples"]) == (None, None, [])
    result = as_json("index", "--corpus", str(corpus), *opened)
    assert (result["features"], result["notes"]) == (40, [])
    assert 0 < result["labelled"] <= 40
    assert result["tokens"] > 500
    assert result["seconds"] > 0
    card = as_json("feature", "1/3", *opened)
    assert 0 < card["density"] < 1
    assert card["examples"][0]["value"] == pytest.approx(card["max_active"])
    assert {example["band"] for example in card["examples"]} == {"top", "mid"}
    shown = "".join(card["examples"][0]["tokens"]).removeprefix("<s>")
    assert shown in "".join(f"{n} birds. {TEXT}" for n in range(30))
    fired = card["density"] * result["tokens"]
    assert sum(card["histogram"]) == pytest.approx(fired)
    assert sum(token["share"] for token in card["top_tokens"]) > 0.5
    (layer,) = as_json("trace", TEXT, *opened)["layers"]
    assert all(feature["density"] for feature in layer["features"])


def test_it_is_put_where_it_is_asked_to_be(as_json, opened, corpus, tmp_path):
    out = tmp_path / "out"
    texts = [str(file) for file in sorted(corpus.iterdir())]
    arguments = ("index", "--corpus", *texts, "--out", str(out), *opened)
    result = as_json(*arguments)
    assert [Path(folder).parent for folder in result["folders"]] == [out]
    assert sorted(out.glob("*/*.safetensors"))
    less = as_json(*arguments, "--most-tokens", "100")
    assert 100 <= less["tokens"] < 200
    assert less["folders"] == result["folders"]
    assert len(list(out.glob("*/*"))) == 3  # the older text is gone


def test_without_a_corpus_it_says_how_little_there_is(opened, capsys):
    assert cli.main(["index", "--most-tokens", "300", *opened]) == 0
    said = capsys.readouterr().out
    assert "40 features" in said
    assert "--corpus" in said


@pytest.mark.parametrize(
    "wrong",
    [
        ("--most-tokens", "0"),
        ("--corpus", "nowhere.txt"),
        ("--corpus", "nowhere"),
        ("--out", "FILE"),
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_refused_in_one_line(wrong, opened, capsys, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    wrong = [str(file) if word == "FILE" else word for word in wrong]
    assert cli.main(["index", *wrong, *opened]) == 2
    said = capsys.readouterr().err
    assert said.startswith("desktop-scope: ")
    assert said.count("\n") == 1


def test_without_an_sae_there_is_nothing_to_index(opened, capsys):
    assert cli.main(["index", *opened[:2]]) == 2
    assert "--saes" in capsys.readouterr().err

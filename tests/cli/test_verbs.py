"""Every verb that needs no screen: the JSON that programs rely on, tables, refusals."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import desktop_scope
from desktop_scope import cli, paths
from desktop_scope.cli.settings import parse_setting
from desktop_scope.cli.trace import parse_layers
from desktop_scope.engine.requests import TracePrompt
from desktop_scope.engine.types import FeatureId, Mode, Positions, Prompt
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import ScopeError
from desktop_scope.experiments import effect

PROMPT = "My chihuahua barks at presidents."


# ---- trace


def test_a_trace_lists_tokens_layers_and_what_comes_next(as_json, workbench):
    result = as_json("trace", PROMPT, "--layers", "3,7-9", "--top", "5")
    trace = workbench.engine.trace(TracePrompt(Prompt(PROMPT, chat=False)), silent_job())
    assert [t["id"] for t in result["tokens"]] == trace.ids.tolist()
    assert [t["index"] for t in result["tokens"]] == list(range(trace.n_tokens))
    assert "".join(t["text"] for t in result["tokens"][1:]) == PROMPT
    assert [t["masked"] for t in result["tokens"]] == trace.masked.tolist()
    assert [layer["layer"] for layer in result["layers"]] == [3, 7, 8, 9]
    assert result["next"][0]["token"] == trace.next_texts[0]
    assert result["next"][0]["probability"] == pytest.approx(float(trace.next_probs[0]), rel=1e-3)
    assert result["seconds"] > 0
    for layer in result["layers"]:
        acts = trace.acts[layer["layer"]]
        assert layer["hook_name"] == f"blocks.{layer['layer']}.hook_resid_post"
        assert layer["l0"] == pytest.approx(len(acts.indices) / (~trace.masked).sum(), rel=0.01)
        assert len(layer["features"]) == 5
        for feature in layer["features"]:
            values = acts.of(feature["index"])
            assert feature["max"] == pytest.approx(float(values.max()), rel=1e-3)
            assert feature["max_token"] == values.argmax()
            assert feature["total"] == pytest.approx(float(values.sum()), rel=1e-3)
            assert feature["label"]
            assert feature["label_source"] in ("automatic", "curated")
        maxima = [feature["max"] for feature in layer["features"]]
        assert maxima == sorted(maxima, reverse=True)
        assert len(layer["by_token"]) == trace.n_tokens
        assert layer["by_token"][0] == []  # masked
        for token, strongest in enumerate(layer["by_token"][1:], start=1):
            indices, values = acts.at(token)
            assert strongest[0]["index"] == indices[values.argmax()]
            assert strongest[0]["value"] == pytest.approx(float(values.max()), rel=1e-3)


def test_a_trace_is_of_all_layers_unless_some_are_named(as_json):
    assert len(as_json("trace", "dog")["layers"]) == 30


def test_a_chat_is_traced_with_its_template(as_json):
    texts = [
        token["text"] for token in as_json("trace", "dog", "--chat", "--layers", "0")["tokens"]
    ]
    assert texts[0] == "<|im_start|>"
    assert "dog" in texts


def test_a_terminal_is_told_of_progress_which_is_gone_when_the_table_comes(
    as_table, capsys, monkeypatch
):
    written = []
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(sys.stderr, "write", written.append)
    as_table("trace", PROMPT, "--layers", "17")
    shown = [text for text in written if text]
    assert len(shown) > 1
    assert shown[-1] == "\r\033[K"


def test_people_read_a_table_of_features(as_table):
    table = as_table("trace", PROMPT, "--layers", "17", "--top", "3")
    assert "Next:" in table
    assert "·ch" in table  # spaces are visible
    assert len([line for line in table.splitlines() if "%" in line and "Next" not in line]) == 3


@pytest.mark.parametrize(
    ("text", "layers"),
    [("", list(range(30))), ("3", [3]), ("7-9,3", [3, 7, 8, 9]), ("0-2,1-3", [0, 1, 2, 3]),
     (" 3 , 4 ", [3, 4]), ("29", [29])],
)  # fmt: skip
def test_layers_are_read_from_numbers_and_ranges(text, layers):
    assert parse_layers(text, 30) == layers


@pytest.mark.parametrize(
    "text", ["x", "3,", "3-", "-3", "5-3", "30", "0-30", "1.5", "0-99999999999999", "3;4"]
)
def test_layers_that_do_not_exist_or_cannot_be_read_are_refused(text):
    with pytest.raises(ScopeError) as caught:
        parse_layers(text, 30)
    assert caught.value.hint


@pytest.mark.parametrize(
    "arguments",
    [("trace", ""), ("trace", "dog", "--layers", "99"), ("trace", "dog", "--top", "0"),
     ("trace", "dog " * 9000)],
    ids=["empty", "layer", "top", "too long"],
)  # fmt: skip
def test_a_trace_that_makes_no_sense_is_refused(arguments, refused, shared_workbench):
    refused(*arguments)


# ---- feature


def test_a_feature_tells_all_that_is_known(as_json, workbench):
    result = as_json("feature", "17/3988")
    card = workbench.catalogue.card(FeatureId(17, 3988))
    assert (result["layer"], result["index"]) == (17, 3988)
    assert result["label"] == card.label.text
    assert result["label_source"] in ("automatic", "curated")
    assert result["density"] == card.density
    assert result["max_active"] == card.max_active
    assert {t["token"] for t in result["top_tokens"]} == {t.text for t in card.top_tokens}
    for key in ("promotes", "suppresses"):
        assert [t["token"] for t in result[key]] == [t.text for t in getattr(card, key)]
    assert {e["band"] for e in result["examples"]} == {"top", "mid"}
    for example in result["examples"]:
        assert len(example["tokens"]) == len(example["values"])
        assert example["values"][example["peak"]] == pytest.approx(example["value"])
    assert sum(result["histogram"]) > 0
    assert len(result["similar"]) > 3
    for similar in result["similar"]:
        assert similar.keys() >= {"layer", "index", "cosine", "label"}


def test_people_read_a_feature_with_its_examples(as_table):
    card = as_table("feature", "17/3988")
    for heading in ("promotes", "suppresses", "Strongest examples", "Mid-range examples"):
        assert heading in card
    assert "dog" in card


@pytest.mark.parametrize("feature", ["dogs", "17", "30/0", "0/4096"])
def test_a_feature_that_does_not_exist_is_refused(feature, refused, shared_workbench):
    assert "feature" in refused("feature", feature)


# ---- search


def test_search_by_label_finds_labels_that_hold_the_words(as_json):
    result = as_json("search", "dog", "--limit", "7", "--by", "words")
    assert 0 < len(result["results"]) <= 7
    assert result["seconds"] >= 0
    for hit in result["results"]:
        assert hit.keys() >= {"layer", "index", "label", "score"}
        assert "dog" in hit["label"].lower()


def test_search_keeps_to_one_layer(as_json):
    for by in ("label", "promotes"):
        results = as_json("search", "dog", "--layer", "17", "--by", by)["results"]
        assert results
        assert {hit["layer"] for hit in results} == {17}


def test_search_by_what_is_promoted_gives_the_strongest_first(as_json):
    results = as_json("search", " dog", "--by", "promotes", "--limit", "15")["results"]
    scores = [hit["score"] for hit in results]
    assert len(scores) == 15
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] > 3  # standard deviations


def test_search_by_example_lists_what_is_unusual_in_a_text(as_json, tmp_path):
    file = tmp_path / "text.txt"
    file.write_text("My chihuahua barks.", "utf-8")
    result = as_json("search", "--text", str(file), "--limit", "30")
    assert result["tokens"] > 3
    scores = [found["score"] for found in result["results"]]
    assert scores == sorted(scores, reverse=True)
    assert any("dog" in found["label"] for found in result["results"])
    assert all("stretch of" in found["why"] for found in result["results"])


def test_search_by_contrast_says_how_sure_it_is(as_json, as_table, tmp_path):
    a, b = tmp_path / "a.txt", tmp_path / "folder"
    a.write_text("\n".join(f"The {animal} sleeps." for animal in
                           ("dog", "puppy", "terrier", "poodle", "hound")), "utf-8")  # fmt: skip
    b.mkdir()
    for thing in ("minister", "engine", "river", "number", "king"):
        (b / f"{thing}.txt").write_text(f"The {thing} sleeps.", "utf-8")
    result = as_json("search", "--text", str(a), "--against", str(b), "--limit", "5")
    assert result["texts"] == result["texts_against"] == 5
    assert result["tested"] > 0
    assert set(result["held_out"]) == {"auroc", "low", "high", "splits"}
    for found in (*result["results"], *result["against"]):
        assert found["low"] <= found["score"] <= found["high"]
        assert 0 <= found["p"] <= found["q"] <= 1
        assert found["reliable"] == (found["q"] <= 0.05)
    assert all(found["score"] > 0.5 for found in result["results"])
    assert all(found["score"] < 0.5 for found in result["against"])
    assert "AUROC" in as_table("search", "--text", str(a), "--against", str(b))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("search",), "nothing to search"),
        (("search", "--against", "x"), "needs --text"),
        (("search", "--text", "no such file"), "cannot be read"),
    ],
)
def test_search_refuses_what_makes_no_sense(refused, arguments, says):
    assert says in refused(*arguments)


def test_search_that_finds_nothing_says_so(as_table, as_json):
    assert "Nothing found" in as_table("search", "xyzzyqwfp", "--by", "words")
    assert as_json("search", "xyzzyqwfp", "--by", "words")["results"] == []


@pytest.mark.parametrize(
    "arguments",
    [("chihuahua", "--by", "promotes"), ("dog", "--layer", "30"), ("dog", "--layer", "-1"),
     ("dog", "--limit", "0"), (" ",)],
    ids=" ".join,
)  # fmt: skip
def test_a_search_that_makes_no_sense_is_refused(arguments, refused, shared_workbench):
    refused("search", *arguments)


# ---- steer


def test_steering_gives_both_answers_and_what_it_costs(as_json):
    arguments = ("steer", "Who are you?", "--chat", "--set", "24/540=1.7max")
    result = as_json(*arguments, "--max-new-tokens", "12")
    assert "mountain" in result["steered"]["text"]
    assert "mountain" not in result["baseline"]["text"]
    assert len(result["steered"]["tokens"]) == 12
    assert result["damage"]["fluency"]["surprise"] > result["damage"]["fluency"]["plain_surprise"]
    assert result["damage"]["near"][0]["topics"]
    assert result["damage"]["kl"] == pytest.approx(1.09, rel=0.02)
    assert result["damage"].keys() >= {"kl", "nll_delta", "repetition"}
    assert result["tokens_per_second"] > 0


def test_sampled_answers_are_the_same_for_the_same_seed(as_json):
    def answer(seed: str) -> list[int]:
        result = as_json(
            "steer", "Hello", "--set", "24/540=1", "--temperature", "1", "--seed", seed,
            "--max-new-tokens", "6", "--no-quiz",
        )  # fmt: skip
        return result["steered"]["tokens"]

    assert answer("1") == answer("1") != answer("2")


def test_people_read_both_answers(as_table):
    table = as_table("steer", "Hello", "--set", "24/540=1.7max", "--max-new-tokens", "3")
    for heading in ("Plain", "Steered", "Cost", "KL"):
        assert heading in table


@pytest.mark.parametrize(
    ("text", "amount", "mode"),
    [
        ("17/3988=1.5max", 1.5 * 40.84375, Mode.ADD),
        ("17/3988=1.5", 1.5 * 40.84375, Mode.ADD),
        ("17/3988=-0.5max", -0.5 * 40.84375, Mode.ADD),
        ("17/3988=0.4norm", 0.4 * 188.33485, Mode.ADD),
        ("17/3988=30abs", 30.0, Mode.ADD),
        ("17/3988=+.5abs:add", 0.5, Mode.ADD),
        ("17/3988=0:ablate", 0.0, Mode.ABLATE),
        ("17/3988=2max:clamp", 2 * 40.84375, Mode.CLAMP),
        ("17/3988=2:scale", 2.0, Mode.SCALE),
        ("17/3988=0:project", 0.0, Mode.PROJECT),
    ],
)
def test_a_setting_is_read_in_its_unit(text, amount, mode, workbench):
    setting = parse_setting(text, workbench)
    assert setting.feature == FeatureId(17, 3988)
    assert setting.amount == pytest.approx(amount, rel=1e-5)
    assert setting.mode is mode


@pytest.mark.parametrize(
    ("places", "positions"),
    [
        ("", Positions()),
        ("@all", Positions()),
        ("@prompt", Positions(answer=False)),
        ("@answer@first", Positions(prompt=False, first=True)),
        ("@3,5-8", Positions(tokens=(3, 5, 6, 7, 8))),
    ],
)
def test_a_setting_says_at_which_tokens(places, positions, workbench):
    assert parse_setting(f"17/3988=1max:add{places}", workbench).positions == positions


def test_a_setting_says_at_which_hooks(workbench):
    hooks = ("blocks.3.hook_resid_post", "blocks.9.hook_mlp_out")
    setting = parse_setting("17/3988=1abs@" + "@".join(hooks) + "@prompt", workbench)
    assert setting.hooks == hooks
    assert setting.positions == Positions(answer=False)


@pytest.mark.parametrize(
    "text",
    ["", "17/3988", "17/3988=", "17/3988=strong", "17/3988=1miles", "17=1", "17/3988=1:explode",
     "17/3988=1:stop", "17/3988=1max:scale", "17/3988=1@nowhere", "17/3988=1@blocks.1.hook_x",
     "17/3988=1@0-9999999", "99/3988=1", "17/4096=1", "17/3988=" + "9" * 400, "=1"],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_a_setting_that_makes_no_sense_is_refused(text, workbench):
    with pytest.raises(ScopeError) as caught:
        parse_setting(text, workbench)
    assert caught.value.hint


@pytest.mark.parametrize(
    "arguments",
    [("--max-new-tokens", "0"), ("--temperature", "-1"), ("--repetition-penalty", "0")],
    ids=" ".join,
)
def test_sampling_that_makes_no_sense_is_refused(arguments, refused, shared_workbench):
    refused("steer", "Hello", "--set", "24/540=1", *arguments)


def test_steering_under_a_rule_says_where_it_fired(as_json):
    arguments = ("steer", "Write a poem.", "--chat", "--set", "16/157=0:ablate@answer")
    result = as_json(*arguments, "--if", "16/157>5", "--max-new-tokens", "3", "--no-quiz")
    (firing,) = result["firings"]
    assert firing["if"] == [{"feature": "16/157", "above": 5.0}]
    assert firing["of"] >= firing["tokens"][-1]["index"] > 0
    assert all(token["text"] for token in firing["tokens"])
    topics, passages = result["damage"]["near"]
    assert topics["topics"][0]["topic"] == "poetry"
    assert "midway" in passages["title"]  # it fires on line breaks, which are no words
    assert result["damage"]["forgets"] == ["poetry"] * (result["damage"]["word"] == "strained")
    assert result["damage"]["quiz"] is None


def test_a_sweep_has_points_a_safe_range_and_controls(as_json, monkeypatch):
    monkeypatch.setattr(effect, "PROMPTS", effect.PROMPTS[:1])
    arguments = ("sweep", "Hello", "--chat", "--set", "24/540=1.7max", "--words", "mountain,snow")
    result = as_json(*arguments, "--strengths", "1,0", "--max-new-tokens", "1", "--controls", "1")
    assert [p["strength"] for p in result["points"]] == [0, 1]
    keys = {"strength", "effect", "kl", "nll_delta", "repetition", "text"}
    assert all(p.keys() >= keys for p in result["points"])
    assert result["points"][1]["effect"] > 1 > result["points"][0]["effect"] == 0
    assert result["points"][1]["kl"] == pytest.approx(1.09, rel=0.05)
    assert 0 < result["safe_range"][1] < 1
    assert result["best"] is None  # it costs more than the limit
    kinds = [row["control"] for row in result["controls"]["rows"]]
    assert kinds == ["feature", "random", "opposite", "instruction"]
    assert result["controls"]["verdict"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("steer", "Hello"),
        ("steer", "Hello", "--set", "24/540=1", "--if", "24/540"),
        ("steer", "Hello", "--set", "24/540=1", "--if", "24/540>1", "--within", "0"),
        ("steer", "Hello", "--stop", "enough"),
        ("steer", "Hello", "--vector", "missing.gguf=1"),
        ("sweep", "Hello", "--set", "24/540=1", "--strengths", "much"),
        ("sweep", "Hello", "--set", "24/540=0:ablate"),
    ],
    ids=" ".join,
)
def test_steering_that_makes_no_sense_is_refused(arguments, refused, shared_workbench):
    refused(*arguments)


# ---- list, and usage


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hugging Face cache of the test's own, with one model that lacks its weights."""
    folder = tmp_path / "hub"
    snapshot = folder / "models--org--begun" / "snapshots" / "c0ffee"
    snapshot.mkdir(parents=True)
    config = {"architectures": ["LlamaForCausalLM"], "num_hidden_layers": 2, "hidden_size": 8}
    (snapshot / "config.json").write_text(json.dumps(config), "utf-8")
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    return folder


def test_list_names_the_demo_model_and_its_saes(as_json, demo_model_dir, hub):
    result = as_json("list")
    model = next(model for model in result["models"] if model["path"] == str(demo_model_dir))
    assert model["id"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert (model["n_layers"], model["d_model"]) == (30, 576)
    assert model["architecture"] == "LlamaForCausalLM"
    assert model["bytes"] > 1e8
    assert not model["problem"]
    assert len(result["saes"]) == 30
    for layer, sae in enumerate(result["saes"]):
        assert sae.keys() >= {
            "id", "path", "format", "hook_name", "layer", "d_in", "d_sae", "architecture",
        }  # fmt: skip
        assert (sae["layer"], sae["d_in"], sae["d_sae"]) == (layer, 576, 4096)
        assert sae["hook_name"] == f"blocks.{layer}.hook_resid_post"
        assert sae["models"][0] == {
            "id": model["id"], "match": "declared", "reason": "Made for this model.",
        }  # fmt: skip
    assert result["packs"][0]["n_features"] == 122_880


def test_list_tells_what_an_incomplete_model_lacks(as_json, as_table, hub):
    (model,) = (m for m in as_json("list")["models"] if m["id"] == "org/begun")
    assert "model.safetensors is missing" in model["problem"]
    assert "model.safetensors is missing" in as_table("list")


def test_list_on_a_fresh_machine_says_how_to_get_the_model(as_table, tmp_path, hub, monkeypatch):
    monkeypatch.setenv("DESKTOP_SCOPE_CACHE", str(tmp_path / "cache"))
    assert "demo --fetch-only" in as_table("list")


def test_list_shows_people_what_goes_with_what(as_table, demo_model_dir, hub):
    lines = as_table("list").splitlines()
    assert not any("--fetch-only" in line for line in lines)
    (line,) = (line for line in lines if line.startswith("demo/layer_17 "))
    assert "jumprelu 4096" in line
    assert line.endswith("for HuggingFaceTB/SmolLM2-135M-Instruct")


def test_list_keeps_to_what_contains_the_words(as_json, hub):
    result = as_json("list", "DEMO", "layer_17")
    assert [sae["id"] for sae in result["saes"]] == ["demo/layer_17"]
    assert not result["models"]


def test_list_looks_into_folders_once_always_or_no_more(as_json, tmp_path, hub):
    folder = tmp_path / "my saes é"
    folder.mkdir()
    pack = paths.demo_pack() / "saes" / "layer_03.safetensors"
    (folder / "mine.safetensors").write_bytes(pack.read_bytes())
    (folder / "ae.pt").write_bytes(b"no SAE at all")

    def found(*arguments):
        return {sae["id"]: sae for sae in as_json("list", *arguments)["saes"]}

    assert "my saes é/mine" not in found()
    once = found("--folder", str(folder))
    assert once["my saes é/mine"]["layer"] == 3
    broken = once["my saes é"]
    assert broken["problem"]
    assert broken["hook_name"] is None
    assert "my saes é/mine" not in found()
    assert "my saes é/mine" in found("--add", str(folder))
    assert "my saes é/mine" in found()
    assert "my saes é/mine" not in found("--forget", str(folder))
    assert "my saes é/mine" not in found()


@pytest.mark.parametrize("option", ["--folder", "--add", "--forget"])
def test_list_refuses_a_folder_that_is_not_there(option, refused, tmp_path, shared_workbench):
    assert "nowhere" in refused("list", option, str(tmp_path / "nowhere"))


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.strip() == desktop_scope.__version__


@pytest.mark.parametrize(
    "arguments",
    [["dance"], ["trace"], ["steer"], ["search", "dog", "--by", "magic"],
     ["bench", "everything"], ["trace", "dog", "--top", "many"]],
    ids=" ".join,
)  # fmt: skip
def test_bad_usage_ends_with_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().out == ""


def test_every_verb_explains_itself(capsys):
    for verb in cli.VERBS:
        with pytest.raises(SystemExit) as caught:
            cli.main([verb.NAME, "--help"])
        assert caught.value.code == 0
        assert "--json" in capsys.readouterr().out


def test_a_device_that_is_not_there_is_refused(refused, demo_model_dir):
    assert "abacus" in refused("trace", "dog", "--device", "abacus")


def test_without_the_model_a_verb_says_how_to_get_it(refused, tmp_path, monkeypatch):
    monkeypatch.setenv("DESKTOP_SCOPE_CACHE", str(tmp_path))
    monkeypatch.delenv("DESKTOP_SCOPE_GGUF", raising=False)
    monkeypatch.setattr("desktop_scope.library.gguf_file.PACKAGE", "no_such_package")
    assert "demo --fetch-only" in refused("trace", "dog")


def test_a_whole_run_in_a_process_of_its_own(demo_model_dir):
    done = subprocess.run(
        [sys.executable, "-m", "desktop_scope", "trace", PROMPT, "--layers", "17", "--json"],
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert json.loads(done.stdout)["layers"][0]["layer"] == 17

"""The verbs on a model and SAEs of one’s own: ``--model``, ``--saes``, ``sae``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_saes import weights
from tiny_models import D_MODEL, save_tiny

from desktop_scope import cli
from desktop_scope.engine.hook_points import Site
from desktop_scope.formats.converting import COMPACT, SAELENS, convert


@pytest.fixture
def model(tmp_path) -> str:
    return str(save_tiny("llama", tmp_path / "model"))


@pytest.fixture
def sae(tmp_path) -> str:
    made = weights(1, d_in=D_MODEL, declared_l0=20.0)
    return str(convert(made, tmp_path / "sae", SAELENS))


@pytest.fixture
def as_json(capsys):
    def run(*arguments: str):
        assert cli.main([*arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def refused(capsys):
    def run(*arguments: str) -> str:
        assert cli.main(arguments) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        return said

    return run


def test_a_trace_with_a_model_and_an_sae_of_ones_own(as_json, model, sae):
    result = as_json("trace", "The museum opens.", "--model", model, "--saes", sae)
    (layer,) = result["layers"]
    assert (layer["layer"], layer["hook_name"]) == (1, "blocks.1.hook_resid_post")
    assert layer["features"]
    assert layer["features"][0]["label_source"] == "none"
    assert layer["features"][0]["density"] is None


def test_features_of_two_saes_at_one_layer_are_told_apart(as_json, tmp_path, model, sae):
    other = convert(weights(1, Site.MLP_OUT, d_in=D_MODEL), tmp_path / "mlp", SAELENS)
    saes = ["--saes", sae, "--saes", str(other)]
    result = as_json("trace", "The museum opens.", "--model", model, *saes)
    assert [layer["sae"] for layer in result["layers"]] == ["mlp_out", "resid_post"]
    card = as_json("feature", "mlp_out:1/3", "--model", model, *saes)
    assert (card["sae"], card["hook_name"]) == ("mlp_out", "blocks.1.hook_mlp_out")
    assert card["max_active"] is None
    assert card["promotes"]
    steered = as_json(
        "steer", "The museum", "--set", "mlp_out:1/3=9abs", "--set", "resid_post:1/2=0:ablate",
        "--max-new-tokens", "3", "--model", model, *saes,
    )  # fmt: skip
    assert steered["damage"]["kl"] > 0


def test_a_strength_in_units_that_nobody_knows_is_refused(refused, model, sae):
    said = refused("steer", "The", "--set", "1/3=2max", "--model", model, "--saes", sae)
    assert "abs" in said


def test_a_check_measures_here_and_elsewhere(as_json, capsys, model, sae):
    result = as_json("sae", "check", sae, "--model", model)
    assert result["format"] == "SAELens"
    assert (result["architecture"], result["hook_name"]) == ("jumprelu", "blocks.1.hook_resid_post")
    assert result["verdict"] == "does not fit"  # its weights are random
    assert result["n_tokens"] > 500
    for key in ("l0", "fvu", "ce_recovered"):
        assert isinstance(result[key], float)
    tried = {(t["hook_name"], t["norm"], t["centred"]) for t in result["tried"]}
    assert ("blocks.0.hook_resid_post", "none", False) in tried
    assert ("blocks.1.hook_mlp_out", "none", False) in tried
    assert ("blocks.1.hook_resid_post", "layer_norm", False) in tried
    fvus = [t["fvu"] for t in result["tried"]]
    assert fvus == sorted(fvus)
    assert cli.main(["sae", "check", sae, "--model", model, "--hook", "blocks.2.hook_mlp_out"]) == 0
    said = capsys.readouterr().out
    assert "blocks.2.hook_mlp_out" in said
    assert "DOES NOT FIT" in said


def test_an_sae_goes_to_the_compact_format_and_back(as_json, capsys, tmp_path, model, sae):
    compact, native = tmp_path / "it.safetensors", tmp_path / "back"
    there = as_json("sae", "convert", sae, str(compact), "--to", COMPACT, "--model", model)
    assert there["fvu_difference"] == pytest.approx(there["fvu_after"] - there["fvu_before"])
    assert abs(there["fvu_difference"]) < 0.01 * there["fvu_before"]
    assert Path(there["file"]) == compact
    arguments = ["sae", "convert", str(compact), str(native), "--to", SAELENS, "--model", model]
    assert cli.main(arguments) == 0
    assert "unexplained" in capsys.readouterr().out
    assert (native / "cfg.json").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("sae", "check", "nowhere"),
        ("sae", "check", "SAE", "--model", "org/not-here"),
        ("sae", "check", "SAE", "--hook", "blocks.1.hook_q", "--model", "MODEL"),
        ("sae", "check", "SAE"),  # nothing says which model it was made for
        ("sae", "convert", "SAE", "wrong.name", "--to", "compact", "--model", "MODEL"),
        ("trace", "x", "--model", "MODEL", "--saes", "nowhere"),
        ("trace", "x", "--model", "nowhere"),
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_refused_in_one_line(arguments, refused, model, sae):
    named = {"SAE": sae, "MODEL": model}
    assert refused(*(named.get(word, word) for word in arguments))

"""The verb for lenses: what it says is what the engine read."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from desktop_scope.engine.lenses import LensFit
from desktop_scope.engine.tuned_lens import TunedLens
from desktop_scope.evidence.lens_fitting import LensFitter

TEXT = "The capital of France is"


def test_every_layer_says_its_words(as_json, as_table):
    found = as_json("lens", TEXT, "--word", "Paris", "--layers", "0,28-29")
    assert [layer["layer"] for layer in found["layers"]] == [0, 28, 29]
    assert found["lens"] == "logit lens"
    assert found["fit"] is None
    assert found["tokens"][found["token"]]["text"] == " is"
    cell = found["layers"][-1]["by_token"][found["token"]]
    assert cell["top"][0]["token"] == " Paris"
    assert cell["rank"] == 1
    assert cell["word_probability"] == pytest.approx(cell["top"][0]["probability"])
    assert len(found["layers"][0]["by_token"]) == len(found["tokens"])
    lines = as_table("lens", TEXT, "--word", "Paris", "--token", "2").splitlines()
    assert "capital" in lines[0]
    assert lines[3].split()[0] == "29"


def test_the_tuned_lens_says_how_it_does(as_json, as_table, workbench, monkeypatch):
    engine = workbench.engine
    n, d = engine.model.info.n_layers, engine.model.d_model
    slices = [LensFit("Reading text", 1, 2), LensFit("", 2, 2, (2.0,) * n, (1.5,) * n, 300, 20)]

    def step(fitter, job):
        fitter._engine.tuned = TunedLens(engine.model, torch.zeros(n - 1, d + 1, d), (True,) * n)
        return slices.pop(0) if len(slices) > 1 else slices[0]

    monkeypatch.setattr(LensFitter, "step", step)
    monkeypatch.setattr(engine, "tuned", None)
    monkeypatch.setattr(workbench, "_made", {})
    found = as_json("lens", TEXT, "--tuned")
    assert found["lens"] == "tuned lens"
    early, last = found["layers"][0]["by_token"][1], found["layers"][-1]["by_token"][-1]
    assert early["entropy"] == pytest.approx(np.log(engine.model.info.vocab_size), rel=1e-4)
    assert last["top"][0]["token"] == " Paris"
    assert early["rank"] is None
    assert found["fit"]["n_fitted"] == 300
    said = as_table("lens", TEXT, "--tuned")
    assert "2.00 nats with the logit lens, 1.50 with this one" in said


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--word", "antidisestablishmentarianism"), "more than one token"),
        (("--layers", "31"), "layers 0 to 29"),
        (("--token", "99"), "go from 0 to"),
    ],
)
def test_bad_input_is_told(refused, shared_workbench, options, says):
    assert says in refused("lens", TEXT, *options)

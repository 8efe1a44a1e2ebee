"""Levers: equal to what the demo pack ships, kept slice by slice, and gone on from."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from desktop_scope import paths
from desktop_scope.engine.levers import N_PROMOTED, PROMPTS, PUSHES
from desktop_scope.engine.types import FeatureId, Prompt
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.discovery import Discovery
from desktop_scope.evidence.known import SampleEvidence
from desktop_scope.evidence.levers import LeverBook
from desktop_scope.workbench import Workbench


@pytest.mark.parametrize(("layer", "index"), [(24, [540, 77, 3000]), (17, [3265, 12, 901])])
def test_measured_levers_equal_the_shipped_ones(
    workbench: Workbench, layer: int, index: list[int]
) -> None:
    """The shipped ones were measured in bfloat16."""
    shipped = LeverBook.shipped(paths.demo_pack(), layer, 4096)
    assert shipped is not None
    norm = workbench.catalogue.evidence[layer].median_norm
    found = workbench.engine.levers(layer, np.array(index), norm, silent_job())
    for name in ("promoted_logratio", "kl"):
        ours, theirs = getattr(found, name), getattr(shipped.scores, name)[index]
        assert ours == pytest.approx(theirs, rel=0.06, abs=0.06)
    loud = shipped.scores.output_score[index] > 1e-3
    ours, theirs = found.output_score[loud], shipped.scores.output_score[index][loud]
    assert ours == pytest.approx(theirs, rel=0.15)


def test_a_lever_is_what_really_adding_its_row_does(workbench: Workbench) -> None:
    """One feature, one forward pass of the whole prompt per push, in the plainest way."""
    engine, layer, index = workbench.engine, 20, 123
    norm = workbench.catalogue.evidence[layer].median_norm
    row = engine.saes[layer].decoder_row(index)
    promoted = engine.lens.logit_effect(row).topk(N_PROMOTED).indices
    ratios = []
    with torch.inference_mode():
        for text in PROMPTS:
            ids = torch.tensor([engine.model.encode(Prompt(text, chat=False)).ids])
            point = engine.saes[layer].weights.writes[0]

            def push(x: torch.Tensor) -> torch.Tensor:
                x = x.clone()
                x[0, -1] += PUSHES[1] * norm * row
                return x

            logs = [
                engine.model.logits(engine.model.hidden(ids, edits, use_cache=False)[0, -1])
                .double()
                .log_softmax(-1)[promoted]
                .logsumexp(0)
                for edits in ({point: push}, {})
            ]
            ratios.append(float(logs[0] - logs[1]))
    found = engine.levers(layer, np.array([index, 5]), norm, silent_job())
    assert found.promoted_logratio[0, 1] == pytest.approx(np.mean(ratios), abs=1e-3)


def test_levers_of_other_saes_are_kept_after_every_slice(
    workbench: Workbench, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("DESKTOP_SCOPE_CACHE", str(tmp_path))
    monkeypatch.setattr("desktop_scope.evidence.discovery._SLICE", 2)
    engine = workbench.engine
    # As if nothing had been shipped; and the stream's usual length is measured.
    evidence = [SampleEvidence(sae.d_sae) for sae in engine.saes]
    first = Discovery(engine, evidence)
    assert first.levers(29).of(0) is None
    assert first.score_levers(29, silent_job()) == 2
    again = Discovery(engine, evidence)  # as after the program was killed
    assert again.levers(29).missing()[0] == 2
    assert again.score_levers(29, silent_job()) == 4
    lever = again.levers(29).of(3)
    assert lever is not None
    assert (lever.n_known, lever.n_features) == (4, 4096)
    norm = float(engine._levers._norms[engine.saes[29].weights.writes[0]])
    alone = engine.levers(29, np.array([3]), norm, silent_job())
    assert lever.promoted_logratio == pytest.approx(float(alone.promoted_logratio[0, 1]), abs=1e-4)
    (kept,) = (tmp_path / "levers").glob("*.safetensors")
    kept.write_bytes(kept.read_bytes()[:100])
    assert len(Discovery(engine, evidence).levers(29).missing()) == 4096


def test_the_packs_readme_is_right_about_its_own_levers(workbench: Workbench) -> None:
    discovery = workbench.catalogue.discovery
    shares = {(24, 540): 0.92, (26, 246): 0.94, (17, 3265): 0.09}
    for feature, share in shares.items():
        lever = discovery.insight(FeatureId(*feature)).lever
        assert lever is not None
        assert lever.below == pytest.approx(share, abs=0.006)


def test_damaged_levers_are_said_to_be(tmp_path) -> None:
    arrays = load_file(paths.demo_pack() / "levers.safetensors")
    small = {name: array[:1, :8] for name, array in arrays.items()}
    assert LeverBook.shipped(tmp_path, 0, 8) is None
    file = tmp_path / "levers.safetensors"
    save_file(small, file, metadata={"format": "desktop-scope-levers/1"})
    book = LeverBook.shipped(tmp_path, 0, 8)
    assert book is not None
    assert math.isclose(book.of(3).promoted_logratio, float(small["promoted_logratio"][0, 3, 1]))  # type: ignore[union-attr]
    for damage in (lambda: None, lambda: file.write_bytes(file.read_bytes()[:60])):
        damage()
        with pytest.raises(ScopeError, match="damaged"):
            LeverBook.shipped(tmp_path, 0, 9)

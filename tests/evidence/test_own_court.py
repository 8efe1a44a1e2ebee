"""The court of evidence of one's own: labels are tried where nothing was gathered from."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from small_saes import weights
from tiny_models import D_MODEL, TEXT, reference, tiny

from desktop_scope.engine.engine import Engine
from desktop_scope.engine.requests import Workspace
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.types import FeatureId, Prompt
from desktop_scope.engine.worker import silent_job
from desktop_scope.evidence.building.builder import build
from desktop_scope.evidence.building.corpus import text_corpus
from desktop_scope.evidence.catalogue import Catalogue
from desktop_scope.evidence.court.docket import NOWHERE, STRETCH
from desktop_scope.evidence.court.texts import ASIDE, ELSEWHERE, CourtText
from desktop_scope.evidence.marks.marking import judge_labels
from desktop_scope.evidence.marks.requests import JudgeLabels
from desktop_scope.evidence.marks.types import Kind, Mark
from desktop_scope.evidence.own import OwnEvidence

N, OTHER = 48, 32  # features


def an_engine() -> Engine:
    model = tiny("llama")
    saes = [weights(0, d_in=D_MODEL, d_sae=N), weights(1, d_in=D_MODEL, d_sae=OTHER)]
    return Engine(model, [Sae(w, model.device) for w in saes])


def documents(n: int, n_words: int = 40) -> list[str]:
    words = re.findall(r"\w+", TEXT)
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(words, n_words)) for _ in range(n)]


def a_corpus(folder: Path, texts: list[str]) -> Path:
    path = folder / "texts.jsonl"
    path.write_text("\n".join(json.dumps({"text": text}) for text in texts), "utf-8")
    return path


@pytest.fixture
def own_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DESKTOP_SCOPE_CACHE", str(tmp_path / "cache"))


def gathered(folder: Path, n_documents: int) -> tuple[Catalogue, list[OwnEvidence]]:
    engine = an_engine()
    corpus = text_corpus([a_corpus(folder, documents(n_documents))], engine.model, silent_job())
    built = build(engine, corpus, silent_job())
    evidence = [
        OwnEvidence(folder, sae.d_sae, engine.model.texts)
        for folder, sae in zip(built.folders, engine.saes, strict=True)
    ]
    return Catalogue.open(Workspace(), engine, silent_job()), evidence


def row_texts(evidence: OwnEvidence) -> list[tuple[int, ...]]:
    return [tuple(row.tolist()) for row in np.split(evidence.tokens, evidence.row_start[1:-1])]


def test_every_eighth_document_is_left_aside_and_nothing_is_gathered_from_it(tmp_path, own_cache):
    catalogue, (one, other) = gathered(tmp_path, 80)
    model = catalogue.engine.model
    texts = documents(80)
    expected = [model.encode(Prompt(text, chat=False)).ids for text in texts[7::8]]
    rows = row_texts(one)
    aside = [row for row, left in zip(rows, one.aside, strict=True) if left]
    bos = len(rows[0]) - len(model.encode(Prompt(texts[0], chat=False)).ids)
    assert [list(row[bos:]) for row in aside] == [list(ids) for ids in expected]
    counted = sum(len(row) - 1 for row, left in zip(rows, one.aside, strict=True) if not left)
    assert one.n_tokens == other.n_tokens == counted
    for evidence in (one, other):
        row = np.searchsorted(evidence.row_start, evidence.array("example_position"), "right") - 1
        assert not evidence.aside[row][evidence.array("example_value") > 0].any()


def test_the_court_tries_all_labels_in_what_was_left_aside(tmp_path, own_cache):
    catalogue, (one, _) = gathered(tmp_path, 320)
    (court,) = catalogue.courts  # one text, one court, though the SAEs differ in width
    assert court.held_out == ASIDE
    judged = judge_labels(catalogue, JudgeLabels(False, 0), silent_job())
    assert judged.waiting  # without being asked: it is the last part of gathering
    court.run(silent_job())
    assert not court.waiting
    text = CourtText.of_own(one)
    assert set(text.rows) <= set(np.flatnonzero(one.aside).tolist())
    for slot, width in ((0, N), (1, OTHER)):
        words, docket = court.case(slot)
        assert len(docket.fires) == width
        direct = fires_at(text, catalogue.engine.saes[slot], slot)
        for index in range(width):
            fires = docket.fires[index][docket.fires[index] != NOWHERE]
            silent = docket.silent[index][docket.silent[index] != NOWHERE]
            assert (direct[fires, index] > 0).all()
            stretches = np.flatnonzero(direct[:, index] > 0) // STRETCH
            assert not np.isin(silent // STRETCH, stretches).any()
    scores = catalogue.evidence[0].scores
    scored = np.flatnonzero(~np.isnan(scores))
    assert len(scored)
    card = catalogue.card(FeatureId(0, int(scored[0])))
    assert card.marks.held_out == ASIDE
    assert card.label.score == pytest.approx(card.marks.verdict.score)
    again = Catalogue.open(Workspace(), catalogue.engine, silent_job())
    np.testing.assert_array_equal(again.evidence[0].scores, scores)  # kept
    assert not again.courts[0].waiting
    # a label of the person's own is tried there, too
    words, docket = court.case(0)
    index = int(scored[np.argmax([(docket.fires[i] != NOWHERE).sum() for i in scored])])
    mine = Mark(
        catalogue.evidence[0].key, index, Kind.LABEL, "own", json.dumps({"text": "'museum'"})
    )
    catalogue.marks.change("a label", [mine])
    catalogue.marked()
    court.run(silent_job())
    verdict = catalogue.evidence[0].verdict(index)
    said = words.unit == words.names.index("museum")
    fires, silent = (part[index][part[index] != NOWHERE] for part in (docket.fires, docket.silent))
    assert (verdict.fires, verdict.caught) == (len(fires), said[fires].sum())
    assert verdict.alarms + verdict.hard_alarms == said[silent].sum()


def fires_at(text: CourtText, sae: Sae, layer: int) -> np.ndarray:
    """Activations in the court's text, by transformers and a jumprelu SAE's equation; [P, N]."""
    w, acts = sae.weights, np.zeros((text.tokens.size, sae.d_sae), np.float32)
    for n, row in enumerate(text.tokens):
        ids = torch.from_numpy(row[row >= 0])[None].long()
        with torch.inference_mode():
            x = reference("llama")(ids, output_hidden_states=True).hidden_states[layer + 1][0]
            h = x @ w.W_enc.T + w.b_enc
            found = torch.where(h > w.threshold, h.relu(), 0.0).numpy()
        acts[n * text.width + 1 : n * text.width + len(found)] = found[1:]  # the first never counts
    return acts


def test_of_few_documents_none_is_left_aside_and_the_court_says_so(tmp_path, own_cache):
    catalogue, (one, _) = gathered(tmp_path, 12)
    assert not one.aside.any()
    (court,) = catalogue.courts
    assert court.held_out == ELSEWHERE
    court.run(silent_job())
    text = CourtText.of_own(one)
    assert sorted(text.rows) == list(range(len(one.aside)))
    _, docket = court.case(0)
    seen = one.array("example_value") > 0
    position = one.array("example_position")
    row = np.searchsorted(one.row_start, position, side="right") - 1
    place_of_row = np.argsort(text.rows)
    place = place_of_row[row] * text.width + position - one.row_start[row]
    for index in range(N):
        fires = docket.fires[index][docket.fires[index] != NOWHERE]
        assert not np.isin(fires // STRETCH, place[index][seen[index]] // STRETCH).any()


def test_evidence_from_before_anything_was_left_aside_is_judged_too(tmp_path, own_cache):
    catalogue, _ = gathered(tmp_path, 80)
    for folder in {path.parent for path in tmp_path.rglob("corpus-*")}:
        (path,) = folder.glob("corpus-*")
        arrays = load_file(path)
        del arrays["aside"]
        path.unlink()  # it is one file in several folders
        save_file(arrays, path, {"format": "desktop-scope-corpus/1"})
    again = Catalogue.open(Workspace(), catalogue.engine, silent_job())
    assert again.courts[0].held_out == ELSEWHERE

"""SHIFT: a planted spurious correlation is found and taken out of a probe."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from desktop_scope.engine.types import FeatureId
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import ScopeError
from desktop_scope.experiments import shifting
from desktop_scope.experiments.audit import feature_of
from desktop_scope.experiments.probe import fit
from desktop_scope.experiments.shift import (
    DigestProbe,
    FollowProbe,
    PoolTexts,
    Shift,
    begin,
    read_shift_table,
)
from desktop_scope.experiments.shift_texts import planted

GENDER = re.compile(r"\b(she|her|he|his|him|woman|women|girls?|pronouns?)\b", re.I)


def run(study: Shift, workbench) -> Shift:
    while (request := study.next_request()) is not None:
        study = study.taken(request, workbench.handle(request, silent_job()))
    return study


def test_a_planted_correlation_is_found_and_taken_out(workbench, monkeypatch):
    """What a person would do who reads the labels: tick whatever speaks of he and she."""
    monkeypatch.setattr(shifting, "_EARLIER", (9, 18, 21))
    monkeypatch.setattr(shifting, "_STEPS", 1)
    table = planted()
    fewer = tuple(one for one in table.texts if "before lunch" in one.text)
    study = begin(replace(table, texts=fewer), workbench.engine.infos)
    study = run(study, workbench)
    ranking = study.digest.ranking
    gender = tuple(one.feature for one in ranking if GENDER.search(one.label.text))
    assert len(gender) >= 3
    assert ranking.index(next(one for one in ranking if GENDER.search(one.label.text))) < 5
    study = run(replace(study, off=gender), workbench)
    biased, _, retrained, by_chance, _ = study.lines[gender]
    assert biased.attribute > biased.label  # it has learnt what it should not have
    assert max(biased.worst, by_chance.worst) <= 0.25 < 0.5 <= retrained.worst
    assert retrained.label > max(biased.label, by_chance.label)
    assert retrained.attribute < min(biased.attribute, by_chance.attribute)


def test_where_the_probe_reads_an_effect_is_what_switching_off_takes_away(workbench, monkeypatch):
    """There the probe is linear in the features, and the integral exact."""
    monkeypatch.setattr(shifting, "_EARLIER", ())
    table = planted()
    some = table.texts[:6] + table.texts[64:70]
    study = begin(replace(table, texts=some), workbench.engine.infos)
    while isinstance(request := study.next_request(), PoolTexts):
        study = study.taken(request, workbench.handle(request, silent_job()))
    assert isinstance(request, FollowProbe)
    found = workbench.handle(request, silent_job())
    probe, n = shifting.biased_probe(study), study.following()[0]
    text = study.table.texts[n]
    part = found[0]
    for at in np.argsort(-np.abs(part.parts))[:3]:
        feature = feature_of(int(part.features[at]))
        off = PoolTexts((text.text,), study.slot, (feature,), (1, 0))
        after = probe.logits(workbench.handle(off, silent_job()))[0]
        before = probe.logits(study.pooled[()][n : n + 1])[0]
        sign = 1 if text.label else -1
        np.testing.assert_allclose(sign * (before - after), part.parts[at], atol=2e-3)


def test_the_probe_is_that_of_least_loss():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 60)).astype(np.float32)
    label = x[:, 0] + 0.3 * rng.normal(size=40) > 0
    probe = fit(x, label)
    assert probe.weight.argmax() == 0
    assert (probe.says(x) == label).mean() > 0.95
    mean, scale = x.mean(0), x.std(0) + 1e-6
    z = np.hstack([(x - mean) / scale, np.ones((40, 1))])
    w = np.append(probe.weight * scale, probe.bias + probe.weight @ mean)
    ridge = np.append(np.full(60, 0.4), 0.0)
    gradient = z.T @ (1 / (1 + np.exp(-z @ w)) - label) + ridge * w
    np.testing.assert_allclose(gradient, 0, atol=1e-3)
    same = fit(np.ones((4, 3), np.float32), np.array([True, False, True, False]))
    assert np.isfinite(same.weight).all()


GROUPS = [(label, attribute) for label in ("true", "false") for attribute in ("1", "0")]


def csv_of(n: int, groups=GROUPS) -> str:
    lines = [f"text {k} {a} {b},{a},{b}" for k in range(n) for a, b in groups]
    return "\n".join(["Text,label,attribute", *lines])


def test_tables_of_labelled_texts(tmp_path: Path):
    path = tmp_path / "labelled.csv"

    def read(text: str):
        path.write_text(text, "utf-8")
        return read_shift_table(path)

    table = read(csv_of(4))
    assert len(table.texts) == 16
    assert [one.test for one in table.texts] == [False] * 4 + [True] * 4 + [False] * 4 + [True] * 4
    assert len(table.biased) == 4
    chosen = read("text,label,attribute,test\n" + "\n".join(
        f"t{k}{a}{b},{a},{b},{'yes' if k < 2 else 'no'}" for k in range(4) for a, b in GROUPS
    ))  # fmt: skip
    assert sum(one.test for one in chosen.texts) == 8
    for text, words in (
        ("", "no column “text”"),
        ("text,label\na,1\n", "no column “attribute”"),
        (csv_of(4, GROUPS[:3]), "label false and attribute false"),
        (csv_of(2), "too few"),
        (csv_of(4) + "\n,1,1", "the text is empty"),
        (csv_of(4) + "\nwhat,maybe,1", "neither true nor false"),
        (csv_of(4) + '\n"what,1,1', "unexpected end"),
    ):
        with pytest.raises(ScopeError, match=words):
            read(text)


def test_without_saes_of_the_stream_there_is_nothing_to_clean(workbench):
    with pytest.raises(ScopeError, match="residual stream"):
        begin(planted(), ())
    study = begin(planted(), workbench.engine.infos)
    assert study.slot == 22
    assert isinstance(study.next_request(), PoolTexts)
    whole = replace(study, pooled={(): np.zeros((128, 4), np.float32)}, parts=(None,) * 32)
    assert isinstance(whole.next_request(), DigestProbe)
    assert whole.progress() == (160, 160)
    assert not replace(whole, off=(FeatureId(0, 1),)).chance

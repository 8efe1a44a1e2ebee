"""Texts near to what is steered: damage is seen where there is damage, and not where there is none.

On the real demo model, with its real features.
"""

from __future__ import annotations

import pytest

from desktop_scope.engine.cost_types import Damage, Word, judge
from desktop_scope.engine.requests import MeasureDamage, Workspace
from desktop_scope.engine.types import FeatureId, Intervention, Mode
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import ScopeError
from desktop_scope.experiments import near
from desktop_scope.experiments.near import NearTexts, read_topics
from desktop_scope.experiments.requests import ReadTopics
from desktop_scope.experiments.types import TopicsRead
from desktop_scope.workbench import Workbench

FIGHTING = FeatureId(23, 809)  # war and fighting
WAR = (FeatureId(11, 3427), FeatureId(13, 1074), FIGHTING)


def damage(bench: Workbench, interventions: tuple[Intervention, ...]) -> Damage:
    found: Damage = bench.handle(MeasureDamage(interventions, near=True), silent_job())
    return found


def losses(found: Damage) -> dict[str, float]:
    return dict(one for cost in found.near for one in cost.by_name)


def test_turning_fighting_down_costs_martial_arts_and_the_word_says_so(workbench: Workbench):
    norms = [evidence.median_norm for evidence in workbench.catalogue.evidence]
    push = tuple(Intervention(feature, -0.1 * norms[feature.sae]) for feature in WAR)
    found = damage(workbench, push)
    topics = losses(found)
    assert found.nll_delta < 0.1
    assert judge(Damage(push, found.kl, found.nll_delta, 1)).word is Word.SAFE  # elsewhere
    assert {"martial arts", "boxing", "the army", "war history"} <= topics.keys()
    assert topics["martial arts"] > found.nll_delta + 0.15
    judgement = judge(found)
    assert judgement.word is Word.STRAINED
    assert "the army" in judgement.forgets


def test_amnesia_over_24_layers_costs_the_topic_and_little_else(workbench: Workbench):
    family = workbench.catalogue.card(FIGHTING).family
    layers = [neighbour.feature for neighbour in family if neighbour.feature.sae >= 6]
    assert len(layers) == 24
    found = damage(workbench, tuple(Intervention(f, mode=Mode.ABLATE) for f in layers))
    assert found.kl < 0.01
    assert abs(found.nll_delta) < 0.05
    assert losses(found)["the army"] > 0.3
    assert losses(found)["martial arts"] > 0.1
    assert "the army" in judge(found).forgets


def test_where_there_is_no_damage_none_is_seen(workbench: Workbench):
    # One feature each of 24 layers, without anything in common.
    items = tuple(
        Intervention(FeatureId(layer, 100 + 37 * layer), mode=Mode.ABLATE) for layer in range(6, 30)
    )
    found = damage(workbench, items)
    assert all(abs(lost) < 0.15 for lost in losses(found).values())
    assert judge(found).forgets == ()


def test_passages_hold_the_words_of_the_features_and_none_of_their_strongest_examples(
    workbench: Workbench,
):
    _, words = workbench._near.passages((Intervention(FIGHTING),), silent_job())
    top = [one.text.strip().lower() for one in workbench.catalogue.card(FIGHTING).top_tokens]
    assert "war" in top
    assert len(words.texts) == 4
    for text in words.texts:
        assert any(word in text.lower() for word in top)
        for example in workbench.catalogue.examples(FIGHTING):
            whole = "".join(example.texts)
            assert example.band != "top" or whole not in text


def test_topics_are_read_a_few_at_a_time(workbench: Workbench):
    topics, done = read_topics(), TopicsRead(0, 1)
    assert len({topic.name for topic in topics}) == len(topics) > 40
    seen = []
    while not done.finished:
        request = ReadTopics(Workspace(), done.done if seen else 0)
        done = workbench.handle(request, silent_job())
        seen.append(done.done)
    assert seen == sorted(set(seen))
    assert seen[-1] == done.total == len(topics)


def test_of_vectors_alone_nothing_is_near(workbench: Workbench):
    known = NearTexts(workbench.engine, workbench.catalogue)
    assert known.passages((Intervention(),), silent_job()) == ()


def test_damaged_topics_are_said(tmp_path, monkeypatch):
    monkeypatch.setattr(near.paths, "resources", lambda: tmp_path)
    for text in ("", "{}", '{"texts": [1]}'):
        (tmp_path / "topics.json").write_text(text, "utf-8")
        with pytest.raises(ScopeError, match="topics") as caught:
            read_topics()
        assert caught.value.hint

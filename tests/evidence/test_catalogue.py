"""Cards, lists and paths of the real pack equal what a plain computation finds."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from desktop_scope import paths
from desktop_scope.engine.requests import TracePrompt
from desktop_scope.engine.types import FeatureId, Prompt, Trace
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.requests import FollowFeature, Match, RankBy, RankFeatures, Scope
from desktop_scope.evidence.store import EvidenceStore
from desktop_scope.evidence.types import Ranking, Source

DOG = FeatureId(17, 3988)


@pytest.fixture(scope="module")
def catalogue(workbench):
    return workbench.catalogue


@pytest.fixture(scope="module")
def store(workbench) -> EvidenceStore:
    return EvidenceStore(paths.demo_pack(), workbench.engine.model.texts)


@pytest.fixture(scope="module")
def trace(workbench) -> Trace:
    request = TracePrompt(Prompt("My chihuahua barks at presidents."))
    return workbench.engine.trace(request, silent_job())


@pytest.fixture(scope="module")
def everything(trace) -> RankFeatures:
    """All that fires on the text, nothing filtered."""
    return RankFeatures(
        scope=Scope.TEXT,
        trace=trace,
        token=0,
        by=RankBy.MAXIMUM,
        layers=(0, 10_000),
        words="",
        max_density=1.0,
        limit=1_000_000,
    )


def features(ranking: Ranking) -> list[FeatureId]:
    return [row.feature for row in ranking.rows]


def table(trace: Trace) -> np.ndarray:
    """[L, T, N]"""
    dense = np.zeros((len(trace.acts), trace.n_tokens, 4096), np.float32)
    for layer, acts in enumerate(trace.acts):
        dense[layer, acts.rows(), acts.indices] = acts.values
    return dense


# ---- lists


def test_the_list_of_a_text_holds_what_fires_on_the_users_own_words(catalogue, trace, everything):
    strongest = table(trace)[:, trace.own].max(1)
    fires = {FeatureId(*map(int, pair)) for pair in np.argwhere(strongest > 0)}
    ranking = catalogue.rank(everything)
    assert ranking.n_active == len(fires)
    missing = fires - set(features(ranking))
    assert set(features(ranking)) <= fires
    # What fires on a chat's markup is right but dull, and left out.
    assert {catalogue.label(feature).kind for feature in missing} <= {"format"}


def test_rows_tell_strength_total_density_and_the_strongest_token(
    catalogue, store, trace, everything
):
    values = table(trace)
    for row in catalogue.rank(replace(everything, limit=50)).rows:
        layer, index = row.feature
        mine = np.where(trace.own, values[layer, :, index], 0)
        assert row.value == mine.max()
        assert row.token == mine.argmax()
        assert row.strength == pytest.approx(mine.max() / store.max_active[layer, index])
        assert row.total == pytest.approx(mine.sum() / store.max_active[layer, index], rel=1e-4)
        assert row.density == store.density[layer, index]
        assert row.label == catalogue.label(row.feature)


@pytest.mark.parametrize("by", [RankBy.MAXIMUM, RankBy.TOTAL])
def test_lists_come_in_the_order_asked_for(by, catalogue, everything):
    rows = catalogue.rank(replace(everything, by=by)).rows
    scores = [row.strength if by is RankBy.MAXIMUM else row.total for row in rows]
    np.testing.assert_array_less(np.diff(scores), 1e-4)


def test_rare_features_come_before_common_ones_of_the_same_strength(catalogue, everything, trace):
    token = trace.n_prompt - 1
    while not trace.own[token]:
        token -= 1
    rows = catalogue.rank(
        replace(everything, by=RankBy.RARITY, scope=Scope.TOKEN, token=token)
    ).rows
    scores = [row.strength * -np.log(max(row.density, 1e-7)) for row in rows]
    np.testing.assert_array_less(np.diff(scores), 1e-4)


def test_the_list_of_a_token_holds_what_fires_there(catalogue, trace, everything):
    token = int(np.flatnonzero(trace.own)[2])
    ranking = catalogue.rank(replace(everything, scope=Scope.TOKEN, token=token))
    fires = {FeatureId(*map(int, pair)) for pair in np.argwhere(table(trace)[:, token] > 0)}
    assert ranking.n_active == len(fires)
    assert set(features(ranking)) <= fires
    assert all(row.token == token for row in ranking.rows)


def test_a_masked_token_has_no_features(catalogue, everything):
    assert catalogue.rank(replace(everything, scope=Scope.TOKEN, token=0)).rows == ()


def test_filters_keep_what_passes_and_nothing_else(catalogue, everything):
    rows = catalogue.rank(everything).rows
    filtered = {
        "layers": (replace(everything, layers=(3, 7)), lambda r: 3 <= r.feature.sae <= 7),
        "density": (replace(everything, max_density=0.01), lambda r: r.density <= 0.01),
        "prefix": (replace(everything, shown=(256,) * 30), lambda r: r.feature.index < 256),
    }
    for name, (request, passes) in filtered.items():
        assert features(catalogue.rank(request)) == [r.feature for r in rows if passes(r)], name


def test_words_filter_by_label(catalogue, everything):
    rows = catalogue.rank(replace(everything, words="dog")).rows
    assert rows
    assert all("dog" in row.label.text.lower() for row in rows)


def test_no_layers_mean_an_empty_list(catalogue, everything):
    assert catalogue.rank(replace(everything, layers=(7, 3))).rows == ()


def test_a_limit_keeps_the_best(catalogue, everything):
    best = catalogue.rank(replace(everything, limit=5))
    assert features(best) == features(catalogue.rank(everything))[:5]


def test_without_a_text_only_all_features_can_be_listed(catalogue, everything):
    assert catalogue.rank(replace(everything, trace=None)).rows == ()
    ranking = catalogue.rank(
        RankFeatures(Scope.ALL, words="dog", limit=20, layers=(10, 20), match=Match.WORDS)
    )
    assert ranking.rows
    for row in ranking.rows:
        assert "dog" in row.label.text.lower()
        assert 10 <= row.feature.sae <= 20
        assert row.value == 0


# ---- cards


def test_a_card_tells_what_the_pack_knows(catalogue):
    card = catalogue.card(DOG)
    evidence = load_file(paths.demo_pack() / "evidence" / "layer_17.safetensors")
    assert card.hook_name == "blocks.17.hook_resid_post"
    assert card.density == evidence["density"][DOG.index]
    assert card.max_active == evidence["max_active"][DOG.index]
    assert card.histogram.tolist() == evidence["hist"][DOG.index].tolist()
    assert card.label == catalogue.label(DOG)
    assert card.median_norm == pytest.approx(188.33485)
    strongest = max(card.examples, key=lambda example: example.value)
    assert strongest.band == "top"
    assert strongest.value == pytest.approx(card.max_active, rel=0.01)


def test_labels_written_by_people_are_shown_as_theirs(catalogue):
    lines = (paths.demo_pack() / "curated.jsonl").read_text("utf-8").splitlines()
    for line in map(json.loads, lines[::50]):
        label = catalogue.card(FeatureId(line["layer"], line["index"])).label
        assert (label.text, label.confidence) == (line["label"], line["confidence"])
        assert label.source is Source.CURATED


@pytest.mark.parametrize("feature", [DOG, FeatureId(0, 5), FeatureId(29, 12)], ids=str)
def test_neighbours_are_the_nearest_decoder_rows(feature, catalogue, workbench):
    def rows(layer: int) -> np.ndarray:
        t = load_file(paths.demo_pack() / "saes" / f"layer_{layer:02}.safetensors")
        W_dec = t["W_dec"] * t["W_dec_scale"][:, None]  # noqa: N806
        return W_dec / np.linalg.norm(W_dec, axis=1, keepdims=True)

    layer, index = feature
    me = rows(layer)[index]
    beside = [n for n in (layer - 1, layer, layer + 1) if 0 <= n < 30]
    cosines = {n: rows(n) @ me for n in beside}
    cosines[layer][index] = -1
    pairs = sorted(((c, n, i) for n in beside for i, c in enumerate(cosines[n])), reverse=True)
    card = catalogue.card(feature)
    assert len(card.neighbours) == 10
    np.testing.assert_allclose(
        [n.cosine for n in card.neighbours], [c for c, _, _ in pairs[:10]], atol=1e-5
    )
    assert feature not in [n.feature for n in card.neighbours]
    assert [n.feature.sae for n in card.family] == list(range(30))
    assert card.family[layer].feature == feature
    for n in set(beside) - {layer}:
        assert card.family[n].feature.index == cosines[n].argmax()


def test_promoted_and_suppressed_tokens_are_the_ends_of_the_logit_effect(catalogue, workbench):
    engine = workbench.engine
    effect = engine.lens.logit_effect(engine.saes[DOG.sae].decoder_row(DOG.index))
    card = catalogue.card(DOG)
    assert card.promotes[0].effect == pytest.approx(float(effect.max()))
    assert card.suppresses[0].effect == pytest.approx(float(effect.min()))
    assert card.promotes[0].text == engine.model.texts[int(effect.argmax())]
    for tokens, sign in ((card.promotes, -1), (card.suppresses, 1)):
        effects = [sign * token.effect for token in tokens]
        assert effects == sorted(effects)


def test_a_feature_that_does_not_exist_has_no_card_and_no_path(catalogue, trace):
    for feature in (FeatureId(30, 0), FeatureId(0, 4096), FeatureId(-1, 3)):
        with pytest.raises(ScopeError, match="There is no"):
            catalogue.card(feature)
        with pytest.raises(ScopeError, match="There is no"):
            catalogue.follow(FollowFeature(trace, feature))


# ---- paths, and what promotes a word


def test_a_path_follows_the_best_match_of_every_layer_over_the_text(catalogue, store, trace):
    path = catalogue.follow(FollowFeature(trace, DOG))
    assert path.feature == DOG
    assert path.family == catalogue.card(DOG).family
    assert path.values.shape == (30, trace.n_tokens)
    for layer, match in enumerate(path.family):
        expected = table(trace)[layer, :, match.feature.index]
        expected = expected / store.max_active[match.feature]
        np.testing.assert_allclose(path.values[layer], expected, rtol=1e-5)


def test_promoting_scores_are_standard_deviations_over_the_vocabulary(catalogue, workbench):
    engine = workbench.engine
    token = engine.model.token_id(" dog")
    for row in catalogue.rank(RankFeatures(Scope.PROMOTES, words=" dog", limit=5)).rows:
        layer, index = row.feature
        effect = engine.lens.logit_effect(engine.saes[layer].decoder_row(index)).double()
        z = (effect[token] - effect.mean()) / effect.std(correction=0)
        assert row.found.value == pytest.approx(float(z), rel=1e-3)


def test_promoting_finds_the_best_of_a_layer(catalogue, workbench):
    engine = workbench.engine
    token = engine.model.token_id(" dog")
    rows = torch.stack([engine.saes[27].decoder_row(i) for i in range(4096)]).double()
    gain = engine.model.parts.norm.weight.double()
    # On the difference to the mean token, as the mean over the vocabulary changes nothing.
    centred = (engine.model.W_U - engine.model.W_U.mean(0)).double() * gain
    spread = ((rows @ (centred.T @ centred / len(centred))) * rows).sum(1).sqrt()
    scores = rows @ centred[token] / spread
    request = RankFeatures(Scope.PROMOTES, words=" dog", layers=(27, 27), limit=1)
    (best,) = catalogue.rank(request).rows
    assert best.feature == FeatureId(27, int(scores.argmax()))


def test_a_word_of_several_tokens_promotes_nothing(catalogue):
    with pytest.raises(ScopeError, match="more than one token"):
        catalogue.rank(RankFeatures(Scope.PROMOTES, words="chihuahua"))

"""Audits: arithmetic by hand, verdicts that cannot be had without a control, and the real model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from desktop_scope.engine.ablating import Choice
from desktop_scope.engine.types import FeatureId
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import ScopeError
from desktop_scope.experiments.audit import (
    PLAIN,
    AttributeRow,
    Condition,
    Digest,
    Goal,
    RowParts,
    ScoreRows,
    Study,
    Where,
    feature_of,
    key_of,
)
from desktop_scope.experiments.audit_digest import grouped, parts_in, together
from desktop_scope.experiments.audit_export import save_table
from desktop_scope.experiments.audit_table import Aim, AuditRow, AuditTable, Part, halved
from desktop_scope.experiments.audit_verdict import Outcome, verdict
from desktop_scope.experiments.auditing import choice_of
from desktop_scope.experiments.ready_cases import professions

PAIR = (FeatureId(24, 1017), FeatureId(24, 195))


def parts(values: dict[FeatureId, float]) -> RowParts:
    keys = sorted(map(key_of, values))
    found = np.array([values[feature_of(key)] for key in keys], np.float32)
    return RowParts(np.array(keys), found, np.abs(found))


# ---- arithmetic


def test_parts_in_the_spread_sum_to_it_and_find_the_feature_that_varies():
    rng = np.random.default_rng(0)
    effects = rng.normal(size=(30, 5)) * [3, 1, 0.1, 0, 0]
    scores = effects.sum(1) + 2
    part = parts_in(scores, effects, Aim.SPREAD)
    assert part.argmax() == 0
    np.testing.assert_allclose(part.sum(), scores.std(ddof=1), rtol=1e-5)
    by_hand = np.cov(effects[:, 1], scores)[0, 1] / scores.std(ddof=1)
    np.testing.assert_allclose(part[1], by_hand, rtol=1e-5)


def test_parts_in_mistakes_are_of_the_rows_that_are_wrong():
    effects = np.array([[-2.0, 1.0], [5.0, 1.0], [-4.0, 0.0]])
    part = parts_in(np.array([-1.0, 3.0, -2.0]), effects, Aim.ACCURACY)
    np.testing.assert_allclose(part, [3.0, -0.5])


def test_features_of_rows_are_brought_together():
    a, b, c = FeatureId(0, 7), FeatureId(2, 1), FeatureId(2, 9)
    keys, effects, acts = together([parts({a: 1.0, c: -2.0}), parts({b: 3.0})])
    assert [feature_of(key) for key in keys.tolist()] == [a, b, c]
    assert effects.tolist() == [[1, 0, -2], [0, 3, 0]]
    assert acts.tolist() == [[1, 0, 2], [0, 3, 0]]


def test_features_that_vary_together_under_like_names_are_one_group():
    rng = np.random.default_rng(1)
    base = rng.normal(size=20)
    effects = np.stack([base, rng.normal(size=20), 2 * base, base], axis=1)
    labels = ["women and girls", "full stop", "girls and women", "commas in lists"]
    assert grouped(effects, labels) == [0, 1, 0, 2]
    assert grouped(np.zeros((20, 1)), ["alone"]) == [0]
    assert grouped(np.zeros((20, 0)), []) == []


def test_random_features_are_of_the_same_saes_and_as_active():
    keys = [key_of(FeatureId(sae, n)) for sae in (0, 1) for n in range(100)]
    sizes = np.tile(np.arange(100, dtype=np.float32), 2)
    digest = Digest((), np.array(keys), sizes)
    off = (FeatureId(0, 50), FeatureId(1, 3), FeatureId(1, 4), FeatureId(5, 0))
    draws = [digest.like(off, seed) for seed in range(3)]
    for drawn in draws:
        assert [feature.sae for feature in drawn] == [0, 1, 1]
        assert len(set(drawn)) == 3
        assert not set(drawn) & set(off)
        assert abs(drawn[0].index - 50) <= 10
        assert max(drawn[1].index, drawn[2].index) <= 22
    assert len(set(draws)) > 1
    assert digest.like(off, 1) == draws[1]


# ---- verdicts


def study(
    before: Iterable[float],
    after: Iterable[float],
    control: tuple[float, float] | None = (1.0, 1.0),
    chance: Iterable[float] | None = None,
    mass: float = 1.0,
    aim: Aim = Aim.SPREAD,
) -> Study:
    """Held-out rows with these scores before and after; a control with these."""
    before, after = list(before), list(after)
    rows = [AuditRow(f"p{n}", "a", "b", part=Part.HELD_OUT) for n in range(len(before))]
    rows += [AuditRow("f", "a", "b")]
    if control:
        rows += [AuditRow(f"c{n}", "a", "b", part=Part.CONTROL) for n in range(10)]
    chosen, random = Condition((PAIR[0],)), Condition((PAIR[1],))

    def scores(values: list[float], kept: float, share: float) -> np.ndarray:
        d = [*values, 0.0, *([kept] * 10 if control else [])]
        p = 0.8 * share / (1 + np.exp(d))
        return np.log(np.stack([p * np.exp(d), p], 1)).astype(np.float32)

    a, b = control or (0.0, 0.0)
    return Study(
        AuditTable("t", tuple(rows), aim),
        Goal.EFFECT,
        chosen,
        (random,),
        {
            PLAIN: scores(before, a, 1.0),
            chosen: scores(after, b, mass),
            random: scores(list(chance or before), a, 1.0),
        },
    )


WIDE, NARROW = [-3, -1, 1, 3], [-0.5, -0.2, 0.2, 0.5]


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (study(WIDE, NARROW), Outcome.CORRECTED),
        (study(WIDE, NARROW, control=(1, -1)), Outcome.PUSHED),
        (study(WIDE, NARROW, control=None), Outcome.UNPROVEN),
        (study(WIDE, NARROW, mass=0.4), Outcome.SILENCED),
        (study(WIDE, NARROW, chance=NARROW), Outcome.NOTHING),
        (study(WIDE, [-2.9, -1, 1, 2.9]), Outcome.NOTHING),
        (study(NARROW, WIDE), Outcome.NOTHING),
        (study([-1, -1, 1, 1], [1, 1, 1, 1], aim=Aim.ACCURACY), Outcome.CORRECTED),
        (study([-1, -1, 1, 1], [1, 1, 1, 1], (1, -1), aim=Aim.ACCURACY), Outcome.PUSHED),
        (study([1, 1, 1, 1], [1, 1, 1, 1], aim=Aim.ACCURACY), Outcome.NOTHING),
    ],
)
def test_better_is_called_corrected_only_while_the_control_holds(found, outcome):
    said = verdict(found)
    assert said.outcome is outcome
    assert any(char.isdigit() for char in said.reason) or outcome is Outcome.UNPROVEN


def test_there_is_no_verdict_before_all_is_measured_nor_without_rows_held_out():
    whole = study(WIDE, NARROW)
    less = {c: s for c, s in whole.scores.items() if c != whole.controls[0]}
    assert verdict(replace(whole, scores=less)) is None
    assert verdict(replace(whole, chosen=PLAIN)) is None
    found_on = tuple(replace(row, part=Part.FIND) for row in whole.table.rows[:4])
    few = replace(whole, table=AuditTable("t", found_on))
    few = replace(few, scores={c: s[:4] for c, s in whole.scores.items()})
    assert verdict(few).outcome is Outcome.UNPROVEN


# ---- on the real model


def run(study: Study, workbench, *kinds: type) -> Study:
    """Measure until something else than these is asked for."""
    while isinstance(request := study.next_request(), kinds):
        study = study.taken(request, workbench.handle(request, silent_job()))
    return study


def small(n: int = 8) -> AuditTable:
    """Some professions held out, and people whose gender is said."""
    table = professions("I spoke to the {} yesterday, and")
    held = [table.rows[k] for k in table.of(Part.HELD_OUT)[:n]]
    kin = [table.rows[k] for k in table.of(Part.CONTROL) if table.rows[k].word][::4]
    return replace(table, rows=(*held, *kin))


def test_the_stereotype_goes_at_the_profession_alone_and_gender_goes_everywhere(workbench):
    study = run(Study(small()), workbench, ScoreRows)
    spread = study.figures(PLAIN, Part.HELD_OUT).spread
    assert spread > 1
    assert study.figures(PLAIN, Part.CONTROL).accuracy == 1
    for where in Where:
        condition = Condition(PAIR, where)
        study = run(study.until(Goal.SCORES), workbench, ScoreRows)
        for request in _asks(study, condition):
            study = study.taken(request, workbench.handle(request, silent_job()))
        assert study.figures(condition, Part.HELD_OUT).spread < 0.7 * spread
    everywhere, words = (study.figures(Condition(PAIR, w), Part.CONTROL) for w in Where)
    assert words.mean > 2 * everywhere.mean
    assert words.accuracy == 1


def _asks(study: Study, condition: Condition):
    """Rows of one condition, as an audit with a goal would ask for them."""
    rows = study.table.rows
    return [ScoreRows(rows[n : n + 8], condition, (1, n)) for n in range(0, len(rows), 8)]


def test_the_feature_of_women_is_found_by_its_part_in_the_spread(workbench):
    jobs = ("nurse", "engineer", "nanny", "carpenter")
    table = professions("I spoke to the {} yesterday, and")
    rows = tuple(row for row in table.rows if row.word in jobs and row.part is not Part.CONTROL)
    rows = tuple(replace(row, part=Part.FIND) for row in rows)
    study = Study(AuditTable("few", rows)).until(Goal.RANKING)
    while (request := study.next_request()) is not None:
        study = study.taken(request, workbench.handle(request, silent_job()))
    assert PAIR[0] in [one.feature for one in study.digest.ranking[:3]]
    assert study.digest.ranking[0].label.text
    # Effects of a row are about as large as its score, not a multiple: nothing is counted twice.
    one = workbench.handle(AttributeRow(rows[0]), silent_job())
    last = one.parts[one.features >> 32 == 29].sum()
    assert abs(last) < 12


def tokens_of(choice: Choice) -> tuple[int, ...]:
    (tokens,) = {item.positions.tokens for item in choice.run.interventions}
    return tokens


def test_a_word_is_found_wherever_it_stands_and_nowhere_else(workbench):
    model = workbench.engine.model
    row = AuditRow("Ask the plumber: plumbers, or a plumber?", " he", " she", word="plumber")
    choice = choice_of(model, row, Condition(PAIR, Where.WORDS))
    texts = "".join(model.texts[choice.run.ids[n]] for n in tokens_of(choice))
    assert texts.split() == ["plumber", "plumber"]
    for chat in (True, False):
        other = replace(row, prompt="An assistant", word="assistant", chat=chat)
        found = choice_of(model, other, Condition(PAIR, Where.WORDS))
        assert len(tokens_of(found)) <= 2  # not the template's own “assistant”
    with pytest.raises(ScopeError, match="was not found"):
        choice_of(model, replace(row, word="queen"), Condition(PAIR, Where.WORDS))
    control = choice_of(model, replace(row, word=""), Condition(PAIR, Where.WORDS))
    assert control.run.interventions == ()  # it stands nowhere, so nothing is switched off


def test_rows_that_cannot_be_asked_name_themselves(workbench):
    model = workbench.engine.model
    with pytest.raises(ScopeError, match=r"“so so .* tokens long"):
        choice_of(model, AuditRow("so " * 9000, "a", "b"))
    with pytest.raises(ScopeError, match=r"“w”.* tokens long"):
        choice_of(model, AuditRow("Say so.", "a", "b", chat=True, begun="so " * 9000, word="w"))


def test_a_saved_table_can_be_read_again(tmp_path):
    found = study(WIDE, NARROW)
    found = replace(found, table=replace(found.table, rows=halved(found.table.rows)))
    path = tmp_path / "out.csv"
    save_table(found, path)
    text = path.read_text("utf-8")
    assert text.splitlines()[0].startswith("part,prompt,chat")
    assert len(text.splitlines()) == 1 + len(found.table.rows)
    assert "-3.0000" in text
    with pytest.raises(ScopeError, match="could not be saved"):
        save_table(found, tmp_path / "no" / "folder.csv")

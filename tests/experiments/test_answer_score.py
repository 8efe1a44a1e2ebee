"""Whole answers: those of plain, pushed and control runs, and what is counted in them."""

from __future__ import annotations

import math

import pytest

from desktop_scope.engine.requests import Generate
from desktop_scope.engine.types import FeatureId, Intervention, Sampling
from desktop_scope.engine.worker import silent_job
from desktop_scope.errors import ScopeError
from desktop_scope.evidence.marks.overlay import MarkedEvidence
from desktop_scope.experiments import answer_score
from desktop_scope.experiments.answer_score import score_answers
from desktop_scope.experiments.answer_types import AnswerTrial, ScoreAnswers

SEA = FeatureId(24, 77)
N_TOKENS = 6


@pytest.fixture
def score(workbench, monkeypatch):
    """One step of a trial, with short answers to the built-in questions alone."""
    monkeypatch.setattr(answer_score, "N_TOKENS", N_TOKENS)
    monkeypatch.setattr(answer_score, "MORE", ())

    def run(trial: AnswerTrial):
        request = ScoreAnswers(trial)
        return score_answers(workbench.engine, workbench.catalogue, request, silent_job())

    return run


def planted(workbench, score, own: str, other: str, *runs: str):
    """The score of answers that say a word over and over: the feature's own, or another one."""
    engine = workbench.engine
    ids = {"own": engine.model.token_id(own), "other": engine.model.token_id(other)}
    answers = tuple(tuple((ids[run],) * 4 for _ in range(6)) for run in runs)
    return score(AnswerTrial(SEA, answers=answers))


def test_the_answers_are_those_of_plain_and_of_steered_runs(workbench, score):
    trial, engine = AnswerTrial(SEA, push=0.4), workbench.engine
    for _ in range(3):
        trial = score(trial)
    plain, pushed, control = trial.answers
    norm = workbench.catalogue.evidence[SEA.sae].median_norm
    prompt = answer_score.built_in_prompts(engine)[0]
    request = Generate(
        prompt, ((), (Intervention(SEA, 0.4 * norm),)), Sampling(max_new_tokens=N_TOKENS)
    )
    direct = [tuple(g.ids) for g in engine.generate(request, silent_job())]
    assert [plain[0], pushed[0]] == [ids[: len(plain[0])] for ids in direct]
    assert len(plain) == len(pushed) == len(control) == 6
    assert pushed not in (plain, control)
    found = score(trial)
    assert found.answers[0][0] == engine.model.decode(list(plain[0])).strip()
    assert found.over_plain.low <= found.pushed - found.plain <= found.over_plain.high


def test_answers_full_of_its_words_move_and_others_do_not(workbench, score):
    own = " " + planted(workbench, score, " the", " the", *["own"] * 3).words[0]
    moved = planted(workbench, score, own, " the", "other", "own", "other")
    assert (moved.plain, moved.pushed, moved.control) == (0.0, 1.0, 0.0)
    assert moved.moves
    assert not planted(
        workbench, score, own, " the", "other", "own", "own"
    ).moves  # so does another
    assert not planted(workbench, score, own, " the", "own", "own", "other").moves  # as before


@pytest.mark.parametrize("push", [0.0, math.nan, math.inf])
def test_a_push_that_makes_no_sense_is_refused(score, push):
    with pytest.raises(ScopeError, match="makes no sense"):
        score(AnswerTrial(SEA, push))


def test_without_examples_there_is_nothing_to_count(score, monkeypatch):
    monkeypatch.setattr(MarkedEvidence, "peaks", lambda evidence: None)
    with pytest.raises(ScopeError, match="no examples"):
        score(AnswerTrial(SEA))

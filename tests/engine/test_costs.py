"""What steering costs: the quiz, texts near to it, and the word for it, on a tiny model."""

from __future__ import annotations

import math

import pytest
import torch
from steered_tiny import by_hand, engine, vector
from tiny_models import reference

from desktop_scope.engine import quiz as quizzing
from desktop_scope.engine.cost_types import (
    Damage,
    Fluency,
    Passages,
    Quiz,
    QuizAnswer,
    TextCost,
    Word,
    judge,
)
from desktop_scope.engine.damage import NEUTRAL_TEXTS
from desktop_scope.engine.fluency import surprises
from desktop_scope.engine.interventions import Steering
from desktop_scope.engine.quiz import Question, Questionnaire, read_questions
from desktop_scope.engine.requests import MeasureDamage
from desktop_scope.engine.types import (
    FeatureId,
    Intervention,
    Mode,
    Positions,
    Prompt,
    Rule,
    Trigger,
)
from desktop_scope.engine.worker import Job, Partial, silent_job
from desktop_scope.errors import ScopeError

PUSH = (Intervention(FeatureId(1, 3), 4.0), Intervention(FeatureId(2, 7), mode=Mode.ABLATE))
QUESTIONS = (
    Question("The museum", ("opens", "children", "at")),
    Question("At nine in the", ("morning", "free")),
    Question("a", ("b", "c", "children enter")),
)


def cost_by_hand(text: str, items) -> tuple[float, float, int]:
    """KL and loss of log-likelihood, summed over a text in float64."""
    ids = engine().model.encode(Prompt(text, chat=False)).ids
    before, after = (
        by_hand(run, n_prompt=10**9).logits(ids).log_softmax(-1)[1:-1] for run in ((), items)
    )
    said = torch.tensor(ids)[2:, None]
    kl = float((before.exp() * (before - after)).sum())
    return kl, float((before - after).gather(1, said).sum()), len(said)


def test_the_cost_near_to_it_equals_a_float64_computation():
    near = (Passages("two texts", ("children enter for free", "nine")), Passages("none", ("a",)))
    damage = engine().damage(MeasureDamage(PUSH), silent_job(), near)
    first, _ = damage.near
    kl, nll, n = map(sum, zip(*(cost_by_hand(t, PUSH) for t in near[0].texts), strict=True))
    assert (first.title, first.texts, first.n_tokens) == (*near[0][:2], n)
    assert first.kl == pytest.approx(kl / n, rel=1e-3)
    assert first.nll_delta == pytest.approx(nll / n, rel=1e-3, abs=1e-5)
    alone = [cost_by_hand(text, PUSH) for text in near[0].texts]
    assert first.losses == pytest.approx([b / max(c, 1) for _, b, c in alone], rel=1e-3, abs=1e-5)
    assert damage.near[1].n_tokens == 0  # nothing to measure, and nothing breaks
    assert damage.finished


def test_the_cost_is_that_of_acting_at_all_tokens_wherever_an_intervention_is_meant_for():
    rule = Rule((Trigger(FeatureId(0, 1), 0.0),))
    for item in (Intervention(vector=vector(1), amount=3.0), Intervention(FeatureId(0, 2), 3.0)):
        for positions in (Positions(answer=False), Positions(tokens=(0, 2))):
            meant = Intervention(item.feature, 3.0, vector=item.vector, positions=positions)
            stop = Intervention(mode=Mode.STOP, rule=rule)
            found, whole = (
                engine().damage(MeasureDamage(items), silent_job())
                for items in ((meant, stop), (item,))
            )
            assert found.kl == whole.kl > 0


def test_only_strengths_are_changed_when_a_dial_turns():
    meter = engine().meter
    weak, strong = ((Intervention(FeatureId(1, 3), a),) for a in (1.0, 9.0))
    first = meter.ready(weak)
    costs = [meter.neutral(items, silent_job()).kl.sum() for items in (weak, strong, weak)]
    assert meter.ready(strong) is first
    assert costs[0] == costs[2] < costs[1]
    assert meter.ready(PUSH) is not first


def test_a_stage_is_reported_as_soon_as_it_is_there(monkeypatch):
    monkeypatch.setattr("desktop_scope.engine.worker._REPORTS_PER_SECOND", 1e9)
    monkeypatch.setattr(quizzing, "read_questions", lambda: QUESTIONS)
    monkeypatch.setattr("desktop_scope.engine.damage.read_questions", lambda: QUESTIONS)
    engine().meter.__dict__.pop("_questionnaire", None)
    events = []
    request = MeasureDamage(PUSH, quiz=True)
    done = engine().damage(
        request, Job(1, request, events.append), (Passages("one", (NEUTRAL_TEXTS[0][:30],)),)
    )
    partly = [event.payload for event in events if isinstance(event, Partial)]
    assert [(len(d.near), d.quiz, d.finished) for d in partly] == [
        (0, None, False),
        (1, None, False),
    ]
    assert {d.kl for d in partly} == {done.kl}
    assert done.quiz is not None
    assert done.fluency is not None
    assert len(done.fluency.texts) == 3
    assert done.finished
    engine().meter.__dict__.pop("_questionnaire", None)


def test_the_quiz_takes_the_likeliest_option_with_and_without():
    strong = (Intervention(FeatureId(1, 3), 30.0), Intervention(vector=vector(2), amount=50.0))
    quiz = Questionnaire(engine().model, QUESTIONS).ask(
        Steering(strong, engine().saes), silent_job()
    )
    assert [answer.plain for answer in quiz.answers] == [likeliest(q, ()) for q in QUESTIONS]
    assert [answer.steered for answer in quiz.answers] == [likeliest(q, strong) for q in QUESTIONS]
    assert [answer.question for answer in quiz.answers] == [q.text for q in QUESTIONS]
    assert any(answer.plain != answer.steered for answer in quiz.answers)


def likeliest(question: Question, items) -> int:
    """By running every option alone in float64."""
    model, scores = engine().model, []
    before = model.encode(Prompt(question.text, chat=False)).ids
    for option in question.options:
        after = model.continuation(" " + option)
        if items:
            logits = by_hand(items, n_prompt=10**9).logits([*before, *after])
        else:
            ids = torch.tensor([[*before, *after]])
            with torch.inference_mode():
                logits = reference("llama")(ids, use_cache=False).logits[0].double()
        said = logits.log_softmax(-1)[len(before) - 1 : -1]
        scores.append(float(said[range(len(after)), after].sum()))
    return scores.index(max(scores))


def test_the_built_in_questions_are_as_they_should_be():
    questions = read_questions()
    assert 40 <= len(questions) <= 50
    assert len({q.text for q in questions}) == len(questions)
    for question in questions:
        assert len(set(question.options)) == 4
        assert not question.text.endswith((" ", "."))


def test_a_damaged_quiz_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(quizzing.paths, "resources", lambda: tmp_path)
    for text in ("", "{}", '{"questions": [1]}'):
        (tmp_path / "quiz.json").write_text(text, "utf-8")
        with pytest.raises(ScopeError, match="quiz") as caught:
            read_questions()
        assert caught.value.hint


def quiz_of(kept: int, lost: int, unknown: int = 3) -> Quiz:
    def answer(plain: int, steered: int) -> QuizAnswer:
        return QuizAnswer("?", ("a", "b"), 0, plain, steered)

    return Quiz((answer(0, 0),) * kept + (answer(0, 1),) * lost + (answer(1, 0),) * unknown)


@pytest.mark.parametrize(
    ("kl", "quiz", "repeats", "word"),
    [
        (0.0, None, 0.0, Word.SAFE),
        (0.39, quiz_of(19, 1), 0.1, Word.SAFE),
        (0.4, None, 0.0, Word.STRAINED),
        (1.9, None, 0.0, Word.STRAINED),
        (2.0, None, 0.0, Word.BROKEN),
        (0.1, quiz_of(8, 2), 0.0, Word.STRAINED),
        (0.1, quiz_of(1, 1), 0.0, Word.BROKEN),
        (0.1, quiz_of(0, 0), 0.0, Word.SAFE),  # it knew nothing before
        (0.1, None, 0.3, Word.STRAINED),
        (0.5, None, 0.9, Word.BROKEN),
    ],
)
def test_the_word_is_that_of_the_worst_figure(kl, quiz, repeats, word):
    judgement = judge(Damage((), kl, 0.0, 1, quiz=quiz), repeats, 0.05)
    assert judgement.word is word
    assert judgement.reasons


@pytest.mark.parametrize(
    ("kl", "fluency", "word"),
    [
        (0.1, Fluency(1.9, 1.0, 0.0, 0.0), Word.SAFE),
        (1.6, Fluency(3.6, 1.0, 0.0, 0.0), Word.STRAINED),
        (2.5, Fluency(3.6, 1.0, 0.0, 0.0), Word.STRAINED),  # far away, and yet it speaks
        (1.5, Fluency(4.2, 1.0, 0.0, 0.0), Word.BROKEN),
        (0.1, Fluency(1.0, 1.0, 0.3, 0.0), Word.STRAINED),
        (0.1, Fluency(1.0, 1.0, 0.9, 0.0), Word.BROKEN),
    ],
)
def test_it_is_broken_when_its_answers_are_no_language(kl, fluency, word):
    assert judge(Damage((), kl, 0.0, 1, fluency=fluency)).word is word


def near_cost(*losses: float, names: tuple[str, ...] = ()) -> TextCost:
    return TextCost("texts", ("a",) * len(losses), 0.0, max(losses), 9, losses, names)


def test_what_is_near_to_it_strains_the_word_when_it_loses_more_than_the_rest():
    topics = ("boxing", "war")
    for general, losses, forgets in (
        (0.0, (0.1, 0.5), ("war",)),
        (0.0, (0.4, 0.5), ("war", "boxing")),
        (0.0, (0.1, 0.29), ()),
        (0.3, (0.1, 0.5), ()),  # no more than everything else
        (-0.5, (0.1, 0.29), ()),
    ):
        damage = Damage((), 0.1, general, 9, near=(near_cost(*losses, names=topics),))
        judgement = judge(damage)
        assert judgement.forgets == forgets
        assert judgement.word is (Word.STRAINED if forgets else Word.SAFE)
        assert not forgets or f"texts about {forgets[0]}" in judgement.reasons[0]
    assert judge(Damage((), 0.1, 0.0, 9, near=(near_cost(0.4),))).word is Word.STRAINED


def test_answers_are_judged_by_the_model_as_it_is():
    prompts = [[1, 5, 7], [1, 9]]
    answers = [[3, 4], [], [6]]
    found = surprises(engine().model, [*prompts, prompts[0]], answers, silent_job())
    for prompt, answer, surprise in zip([*prompts, prompts[0]], answers, found, strict=True):
        logprobs = by_hand(()).logits([*prompt, *answer]).log_softmax(-1)[len(prompt) - 1 : -1]
        said = [float(logprobs[k, i]) for k, i in enumerate(answer)]
        assert surprise == pytest.approx(-sum(said) / max(len(said), 1), rel=1e-4)


def test_what_was_measured_of_the_same_is_not_measured_again(monkeypatch):
    meter, asked = engine().meter, []
    costs = meter.costs
    monkeypatch.setattr(meter, "costs", lambda p, *more: asked.append(p.title) or costs(p, *more))
    near = (Passages("near", ("children enter for free",)),)
    push = (Intervention(FeatureId(1, 3), 2.5),)
    first = meter.measure(MeasureDamage(push), silent_job())
    then = meter.measure(MeasureDamage(push, near=True), silent_job(), near)
    assert asked == ["neutral sentences", "near"]
    assert (then.kl, then.near[0].title) == (first.kl, "near")
    meter.measure(MeasureDamage(PUSH), silent_job())
    assert asked == ["neutral sentences", "near", "neutral sentences"]


def test_what_it_did_not_know_it_cannot_lose():
    quiz = quiz_of(3, 1, unknown=2)
    assert (quiz.n_questions, quiz.plain, quiz.steered) == (6, 4, 5)
    assert quiz.kept == 0.75
    assert math.isnan(quiz_of(0, 0).kept)
